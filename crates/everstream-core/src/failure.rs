//! Why a connection or a request failed, in plain words.

use alloc::string::String;
use core::error::Error;
use core::fmt;

/// Why a connection or a request failed: one sentence without library jargon.
///
/// If a `Failure` is the cause of a [`Fault`](crate::Fault), the fault displays only the failure, so a
/// message has one layer. A `Failure` has no [`source`](core::error::Error::source).
///
/// ```
/// use everstream_core::{Failure, FailureKind, Fault};
///
/// let failure = Failure::new(FailureKind::Refused, "connection refused by 127.0.0.1:8000");
/// let fault = Fault::Connect(failure.into());
/// assert_eq!(fault.to_string(), "connection refused by 127.0.0.1:8000");
/// assert_eq!(fault.failure().unwrap().kind(), FailureKind::Refused);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(not(target_family = "wasm"), derive(Debug))]
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
    /// The host name could not be resolved.
    Resolve,
    /// The peer refused the connection.
    Refused,
    /// The peer's certificate isn't trusted or isn't valid for this host.
    Untrusted,
    /// TLS failed for another reason.
    Tls,
    /// The proxy requires other credentials (407).
    ProxyAuthentication,
    /// The proxy refused the request or sent an invalid response.
    Proxy,
    /// The peer closed the connection.
    Closed,
    /// The peer reset the connection, or its HTTP/2 stream.
    Reset,
    /// The response isn't valid HTTP.
    Malformed,
    /// Anything else.
    Other,
}

impl Failure {
    /// Creates a failure with this message: one sentence, without a final period.
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

    /// Adds the operating system's error number.
    #[must_use]
    pub fn with_os_error(mut self, number: Option<i32>) -> Self {
        self.os_error = number;
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The operating system's error number (`errno`), if there is one.
    pub fn os_error(&self) -> Option<i32> {
        self.os_error
    }

    /// Whether retrying can't help until someone changes the settings: the certificate isn't trusted, or
    /// the proxy requires other credentials.
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

/// In a browser without the `Debug` of strings, which escapes characters and takes 4 kB.
#[cfg(target_family = "wasm")]
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?}: {})", self.kind, self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
