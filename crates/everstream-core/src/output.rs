//! What a driver is told to do.

use crate::action::Action;
use crate::fault::Fault;
#[cfg(doc)]
use crate::session::Session;
use crate::time::Timestamp;

/// What the driver is to do next. A driver handles every variant: there will be no others without a
/// new major version.
///
/// ```
/// use everstream_core::{Output, Session, SessionConfig, Start, Timestamp};
///
/// let (mut session, now) = (Session::<Vec<u8>>::new(SessionConfig::default()), Timestamp::default());
/// session.read();
/// let result = loop {
///     match session.poll_output(now) {
///         Output::Connect { .. } => session.handle_connected(Start::default(), now),
///         Output::Wait { until } => println!("sleep until {until:?}"),
///         Output::Read { .. } => session.close(), // where a driver would read
///         Output::Action(action) => println!("{action:?}"),
///         Output::Stop(result) => break result,
///     }
/// };
/// assert!(result.is_ok());
/// ```
#[derive(Debug)]
pub enum Output {
    /// Open a connection, then call [`Session::handle_connected`] or [`Session::handle_fault`].
    /// Repeated until one of them is called: a driver that is connecting already just continues.
    ///
    /// [`Session::last_event_id`] is where to resume. It is what the server sent, also if it can't be
    /// a header's value.
    Connect {
        /// Send a GET without a body instead of the user's request
        /// ([`SessionConfig::resume_with_get`](crate::SessionConfig::resume_with_get)).
        resume_with_get: bool,
    },
    /// Have no connection until then.
    Wait {
        /// When to poll again.
        until: Timestamp,
    },
    /// Read from the connection, then call [`Session::handle_data`], [`Session::handle_end`],
    /// [`Session::handle_fault`] or, when the deadline has passed, [`Session::handle_timeout`].
    Read {
        /// How long silence is accepted.
        deadline: Option<Timestamp>,
    },
    /// Give this to the user. If it is an [`Action::Fault`] or an [`Action::End`], the
    /// connection is over.
    Action(Action),
    /// The iteration is over, and so is the connection: quietly, or because of this fault.
    Stop(Result<(), Fault>),
}

/// What is known about the end of a body.
///
/// ```
/// use everstream_core::Ending;
///
/// // Neither Content-Length nor chunks: the body ends where the connection does.
/// let ending = Ending::Unproven;
/// assert_ne!(ending, Ending::Complete);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third way
pub enum Ending {
    /// The framing proves that the body is complete: a last chunk, a full `Content-Length` (RFC 9112,
    /// section 6.3), or END_STREAM (RFC 9113, section 8.1).
    Complete,
    /// The body ended with its connection, or the source doesn't know.
    Unproven,
}
