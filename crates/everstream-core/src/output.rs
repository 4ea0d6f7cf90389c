//! What a driver is told to do.

use alloc::string::String;

use crate::action::Action;
use crate::fault::Fault;
#[cfg(doc)]
use crate::session::Session;
use crate::time::Timestamp;

/// What the driver is to do next.
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
///         _ => unreachable!(),
///     }
/// };
/// assert!(result.is_ok());
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Output {
    /// Open a connection, then call [`Session::handle_connected`] or [`Session::handle_fault`].
    /// Said again until one of them is called: a driver that is at it just goes on.
    Connect {
        /// Where to resume, if an id is known. It is what the server sent, also if it can't be a
        /// header's value.
        last_event_id: Option<String>,
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
