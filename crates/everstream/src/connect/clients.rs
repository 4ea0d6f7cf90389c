//! The reqwest clients of one [`Http`](super::Http), each built when it is first needed.

use std::sync::{Arc, OnceLock};

use reqwest::Url;

use super::transport::{Roots, Transport};
use crate::error::Error;

#[derive(Clone)]
pub(super) enum Clients {
    /// The user's.
    Own(reqwest::Client),
    Ours(Arc<Ours>),
}

/// Reading the system's certificates takes ten times as long as all else that a client does before
/// its first request. A stream without TLS does without them.
pub(super) struct Ours {
    transport: Arc<Transport>,
    blocking: bool,
    plain: OnceLock<reqwest::Client>,
    with_certificates: OnceLock<reqwest::Client>,
}

impl Clients {
    pub(super) fn ours(transport: Arc<Transport>, blocking: bool) -> Self {
        Clients::Ours(Arc::new(Ours {
            transport,
            blocking,
            plain: OnceLock::new(),
            with_certificates: OnceLock::new(),
        }))
    }

    pub(super) fn are_own(&self) -> bool {
        matches!(self, Clients::Own(_))
    }

    /// Whether a request to this URL may go over a connection that others use too.
    pub(super) fn may_be_http2(&self, url: &Url) -> bool {
        match self {
            Clients::Own(_) => true,
            Clients::Ours(ours) => ours.transport.may_be_http2(ours.blocking, ours.roots(url)),
        }
    }

    /// The client for requests to this URL.
    pub(super) fn get(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let ours = match self {
            Clients::Own(client) => return Ok(client.clone()),
            Clients::Ours(ours) => ours,
        };
        let roots = ours.roots(url);
        let client = match roots {
            Roots::WithSystem => &ours.with_certificates,
            Roots::OnlyOwn => &ours.plain,
        };
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let built = ours.transport.build(ours.blocking, roots)?;
        Ok(client.get_or_init(|| built).clone())
    }
}

impl Ours {
    fn roots(&self, url: &Url) -> Roots {
        match url.scheme() == "https" || self.transport.needs_certificates() {
            true => Roots::WithSystem,
            false => Roots::OnlyOwn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::HttpVersion;

    #[test]
    fn http_2_is_what_tls_may_negotiate_or_what_was_chosen() {
        let may_be = |version, blocking, url: &str| {
            let transport = Transport {
                version,
                proxy: Some(None),
                ..Transport::default()
            };
            Clients::ours(Arc::new(transport), blocking).may_be_http2(&url.parse().unwrap())
        };
        let (http, https) = ("http://localhost/", "https://localhost/");
        assert!(!may_be(HttpVersion::Auto, false, http));
        assert!(may_be(HttpVersion::Auto, false, https));
        assert!(!may_be(HttpVersion::Auto, true, https));
        assert!(!may_be(HttpVersion::Http1, false, https));
        #[cfg(feature = "http2")]
        assert!(may_be(HttpVersion::Http2, false, http));
    }
}
