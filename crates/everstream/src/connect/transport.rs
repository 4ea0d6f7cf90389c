//! The settings that belong to connections rather than requests.

use std::net::IpAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

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

/// Whose certificates are trusted.
#[cfg(feature = "__rustls")]
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Roots {
    WithSystem,
    OnlyOwn,
}
