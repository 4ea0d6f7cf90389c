//! What a log holds, and where it ends.

use std::fmt;
use std::time::SystemTime;

/// One event of the feed, as it is stored.
///
/// ```
/// use everstream_relay::Record;
/// use std::time::SystemTime;
///
/// let record = Record::new(Some("7".into()), "price", "1.25", SystemTime::now());
/// assert_eq!(record.id.as_deref(), Some("7"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The event's id; `None` for a feed without ids.
    pub id: Option<String>,
    /// The event's type: "message" if the feed gave none.
    pub event: String,
    /// The event's data.
    pub data: String,
    /// When the event was received.
    pub received_at: SystemTime,
}

impl Record {
    /// A record of an event of the type "message".
    pub fn new(
        id: Option<String>,
        event: impl Into<String>,
        data: impl Into<String>,
        received_at: SystemTime,
    ) -> Record {
        Record {
            id,
            event: event.into(),
            data: data.into(),
            received_at,
        }
    }
}

/// The end of a log: what an append is compared with, and where a relay resumes.
///
/// ```
/// use everstream_relay::Tail;
///
/// assert_eq!(Tail::default(), Tail { pos: 0, id: None }); // an empty log
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// The position of the last record; positions begin with 1 and have no gaps. 0 for an empty log.
    pub pos: u64,
    /// The id of the last record; `None` for an empty log, and for a feed without ids.
    pub id: Option<String>,
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "position {}, id {id}", self.pos),
            None => write!(f, "position {}", self.pos),
        }
    }
}
