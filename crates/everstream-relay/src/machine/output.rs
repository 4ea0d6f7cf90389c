//! What a driver is told to do, and what it reports.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use everstream_core::Timestamp;

use crate::sink::Plain;
#[cfg(doc)]
use crate::{Machine, Sink};
use crate::{Record, Tail};

/// What the driver is to do next. A driver handles every variant: there will be no others without a
/// new major version.
///
/// ```
/// use everstream_core::Timestamp;
/// use everstream_relay::{Command, Config, Machine, Output};
///
/// let mut machine = Machine::new(Config::default());
/// let output = machine.poll_output(Timestamp::default());
/// assert!(matches!(output, Output::Sink(Command::Open { recent: 1024 })));
/// ```
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // a driver has to handle all of them
pub enum Output {
    /// Drop the connection to the feed if there is one, and follow the feed after the event with this
    /// id. What the previous connection delivered must no longer be reported.
    Connect {
        /// The value of `Last-Event-ID`.
        last_event_id: Option<String>,
    },
    /// Run this on the sink, and report its result. There is one command at a time.
    Sink(Command),
    /// Tell the user.
    Notice(Notice),
    /// Wait for whatever happens first: this time, the sink's result, or the feed if it is to be read.
    Wait {
        /// When to poll again.
        until: Option<Timestamp>,
        /// Whether to read the feed. If not, its events wait in the connection.
        read: bool,
    },
    /// The relay has ended. A command that runs may be dropped.
    Stop(Result<End, Failure>),
}

/// A call of a [`Sink`].
///
/// ```
/// use everstream_relay::{Command, Tail};
///
/// let command = Command::Append { after: Tail::default(), batch: [].into() };
/// assert!(!matches!(command, Command::Tail));
/// ```
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums)] // a driver has to handle all of them
pub enum Command {
    /// [`Sink::open`], then [`Machine::handle_opened`].
    Open {
        /// How many ids are asked for.
        recent: usize,
    },
    /// [`Sink::tail`], then [`Machine::handle_tail`].
    Tail,
    /// [`Sink::append`], then [`Machine::handle_appended`].
    Append {
        /// Where the log has to end.
        after: Tail,
        /// What to append.
        batch: Arc<[Record]>,
    },
}

/// Something that happened, for a person or a log.
///
/// ```
/// use everstream_relay::Notice;
///
/// assert_eq!(Notice::TakingOver.to_string(), "the log is missing events: this relay takes over");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The log is open, and ends here.
    Opened(Tail),
    /// An event that this standby received hasn't appeared in the log in time.
    TakingOver,
    /// Another relay has appended meanwhile: this one stays the standby.
    NotNeeded,
    /// The first batch after a takeover is stored: this relay is active.
    Active,
    /// Another writer has appended to the log, or it went back: this relay is the standby now.
    Conflict,
    /// A batch may have been stored: the log is asked.
    Unknown(Box<dyn Error + Send + Sync>),
    /// The log can't be reached; it is tried again until it can.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// The log can be reached again.
    Available,
    /// The log lost its last records, as after a failover to a replica that lags. They are fetched from
    /// the feed again.
    WentBack {
        /// Where it ended.
        from: Tail,
        /// Where it ends.
        to: Tail,
    },
    /// The log has records, but the id of the last one is gone or was never stored. The feed is followed
    /// without an id to resume after, so events may be missing or stored again.
    NoLastId {
        /// Where the log ends.
        pos: u64,
    },
    /// A placeholder was stored for a record that the log can't store.
    DeadLetter {
        /// The record's id.
        id: Option<String>,
        /// Why, from the sink.
        why: String,
    },
    /// After a takeover the feed didn't continue with the event that this relay had received as the
    /// next one: the feed no longer has it. The log has a gap after this id, or its start is missing.
    Gap {
        /// The last id before the gap.
        after: Option<String>,
        /// The id that should have followed.
        expected: String,
        /// The id that followed.
        received: String,
    },
}

/// Why a relay ended without a failure.
///
/// ```
/// assert_ne!(everstream_relay::End::Stopped, everstream_relay::End::FeedEnded);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// The feed has ended for good, and what it sent is stored.
    FeedEnded,
}

/// Why a relay gave up.
///
/// ```
/// use everstream_relay::Failure;
///
/// let failure = Failure::NoIds { event: "message".into() };
/// assert!(failure.to_string().contains("no id"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The feed sent an event without an id, from which nobody could resume.
    NoIds {
        /// The event's type.
        event: String,
    },
    /// The feed sent an id with a control character, which `Last-Event-ID` can't carry.
    UnsendableId {
        /// The id.
        id: String,
    },
    /// The log can't store this record.
    Rejected {
        /// The record's id.
        id: Option<String>,
        /// Why, from the sink.
        why: String,
    },
    /// Another writer appended to the log of a feed without ids, for which there is no standby.
    SecondWriter,
    /// The log can't be used.
    Unusable(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Opened(tail) if *tail == Tail::default() => {
                f.write_str("the log is empty: starting it")
            }
            Notice::Opened(tail) => write!(f, "the log ends with {tail}"),
            Notice::TakingOver => f.write_str("the log is missing events: this relay takes over"),
            Notice::NotNeeded => {
                f.write_str("another relay is writing: this relay stays the standby")
            }
            Notice::Active => f.write_str("this relay is now the active one"),
            Notice::Conflict => {
                f.write_str("another relay is writing: this relay is now the standby")
            }
            Notice::Unknown(error) => {
                let error = Plain(&**error);
                write!(
                    f,
                    "can't tell whether a batch was stored: {error}; reading the log to find out"
                )
            }
            Notice::Unavailable(error) => {
                write!(f, "the log isn't available, retrying: {}", Plain(&**error))
            }
            Notice::Available => f.write_str("the log is available again"),
            Notice::WentBack { from, to } if to.pos == 0 => write!(
                f,
                "warning: the log ended with {from} and is empty now: the feed is read again, and events that it \
                 no longer sends are missing"
            ),
            Notice::WentBack { from, to } => write!(
                f,
                "the log ended with {from} and now ends with {to}: the feed is read again from there"
            ),
            Notice::NoLastId { pos } => write!(
                f,
                "warning: the log ends with position {pos}, but the id of that event is gone, so the feed can't \
                 resume after it: events may be missing or stored twice"
            ),
            Notice::DeadLetter { id, why } => write!(
                f,
                "stored a placeholder for the event with {}: {why}",
                IdOf(id.as_deref())
            ),
            Notice::Gap {
                after: None,
                expected,
                received,
            } => write!(
                f,
                "events are missing at the start of the log: the feed used to start with id {expected} and \
                 now starts with id {received}"
            ),
            Notice::Gap {
                after,
                expected,
                received,
            } => write!(
                f,
                "the log has a gap after {}: the feed used to continue with id {expected} and now \
                 continues with id {received}",
                IdOf(after.as_deref())
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoIds { event } => write!(
                f,
                "the feed sent an event of type {event} with no id, so a relay can't resume after it"
            ),
            Failure::UnsendableId { id } => write!(
                f,
                "the feed sent the id {id:?}, whose control characters can't be sent back to resume"
            ),
            Failure::Rejected { id, why } => write!(
                f,
                "the log can't store the event with {}: {why}",
                IdOf(id.as_deref())
            ),
            Failure::SecondWriter => f.write_str(
                "another writer appended to the log, and a feed without ids can't have a standby",
            ),
            Failure::Unusable(error) => write!(f, "the log can't be used: {}", Plain(&**error)),
        }
    }
}

impl Error for Failure {}

/// An id, in a sentence.
struct IdOf<'a>(Option<&'a str>);

impl fmt::Display for IdOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "id {id}"),
            None => f.write_str("no id"),
        }
    }
}
