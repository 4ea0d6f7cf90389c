//! The events that were sent, as far back as clients can resume.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::watch;

/// The maximum size in bytes; the newest entry is kept in any case.
const MAX_BYTES: usize = 16 << 20;

/// What is sent for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    pub(super) id: Option<String>,
}

/// A position between entries, counted from the first entry ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn after(self) -> Place {
        Place(self.0 + 1)
    }
}

/// What follows a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Bytes(Bytes),
    /// Nothing yet.
    None,
    /// The entries are no longer kept.
    Forgotten,
    /// Nothing, forever.
    End,
}

pub(super) struct History {
    log: Mutex<Log>,
    /// The position of the first kept entry, the end of the last one, and whether the input has
    /// ended.
    range: watch::Sender<(Place, Place, bool)>,
}

struct Log {
    entries: VecDeque<Entry>,
    /// The number of entries before them.
    forgotten: u64,
    bytes: usize,
    max_entries: usize,
    closed: bool,
}

impl History {
    pub(super) fn new(max_entries: usize) -> History {
        History {
            log: Mutex::new(Log {
                entries: VecDeque::new(),
                forgotten: 0,
                bytes: 0,
                max_entries,
                closed: false,
            }),
            range: watch::Sender::new((Place(0), Place(0), false)),
        }
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut log = self.lock();
        log.bytes += entry.size();
        log.entries.push_back(entry);
        while log.entries.len() > log.max_entries
            || (log.bytes > MAX_BYTES && log.entries.len() > 1)
        {
            if let Some(oldest) = log.entries.pop_front() {
                log.bytes -= oldest.size();
                log.forgotten += 1;
            }
        }
        self.notify(&log);
    }

    /// Marks the end of the input.
    pub(super) fn close(&self) {
        let mut log = self.lock();
        log.closed = true;
        self.notify(&log);
    }

    pub(super) fn first(&self) -> Place {
        Place(self.lock().forgotten)
    }

    /// The position after the last entry with this id.
    pub(super) fn after_id(&self, id: &str) -> Option<Place> {
        let log = self.lock();
        let is = |entry: &Entry| entry.id.as_deref() == Some(id);
        let index = log.entries.iter().rposition(is)?;
        Some(Place(log.forgotten + index as u64 + 1))
    }

    pub(super) fn next(&self, place: Place) -> Next {
        let log = self.lock();
        let Some(index) = place.0.checked_sub(log.forgotten) else {
            return Next::Forgotten;
        };
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| log.entries.get(index));
        match entry {
            Some(entry) => Next::Bytes(entry.bytes.clone()),
            None if log.closed => Next::End,
            None => Next::None,
        }
    }

    /// Waits until there is something after this position, or the end.
    pub(super) async fn changed(&self, place: Place) {
        let mut range = self.range.subscribe();
        // We own the sender, so it can't be dropped.
        _ = range
            .wait_for(|(_, end, closed)| *end > place || *closed)
            .await;
    }

    /// Waits until the entries after this position are no longer kept.
    pub(super) async fn forgotten(&self, place: Place) {
        let mut range = self.range.subscribe();
        _ = range.wait_for(|(first, ..)| *first > place).await;
    }

    fn notify(&self, log: &Log) {
        let first = Place(log.forgotten);
        let end = Place(log.forgotten + log.entries.len() as u64);
        self.range.send_replace((first, end, log.closed));
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn size(&self) -> usize {
        self.bytes.len() + self.id.as_ref().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, bytes: impl Into<Bytes>) -> Entry {
        Entry {
            bytes: bytes.into(),
            id: Some(id.into()),
        }
    }

    #[test]
    fn the_oldest_entries_are_dropped_first() {
        let history = History::new(2);
        let begin = history.first();
        assert_eq!(history.next(begin), Next::None);
        for id in ["1", "2", "3"] {
            history.push(entry(id, id));
        }
        assert_eq!(history.next(begin), Next::Forgotten);
        assert_eq!(history.next(history.first()), Next::Bytes("2".into()));
        assert_eq!(history.after_id("1"), None);
        let end = history.after_id("3").unwrap();
        assert_eq!(history.next(end), Next::None);
        history.close();
        assert_eq!(history.next(end), Next::End);
    }

    #[test]
    fn the_size_in_bytes_is_bounded() {
        let history = History::new(1000);
        history.push(entry("1", "x"));
        history.push(entry("2", vec![0; MAX_BYTES]));
        assert_eq!(
            history.first(),
            history.after_id("2").map(|_| Place(1)).unwrap()
        );
        // The newest entry is kept, however large it is.
        history.push(entry("3", vec![0; MAX_BYTES + 1]));
        assert_eq!(history.first(), Place(2));
    }

    #[test]
    fn the_last_of_equal_ids_counts() {
        let history = History::new(10);
        for bytes in ["a", "b"] {
            history.push(entry("1", bytes));
        }
        let place = history.after_id("1").unwrap();
        assert_eq!(history.next(place), Next::None);
    }
}
