//! Which proxy a URL is reached through.

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

/// Which proxy is used for what.
pub(super) struct Proxies {
    /// Hosts that the user wants to reach without one.
    direct: NoProxy,
    source: Source,
    /// User and password for each of them, instead of those in its URL.
    credentials: Option<(String, String)>,
}

/// Where proxies are taken from.
enum Source {
    None,
    One(Proxy),
    #[cfg(feature = "system-proxy")]
    System(Box<system::System>),
}

impl Proxies {
    /// `None`: the system's. `Some(None)`: none.
    /// `direct` replaces the `NO_PROXY` of the environment, and holds for every proxy.
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

    /// The proxy for this URL. It is an error if the system names one that can't be used: to go
    /// past it silently could be worse than to fail.
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
    /// The same as a `Proxy-Authorization` header.
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
    /// Messages are without the URL, which may contain a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if !SCHEMES.contains(&&*scheme) {
            return Err(format!("the scheme isn't one of {}", SCHEMES.join(", ")));
        }
        let url =
            Url::parse(&format!("{scheme}://{rest}")).map_err(|problem| problem.to_string())?;
        // The parser doesn't look into the hosts of schemes that it doesn't know.
        let host = Host::parse(url.host_str().unwrap_or_default());
        let (kind, default_port) = match &*scheme {
            "https" => (ProxyKind::Https, 443),
            #[cfg(feature = "socks")]
            name if name.starts_with("socks") => (
                ProxyKind::Socks(super::socks::Version::named(name)),
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

/// "HOST:PORT", for messages.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Without the credentials.
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

    /// The proxies of the environment and of the system's settings, as they were when it was made.
    ///
    /// In a CGI program, where `REQUEST_METHOD` is set, there are none: `HTTP_PROXY` would be a header
    /// of the request there.
    pub(crate) struct System {
        matcher: Matcher,
        no_proxy: NoProxy,
    }

    impl System {
        /// `with_exceptions`: the `NO_PROXY` of the environment counts.
        pub(super) fn read(with_exceptions: bool) -> Self {
            let list = first_variable(["NO_PROXY", "no_proxy"]);
            // The matcher reads the list too, and can't be made to forget it.
            let matcher = match list.is_empty() || with_exceptions || is_cgi() {
                true => Matcher::from_system(),
                false => Matcher::builder()
                    .all(first_variable(["ALL_PROXY", "all_proxy"]))
                    .http(first_variable(["HTTP_PROXY", "http_proxy"]))
                    .https(first_variable(["HTTPS_PROXY", "https_proxy"]))
                    .build(),
            };
            let list = if with_exceptions { list } else { String::new() };
            System {
                matcher,
                no_proxy: NoProxy::parse(&list),
            }
        }

        pub(super) fn choose(&self, url: &Url) -> Result<Option<Proxy>, Error> {
            let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
                return Ok(None);
            };
            // The matcher has its own list too, but there `*` isn't for addresses, and no entry has a
            // port.
            if self.no_proxy.matches(&host, port) {
                return Ok(None);
            }
            // `http::Uri` takes fewer characters in a host than a URL may have. Such a host is on no
            // list, and its proxy depends only on the scheme.
            let host = &url[Position::BeforeHost..Position::AfterPort];
            let origin = format!("{}://{host}/", url.scheme());
            let elsewhere = || format!("{}://invalid/", url.scheme()).parse();
            let Ok(target) = origin.parse().or_else(|_| elsewhere()) else {
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

    /// The first of these that is set, as the matcher reads them.
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
