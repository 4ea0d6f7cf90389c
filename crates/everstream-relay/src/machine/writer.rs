//! What a writer does with its batch, and when it loses: rules 5 to 9 and 12. The rules are in `mod.rs`.

use everstream_core::Timestamp;

use super::missing::Missing;
use super::state::{Batch, Running, State, backoff, placeholder};
use super::{Command, DEAD_LETTER, End, Failure, Machine, Notice, Output};
use crate::{AppendError, Tail};

impl Machine {
    /// Rules 5 to 9.
    pub(super) fn next_write(&mut self, now: Timestamp) -> Option<Command> {
        if self.batch.is_none() {
            let due = self.buffer.due(&self.config);
            if due.is_some_and(|due| now >= due || self.feed_ended) {
                self.fill_batch();
            } else if self.feed_ended && due.is_none() {
                let result = self.ending.take().map_or(Ok(End::FeedEnded), Err);
                self.stop_with(result);
            }
        }
        if self.state == State::Stopped {
            return None;
        }
        match &self.batch {
            Some(_) if now < self.retry => None,
            Some(batch) if batch.undecided => Some(Command::Tail),
            Some(batch) => Some(Command::Append {
                after: self.tail.clone(),
                batch: batch.records.clone(),
            }),
            None => (self.outputs.is_empty() && now >= self.due).then_some(Command::Tail),
        }
    }

    fn fill_batch(&mut self) {
        let Some((records, received)) = self.buffer.take(&self.config) else {
            return;
        };
        self.batch = Some(Batch {
            records,
            received,
            undecided: false,
            then: None,
        });
        self.reject_too_large();
    }

    /// Those that the log is known not to take.
    fn reject_too_large(&mut self) {
        let Some(largest) = self.largest else { return };
        while let Some(batch) = &self.batch {
            let (records, then) = (&batch.records, &batch.then);
            let found = records.iter().position(|it| it.data.len() > largest);
            let Some(index) = found.filter(|_| then.is_none() && self.state != State::Stopped)
            else {
                return;
            };
            let size = records[index].data.len();
            self.reject(
                index,
                format!("{size} bytes of data, and it stores {largest}"),
            );
        }
    }

    /// Rule 12.
    fn reject(&mut self, index: usize, why: String) {
        let Some(batch) = &mut self.batch else { return };
        let Some(record) = batch.records.get(index) else {
            return self.stop_with(Err(Failure::Rejected { id: None, why }));
        };
        self.counts.rejected += 1;
        let id = record.id.clone();
        if self.config.dead_letter && record.event != DEAD_LETTER {
            let mut records = batch.records.to_vec();
            records[index] = placeholder(record, &why);
            batch.records = records.into();
            let notice = Notice::DeadLetter { id, why };
            return self.outputs.push_back(Output::Notice(notice));
        }
        let failure = Failure::Rejected { id, why };
        if index == 0 {
            return self.stop_with(Err(failure));
        }
        batch.records = batch.records[..index].into();
        batch.then = Some(failure);
    }

    /// [`Command::Append`] has ended.
    pub fn handle_appended(&mut self, result: Result<Tail, AppendError>, now: Timestamp) {
        let Some(Running::Append { since }) = self.running.take() else {
            return;
        };
        let Some(batch) = &mut self.batch else { return };
        match result {
            Ok(tail) => {
                self.recovered();
                match self.stored_by(&tail) {
                    Some(count) => {
                        self.counts.appended(now - since);
                        self.stored(count, now);
                    }
                    // A sink that contradicts itself is asked again.
                    None => self.set_undecided(),
                }
            }
            Err(AppendError::Conflict) => {
                self.recovered();
                self.lose(now);
            }
            Err(AppendError::Unknown(error)) => {
                batch.undecided = true;
                self.notice(Notice::Unknown(error));
                self.counts.unknown += 1;
            }
            Err(AppendError::Unavailable(error)) => self.unavailable(error, now),
            Err(AppendError::Unusable(error)) => self.stop_with(Err(Failure::Unusable(error))),
            Err(AppendError::Rejected { index, why }) => {
                self.recovered();
                self.reject(index, why);
            }
        }
    }

    fn set_undecided(&mut self) {
        self.counts.unknown += 1;
        if let Some(batch) = &mut self.batch {
            batch.undecided = true;
        }
    }

    /// Rule 7.
    pub(super) fn settle(&mut self, tail: Tail, now: Timestamp) {
        let Some(batch) = &mut self.batch else { return };
        if tail == self.tail {
            batch.undecided = false;
            // The first time at once; an engine that never answers isn't asked without a rest.
            if let Some(earlier) = self.unknown.checked_sub(1) {
                self.retry = now + backoff(earlier);
            }
            self.unknown = self.unknown.saturating_add(1);
            return;
        }
        match self.stored_by(&tail) {
            Some(count) => self.stored(count, now),
            None => self.lose(now),
        }
    }

    /// How many records of the batch are stored if the log ends with `tail`.
    fn stored_by(&self, tail: &Tail) -> Option<usize> {
        let records = &self.batch.as_ref()?.records;
        let count = usize::try_from(tail.pos.checked_sub(self.tail.pos)?).ok()?;
        let last = records.get(count.checked_sub(1)?)?;
        (last.id == tail.id).then_some(count)
    }

    fn stored(&mut self, count: usize, now: Timestamp) {
        let Some(mut batch) = self.batch.take() else {
            return;
        };
        let Some(last) = batch.records.get(count.wrapping_sub(1)) else {
            return;
        };
        self.counts.stored += count as u64;
        if self.tail.pos == 0 {
            self.first = batch.records.first().and_then(|it| it.id.clone());
        }
        self.tail = Tail {
            pos: self.tail.pos + count as u64,
            id: last.id.clone(),
        };
        self.unknown = 0;
        self.due = now + self.idle_poll();
        if self.state == (State::Writing { proven: false }) {
            self.state = State::Writing { proven: true };
            self.notice(Notice::Active);
        }
        if count < batch.records.len() {
            batch.records = batch.records[count..].into();
            batch.undecided = false;
            self.batch = Some(batch);
        } else if let Some(failure) = batch.then {
            self.stop_with(Err(failure));
        }
    }

    /// Rule 6.
    pub(super) fn lose(&mut self, now: Timestamp) {
        self.counts.conflicts += 1;
        if self.config.no_ids {
            return self.stop_with(Err(Failure::SecondWriter));
        }
        if let Some(failure) = self.ending.take() {
            return self.stop_with(Err(failure));
        }
        self.notice(Notice::Conflict);
        self.missing = Missing::default();
        if let Some(batch) = self.batch.take() {
            for id in batch.records.iter().filter_map(|it| it.id.as_deref()) {
                self.missing.received(id, batch.received);
            }
        }
        for (record, received) in self.buffer.take_all() {
            if let Some(id) = &record.id {
                self.missing.received(id, received);
            }
        }
        self.expected = None;
        self.state = State::Standby;
        self.moved = now;
        self.due = now;
    }
}
