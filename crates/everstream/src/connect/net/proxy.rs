//! Chooses the proxy for a URL.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use everstream_http::policy::NoProxy;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::error::Error;

const SCHEMES: &[&str] = if cfg!(feature = "socks") {
    &["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
} else {
    &["http", "https"]
};

#[cfg(feature = "socks")]
const SOCKS_PORT: u16 = 1080;

/// The proxies to use, and the hosts to connect to directly.
pub(super) struct Proxies {
    /// Hosts that the user set to be reached without a proxy.
    direct: NoProxy,
    source: Source,
    /// User and password for all proxies, replacing those in their URLs.
    credentials: Option<(String, String)>,
}

/// Where the proxies come from.
enum Source {
    None,
    One(Proxy),
    #[cfg(feature = "system-proxy")]
    System(Box<system::System>),
}

impl Proxies {
    /// `setting`: `None` means the system's proxies, `Some(None)` no proxy.
    /// `direct` replaces `NO_PROXY` from the environment, and applies to every proxy.
    pub(super) fn new(setting: Option<Option<&str>>, direct: Option<&str>) -> Result<Self, Error> {
        let source = match setting {
            #[cfg(feature = "system-proxy")]
            None => Source::System(Box::new(system::System::read(direct.is_none()))),
            #[cfg(not(feature = "system-proxy"))]
            None => Source::None,
            Some(None) => Source::None,
            Some(Some(url)) => match Proxy::parse(url) {
                Ok(proxy) => Source::One(proxy),
                Err(problem) => return Err(Error::config("proxy", problem)),
            },
        };
        Ok(Proxies {
            direct: NoProxy::parse(direct.unwrap_or_default()),
            source,
            credentials: None,
        })
    }

    pub(super) fn with_credentials(
        mut self,
        credentials: Option<&(String, String)>,
    ) -> Result<Self, Error> {
        if credentials.is_some_and(|(user, _)| user.contains(':')) {
            return Err(Error::config("proxy_auth", "a user can't have a colon"));
        }
        self.credentials = credentials.cloned();
        Ok(self)
    }

    /// Returns the proxy for this URL. Fails if the system names an unsupported proxy: silently bypassing it
    /// could be worse than failing.
    pub(super) fn choose(&self, url: &Url) -> Result<Option<Proxy>, Error> {
        if let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) {
            if self.direct.matches(&host, port) {
                return Ok(None);
            }
        }
        let mut proxy = match &self.source {
            Source::None => None,
            Source::One(proxy) => Some(proxy.clone()),
            #[cfg(feature = "system-proxy")]
            Source::System(system) => system.choose(url)?,
        };
        if let (Some(proxy), Some((user, password))) = (&mut proxy, &self.credentials) {
            proxy.authorize(user.clone(), password.clone());
        }
        Ok(proxy)
    }
}

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) kind: ProxyKind,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// User and password.
    #[cfg_attr(not(feature = "socks"), allow(dead_code))]
    pub(super) credentials: Option<(String, String)>,
    /// The credentials as a `Proxy-Authorization` header.
    pub(super) authorization: Option<HeaderValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Https,
    #[cfg(feature = "socks")]
    Socks(super::socks::Version),
}

impl Proxy {
    /// Errors don't quote the URL, which may contain a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if !SCHEMES.contains(&&*scheme) {
            return Err(format!("the scheme isn't one of {}", SCHEMES.join(", ")));
        }
        let url =
            Url::parse(&format!("{scheme}://{rest}")).map_err(|problem| problem.to_string())?;
        // The URL parser doesn't check the hosts of unknown schemes.
        let host = Host::parse(url.host_str().unwrap_or_default());
        let (kind, default_port) = match &*scheme {
            "https" => (ProxyKind::Https, 443),
            #[cfg(feature = "socks")]
            name if name.starts_with("socks") => (
                ProxyKind::Socks(super::socks::Version::from_scheme(name)),
                SOCKS_PORT,
            ),
            _ => (ProxyKind::Http, 80),
        };
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(url.username());
        let credentials = match url.password() {
            None if user.is_empty() => None,
            password => Some((user, decoded(password.unwrap_or_default()))),
        };
        let mut proxy = Proxy {
            kind,
            host: host.map_err(|problem| problem.to_string())?,
            port: url.port().unwrap_or(default_port),
            authorization: None,
            credentials: None,
        };
        if let Some((user, password)) = credentials {
            proxy.authorize(user, password);
        }
        Ok(proxy)
    }

    fn authorize(&mut self, user: String, password: String) {
        let value = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        );
        self.authorization = HeaderValue::try_from(value).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self.credentials = Some((user, password));
    }
}

/// Prints "HOST:PORT", for messages.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Omits the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({:?} {self})", self.kind)
    }
}

#[cfg(feature = "system-proxy")]
mod system {
    use everstream_http::policy::NoProxy;
    use hyper_util::client::proxy::matcher::Matcher;
    use url::{Position, Url};

    use super::Proxy;
    use crate::error::Error;

    /// The proxies of the environment and of the system's settings, read once.
    ///
    /// In a CGI program, where `REQUEST_METHOD` is set, there are none: there, `HTTP_PROXY` would be a
    /// header of the incoming request.
    pub(crate) struct System {
        matcher: Matcher,
        no_proxy: NoProxy,
    }

    impl System {
        /// `honor_no_proxy`: whether `NO_PROXY` from the environment applies.
        pub(super) fn read(honor_no_proxy: bool) -> Self {
            let list = first_variable(["NO_PROXY", "no_proxy"]);
            // `from_system` always applies the list, so without it the matcher has to be built by hand.
            let matcher = match list.is_empty() || honor_no_proxy || is_cgi() {
                true => Matcher::from_system(),
                false => Matcher::builder()
                    .all(first_variable(["ALL_PROXY", "all_proxy"]))
                    .http(first_variable(["HTTP_PROXY", "http_proxy"]))
                    .https(first_variable(["HTTPS_PROXY", "https_proxy"]))
                    .build(),
            };
            let list = if honor_no_proxy { list } else { String::new() };
            System {
                matcher,
                no_proxy: NoProxy::parse(&list),
            }
        }

        pub(super) fn choose(&self, url: &Url) -> Result<Option<Proxy>, Error> {
            let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
                return Ok(None);
            };
            // The matcher applies `NO_PROXY` too, but it doesn't match addresses with `*`, and doesn't
            // support ports.
            if self.no_proxy.matches(&host, port) {
                return Ok(None);
            }
            // `http::Uri` allows fewer characters in a host than a URL. No list contains such a host,
            // so its proxy depends only on the scheme.
            let host = &url[Position::BeforeHost..Position::AfterPort];
            let origin = format!("{}://{host}/", url.scheme());
            let placeholder = || format!("{}://invalid/", url.scheme()).parse();
            let Ok(target) = origin.parse().or_else(|_| placeholder()) else {
                return Ok(None);
            };
            let Some(found) = self.matcher.intercept(&target) else {
                return Ok(None);
            };
            let unusable = |problem| {
                let problem = format!("the proxy of the environment or the system: {problem}");
                Error::config("proxy", problem)
            };
            let mut proxy = Proxy::parse(&found.uri().to_string()).map_err(unusable)?;
            proxy.authorization = found.basic_auth().cloned();
            if let Some((user, password)) = found.raw_auth() {
                proxy.authorize(user.to_owned(), password.to_owned());
            }
            Ok(Some(proxy))
        }
    }

    /// The first of these variables that is set, read the way the matcher does.
    fn first_variable(names: [&str; 2]) -> String {
        let found = names.into_iter().find_map(|name| std::env::var(name).ok());
        found.unwrap_or_default()
    }

    fn is_cgi() -> bool {
        std::env::var_os("REQUEST_METHOD").is_some()
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
