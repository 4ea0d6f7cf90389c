//! A feed that drops connections, repeats events, and forgets old ones.

use std::collections::BTreeSet;

use super::Random;

/// Events are numbers from 1; their ids are these numbers.
pub(crate) struct Feed {
    pub(crate) published: u64,
    /// A client without an id gets the events that are published from then on, instead of all.
    pub(crate) begins_now: bool,
    /// It no longer has this one and those before.
    pub(crate) forgotten: u64,
    /// Those that it skipped when a client resumed after an id that it didn't know.
    pub(crate) left_out: BTreeSet<u64>,
}

/// A client, as `SseClient` is one: it reconnects by itself, after the last event that it delivered.
#[derive(Debug)]
pub(crate) struct Client {
    last: Option<u64>,
    /// The next event; `None` while it has no connection.
    next: Option<u64>,
    /// When it connects, or delivers again.
    pub(crate) ready: u64,
}

impl Client {
    pub(crate) fn new(last: Option<u64>, ready: u64) -> Client {
        Client {
            last,
            next: None,
            ready,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.next.is_some()
    }

    pub(crate) fn has_event(&self, feed: &Feed) -> bool {
        self.next.is_some_and(|next| next <= feed.published)
    }

    pub(crate) fn drop_connection(&mut self, ready: u64) {
        self.next = None;
        self.ready = ready;
    }

    pub(crate) fn take(&mut self) -> u64 {
        let event = self.next.expect("a connection");
        self.next = Some(event + 1);
        self.last = Some(event);
        event
    }

    pub(crate) fn connect(&mut self, feed: &mut Feed, random: &mut Random, faulty: bool) {
        let known = self.last.is_none_or(|last| last >= feed.forgotten);
        let mut next = match self.last {
            Some(last) if known => last + 1,
            Some(_) if faulty && random.one_in(2) => {
                feed.left_out.extend(feed.forgotten + 1..=feed.published);
                feed.published + 1
            }
            None if feed.begins_now => feed.published + 1,
            _ => feed.forgotten + 1,
        };
        // The log may begin later than what such a feed would repeat.
        if known && faulty && !feed.begins_now && random.one_in(3) {
            // More than was asked for, but what the relay can recognize.
            next = next.saturating_sub(random.below(20));
        }
        // Events that it skipped before don't arrive late: no relay could tell.
        let left_out = feed.left_out.last().copied().unwrap_or(0);
        let first = feed.forgotten.max(left_out) + 1;
        self.next = Some(next.max(first));
    }
}
