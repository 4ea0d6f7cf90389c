//! The settings that belong to connections rather than requests, and the reqwest client from them.

use std::time::Duration;

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
            #[cfg(feature = "__tls")]
            tls: Tls::default(),
        }
    }
}

impl Transport {
    pub(super) fn build(&self, blocking: bool) -> Result<reqwest::Client, Error> {
        provider()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("everstream/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed in redirect.rs, and repeating is the session's decision.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
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
        builder = match &self.proxy {
            None => builder,
            Some(None) => builder.no_proxy(),
            Some(Some(url)) => builder.proxy(reqwest::Proxy::all(url).map_err(|error| {
                // The URL may hold a password.
                Error::config("proxy", error.without_url())
            })?),
        };
        #[cfg(feature = "__tls")]
        {
            builder = self.tls.apply(builder)?;
        }
        builder
            .build()
            .map_err(|error| Error::config("http", Report(error)))
    }
}

#[cfg(feature = "__tls")]
impl Tls {
    fn apply(&self, mut builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, Error> {
        // Where both are there, reqwest would take the system's library: a feature that another
        // crate wants would change the TLS of this one, and rustls's identities wouldn't fit it.
        #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
        {
            builder = builder.tls_backend_rustls();
        }
        for pem in &self.roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Error::config("root_certificates", Report(error)))?;
            if roots.is_empty() {
                return Err(Error::config(
                    "root_certificates",
                    "the PEM holds no certificate",
                ));
            }
            builder = builder.tls_certs_merge(roots);
        }
        if let Some((chain, key)) = &self.identity {
            builder = builder.identity(identity(chain, key)?);
        }
        Ok(builder.tls_danger_accept_invalid_certs(self.accept_invalid_certs))
    }
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
fn identity(chain: &[u8], key: &[u8]) -> Result<reqwest::Identity, Error> {
    let pem = [chain, b"\n", key].concat();
    reqwest::Identity::from_pem(&pem)
        .map_err(|error| Error::config("client_certificate", Report(error)))
}

#[cfg(all(
    feature = "native-tls",
    not(any(feature = "rustls", feature = "rustls-no-provider"))
))]
fn identity(chain: &[u8], key: &[u8]) -> Result<reqwest::Identity, Error> {
    reqwest::Identity::from_pkcs8_pem(chain, key)
        .map_err(|error| Error::config("client_certificate", Report(error)))
}

/// Without one reqwest would panic.
fn provider() -> Result<(), Error> {
    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Error::config(
            "rustls-no-provider",
            "no rustls provider is installed: call CryptoProvider::install_default first, \
             or use the feature rustls",
        ));
    }
    Ok(())
}

/// reqwest's own `Display` says "builder error" and leaves the reason to `source()`.
#[derive(Debug)]
struct Report(reqwest::Error);

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
