//! What a standby received and the log hasn't shown yet.

use std::collections::VecDeque;

use everstream_core::Timestamp;

/// The most ids that are remembered. Older ones are dropped; their age is not.
pub(super) const MAX_MISSING: usize = 4096;

/// The most ids of polled tails that are remembered, for events that arrive after they were stored.
const MAX_SHOWN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Missing {
    ids: VecDeque<(String, Timestamp)>,
    /// When the oldest of them was received, also if it was dropped since.
    oldest: Option<Timestamp>,
    /// Ids that were the log's last one.
    shown: VecDeque<String>,
    /// The first id is the one that follows the log's last one in the feed.
    adjacent: bool,
    /// The log went back from this position, and hasn't reached it again.
    went_back_from: Option<u64>,
}

impl Missing {
    /// Nothing is missing: the feed is followed from the log's end.
    pub(super) fn from_tail() -> Missing {
        Missing {
            adjacent: true,
            ..Missing::default()
        }
    }

    /// This event was received.
    pub(super) fn received(&mut self, id: &str, now: Timestamp) {
        if self.shown.iter().any(|it| it == id) {
            // It was stored before it arrived here, and so were all events before it.
            self.ids.clear();
            self.adjacent = true;
            self.oldest = self.went_back_from.and(self.oldest);
            return;
        }
        if self.ids.len() >= MAX_MISSING {
            self.ids.pop_front();
            self.adjacent = false;
        }
        self.ids.push_back((id.to_owned(), now));
        self.oldest.get_or_insert(now);
    }

    /// The log ends here.
    pub(super) fn shown(&mut self, pos: u64, id: Option<&str>) {
        if self.went_back_from.is_some_and(|from| pos >= from) {
            self.went_back_from = None;
            self.oldest = self.ids.front().map(|(_, received)| *received);
        }
        let Some(id) = id else { return };
        match self.ids.iter().rposition(|(it, _)| it == id) {
            Some(index) => {
                self.ids.drain(..=index);
                self.adjacent = true;
                self.went_back_from = None;
                self.oldest = self.ids.front().map(|(_, received)| *received);
            }
            None if self.shown.back().is_some_and(|last| last == id) => {}
            None => {
                if self.shown.len() >= MAX_SHOWN {
                    self.shown.pop_front();
                }
                self.shown.push_back(id.to_owned());
            }
        }
    }

    /// The log went back: what it lost is missing from now on.
    pub(super) fn went_back(&mut self, from: u64, now: Timestamp) {
        // What it showed before may be lost.
        self.shown.clear();
        self.adjacent = false;
        self.went_back_from = Some(self.went_back_from.map_or(from, |before| before.max(from)));
        self.oldest.get_or_insert(now);
    }

    /// How long the oldest of them has been missing: since when.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.oldest
    }

    /// The last event that was received is stored, and so are those before it.
    pub(super) fn is_stored(&self, recent: &[String]) -> bool {
        self.went_back_from.is_none()
            && (self.ids.back()).is_some_and(|(id, _)| recent.contains(id))
    }

    /// The id that should follow the log's end, if that is known.
    pub(super) fn into_next(mut self) -> Option<String> {
        let next = self.ids.pop_front().filter(|_| self.adjacent);
        next.map(|(id, _)| id)
    }
}
