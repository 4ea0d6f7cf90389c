//! Socket errors in plain words.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

use everstream_core::{Failure, FailureKind};

use crate::http1::Malformed;

/// Turns socket errors into [`Failure`]s.
///
/// ```
/// use std::io;
/// use everstream_core::Failure;
/// use everstream_http::SocketFailure;
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let failure = Failure::connecting(&refused, "127.0.0.1:8000");
/// assert_eq!(failure.to_string(), "connection refused by 127.0.0.1:8000");
/// assert_eq!(
///     Failure::closed_mid_response().to_string(),
///     "the server closed the connection mid-response"
/// );
/// ```
pub trait SocketFailure: Sized {
    /// Connecting to this peer, an address or a path, failed.
    fn connecting(error: &io::Error, peer: impl fmt::Display) -> Self;

    /// The connection failed before the head of a response arrived.
    fn before_response(error: &io::Error) -> Self;

    /// The connection failed while a response was being read.
    fn mid_response(error: &io::Error) -> Self;

    /// The server closed the connection before responding.
    fn closed_before_response() -> Self {
        Self::before_response(&io::ErrorKind::UnexpectedEof.into())
    }

    /// The server closed the connection before the end of the body.
    fn closed_mid_response() -> Self {
        Self::mid_response(&io::ErrorKind::UnexpectedEof.into())
    }
}

impl SocketFailure for Failure {
    fn connecting(error: &io::Error, peer: impl fmt::Display) -> Self {
        use io::ErrorKind as Kind;
        let (kind, message) = match error.kind() {
            Kind::ConnectionRefused => (
                FailureKind::Refused,
                format!("connection refused by {peer}"),
            ),
            Kind::ConnectionReset => (FailureKind::Reset, format!("{peer} reset the connection")),
            Kind::NotFound => (FailureKind::Other, format!("{peer} doesn't exist")),
            Kind::PermissionDenied => (
                FailureKind::Other,
                format!("no permission to connect to {peer}"),
            ),
            Kind::TimedOut => (
                FailureKind::Other,
                format!("connecting to {peer} timed out"),
            ),
            Kind::HostUnreachable | Kind::NetworkUnreachable => {
                (FailureKind::Other, format!("{peer} can't be reached"))
            }
            _ => (FailureKind::Other, format!("connecting to {peer}: {error}")),
        };
        Failure::new(kind, message).with_os_error(error.raw_os_error())
    }

    fn before_response(error: &io::Error) -> Self {
        broken(error, "before responding")
    }

    fn mid_response(error: &io::Error) -> Self {
        broken(error, "mid-response")
    }
}

fn broken(error: &io::Error, when: &str) -> Failure {
    use io::ErrorKind as Kind;
    let (kind, message) = match error.kind() {
        Kind::UnexpectedEof | Kind::BrokenPipe | Kind::NotConnected => (
            FailureKind::Closed,
            format!("the server closed the connection {when}"),
        ),
        Kind::ConnectionReset | Kind::ConnectionAborted => (
            FailureKind::Reset,
            format!("the server reset the connection {when}"),
        ),
        Kind::TimedOut => (
            FailureKind::Other,
            format!("the server stopped responding to keep-alive probes {when}"),
        ),
        // A TLS error, with its own message.
        Kind::InvalidData => (FailureKind::Tls, error.to_string()),
        _ => (
            FailureKind::Other,
            format!("the connection failed {when}: {error}"),
        ),
    };
    Failure::new(kind, message).with_os_error(error.raw_os_error())
}

/// An error and its root cause, in one line. The causes between them are skipped: they say how a library
/// is built, not what happened.
///
/// ```
/// use std::io;
/// use everstream_core::Fault;
/// use everstream_http::message_with_cause;
///
/// let fault = Fault::Connect(io::Error::other("no route").into());
/// assert_eq!(message_with_cause(&fault), "could not connect: no route");
/// ```
pub fn message_with_cause(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    if let Some(cause) = cause.map(ToString::to_string) {
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause) {
            _ = write!(text, ": {cause}");
        }
    }
    text
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Failure::new(FailureKind::Malformed, malformed.to_string())
    }
}
