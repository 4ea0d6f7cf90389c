//! Records that wait for a batch.

use std::collections::VecDeque;
use std::sync::Arc;

use everstream_core::Timestamp;

use super::config::Config;
use crate::Record;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: VecDeque<(Record, Timestamp)>,
    bytes: usize,
}

impl Buffer {
    pub(super) fn push(&mut self, record: Record, now: Timestamp) {
        self.bytes += size(&record);
        self.records.push_back((record, now));
    }

    /// One record always fits.
    pub(super) fn has_room(&self, config: &Config) -> bool {
        self.records.is_empty()
            || (self.records.len() < config.buffer && self.bytes < config.buffer_bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// When the next batch is due: at once if it is full, later if it may grow.
    pub(super) fn due(&self, config: &Config) -> Option<Timestamp> {
        let received = self.oldest()?;
        let full = self.records.len() >= config.batch
            || self.bytes >= config.batch_bytes
            || !self.has_room(config);
        Some(match full {
            true => received,
            false => received + config.linger,
        })
    }

    /// When the first of them was received.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.records.front().map(|(_, received)| *received)
    }

    /// The next batch, and when its first record was received.
    pub(super) fn take(&mut self, config: &Config) -> Option<(Arc<[Record]>, Timestamp)> {
        let received = self.oldest()?;
        let (mut count, mut bytes) = (0, 0);
        for (record, _) in self.records.iter().take(config.batch.max(1)) {
            bytes += size(record);
            if count > 0 && bytes > config.batch_bytes {
                break;
            }
            count += 1;
        }
        let batch: Arc<[Record]> = self.records.drain(..count).map(|(it, _)| it).collect();
        self.bytes -= batch.iter().map(size).sum::<usize>();
        Some((batch, received))
    }

    /// All of them, the oldest first; none stays.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (Record, Timestamp)> {
        self.bytes = 0;
        std::mem::take(&mut self.records).into_iter()
    }
}

fn size(record: &Record) -> usize {
    record.data.len() + record.event.len() + record.id.as_ref().map_or(0, String::len)
}
