//! How the server is reached: proxies, addresses, versions of HTTP.

use std::net::IpAddr;
#[cfg(unix)]
use std::path::PathBuf;

use clap::Args;
use everstream::{AddressFamily, Http, HttpVersion};

use crate::password::proxy_password;
use crate::report::Problem;

// No doc comment: clap would use it as the command's.
#[derive(Debug, Args)]
pub(super) struct RouteArgs {
    /// Use this proxy instead of the system's: http://, https://, socks5://...; "" uses none.
    #[arg(short = 'x', long, value_name = "URL")]
    proxy: Option<String>,

    /// Like --proxy socks4://HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", hide = true, overrides_with_all = ["proxy", "socks4a", "socks5", "socks5_hostname"])]
    socks4: Option<String>,

    /// Like --proxy socks4a://HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", hide = true, overrides_with_all = ["proxy", "socks4", "socks5", "socks5_hostname"])]
    socks4a: Option<String>,

    /// Like --proxy socks5://HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", hide = true, overrides_with_all = ["proxy", "socks4", "socks4a", "socks5_hostname"])]
    socks5: Option<String>,

    /// Like --proxy socks5h://HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", hide = true, overrides_with_all = ["proxy", "socks4", "socks4a", "socks5"])]
    socks5_hostname: Option<String>,

    /// Credentials for the proxy, also for the system's. Without ":PASSWORD" it is asked for.
    #[arg(short = 'U', long, value_name = "USER:PASSWORD")]
    proxy_user: Option<String>,

    /// Don't use a proxy for these hosts, instead of those in NO_PROXY: names with their
    /// subdomains, addresses and networks, separated by commas; "*" is every host.
    #[arg(long, value_name = "LIST")]
    noproxy: Option<String>,

    /// Connect to IPv4 addresses only.
    #[arg(short = '4', long, overrides_with = "ipv6")]
    ipv4: bool,

    /// Connect to IPv6 addresses only.
    #[arg(short = '6', long, overrides_with = "ipv4")]
    ipv6: bool,

    /// Use HTTP/2 only, also without TLS.
    #[arg(long, overrides_with_all = ["http2", "http1_1", "http1_0", "http3"])]
    http2_prior_knowledge: bool,

    /// HTTP/2 if the server supports it: the default.
    #[arg(long, hide = true, overrides_with_all = ["http2_prior_knowledge", "http1_1", "http1_0"])]
    http2: bool,

    /// Like --http2.
    #[arg(long, hide = true, overrides_with_all = ["http2_prior_knowledge", "http1_1", "http1_0"])]
    http3: bool,

    /// Use HTTP/1.1 only.
    #[arg(long = "http1.1", overrides_with_all = ["http2", "http2_prior_knowledge", "http3"])]
    http1_1: bool,

    /// Like --http1.1.
    #[arg(short = '0', long = "http1.0", hide = true, overrides_with_all = ["http2", "http2_prior_knowledge", "http3"])]
    http1_0: bool,

    /// Connect to ADDRESS for requests to HOST. PORT is required, as in curl, but ADDRESS applies
    /// to every port of the host (repeatable).
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,

    /// Connect to this Unix socket, whatever host the URL names.
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,
}

impl RouteArgs {
    pub(super) fn apply(&self, mut http: Http) -> Result<Http, Problem> {
        match self.proxy().as_deref() {
            None => {}
            Some("") => http = http.no_proxy(),
            Some(url) => http = http.proxy(url),
        }
        if let Some(user) = &self.proxy_user {
            let (user, password) = match user.split_once(':') {
                Some((user, password)) => (user, password.to_owned()),
                None => (user.as_str(), proxy_password(user)?),
            };
            http = http.proxy_auth(user, password);
        }
        if let Some(list) = &self.noproxy {
            http = http.no_proxy_for(list);
        }
        if self.ipv4 {
            http = http.address_family(AddressFamily::Ipv4);
        } else if self.ipv6 {
            http = http.address_family(AddressFamily::Ipv6);
        }
        if self.http2_prior_knowledge {
            http = http.version(HttpVersion::Http2);
        } else if self.http1_1 || self.http1_0 {
            http = http.version(HttpVersion::Http1);
        }
        for entry in &self.resolve {
            let (host, addresses) = split_resolve(entry).ok_or_else(|| {
                Problem::new(format!("invalid --resolve {entry:?}"))
                    .hint("use HOST:PORT:ADDRESS: --resolve example.com:443:127.0.0.1")
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

    #[cfg(unix)]
    pub(super) fn has_unix_socket(&self) -> bool {
        self.unix_socket.is_some()
    }

    /// The option with the credentials for the proxy, if there are any.
    pub(super) fn credentials_option(&self) -> Option<&'static str> {
        if self.proxy_user.is_some() {
            return Some("--proxy-user");
        }
        let in_url = self.proxy().is_some_and(|url| url.contains('@'));
        in_url.then_some("-x")
    }

    pub(super) fn is_http2_only(&self) -> bool {
        self.http2_prior_knowledge
    }

    fn proxy(&self) -> Option<String> {
        let socks = [
            ("socks4", &self.socks4),
            ("socks4a", &self.socks4a),
            ("socks5", &self.socks5),
            ("socks5h", &self.socks5_hostname),
        ];
        let socks = socks.into_iter().find_map(|(scheme, address)| {
            let address = address.as_deref()?;
            Some(format!("{scheme}://{address}"))
        });
        socks.or_else(|| self.proxy.clone())
    }
}

/// Parses the host and its addresses, separated by commas; IPv6 may be in brackets.
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
    // curl's special entries aren't supported.
    Some((host, addresses?))
        .filter(|(host, _)| !host.is_empty() && !host.starts_with(['+', '-', '*']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolve_accepts_curls_syntax() {
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
