//! Why an iteration failed, or a client could not be created.

use std::fmt;

use everstream_core::{BoxError, Fault, Headers};

/// Explains that a stream has ended because its request isn't repeated.
pub(crate) const NOT_REPEATED: &str = "the request isn't safe to repeat, so it isn't sent again \
                                       (repeat_unsafe and resume_with_get change that)";

/// Why an iteration failed, or a client could not be created.
///
/// An error ends the iteration: the error strategy has given up. A fault after which the client
/// reconnects isn't an error but an [`Action::Fault`](crate::Action::Fault).
///
/// `Display` says what happened at this level; the cause is behind
/// [`source`](std::error::Error::source). `Debug` adds all causes, in one line, so that a `main` that
/// returns an error prints a readable message; `{:#?}` shows the structure.
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
    /// A connection ended or could not be established, and the error strategy said to fail.
    Fault(Fault),
    /// The connection failed, and the request isn't sent again: it is a POST, or has another method that
    /// isn't safe (RFC 9110, section 9.2.1), and the server may have acted on it. The error strategy would
    /// have reconnected.
    ///
    /// To send such requests again, set [`repeat_unsafe`](crate::Builder::repeat_unsafe) or call
    /// `start()`; to resume the stream by GET, set
    /// [`resume_with_get`](crate::Builder::resume_with_get).
    NotRepeated(Fault),
    /// The client was closed; it can't be started again.
    Closed,
    /// The start was interrupted, and the error strategy said to fail.
    Interrupted,
    /// A setting is invalid.
    Config {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with its value.
        problem: BoxError,
    },
    /// The blocking client was used inside an async runtime, where it would block other tasks. The
    /// threads of tokio's `spawn_blocking` are inside, too; those of [`std::thread`] aren't.
    InsideRuntime,
    /// The async client was used outside a tokio runtime, which its sockets and timers need.
    OutsideRuntime,
    /// The blocking client could not create its runtime.
    Runtime(std::io::Error),
}

impl Error {
    /// Creates an [`Error::Config`], for custom [`ConnectStrategy`](crate::ConnectStrategy)s.
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

    /// The fault, if this is an [`Error::Fault`] or [`Error::NotRepeated`].
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

    /// Whether a timeout caused this error.
    ///
    /// ```
    /// assert!(!everstream::Error::Closed.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.fault().is_some_and(Fault::is_timeout)
    }

    /// Whether this error means that no connection could be established.
    ///
    /// ```
    /// assert!(!everstream::Error::Closed.is_connect());
    /// ```
    pub fn is_connect(&self) -> bool {
        self.fault().is_some_and(Fault::is_connect)
    }

    /// The status code of the response, if the server answered with something other than a stream.
    ///
    /// ```
    /// assert_eq!(everstream::Error::Closed.status(), None);
    /// ```
    pub fn status(&self) -> Option<u16> {
        self.fault().and_then(Fault::status)
    }

    /// The headers of the response, if the server answered with something other than a stream.
    ///
    /// ```
    /// assert!(everstream::Error::Closed.headers().is_none());
    /// ```
    pub fn headers(&self) -> Option<&Headers> {
        self.fault().and_then(Fault::headers)
    }
}

/// A message as an error.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn message(text: &str) -> BoxError {
    text.into()
}

/// A message as an error. Not the one of the standard library, whose `Debug` escapes characters and takes
/// 4 kB.
#[cfg(target_family = "wasm")]
pub(crate) fn message(text: &str) -> BoxError {
    struct Message(Box<str>);

    impl fmt::Debug for Message {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl fmt::Display for Message {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Message {}

    Box::new(Message(text.into()))
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
            Error::OutsideRuntime => OutsideRuntime.fmt(f),
            Error::Runtime(_) => f.write_str("the blocking client could not create its runtime"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            match self {
                // The causes belong to the fault, so they precede the consequence.
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
            Error::OutsideRuntime => f.write_str("OutsideRuntime"),
            Error::Runtime(error) => f.debug_tuple("Runtime").field(error).finish(),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // `Display` prints the fault itself, so the next level is the fault's cause.
            Error::Fault(fault) | Error::NotRepeated(fault) => fault.source(),
            Error::Runtime(error) => Some(error),
            _ => None,
        }
    }
}

/// There is no tokio runtime. As the cause of a fault, it becomes an [`Error::OutsideRuntime`].
#[derive(Debug)]
pub(crate) struct OutsideRuntime;

impl OutsideRuntime {
    /// To be called before tokio is: its functions panic outside a runtime.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn check() -> Result<(), Self> {
        match tokio::runtime::Handle::try_current() {
            Ok(_) => Ok(()),
            Err(_) => Err(OutsideRuntime),
        }
    }

    /// The browser needs no runtime.
    #[cfg(target_family = "wasm")]
    pub(crate) fn check() -> Result<(), Self> {
        Ok(())
    }

    pub(crate) fn caused(fault: &Fault) -> bool {
        matches!(fault, Fault::Setup(cause) if cause.is::<OutsideRuntime>())
    }
}

impl fmt::Display for OutsideRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the async client can't be used outside a tokio runtime: \
             call it inside one, or use blocking::SseClient",
        )
    }
}

impl std::error::Error for OutsideRuntime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_the_message_with_all_causes() {
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
