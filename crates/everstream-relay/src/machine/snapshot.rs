//! The relay's state, to be shown.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::Tail;

/// What a relay is at the moment.
///
/// ```
/// assert_eq!(everstream_relay::Role::Standby.to_string(), "standby");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// It follows the feed, stores nothing, and watches the log.
    #[default]
    Standby,
    /// It follows the feed from the log's end, and hasn't stored anything yet.
    TakingOver,
    /// It stores the feed.
    Active,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Standby => "standby",
            Role::TakingOver => "taking over",
            Role::Active => "active",
        })
    }
}

/// The upper bounds of [`Snapshot::append_buckets`].
///
/// ```
/// use everstream_relay::APPEND_BOUNDS;
///
/// assert!(APPEND_BOUNDS.is_sorted());
/// ```
pub const APPEND_BOUNDS: [Duration; 11] = [
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// The state of a relay at one moment. Numbers count from its start.
///
/// ```
/// let snapshot = everstream_relay::Snapshot::default();
/// assert_eq!((snapshot.stored, snapshot.last_event), (0, None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it is.
    pub role: Role,
    /// Where the log ended when this relay last heard of it.
    pub tail: Tail,
    /// How many events the feed delivered, repeated ones among them.
    pub received: u64,
    /// How many records this relay stored, placeholders among them.
    pub stored: u64,
    /// How often the log didn't end as expected, because of another writer or a failover.
    pub conflicts: u64,
    /// How many appends had an outcome that was unknown until the log was read again.
    pub unknown: u64,
    /// How many repeated events were dropped.
    pub skipped: u64,
    /// How many records the log couldn't store.
    pub rejected: u64,
    /// How many gaps were seen.
    pub gaps: u64,
    /// How many appends succeeded.
    pub appends: u64,
    /// How long they took together.
    pub append_time: Duration,
    /// How long the last of them took.
    pub last_append: Option<Duration>,
    /// How many of them took as long as each of [`APPEND_BOUNDS`] at most, and longer than the one before it.
    pub append_buckets: [u64; APPEND_BOUNDS.len()],
    /// How many records wait to be stored, including those of a batch that was sent.
    pub waiting: usize,
    /// The age of the oldest event that isn't known to be stored.
    pub lag: Option<Duration>,
    /// When the last event was received.
    pub last_event: Option<SystemTime>,
    /// Whether the log answered the last time.
    pub available: bool,
}

impl Snapshot {
    /// An append has succeeded.
    pub(super) fn appended(&mut self, took: Duration) {
        self.appends += 1;
        self.append_time += took;
        self.last_append = Some(took);
        if let Some(bucket) = APPEND_BOUNDS.iter().position(|bound| took <= *bound) {
            self.append_buckets[bucket] += 1;
        }
    }
}
