//! What the feed does: it connects, sends events, and ends.

use everstream_core::Timestamp;

use super::state::State;
use super::{Failure, Machine, Notice};
use crate::Record;

impl Machine {
    /// The feed has connected, for the first time or again.
    pub fn handle_connected(&mut self) {
        self.replays.connected();
    }

    /// An event was received. Its record's id is the event's own one.
    pub fn handle_event(&mut self, mut record: Record, now: Timestamp) {
        if self.state == State::Stopped || self.ending.is_some() || self.reconnecting {
            return;
        }
        self.counts.received += 1;
        self.counts.last_event = Some(record.received_at);
        if self.config.no_ids {
            record.id = None;
            return self.buffer.push(record, now);
        }
        // An empty id means that there is none (WHATWG HTML, 9.2.6).
        let Some(id) = record.id.as_deref().filter(|id| !id.is_empty()) else {
            let event = record.event;
            return self.end_with(Failure::NoIds { event });
        };
        if id.bytes().any(|it| it.is_ascii_control() && it != b'\t') {
            let id = id.to_owned();
            return self.end_with(Failure::UnsendableId { id });
        }
        self.resumes = true;
        if self.replays.repeats(id) {
            self.counts.skipped += 1;
            return;
        }
        match self.state {
            State::Writing { .. } => {
                if let Some(expected) = self.expected.take().filter(|it| it != id) {
                    let received = id.to_owned();
                    self.gap(expected, received);
                }
                self.buffer.push(record, now);
            }
            _ => self.missing.received(id, now),
        }
    }

    /// Rule 13.
    fn end_with(&mut self, failure: Failure) {
        if !matches!(self.state, State::Writing { .. }) {
            return self.stop_with(Err(failure));
        }
        self.ending = Some(failure);
        self.feed_ended = true;
    }

    /// Rule 14.
    fn gap(&mut self, expected: String, received: String) {
        self.counts.gaps += 1;
        self.notice(Notice::Gap {
            after: self.tail.id.clone(),
            expected,
            received,
        });
    }

    /// The feed has ended, or failed, and isn't connected again: rule 15.
    pub fn handle_feed_ended(&mut self) {
        self.feed_ended = !self.reconnecting;
    }
}
