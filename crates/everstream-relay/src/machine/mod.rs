//! The relay as a state machine. Every transition is in this file.
//!
//! ```text
//!             opened               an event is missing from a log that doesn't move
//!   Starting ───────▶ Standby ─────────────────────────────────────▶ Opening
//!                      ▲   ▲          the log has moved                │
//!                      │   └───────────────────────────────────────────┤
//!                      │ conflict                                      │ reconnects from the tail
//!                      └───────────────────────────────── Writing ◀────┘
//! ```
//!
//! The rules:
//!
//! 1. A relay opens the log, follows the feed from the log's tail, and is a standby.
//! 2. A standby stores nothing. It remembers the ids that it received and the log hasn't shown, and polls
//!    the tail. The tail's id, and what was received before it, is stored; so is an event that arrives
//!    after it was seen as the tail. The list of ids is bounded: the age of the oldest one survives it.
//! 3. A standby takes over when an event has been missing for `takeover`, and the log hasn't moved for as
//!    long. A log that wasn't available has that time again, and so has the relay that writes to it.
//! 4. To take over, it opens the log again. If the log has moved, or holds all that was received, it stays
//!    a standby. Otherwise it reconnects to the feed from the tail, because what it received may begin
//!    later. It is active after its first append.
//! 5. Records wait in a bounded buffer. When that is full the feed isn't read. A batch leaves when it is full
//!    or `linger` has passed, and one batch at most is undecided.
//! 6. Every append states the tail that its writer believes in. After a conflict the relay is a standby:
//!    what it hadn't stored is missing (rule 2). Nothing else makes two writers one.
//! 7. After an unknown outcome only the tail decides. It didn't move: the batch is appended again. It is
//!    one of the batch's: the rest is appended. Anything else is a conflict.
//! 8. If the log isn't available, the same command is repeated, after delays that double up to 2 s. So is an append
//!    whose outcome was unknown, and which wasn't stored, from the second time on.
//! 9. A writer with nothing to store polls the tail every `takeover` (`poll`, if that is longer). A tail that it didn't write is a conflict.
//! 10. A log that went back has failed over. What it lost counts as missing from then on (rule 3), so that a
//!     takeover fetches it again from the feed.
//! 11. After the feed connects, events whose ids are among the last `recent` ones are dropped, until the first
//!     one whose id isn't.
//! 12. A record that the log can't store ends the relay, after the records before it are stored. With
//!     `dead_letter` a placeholder with its id takes its place, so that the position to resume from moves on.
//! 13. An event without an id of its own ends the relay, after a writer has stored what came before; so does an
//!     id that no header can carry (RFC 9110, section 5.5). With `no_ids` ids aren't used: the relay writes at once,
//!     never resumes, and a conflict ends it.
//! 14. A feed that no longer knows the tail's id can't be made to send what it dropped. What it sends next is
//!     stored. If that isn't what this relay had received as the next event, it reports a gap.
//! 15. When it is told to stop, it waits for the append on its way, and for nothing else. When the feed has ended
//!     for good, a writer stores what it has, and a standby waits until the log has all, or takes over.

mod buffer;
mod config;
mod missing;
mod output;
mod replays;
mod snapshot;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use everstream_core::Timestamp;

use crate::{AppendError, Held, Record, SinkError, Tail};
use buffer::Buffer;
use missing::Missing;
use replays::Replays;

pub use config::Config;
pub use output::{Command, End, Failure, Notice, Output};
pub use snapshot::{APPEND_BOUNDS, Role, Snapshot};

/// The event type of placeholders for records that the log can't store.
///
/// ```
/// assert_eq!(everstream_relay::DEAD_LETTER, "everstream-dead-letter");
/// ```
pub const DEAD_LETTER: &str = "everstream-dead-letter";

/// The first and the longest delay of rule 8.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The relay, without any I/O.
///
/// The driver tells it what happened (`handle_*`), asks what to do ([`poll_output`]), and always says
/// what time it is. Most programs use a `Relay`, which is a driver.
///
/// ```
/// use everstream_core::Timestamp;
/// use everstream_relay::{Command, Config, Held, Machine, Output, Role, Tail};
///
/// let now = Timestamp::default();
/// let mut machine = Machine::new(Config::default());
/// let Output::Sink(Command::Open { .. }) = machine.poll_output(now) else { panic!() };
///
/// let tail = Tail { pos: 7, id: Some("e7".into()) };
/// machine.handle_opened(Ok(Held::new(tail, vec!["e7".into()], None)), now);
/// assert!(matches!(machine.poll_output(now), Output::Notice(_)));
/// let Output::Connect { last_event_id } = machine.poll_output(now) else { panic!() };
/// assert_eq!(last_event_id.as_deref(), Some("e7"));
/// assert_eq!(machine.role(), Role::Standby);
/// ```
///
/// [`poll_output`]: Machine::poll_output
pub struct Machine {
    config: Config,
    state: State,
    outputs: VecDeque<Output>,
    /// The command whose result hasn't been reported.
    running: Option<Running>,
    /// When the next command is due, if its state has one.
    due: Timestamp,
    /// The batch isn't tried again before.
    retry: Timestamp,
    /// How often in a row the log wasn't available.
    failures: u32,
    /// How often in a row the outcome was unknown, and nothing was stored.
    unknown: u32,
    tail: Tail,
    /// When the tail moved last, as far as a standby knows.
    moved: Timestamp,
    largest: Option<usize>,
    replays: Replays,
    /// Of a standby.
    missing: Missing,
    /// Of a writer: received and not part of a batch.
    buffer: Buffer,
    /// Of a writer: not stored.
    batch: Option<Batch>,
    /// The id that should follow the tail after a takeover.
    expected: Option<String>,
    /// What the relay ends with when all that it received before is stored.
    ending: Option<Failure>,
    /// The feed that is connected is no longer the one to follow.
    reconnecting: bool,
    feed_ended: bool,
    stopping: bool,
    counts: Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Standby,
    Opening,
    Writing { proven: bool },
    Stopped,
}

#[derive(Debug)]
enum Running {
    Open,
    Tail,
    Append { since: Timestamp },
}

#[derive(Debug)]
struct Batch {
    records: Arc<[Record]>,
    /// When its first record was received.
    received: Timestamp,
    /// Only the tail tells whether it is stored.
    undecided: bool,
    /// What the relay ends with when it is stored.
    then: Option<Failure>,
}

impl Machine {
    /// A relay that hasn't opened its log: rule 1.
    ///
    /// ```
    /// # use everstream_relay::{Config, Machine, Role};
    /// assert_eq!(Machine::new(Config::default()).role(), Role::Standby);
    /// ```
    pub fn new(config: Config) -> Machine {
        Machine {
            config,
            state: State::Starting,
            outputs: VecDeque::new(),
            running: None,
            due: Timestamp::default(),
            retry: Timestamp::default(),
            failures: 0,
            unknown: 0,
            tail: Tail::default(),
            moved: Timestamp::default(),
            largest: None,
            replays: Replays::default(),
            missing: Missing::default(),
            buffer: Buffer::default(),
            batch: None,
            expected: None,
            ending: None,
            reconnecting: false,
            feed_ended: false,
            stopping: false,
            counts: Snapshot::default(),
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self, now: Timestamp) -> Output {
        if self.running.is_none() && self.state != State::Stopped {
            if self.stopping {
                self.stop_with(Ok(End::Stopped));
            } else if self.outputs.is_empty() {
                self.decide(now);
            }
        }
        if let Some(output) = self.outputs.pop_front() {
            self.reconnecting &= !matches!(output, Output::Connect { .. });
            return output;
        }
        Output::Wait {
            until: self.wake(),
            read: self.reads(),
        }
    }

    /// Begins the command that is due, if one is.
    fn decide(&mut self, now: Timestamp) {
        let command = match self.state {
            State::Starting | State::Opening if now >= self.due => Command::Open {
                recent: self.config.recent,
            },
            State::Standby if self.feed_ended && self.missing.oldest().is_none() => {
                return self.stop_with(Ok(End::FeedEnded));
            }
            State::Standby if now >= self.due => Command::Tail,
            State::Writing { .. } => match self.next_write(now) {
                Some(command) => command,
                None => return,
            },
            State::Starting | State::Opening | State::Standby | State::Stopped => return,
        };
        self.running = Some(match command {
            Command::Open { .. } => Running::Open,
            Command::Tail => Running::Tail,
            Command::Append { .. } => Running::Append { since: now },
        });
        self.outputs.push_back(Output::Sink(command));
    }

    /// Rules 5 to 9.
    fn next_write(&mut self, now: Timestamp) -> Option<Command> {
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

    /// When to be polled again.
    fn wake(&self) -> Option<Timestamp> {
        if self.running.is_some() {
            return None;
        }
        match self.state {
            State::Stopped => None,
            State::Writing { .. } => match &self.batch {
                Some(_) => Some(self.retry),
                None => Some(self.buffer.due(&self.config).unwrap_or(self.due)),
            },
            _ => Some(self.due),
        }
    }

    /// Rule 5.
    fn reads(&self) -> bool {
        let room = match self.state {
            State::Starting | State::Stopped => false,
            State::Standby | State::Opening => true,
            State::Writing { .. } => self.buffer.has_room(&self.config),
        };
        room && !self.stopping && !self.feed_ended
    }

    /// [`Command::Open`] has ended.
    pub fn handle_opened(&mut self, result: Result<Held, SinkError>, now: Timestamp) {
        self.running = None;
        let held = match self.answer(result, now) {
            Ok(held) => held,
            Err(retried) => {
                if retried && self.state == State::Opening {
                    self.state = State::Standby;
                }
                return;
            }
        };
        self.due = now;
        self.largest = held.max_record_bytes;
        match self.state {
            State::Starting => {
                self.tail = held.tail;
                self.moved = now;
                self.notice(Notice::Opened(self.tail.clone()));
                if self.config.no_ids {
                    return self.write(held.recent, now);
                }
                self.replays = Replays::new(self.config.recent, held.recent);
                self.missing = Missing::from_tail();
                self.state = State::Standby;
                self.connect(self.tail.id.clone());
            }
            State::Opening if held.tail == self.tail && !self.missing.is_stored(&held.recent) => {
                self.expected = std::mem::take(&mut self.missing).into_next();
                self.write(held.recent, now);
            }
            State::Opening => {
                self.state = State::Standby;
                self.notice(Notice::NotNeeded);
                if self.missing.is_stored(&held.recent) {
                    self.missing = Missing::default();
                }
                self.observe(held.tail, now);
            }
            _ => {}
        }
    }

    /// Rule 4: from here on, what the feed sends is stored.
    fn write(&mut self, recent: Vec<String>, now: Timestamp) {
        self.replays = Replays::new(self.config.recent, recent);
        self.unknown = 0;
        self.state = State::Writing { proven: false };
        self.due = now + self.idle_poll();
        let id = self.tail.id.clone();
        self.connect(id.filter(|_| !self.config.no_ids));
    }

    fn connect(&mut self, last_event_id: Option<String>) {
        self.feed_ended = false;
        self.reconnecting = true;
        self.outputs.push_back(Output::Connect { last_event_id });
    }

    /// [`Command::Tail`] has ended.
    pub fn handle_tail(&mut self, result: Result<Tail, SinkError>, now: Timestamp) {
        self.running = None;
        let was_away = self.failures > 0;
        let Ok(tail) = self.answer(result, now) else {
            return;
        };
        match (self.state, &self.batch) {
            (State::Standby, _) => {
                if was_away {
                    self.moved = now; // rule 3
                }
                self.due = now + self.config.poll;
                self.observe(tail, now);
            }
            (State::Writing { .. }, Some(batch)) if batch.undecided => self.settle(tail, now),
            (State::Writing { .. }, _) if tail != self.tail => self.lose(now),
            (State::Writing { .. }, _) => self.due = now + self.idle_poll(),
            _ => {}
        }
    }

    /// Rules 2, 3 and 10.
    fn observe(&mut self, tail: Tail, now: Timestamp) {
        if tail.pos < self.tail.pos {
            self.missing.went_back(self.tail.pos, now);
            self.notice(Notice::WentBack {
                from: self.tail.clone(),
                to: tail.clone(),
            });
        }
        self.missing.shown(tail.pos, tail.id.as_deref());
        if tail != self.tail {
            self.moved = now;
            self.tail = tail;
        }
        let late = |since: Timestamp| now >= since + self.config.takeover;
        if self.missing.oldest().is_some_and(late) && late(self.moved) {
            self.state = State::Opening;
            self.due = now;
            self.notice(Notice::TakingOver);
        }
    }

    /// Rule 9.
    fn idle_poll(&self) -> Duration {
        self.config.takeover.max(self.config.poll)
    }

    /// Rule 7.
    fn settle(&mut self, tail: Tail, now: Timestamp) {
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
    fn lose(&mut self, now: Timestamp) {
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

    /// What the log answered, or whether it is asked again.
    fn answer<T>(&mut self, result: Result<T, SinkError>, now: Timestamp) -> Result<T, bool> {
        match result {
            Ok(answer) => {
                self.recovered();
                Ok(answer)
            }
            Err(SinkError::Unavailable(error)) => {
                self.unavailable(error, now);
                Err(true)
            }
            Err(SinkError::Unusable(error)) => {
                self.stop_with(Err(Failure::Unusable(error)));
                Err(false)
            }
        }
    }

    /// Rule 8.
    fn unavailable(&mut self, error: Box<dyn Error + Send + Sync>, now: Timestamp) {
        self.due = now + backoff(self.failures);
        self.retry = self.due;
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            self.notice(Notice::Unavailable(error));
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.notice(Notice::Available);
        }
    }

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

    /// Ends the relay: rule 15. [`poll_output`](Self::poll_output) says when.
    pub fn stop(&mut self) {
        self.stopping = true;
        // Reading ends nothing.
        if !matches!(self.running, Some(Running::Append { .. })) {
            self.running = None;
        }
    }

    fn stop_with(&mut self, result: Result<End, Failure>) {
        self.counts.role = self.role();
        self.state = State::Stopped;
        self.outputs.push_back(Output::Stop(result));
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    /// What the relay is at the moment, or was when it ended.
    pub fn role(&self) -> Role {
        match self.state {
            State::Writing { proven: true } => Role::Active,
            State::Writing { proven: false } | State::Opening => Role::TakingOver,
            State::Starting | State::Standby => Role::Standby,
            State::Stopped => self.counts.role,
        }
    }

    /// Its state and its counts.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let batch = self.batch.as_ref();
        let oldest = batch.map(|batch| batch.received);
        let oldest = oldest.or(self.buffer.oldest()).or(self.missing.oldest());
        Snapshot {
            role: self.role(),
            tail: self.tail.clone(),
            waiting: self.buffer.len() + batch.map_or(0, |batch| batch.records.len()),
            lag: oldest.map(|oldest| now - oldest),
            available: self.failures == 0 && self.state != State::Starting,
            ..self.counts.clone()
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("state", &self.state)
            .field("tail", &self.tail)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// How long to wait before the next attempt: rule 8.
fn backoff(earlier: u32) -> Duration {
    let (first, longest) = RETRY_DELAYS;
    first.saturating_mul(1 << earlier.min(8)).min(longest)
}

/// What is stored instead of a record that the log can't store: any log can store this.
fn placeholder(record: &Record, why: &str) -> Record {
    let printable = |it: &char| it.is_ascii_graphic() || *it == ' ';
    let why: String = why.chars().filter(printable).take(200).collect();
    let data = format!("not stored: {why} ({} bytes)", record.data.len());
    Record::new(record.id.clone(), DEAD_LETTER, data, record.received_at)
}
