//! What the driver does next.

use crate::action::Action;
use crate::fault::Fault;
#[cfg(doc)]
use crate::session::Session;
use crate::time::Timestamp;

/// What the driver must do next. A driver handles every variant; new ones are only added in a new major
/// version.
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
    /// Returned until one of them is called: if a connection attempt is in progress, continue it.
    ///
    /// [`Session::last_event_id`] is the id to resume from, as the server sent it. It may be invalid as
    /// a header value: see [`is_sendable_id`](crate::is_sendable_id).
    Connect {
        /// Send a GET without a body instead of the user's request
        /// ([`SessionConfig::resume_with_get`](crate::SessionConfig::resume_with_get)).
        resume_with_get: bool,
    },
    /// Wait without a connection.
    Wait {
        /// When to poll again.
        until: Timestamp,
    },
    /// Read from the connection, then call [`Session::handle_data`], [`Session::handle_end`],
    /// [`Session::handle_fault`] or, when the deadline has passed, [`Session::handle_timeout`].
    Read {
        /// When the read times out. `None`: never.
        deadline: Option<Timestamp>,
    },
    /// Deliver this to the user. After an [`Action::Fault`] or an [`Action::End`], drop the connection.
    Action(Action),
    /// Drop the connection and end the iteration: cleanly, or with this fault.
    Stop(Result<(), Fault>),
}

/// What is known about the end of a body.
///
/// ```
/// use everstream_core::Ending;
///
/// // Neither Content-Length nor chunked: the body ends when the connection closes.
/// let ending = Ending::Unproven;
/// assert_ne!(ending, Ending::Complete);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third possibility
pub enum Ending {
    /// The framing proves that the body is complete: a last chunk, all bytes of `Content-Length`
    /// (RFC 9112, section 6.3), or END_STREAM (RFC 9113, section 8.1).
    Complete,
    /// The body ended because the connection closed, or the source doesn't know.
    Unproven,
}
