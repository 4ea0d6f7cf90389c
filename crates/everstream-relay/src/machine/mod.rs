//! The relay as a state machine. Every transition is in this file, but for those of a writer, in `writer.rs`, and what
//! the feed does, in `feed.rs`.
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
//! An empty log is opened for writing: from Starting to Writing.
//!
//! The rules:
//!
//! 1. A relay opens the log, follows the feed from the log's tail, and is a standby. If the log is empty, it is a
//!    writer at once: without an id to resume after, the feed may start with its next event, and could never send
//!    again what a standby had received. Of several writers, the first to append starts the log (rule 6).
//! 2. A standby stores nothing. It remembers the ids that it received and the log hasn't shown, and polls
//!    the tail. The tail's id, and what was received before it, is stored; so is an event that arrives
//!    after it was seen as the tail. The list of ids is bounded: the age of the oldest one survives it. A standby
//!    that has no id to resume after, because the log was empty and it received nothing, reconnects from the tail once
//!    that has one: without an id, the feed may continue with its next event.
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
//!    whose outcome was unknown, and which wasn't stored, from the second time on. A log that can't be used until
//!    somebody changes something ends the relay.
//! 9. A writer with nothing to store polls the tail every `takeover` (`poll`, if that is longer). A tail that it didn't write is a conflict.
//! 10. A log that went back has failed over. What it lost counts as missing from then on (rule 3), so that a
//!     takeover fetches it again from the feed.
//! 11. After the feed connects, events whose ids are among the last `recent` ones are dropped, until the first
//!     one whose id isn't.
//! 12. A record that the log can't store ends the relay, after the records before it are stored. With
//!     `dead_letter` a placeholder with its id takes its place, so that the position to resume from moves on.
//! 13. An event without its own id ends the relay, after a writer has stored the events before it; so does an
//!     id that no header can carry (RFC 9110, section 5.5). With `no_ids` ids aren't used: the relay writes at once,
//!     never resumes, and a conflict ends it.
//! 14. A feed that no longer knows the tail's id can't be made to send what it dropped. What it sends next is
//!     stored. If that isn't what this relay had received as the next event, it reports a gap; so it does if the
//!     log lost everything, and then starts with another id than the one this relay had started it with. A log that has a
//!     position but no id, because its last record was removed, can't be resumed after: a takeover reports that too.
//! 15. When it is told to stop, it waits for the append on its way, and for nothing else. When the feed has ended
//!     for good, a writer stores what it has, and a standby waits until the log has all, or takes over.

mod buffer;
mod config;
mod feed;
mod missing;
mod output;
mod replays;
mod snapshot;
mod state;
mod writer;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use everstream_core::Timestamp;

use crate::{Held, SinkError, Tail};
use buffer::Buffer;
use missing::Missing;
use replays::Replays;
use state::{Batch, Running, State, backoff};

pub use config::Config;
pub use output::{Command, End, Failure, Notice, Output};
pub use snapshot::{APPEND_BOUNDS, Role, Snapshot};

/// The event type of placeholders for records that the log can't store.
///
/// ```
/// assert_eq!(everstream_relay::DEAD_LETTER, "everstream-dead-letter");
/// ```
pub const DEAD_LETTER: &str = "everstream-dead-letter";

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
    /// The id that this relay started the log with.
    first: Option<String>,
    /// What the relay ends with when all that it received before is stored.
    ending: Option<Failure>,
    /// The feed that is connected is no longer the one to follow.
    reconnecting: bool,
    /// A reconnect has an id to resume after.
    resumes: bool,
    feed_ended: bool,
    stopping: bool,
    counts: Snapshot,
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
            first: None,
            ending: None,
            reconnecting: false,
            resumes: false,
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
                if self.config.no_ids || self.tail == Tail::default() {
                    return self.write(held.recent, now);
                }
                self.replays = Replays::new(self.config.recent, held.recent);
                self.missing = Missing::from_tail();
                self.state = State::Standby;
                self.connect(self.tail.id.clone());
            }
            State::Opening if held.tail == self.tail && !self.missing.is_stored(&held.recent) => {
                let next = std::mem::take(&mut self.missing).into_next();
                // Rule 14: a log that lost everything has to start again as it did before.
                let first = || self.first.clone().filter(|_| self.tail.pos == 0);
                self.expected = next.or_else(first);
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
        let id = self.tail.id.clone().filter(|_| !self.config.no_ids);
        if id.is_none() && self.tail.pos > 0 && !self.config.no_ids {
            let pos = self.tail.pos; // rule 14
            self.notice(Notice::NoLastId { pos });
        }
        self.connect(id);
    }

    fn connect(&mut self, last_event_id: Option<String>) {
        self.feed_ended = false;
        self.reconnecting = true;
        self.resumes = last_event_id.is_some();
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
        if !self.resumes && self.tail.id.is_some() {
            self.connect(self.tail.id.clone()); // rule 2
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
