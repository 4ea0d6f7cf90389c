//! Why a connection or a request failed, in words for people.

use alloc::string::String;
use core::error::Error;
use core::fmt;

/// Why a connection or a request failed: one sentence, without the jargon of a library.
///
/// As the cause of a [`Fault`](crate::Fault) it is all that the fault says, so that a message has one
/// layer. It has no source.
///
/// ```
/// use everstream_core::{Failure, FailureKind, Fault};
///
/// let failure = Failure::new(FailureKind::Refused, "connection refused by 127.0.0.1:8000");
/// let fault = Fault::Connect(failure.into());
/// assert_eq!(fault.to_string(), "connection refused by 127.0.0.1:8000");
/// assert_eq!(fault.failure().unwrap().kind(), FailureKind::Refused);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    os_error: Option<i32>,
}

/// The kinds of [`Failure`].
///
/// ```
/// use everstream_core::{Failure, FailureKind};
///
/// let failure = Failure::new(FailureKind::Closed, "the server closed the connection mid-response");
/// assert_eq!(failure.kind(), FailureKind::Closed);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name of the host could not be resolved.
    Resolve,
    /// The peer refused the connection.
    Refused,
    /// The peer's certificate isn't trusted, or isn't for this host.
    Untrusted,
    /// TLS failed for another reason.
    Tls,
    /// The proxy wants other credentials than it was given (407).
    ProxyAuthentication,
    /// The proxy refused, or answered nonsense.
    Proxy,
    /// The peer closed the connection.
    Closed,
    /// The peer reset the connection, or a stream of it.
    Reset,
    /// The response isn't valid HTTP.
    Malformed,
    /// Anything else.
    Other,
}

impl Failure {
    /// A failure in words of your own: one sentence, without a full stop.
    ///
    /// ```
    /// use everstream_core::{Failure, FailureKind};
    ///
    /// let failure = Failure::new(FailureKind::Proxy, "the proxy refused the tunnel: 403");
    /// assert_eq!(failure.to_string(), "the proxy refused the tunnel: 403");
    /// ```
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            message: message.into(),
            os_error: None,
        }
    }

    /// Adds the number that the system has for the error.
    #[must_use]
    pub fn with_os_error(mut self, number: Option<i32>) -> Self {
        self.os_error = number;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The number that the system has for the error (`errno`), if it has one.
    pub fn os_error(&self) -> Option<i32> {
        self.os_error
    }

    /// Whether trying again can't help as long as nobody changes the settings: the certificate isn't
    /// trusted, or the proxy wants other credentials.
    ///
    /// ```
    /// use everstream_core::{Failure, FailureKind};
    ///
    /// let failure = Failure::new(FailureKind::Untrusted, "unknown issuer");
    /// assert!(failure.needs_other_settings());
    /// ```
    pub fn needs_other_settings(&self) -> bool {
        self.retry_warning().is_some()
    }

    /// See [`Fault::retry_warning`](crate::Fault::retry_warning).
    pub(crate) fn retry_warning(&self) -> Option<&'static str> {
        match self.kind {
            FailureKind::Untrusted => Some(
                "retrying although the certificate is not trusted, because an earlier connection \
                 succeeded; on the first attempt this would be final",
            ),
            FailureKind::ProxyAuthentication => Some(
                "retrying although the proxy requires other credentials, because an earlier \
                 connection succeeded; on the first attempt this would be final",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
