//! TLS: with rustls, or with the system's library if rustls is disabled.

#[cfg(feature = "__rustls")]
mod config;
#[cfg(feature = "__rustls")]
mod failure;
#[cfg(feature = "__rustls")]
mod rustls;
#[cfg(feature = "__rustls")]
mod stream;
#[cfg(feature = "__rustls")]
mod validity;
#[cfg(feature = "__rustls")]
mod verifier;
#[cfg(feature = "__rustls")]
pub(super) use self::{failure::readable, rustls::Tls, stream::TlsStream};

#[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
mod native;
#[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
pub(super) use self::native::{Tls, readable};

use super::Versions;

/// The protocols to offer in TLS (ALPN), the preferred one first.
fn protocols(versions: Versions) -> &'static [&'static str] {
    match versions {
        Versions::Http1 => &["http/1.1"],
        Versions::Http2PriorKnowledge => &["h2"],
        Versions::Negotiate => &["h2", "http/1.1"],
    }
}

/// Whether to use HTTP/2. If the server doesn't support ALPN, that depends on the setting.
fn is_http2(versions: Versions, negotiated: Option<&[u8]>) -> bool {
    match negotiated {
        Some(protocol) => protocol == b"h2",
        None => versions == Versions::Http2PriorKnowledge,
    }
}

/// One value for each set of versions that can be offered.
struct PerVersions<T> {
    http1: T,
    http2: T,
    both: T,
}

impl<T> PerVersions<T> {
    fn try_new<E>(mut make: impl FnMut(&[&str]) -> Result<T, E>) -> Result<Self, E> {
        Ok(PerVersions {
            http1: make(protocols(Versions::Http1))?,
            http2: make(protocols(Versions::Http2PriorKnowledge))?,
            both: make(protocols(Versions::Negotiate))?,
        })
    }

    fn get(&self, versions: Versions) -> &T {
        match versions {
            Versions::Http1 => &self.http1,
            Versions::Http2PriorKnowledge => &self.http2,
            Versions::Negotiate => &self.both,
        }
    }
}

/// A value that is created when it is first needed. Errors aren't cached.
struct Lazy<T> {
    value: std::sync::OnceLock<T>,
    /// Ensures that streams that start at the same time create only one value.
    initializing: std::sync::Mutex<()>,
}

impl<T> Lazy<T> {
    fn new() -> Self {
        Lazy {
            value: std::sync::OnceLock::new(),
            initializing: std::sync::Mutex::new(()),
        }
    }

    fn get<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _initializing = self
            .initializing
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = make()?;
        Ok(self.value.get_or_init(|| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_created_once_and_errors_are_not_cached() {
        let lazy = Lazy::new();
        assert_eq!(lazy.get(|| Err::<u8, _>("not yet")), Err("not yet"));
        assert_eq!(lazy.get(|| Ok::<_, ()>(1)), Ok(&1));
        assert_eq!(lazy.get(|| Ok::<_, ()>(2)), Ok(&1));
    }

    #[test]
    fn http2_follows_alpn_and_without_alpn_prior_knowledge() {
        let all = [
            Versions::Http1,
            Versions::Http2PriorKnowledge,
            Versions::Negotiate,
        ];
        assert_eq!(all.map(|it| is_http2(it, Some(b"h2"))), [true, true, true]);
        assert_eq!(
            all.map(|it| is_http2(it, Some(b"http/1.1"))),
            [false, false, false]
        );
        assert_eq!(all.map(|it| is_http2(it, None)), [false, true, false]);
    }
}
