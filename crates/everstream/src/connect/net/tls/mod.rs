//! TLS: by rustls, or by the system's library if rustls is switched off.

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

/// What is offered in TLS (ALPN), the preferred protocol first.
fn protocols(versions: Versions) -> &'static [&'static str] {
    match versions {
        Versions::Http1 => &["http/1.1"],
        Versions::Http2PriorKnowledge => &["h2"],
        Versions::Negotiate => &["h2", "http/1.1"],
    }
}

/// Whether HTTP/2 follows. A server that knows of no protocols gets what was asked for.
fn is_http2(versions: Versions, negotiated: Option<&[u8]>) -> bool {
    match negotiated {
        Some(protocol) => protocol == b"h2",
        None => versions == Versions::Http2PriorKnowledge,
    }
}

/// One of a kind for each set of versions that may be offered.
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

/// A value that is made when it is first needed. A failure isn't remembered.
struct Lazy<T> {
    value: std::sync::OnceLock<T>,
    /// So that thousands of streams that begin together make one.
    making: std::sync::Mutex<()>,
}

impl<T> Lazy<T> {
    fn new() -> Self {
        Lazy {
            value: std::sync::OnceLock::new(),
            making: std::sync::Mutex::new(()),
        }
    }

    fn get<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _making = self
            .making
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let made = make()?;
        Ok(self.value.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_a_failure_is_tried_again() {
        let lazy = Lazy::new();
        assert_eq!(lazy.get(|| Err::<u8, _>("not yet")), Err("not yet"));
        assert_eq!(lazy.get(|| Ok::<_, ()>(1)), Ok(&1));
        assert_eq!(lazy.get(|| Ok::<_, ()>(2)), Ok(&1));
    }

    #[test]
    fn http2_is_what_was_negotiated_or_else_what_was_known() {
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
