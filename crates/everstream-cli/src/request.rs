//! What is asked for, and how: the options that every subcommand with a URL shares. Their letters
//! are those of curl.

mod facts;

use std::env::VarError;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use everstream::{Error, HeaderScope, Http, HttpVersion, RedactedUrl};

use crate::duration;
use crate::password::password;
use crate::report::Problem;

#[derive(Debug, Args)]
#[command(next_help_heading = "Request (letters as in curl)")]
pub(crate) struct RequestArgs {
    /// The stream: http://... or https://...
    #[arg(value_name = "URL", help_heading = "Arguments")]
    pub(crate) url: String,

    /// Send this header. It follows no redirect to another origin, except from http to https of the
    /// same host. @FILE: one per line (repeatable).
    // Taken as it is: clap would print a value that it refuses, and it may be a secret.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// The method. Default: GET, or POST with a body.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,

    /// Send this body, as application/x-www-form-urlencoded; @FILE: its content without line ends,
    /// @-: from standard input (repeatable; joined with &).
    #[arg(short, long, value_name = "DATA", conflicts_with = "json")]
    data: Vec<String>,

    /// As --data, and a file is sent as it is.
    #[arg(long, value_name = "DATA", conflicts_with_all = ["data", "json"])]
    data_binary: Option<String>,

    /// Send this body, as application/json; @FILE, @-.
    #[arg(long, value_name = "DATA")]
    json: Option<String>,

    /// Credentials for Basic authentication. Without ":PASSWORD" it is read from the variable
    /// EVERSTREAM_PASSWORD, where other users of this machine don't see it, or else asked for.
    #[arg(short, long, value_name = "USER:PASSWORD")]
    user: Option<String>,

    /// Send "Authorization: Bearer" with the token in this environment variable.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "user")]
    bearer_env: Option<String>,

    /// The User-Agent.
    #[arg(short = 'A', long, value_name = "NAME")]
    user_agent: Option<String>,

    /// Accept any certificate. Whoever is between can read and change everything.
    #[arg(short = 'k', long)]
    insecure: bool,

    /// Trust these certificates (PEM) besides the system's.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// Show this certificate (PEM); the file may hold the key too.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The key of --cert (PEM, PKCS#8).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Use this proxy instead of the system's: http://, https://, socks5://...; "" is none.
    #[arg(short = 'x', long, value_name = "URL")]
    proxy: Option<String>,

    /// HTTP/2 only, also without TLS.
    #[arg(long, conflicts_with = "http1_1")]
    http2: bool,

    /// HTTP/1.1 only.
    #[arg(long = "http1.1")]
    http1_1: bool,

    /// Connect to ADDRESS for requests to HOST. PORT is there as in curl: the address holds for
    /// every port of the host (repeatable).
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,

    /// Connect to this Unix socket, whatever host the URL has.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,

    /// Redirects are followed anyway; for hands that are used to curl.
    #[arg(short = 'L', long, hide = true)]
    location: bool,

    /// Follow so many redirects in a row; 0: none.
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_redirs: usize,

    /// Give an attempt up if the connection takes longer: 500ms, 2s, 5m, 1h, or seconds.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    connect_timeout: Duration,

    /// Take a connection for dead if nothing comes for so long; comments count. Default: never.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) read_timeout: Option<Duration>,
}

impl RequestArgs {
    /// The request, or what is wrong with it.
    pub(crate) fn http(&self) -> Result<Http, Problem> {
        let mut http = Http::new(&self.url)
            .redirect_limit(self.max_redirs)
            .header_scope(HeaderScope::All)
            .connect_timeout(self.connect_timeout);
        let headers = self.headers()?;
        for (name, value) in &headers {
            http = http.header(name, value);
        }
        if let Some(name) = &self.user_agent {
            http = http.header("user-agent", name);
        }
        if let Some((kind, body)) = self.body()? {
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                http = http.header("content-type", kind);
            }
            http = http.method("POST").body(body);
        }
        if let Some(method) = &self.method {
            http = http.method(method);
        }
        http = self.tls(http)?;
        http = self.way(http)?;
        // Last: a password may be asked for, and signals aren't what they were afterwards.
        self.credentials(http)
    }

    /// Whether it is sent again as often as it takes (RFC 9110, section 9.2.1).
    pub(crate) fn is_safe(&self) -> bool {
        match self.method.as_deref() {
            Some(method) => ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method),
            None => !self.has_body(),
        }
    }

    fn has_body(&self) -> bool {
        !self.data.is_empty() || self.data_binary.is_some() || self.json.is_some()
    }

    /// The options in use that say what only their origin should get.
    #[cfg(feature = "top")]
    pub(crate) fn secrets(&self) -> Vec<&'static str> {
        [
            (!self.headers.is_empty(), "-H"),
            (self.user.is_some(), "-u"),
            (self.bearer_env.is_some(), "--bearer-env"),
            (self.cert.is_some(), "--cert"),
            (self.has_body(), "the body"),
        ]
        .into_iter()
        .filter_map(|(used, name)| used.then_some(name))
        .collect()
    }

    /// The environment variable with the token, which is a secret.
    pub(crate) fn bearer_env(&self) -> Option<&str> {
        self.bearer_env.as_deref()
    }

    /// A GET for the same server by the same way, without body, headers and credentials.
    pub(crate) fn bare_http(&self) -> Result<Http, Problem> {
        let http = Http::new(&self.url).connect_timeout(self.connect_timeout);
        self.way(self.tls(http)?)
    }

    /// Whether it goes to this machine, whatever host the URL has.
    pub(crate) fn is_local(&self) -> bool {
        #[cfg(unix)]
        return self.unix_socket.is_some();
        #[cfg(not(unix))]
        return false;
    }

    /// Whether certificates aren't looked at.
    pub(crate) fn is_unverified(&self) -> bool {
        self.insecure
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Problem> {
        let mut headers = Vec::new();
        for (index, header) in self.headers.iter().enumerate() {
            if let Some(file) = header.strip_prefix('@') {
                let text = text(read(file)?, file)?;
                for (index, line) in text.lines().enumerate() {
                    if !line.trim().is_empty() {
                        let place = || format!("line {} of {file:?}", index + 1);
                        headers.push(split_header(line, place)?);
                    }
                }
            } else {
                headers.push(split_header(header, || format!("header {}", index + 1))?);
            }
        }
        Ok(headers)
    }

    /// The body and its type.
    fn body(&self) -> Result<Option<(&'static str, Vec<u8>)>, Problem> {
        const FORM: &str = "application/x-www-form-urlencoded";
        if let Some(json) = &self.json {
            return Ok(Some(("application/json", content(json)?)));
        }
        if let Some(data) = &self.data_binary {
            return Ok(Some((FORM, content(data)?)));
        }
        let mut body = Vec::new();
        for (index, data) in self.data.iter().enumerate() {
            if index > 0 {
                body.push(b'&');
            }
            let mut part = content(data)?;
            if data.starts_with('@') {
                // As curl does with files of --data.
                part.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            }
            body.extend(part);
        }
        Ok((!self.data.is_empty()).then_some((FORM, body)))
    }

    fn credentials(&self, http: Http) -> Result<Http, Problem> {
        if let Some(variable) = &self.bearer_env {
            return Ok(http.bearer_token(token(variable)?));
        }
        Ok(match &self.user {
            None => http,
            Some(user) => match user.split_once(':') {
                Some((user, password)) => http.basic_auth(user, password),
                None => http.basic_auth(user, password(user)?),
            },
        })
    }

    fn tls(&self, mut http: Http) -> Result<Http, Problem> {
        if self.insecure {
            http = http.danger_accept_invalid_certs(true);
        }
        if let Some(file) = &self.cacert {
            http = http.root_certificates(read_file(file)?);
        }
        if let Some(file) = &self.cert {
            let key = match &self.key {
                Some(key) => read_file(key)?,
                // Then it is in the same file.
                None => Vec::new(),
            };
            http = http.client_certificate(read_file(file)?, key);
        }
        Ok(http)
    }

    /// How the server is reached.
    fn way(&self, mut http: Http) -> Result<Http, Problem> {
        match self.proxy.as_deref() {
            None => {}
            Some("") => http = http.no_proxy(),
            Some(url) => http = http.proxy(url),
        }
        if self.http2 {
            http = http.version(HttpVersion::Http2);
        } else if self.http1_1 {
            http = http.version(HttpVersion::Http1);
        }
        for entry in &self.resolve {
            let (host, addresses) = split_resolve(entry).ok_or_else(|| {
                Problem::new(format!("--resolve {entry:?} can't be used"))
                    .hint("it looks like this: --resolve example.com:443:127.0.0.1")
            })?;
            for address in addresses {
                http = http.resolve(host, address);
            }
        }
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            http = http.unix_socket(path);
        }
        Ok(http)
    }
}

/// Nothing of it is shown: with a colon left out, its value takes the place of its name.
fn split_header(header: &str, place: impl Fn() -> String) -> Result<(String, String), Problem> {
    let bad = |what| {
        Problem::new(format!("{} {what}", place()))
            .hint("a header looks like this: -H 'Authorization: Bearer TOKEN'")
    };
    let (name, value) = header.split_once(':').ok_or_else(|| bad("has no colon"))?;
    let (name, value) = (name.trim(), value.trim());
    // RFC 9110, section 5.6.2: a token.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(bad("has something before its colon that can't be a name"));
    }
    Ok((name.into(), value.into()))
}

/// The host, and one or more addresses, with commas between them; IPv6 perhaps in brackets.
fn split_resolve(entry: &str) -> Option<(&str, Vec<IpAddr>)> {
    let (host, rest) = entry.split_once(':')?;
    let (port, addresses) = rest.split_once(':')?;
    port.parse::<u16>().ok()?;
    let address = |text: &str| {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(text).parse().ok()
    };
    let addresses: Option<Vec<IpAddr>> = addresses.split(',').map(address).collect();
    // What curl takes these for isn't known here.
    Some((host, addresses?))
        .filter(|(host, _)| !host.is_empty() && !host.starts_with(['+', '-', '*']))
}

/// The text itself, or what is in the file that it names.
fn content(argument: &str) -> Result<Vec<u8>, Problem> {
    match argument.strip_prefix('@') {
        Some(file) => read(file),
        None => Ok(argument.into()),
    }
}

/// `-` is standard input.
fn read(file: &str) -> Result<Vec<u8>, Problem> {
    if file != "-" {
        return read_file(Path::new(file));
    }
    let mut all = Vec::new();
    match std::io::stdin().read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) => Err(Problem::because("standard input can't be read", &error)),
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path)
        .map_err(|error| Problem::because(&format!("{} can't be read", path.display()), &error))
}

fn text(bytes: Vec<u8>, file: &str) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|_| Problem::new(format!("{file:?} isn't UTF-8")))
}

/// What is in the variable of --bearer-env. Its name isn't shown either: it may be the token itself,
/// given by mistake.
fn token(variable: &str) -> Result<String, Problem> {
    match std::env::var(variable) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(VarError::NotPresent) => {
            let what = "the environment variable that --bearer-env names isn't set";
            Err(Problem::new(what).hint(
                "it takes the variable's name and not the token: \
                 read -rs TOKEN && export TOKEN, then --bearer-env TOKEN",
            ))
        }
        Err(VarError::NotUnicode(_)) => {
            let what = "the environment variable that --bearer-env names isn't UTF-8";
            Err(Problem::new(what))
        }
    }
}

/// A setting that the library refuses, by the name of its option.
pub(crate) fn bad_setting(done: &str, url: &str, error: &Error) -> Problem {
    let Error::Config { setting, problem } = error else {
        return Problem::because(&format!("this can't be {done}"), error);
    };
    let option = match *setting {
        "url" if !url.contains("://") => {
            let guess = format!("http://{url}");
            let shown = RedactedUrl(url).to_string();
            return Problem::new(format!(
                "invalid URL {shown:?}: missing http:// or https://"
            ))
            .hint(format!("write it as in {}", RedactedUrl(&guess)));
        }
        "url" => return Problem::new(format!("invalid URL {problem}")),
        "https" | "rustls" => return Problem::new(format!("TLS can't be used: {problem}")),
        "header" => "-H",
        "method" => "-X",
        "proxy" => "-x",
        "resolve" => "--resolve",
        "root_certificates" => "--cacert",
        "client_certificate" => "--cert",
        "basic_auth" => "-u",
        "last_event_id" => "--last-event-id",
        setting => setting,
    };
    Problem::new(format!("{option} can't be used: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolve_takes_what_curl_takes() {
        let addresses = |entry| split_resolve(entry).map(|(_, addresses)| addresses);
        assert_eq!(
            split_resolve("a.b:443:127.0.0.1"),
            Some(("a.b", vec![[127, 0, 0, 1].into()]))
        );
        assert_eq!(addresses("a:80:[::1],10.0.0.1").unwrap().len(), 2);
        assert_eq!(
            addresses("a:80:::1").unwrap()[0],
            "::1".parse::<IpAddr>().unwrap()
        );
        for bad in [
            "",
            "a",
            "a:80",
            "a:80:",
            "a:http:127.0.0.1",
            ":80:127.0.0.1",
            "a:80:b",
            "*:80:127.0.0.1",
            "+a:80:127.0.0.1",
        ] {
            assert_eq!(split_resolve(bad), None, "{bad}");
        }
    }
}
