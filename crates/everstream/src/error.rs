//! Why an iteration failed, or a client could not be made.

use std::fmt;

use everstream_core::{BoxError, Fault, Headers};

/// What is said of a stream that has ended because its request isn't sent again.
pub(crate) const NOT_REPEATED: &str = "the request isn't safe to repeat, so it isn't sent again \
                                       (repeat_unsafe and resume_with_get change that)";

/// Why an iteration failed, or a client could not be made.
///
/// An error ends the iteration: the error strategy gave up. Faults that it continues after are no
/// errors; they are [`Action::Fault`](crate::Action::Fault)s.
///
/// `Display` says what happened at this level; the cause is behind
/// [`source`](std::error::Error::source). `Debug` is that with all causes in one line, so that a `main`
/// that returns an error prints a message to read; `{:#?}` shows the structure.
///
/// ```
/// use everstream::blocking::SseClient;
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::status(404));
/// # let url = server.url("/");
///
/// let mut client = SseClient::new(&url)?;
/// let error = client.next_event().unwrap().unwrap_err();
/// assert_eq!(error.status(), Some(404));
/// assert_eq!(format!("{error:?}"), format!("{url} answered with status 404"));
/// # Ok::<(), everstream::Error>(())
/// ```
///
/// A [`Fault`] becomes an error with `?`:
///
/// ```
/// use everstream::{Error, Fault};
///
/// fn give_up(fault: Fault) -> Result<(), Error> {
///     Err(fault)?
/// }
/// assert!(give_up(Fault::Incomplete).unwrap_err().fault().is_some());
/// ```
#[non_exhaustive]
pub enum Error {
    /// A connection ended or could not be made, and the error strategy said to fail.
    Fault(Fault),
    /// A connection ended or could not be made, and the error strategy said to continue, but the request
    /// isn't safe (RFC 9110, section 9.2.1) and the server may have acted on it. It is sent again only
    /// with [`repeat_unsafe`](crate::Builder::repeat_unsafe), resumed with
    /// [`resume_with_get`](crate::Builder::resume_with_get), or by `start()`.
    NotRepeated(Fault),
    /// The client was closed; it can't be started again.
    Closed,
    /// The start was interrupted, and the error strategy said to fail.
    Interrupted,
    /// A setting can't be used: which one, and why.
    Config {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with its value.
        problem: BoxError,
    },
    /// The blocking client was used inside an async runtime, where it would block others. The threads
    /// of tokio's `spawn_blocking` are inside, too; those of [`std::thread`] aren't.
    InsideRuntime,
    /// The blocking client could not make its runtime.
    Runtime(std::io::Error),
}

impl Error {
    /// A setting that can't be used, for [`ConnectStrategy`](crate::ConnectStrategy)s of your own.
    ///
    /// ```
    /// let error = everstream::Error::config("path", "it is empty");
    /// assert_eq!(error.to_string(), "the setting path can't be used: it is empty");
    /// ```
    pub fn config(setting: &'static str, problem: impl Into<BoxError>) -> Self {
        Error::Config {
            setting,
            problem: problem.into(),
        }
    }

    /// The fault, if it was one.
    ///
    /// ```
    /// assert!(everstream::Error::Closed.fault().is_none());
    /// ```
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Fault(fault) | Error::NotRepeated(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether it was a time-out.
    ///
    /// ```
    /// assert!(!everstream::Error::Closed.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.fault().is_some_and(Fault::is_timeout)
    }

    /// Whether no connection could be made.
    ///
    /// ```
    /// assert!(!everstream::Error::Closed.is_connect());
    /// ```
    pub fn is_connect(&self) -> bool {
        self.fault().is_some_and(Fault::is_connect)
    }

    /// The status code of the response that wasn't a stream.
    ///
    /// ```
    /// assert_eq!(everstream::Error::Closed.status(), None);
    /// ```
    pub fn status(&self) -> Option<u16> {
        self.fault().and_then(Fault::status)
    }

    /// The headers of the response that wasn't a stream.
    ///
    /// ```
    /// assert!(everstream::Error::Closed.headers().is_none());
    /// ```
    pub fn headers(&self) -> Option<&Headers> {
        self.fault().and_then(Fault::headers)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Fault(fault) => fault.fmt(f),
            Error::NotRepeated(fault) => write!(f, "{fault}; {NOT_REPEATED}"),
            Error::Closed => f.write_str("the client is closed"),
            Error::Interrupted => f.write_str("the start was interrupted"),
            Error::Config { setting, problem } => {
                write!(f, "the setting {setting} can't be used: {problem}")
            }
            Error::InsideRuntime => f.write_str(
                "the blocking client can't be used inside an async runtime: \
                 use the async SseClient there, or a thread of std::thread (not of spawn_blocking)",
            ),
            Error::Runtime(_) => f.write_str("the blocking client could not make its runtime"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            match self {
                // What follows from the fault comes after its causes.
                Error::NotRepeated(fault) => write!(f, "{fault}")?,
                _ => write!(f, "{self}")?,
            }
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
            if let Error::NotRepeated(_) = self {
                write!(f, "; {NOT_REPEATED}")?;
            }
            return Ok(());
        }
        match self {
            Error::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Error::NotRepeated(fault) => f.debug_tuple("NotRepeated").field(fault).finish(),
            Error::Closed => f.write_str("Closed"),
            Error::Interrupted => f.write_str("Interrupted"),
            Error::Config { setting, problem } => f
                .debug_struct("Config")
                .field("setting", setting)
                .field("problem", problem)
                .finish(),
            Error::InsideRuntime => f.write_str("InsideRuntime"),
            Error::Runtime(error) => f.debug_tuple("Runtime").field(error).finish(),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // `Display` is the fault's own, so the next level is the fault's cause.
            Error::Fault(fault) | Error::NotRepeated(fault) => fault.source(),
            Error::Runtime(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_a_message_to_read_with_all_causes() {
        let lost = std::io::Error::other(Fault::Connect("refused".into()));
        let error = Error::from(Fault::Request(lost.into()));
        let message = "the request failed before a response arrived: could not connect: refused";
        assert_eq!(format!("{error:?}"), message);
        assert_eq!(format!("{:?}", Error::Closed), "the client is closed");
        let lost = std::io::Error::other(Fault::Connect("refused".into()));
        let once = Error::NotRepeated(Fault::Request(lost.into()));
        assert_eq!(format!("{once:?}"), format!("{message}; {NOT_REPEATED}"));
        let config = Error::config("url", "it is empty");
        assert_eq!(format!("{config:?}"), config.to_string());
        let structure = format!("{error:#?}");
        assert!(structure.starts_with("Fault(\n    Request("), "{structure}");
        assert!(format!("{config:#?}").contains("setting: \"url\""));
    }
}
