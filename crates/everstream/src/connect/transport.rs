//! The settings that belong to connections rather than requests, and the reqwest client from them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
#[cfg(feature = "__rustls")]
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use crate::error::Error;

/// The version of HTTP to use.
///
/// ```
/// assert_eq!(everstream::HttpVersion::default(), everstream::HttpVersion::Auto);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// What TLS negotiates; HTTP/1.1 without TLS and in the blocking client. The blocking client's
    /// runtime runs only while somebody reads, and an HTTP/2 server wants its pings answered.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also without TLS.
    #[cfg(feature = "http2")]
    Http2,
}

#[derive(Clone)]
pub(super) struct Transport {
    pub(super) connect_timeout: Option<Duration>,
    pub(super) version: HttpVersion,
    /// `None`: the system's. `Some(None)`: none.
    pub(super) proxy: Option<Option<String>>,
    pub(super) resolve: Vec<(String, IpAddr)>,
    #[cfg(unix)]
    pub(super) unix_socket: Option<PathBuf>,
    #[cfg(feature = "__tls")]
    pub(super) tls: Tls,
}

/// All of it in PEM.
#[cfg(feature = "__tls")]
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) roots: Vec<Vec<u8>>,
    /// Certificate chain and key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) accept_invalid_certs: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            connect_timeout: Some(Duration::from_secs(10)),
            version: HttpVersion::Auto,
            proxy: None,
            resolve: Vec::new(),
            #[cfg(unix)]
            unix_socket: None,
            #[cfg(feature = "__tls")]
            tls: Tls::default(),
        }
    }
}

impl Transport {
    pub(super) fn build(&self, blocking: bool, roots: Roots) -> Result<reqwest::Client, Error> {
        let mut builder = self.builder(blocking)?;
        if !self.may_be_http2(blocking, roots) {
            // A stream leaves nothing to use again but connections that the server is about to
            // close, and a request that meets the close may be lost.
            builder = builder.pool_max_idle_per_host(0);
        }
        self.with_tls(builder, blocking, roots)?
            .build()
            .map_err(|error| {
                #[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
                if let Some(setting) = self.tls.culprit() {
                    return Error::config(setting, Report(error));
                }
                Error::config("http", Report(error))
            })
    }

    /// Features are additive: `native-tls`, switched on by another crate, doesn't take TLS away from
    /// rustls, as it would by reqwest's own choice.
    #[cfg(feature = "__rustls")]
    fn with_tls(
        &self,
        builder: reqwest::ClientBuilder,
        blocking: bool,
        roots: Roots,
    ) -> Result<reqwest::ClientBuilder, Error> {
        let config = self.tls.client_config(roots, self.alpn(blocking))?;
        Ok(builder.tls_backend_preconfigured(Arc::unwrap_or_clone(config)))
    }

    #[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
    fn with_tls(
        &self,
        builder: reqwest::ClientBuilder,
        _blocking: bool,
        roots: Roots,
    ) -> Result<reqwest::ClientBuilder, Error> {
        self.tls.apply(builder, roots)
    }

    #[cfg(not(feature = "__tls"))]
    fn with_tls(
        &self,
        builder: reqwest::ClientBuilder,
        _blocking: bool,
        _roots: Roots,
    ) -> Result<reqwest::ClientBuilder, Error> {
        Ok(builder)
    }

    /// The protocols to offer in TLS.
    #[cfg(feature = "__rustls")]
    fn alpn(&self, blocking: bool) -> &'static [&'static str] {
        match self.version {
            HttpVersion::Auto if !blocking && cfg!(feature = "http2") => &["h2", "http/1.1"],
            HttpVersion::Auto | HttpVersion::Http1 => &["http/1.1"],
            #[cfg(feature = "http2")]
            HttpVersion::Http2 => &["h2"],
        }
    }

    pub(super) fn may_be_http2(&self, blocking: bool, roots: Roots) -> bool {
        match self.version {
            HttpVersion::Auto => !blocking && roots == Roots::WithSystem,
            HttpVersion::Http1 => false,
            #[cfg(feature = "http2")]
            HttpVersion::Http2 => true,
        }
    }

    /// Whether there may be TLS in the way to a server without it, or settings of TLS to be checked.
    pub(super) fn needs_certificates(&self) -> bool {
        #[cfg(feature = "__tls")]
        if !self.tls.roots.is_empty() || self.tls.identity.is_some() {
            return true;
        }
        let https = |url: &str| {
            url.get(..6)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
        };
        match &self.proxy {
            Some(proxy) => proxy.as_deref().is_some_and(https),
            None => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
                .iter()
                .any(|name| std::env::var(name).is_ok_and(|url| https(&url))),
        }
    }

    /// All but TLS.
    fn builder(&self, blocking: bool) -> Result<reqwest::ClientBuilder, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("everstream/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed in redirect.rs, and repeating is the session's decision.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            // Bodies are decoded in decode.rs, also if another crate switches reqwest's decoders on.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // So that half-open connections die without breaking silent feeds.
            .tcp_keepalive(Duration::from_secs(60));
        if let Some(limit) = self.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        builder = match self.version {
            HttpVersion::Auto if !blocking => builder,
            HttpVersion::Auto | HttpVersion::Http1 => builder.http1_only(),
            #[cfg(feature = "http2")]
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        // reqwest keeps the last list that it is given for a host.
        let mut hosts: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        for (host, ip) in &self.resolve {
            // Port 0 stands for the URL's.
            let addresses = hosts.entry(host_as_looked_up(host)?).or_default();
            addresses.push(SocketAddr::new(*ip, 0));
        }
        for (host, addresses) in &hosts {
            builder = builder.resolve_to_addrs(host, addresses);
            // The same host, as one may write it in a URL, whose dot is kept.
            builder = builder.resolve_to_addrs(&format!("{host}."), addresses);
        }
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            builder = builder.unix_socket(path.as_path());
        }
        Ok(match &self.proxy {
            None => builder,
            Some(None) => builder.no_proxy(),
            Some(Some(url)) => builder.proxy(proxy(url)?),
        })
    }
}

/// A host as a URL's parser leaves it, in lower case and Punycode, without a dot at its end. What
/// wouldn't ever be looked up is refused: it would do nothing.
fn host_as_looked_up(host: &str) -> Result<String, Error> {
    let bad = |problem: &str| Err(Error::config("resolve", format!("{host:?} {problem}")));
    if host.contains(['/', '\\', '?', '#', '@', ':']) {
        return bad("isn't the name of a host alone, without a port and without a URL around it");
    }
    if host.contains('*') {
        return bad("holds a *, which stands for no other hosts here");
    }
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return bad("can't be the host of a URL");
    };
    match url.domain() {
        Some(name) => Ok(name.strip_suffix('.').unwrap_or(name).to_owned()),
        None => bad("is an address already, which isn't looked up"),
    }
}

/// Its messages are without the URL, which may hold a password.
fn proxy(url: &str) -> Result<reqwest::Proxy, Error> {
    let known: &[&str] = if cfg!(feature = "socks") {
        &["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
    } else {
        &["http", "https"]
    };
    // reqwest would speak HTTP to any other.
    let scheme = url.split_once("://").map_or("http", |(scheme, _)| scheme);
    if !known.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        let problem = format!("the scheme isn't one of {}", known.join(", "));
        return Err(Error::config("proxy", problem));
    }
    reqwest::Proxy::all(url).map_err(|error| {
        // Of reqwest's errors also the inner ones show the URL.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        match cause.is::<reqwest::Error>() {
            true => Error::config("proxy", "it isn't the URL of a proxy"),
            false => Error::config("proxy", cause.to_string()),
        }
    })
}

/// Whose certificates are trusted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Roots {
    WithSystem,
    OnlyOwn,
}

/// reqwest's own `Display` says "builder error" and leaves the reason to `source()`.
#[derive(Debug)]
pub(super) struct Report(pub(super) reqwest::Error);

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        let mut source = std::error::Error::source(&self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
