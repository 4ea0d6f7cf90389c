//! The request: the options that every subcommand with a URL shares. Those that curl has mean the
//! same as there; `curl/` has the rest of curl's options.
//!
//! | file | subject |
//! |---|---|
//! | `url.rs` | the guessed scheme, and the query |
//! | `body.rs` | `--data` and its variants |
//! | `headers.rs`, `cookies.rs` | `-H`, `-b` |
//! | `attempt.rs` | what each attempt reads again: tokens, files of headers, the last id |
//! | `facts.rs` | facts about a request, for hints |
//! | `route.rs` | how the server is reached: proxies, addresses, versions of HTTP |
//! | `refresh.rs` | requests another token after status 401 |
//! | `input.rs` | files and standard input |

mod attempt;
mod body;
mod cookies;
mod facts;
mod headers;
mod input;
pub(crate) mod refresh;
mod route;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use everstream::{Error, Http};

use crate::curl::NoEffect;
use crate::duration;
use crate::password::password;
use crate::report::Problem;
use attempt::{BeforeAttempt, Token, variable};
use body::BodyArgs;
use headers::{Header, Headers};
pub(crate) use input::read_file;
use route::RouteArgs;

const HEADING: &str = "Request (options as in curl)";

/// The limit of curl.
const ANY_NUMBER: usize = usize::MAX;

#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct RequestArgs {
    /// The URL of the stream. Without a scheme it is http://.
    #[arg(
        id = "url",
        value_name = "URL",
        help_heading = None::<&str>,
        required = true,
        conflicts_with = "url_option"
    )]
    url_argument: Option<String>,

    /// The URL of the stream, as an option.
    #[arg(long = "url", value_name = "URL")]
    url_option: Option<String>,

    /// The URL from either of them.
    #[arg(skip)]
    pub(crate) url: String,

    /// The scheme of a URL without one. Default: http.
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"])]
    proto_default: Option<String>,

    /// Send this header. "NAME:" removes a default header, "NAME;" sends it empty. @FILE has one
    /// header per line and is read again for each attempt. After a redirect to another origin the
    /// header isn't sent, except from http to https on the same host (repeatable).
    // Not parsed by clap, which would print an invalid value, and the value may be a secret.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// The request method, case-sensitive. Default: GET, or POST with a body.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,

    #[command(flatten)]
    body: BodyArgs,

    /// Send these cookies: "a=1; b=2". With the name of a file, send those in the file and turn on
    /// --cookies (repeatable).
    #[arg(short = 'b', long = "cookie", value_name = "DATA|FILE")]
    cookie: Vec<String>,

    /// Keep cookies that the server sets in memory, and send them back.
    #[arg(long)]
    cookies: bool,

    /// Credentials for Basic authentication. Without ":PASSWORD" the password is read from the
    /// variable EVERSTREAM_PASSWORD, which other users of this machine can't see, or else asked
    /// for.
    #[arg(short, long, value_name = "USER:PASSWORD")]
    user: Option<String>,

    /// Send "Authorization: Bearer" with this token. Other users of this machine may see it;
    /// --bearer-env hides it.
    #[arg(long, value_name = "TOKEN", conflicts_with = "user")]
    oauth2_bearer: Option<String>,

    /// Send "Authorization: Bearer" with the token in this environment variable.
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["user", "oauth2_bearer"])]
    bearer_env: Option<String>,

    /// Send "Authorization: Bearer" with the token that this command prints; its arguments end with
    /// ";". The command runs before each attempt, and once more after status 401.
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        value_terminator = ";",
        conflicts_with_all = ["user", "oauth2_bearer", "bearer_env"],
    )]
    bearer_command: Vec<String>,

    /// The User-Agent header; "" sends none.
    #[arg(short = 'A', long, value_name = "NAME")]
    user_agent: Option<String>,

    /// The Referer header.
    #[arg(short = 'e', long, value_name = "URL")]
    referer: Option<String>,

    /// Accept any certificate. Anyone on the network path can read and modify the stream.
    #[arg(short = 'k', long)]
    insecure: bool,

    /// Trust these certificates (PEM) in addition to the system's.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// The client certificate (PEM); the file may contain the key too.
    #[arg(short = 'E', long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The key of --cert (PEM, PKCS#8).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    #[command(flatten)]
    route: RouteArgs,

    /// Follow at most N redirects in a row; 0: none; -1: no limit.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..)
    )]
    max_redirs: i64,

    /// Give up an attempt if connecting takes longer: 500ms, 2s, 5m, 1h, or seconds.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    connect_timeout: Duration,

    /// The idle timeout: drop the connection if nothing arrives for this long; comments count.
    /// Default: none.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) read_timeout: Option<Duration>,

    /// Give up after this time, whatever happens (exit code 7). Default: none; for check: 30s more
    /// than --duration.
    #[arg(short = 'm', long, value_name = "TIME", value_parser = duration::parse)]
    max_time: Option<Duration>,

    /// Read the response whatever its Content-Type is.
    #[arg(long)]
    any_content_type: bool,

    /// Also send the last event id in this parameter of the URL's query: lastEventID for Mercure.
    #[arg(long, value_name = "NAME", help_heading = "Reconnecting")]
    resume_param: Option<String>,

    #[command(flatten)]
    _no_effect: NoEffect,
}

impl RequestArgs {
    /// Resolves options that are another way to say something.
    pub(crate) fn resolve_aliases(&mut self) {
        let url = self.url_argument.take().or_else(|| self.url_option.take());
        self.url = url.unwrap_or_default();
    }

    /// Builds the request, or returns what is wrong with it.
    pub(crate) fn http(&self) -> Result<Http, Problem> {
        let url = self.full_url(&self.url)?;
        let headers = Headers::new(&self.headers)?;
        let made = self.body.built()?;
        let mut http = Http::new(&url)
            .redirect_limit(usize::try_from(self.max_redirs).unwrap_or(ANY_NUMBER))
            .connect_timeout(self.connect_timeout())
            .any_content_type(self.any_content_type);
        for header in &headers.fixed {
            match header {
                // "Copy as cURL" of browsers includes it; it follows from the body anyway.
                Header::Set(name, value)
                    if name.eq_ignore_ascii_case("content-length")
                        && *value == made.length().to_string() => {}
                Header::Set(name, value) => http = http.header(name, value),
                Header::Omit(_) => {}
            }
        }
        for header in headers.all() {
            if let Header::Omit(name) = header {
                http = http.without_default_header(name);
            }
        }
        match self.user_agent.as_deref() {
            None => {}
            Some("") => http = http.without_default_header("user-agent"),
            Some(_) if headers.has("user-agent") => {}
            Some(name) => http = http.header("user-agent", name),
        }
        if let Some(referer) = self.referer()? {
            if !headers.has("referer") {
                http = http.header("referer", referer);
            }
        }
        let (cookie, keep) = cookies::cookies(&self.cookie, &url)?;
        http = http.cookies(keep || self.cookies);
        if let Some(cookie) = cookie.filter(|_| !headers.has("cookie")) {
            http = http.header("cookie", cookie);
        }
        if let Some((kind, body)) = &made.body {
            if !headers.has("content-type") {
                http = http.header("content-type", *kind);
            }
            http = http.method("POST").body(body.clone());
        }
        if let Some(method) = &self.method {
            http = http.method(method);
        }
        http = self.route.apply(self.tls(http)?)?;
        // Last, because a password may be asked for, which changes signal handling.
        let http = self.credentials(http)?;
        let before = BeforeAttempt {
            files: headers.files,
            token: self.token()?,
            resume_param: self.resume_param.clone(),
        };
        Ok(before.apply(http))
    }

    /// The complete URL, with the query that the options add.
    pub(crate) fn full_url(&self, url: &str) -> Result<String, Problem> {
        let url = url::with_scheme(url, self.proto_default.as_deref())?;
        Ok(url::with_query(&url, &self.body.built()?.query))
    }

    /// The limit of the whole run.
    pub(crate) fn max_time(&self) -> Option<Duration> {
        // As in curl.
        self.max_time.filter(|time| !time.is_zero())
    }

    /// Whether status 401 causes a new token to be requested.
    pub(crate) fn refreshes(&self) -> bool {
        !self.bearer_command.is_empty()
    }

    fn connect_timeout(&self) -> Duration {
        match self.connect_timeout.is_zero() {
            // As in curl.
            true => Duration::from_secs(10),
            false => self.connect_timeout,
        }
    }

    fn referer(&self) -> Result<Option<&str>, Problem> {
        match self.referer.as_deref() {
            Some(referer) if referer.ends_with(";auto") => {
                let problem = Problem::new("--referer doesn't support ;auto");
                Err(problem.hint("remove ;auto"))
            }
            referer => Ok(referer.filter(|referer| !referer.is_empty())),
        }
    }

    /// Whether the request may be resent at any time (RFC 9110, section 9.2.1).
    pub(crate) fn is_safe(&self) -> bool {
        match self.method.as_deref() {
            Some(method) => ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method),
            None => !self.has_body(),
        }
    }

    /// The standard method that differs from the one of `-X` only in case.
    pub(crate) fn method_in_upper_case(&self) -> Option<String> {
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = self.method.as_deref()?;
        let upper = method.to_ascii_uppercase();
        (upper != method && METHODS.contains(&&*upper)).then_some(upper)
    }

    fn has_body(&self) -> bool {
        self.body.is_sent()
    }

    /// The options in use with secrets for one origin.
    #[cfg(feature = "top")]
    pub(crate) fn secrets(&self) -> Vec<&'static str> {
        [
            (!self.headers.is_empty(), "-H"),
            (self.user.is_some(), "-u"),
            (!self.cookie.is_empty(), "-b"),
            (self.oauth2_bearer.is_some(), "--oauth2-bearer"),
            (self.bearer_env.is_some(), "--bearer-env"),
            (!self.bearer_command.is_empty(), "--bearer-command"),
            (self.cert.is_some(), "--cert"),
            (self.has_body(), "the body"),
        ]
        .into_iter()
        .filter_map(|(used, name)| used.then_some(name))
        .collect()
    }

    /// The environment variable with the token. Its value is a secret.
    pub(crate) fn bearer_env(&self) -> Option<&str> {
        self.bearer_env.as_deref()
    }

    /// A GET for the same server over the same route, without body, headers and credentials.
    pub(crate) fn bare_http(&self) -> Result<Http, Problem> {
        let url = self.full_url(&self.url)?;
        let http = Http::new(url).connect_timeout(self.connect_timeout());
        self.route.apply(self.tls(http)?)
    }

    /// Whether the request goes to this machine, whatever host the URL names.
    pub(crate) fn is_local(&self) -> bool {
        #[cfg(unix)]
        return self.route.has_unix_socket();
        #[cfg(not(unix))]
        return false;
    }

    /// Whether certificates aren't verified.
    pub(crate) fn is_unverified(&self) -> bool {
        self.insecure
    }

    /// Those of `--cacert`.
    pub(crate) fn root_certificates(&self) -> Result<Option<Vec<u8>>, Problem> {
        self.cacert.as_deref().map(read_file).transpose()
    }

    fn credentials(&self, http: Http) -> Result<Http, Problem> {
        if let Some(token) = &self.oauth2_bearer {
            return Ok(http.bearer_token(token));
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
        if let Some(pem) = self.root_certificates()? {
            http = http.root_certificates(pem);
        }
        if let Some(file) = &self.cert {
            let key = match &self.key {
                Some(key) => read_file(key)?,
                // The key is in the same file.
                None => Vec::new(),
            };
            http = http.client_certificate(read_file(file)?, key);
        }
        Ok(http)
    }

    /// The source of the token, if each attempt reads it again.
    fn token(&self) -> Result<Option<Token>, Problem> {
        if let Some(name) = &self.bearer_env {
            // Reports a problem early.
            variable(name)?;
            return Ok(Some(Token::Variable(name.clone())));
        }
        let command = (!self.bearer_command.is_empty()).then(|| self.bearer_command.clone());
        Ok(command.map(Token::Command))
    }
}

/// Reports a setting that the library refuses by the name of its option.
pub(crate) fn bad_setting(done: &str, url: &str, error: &Error) -> Problem {
    let Error::Config { setting, problem } = error else {
        return Problem::because(&format!("this can't be {done}"), error);
    };
    let option = match *setting {
        "url" => {
            let problem = Problem::new(format!("invalid URL {problem}"));
            // A URL without a scheme is http.
            return match url::is_http(url) || !url::has_scheme(url) {
                true => problem,
                false => problem.hint("a URL begins with http:// or https://"),
            };
        }
        "https" | "rustls" => return Problem::new(format!("can't set up TLS: {problem}")),
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
    Problem::new(format!("invalid {option}: {problem}"))
}
