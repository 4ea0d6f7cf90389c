//! What a machine is in the middle of.

use std::sync::Arc;
use std::time::Duration;

use everstream_core::Timestamp;

use super::{DEAD_LETTER, Failure};
use crate::Record;

/// The first and the longest delay of rule 8.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Standby,
    Opening,
    Writing { proven: bool },
    Stopped,
}

#[derive(Debug)]
pub(super) enum Running {
    Open,
    Tail,
    Append { since: Timestamp },
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Arc<[Record]>,
    /// When its first record was received.
    pub(super) received: Timestamp,
    /// Only the tail tells whether it is stored.
    pub(super) undecided: bool,
    /// What the relay ends with when it is stored.
    pub(super) then: Option<Failure>,
}

/// How long to wait before the next attempt: rule 8.
pub(super) fn backoff(earlier: u32) -> Duration {
    let (first, longest) = RETRY_DELAYS;
    first.saturating_mul(1 << earlier.min(8)).min(longest)
}

/// What is stored instead of a record that the log can't store: any log can store this.
pub(super) fn placeholder(record: &Record, why: &str) -> Record {
    let printable = |it: &char| it.is_ascii_graphic() || *it == ' ';
    let why: String = why.chars().filter(printable).take(200).collect();
    let data = format!("not stored: {why} ({} bytes)", record.data.len());
    Record::new(record.id.clone(), DEAD_LETTER, data, record.received_at)
}
