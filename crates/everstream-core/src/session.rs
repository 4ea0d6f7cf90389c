//! The connection's state machine. Every transition is in this file.
//!
//! ```text
//!            start, read                    handle_connected
//!   Idle ─────────────────▶ Waiting ─▶ Connecting ─────────────▶ Open
//!    ▲                         ▲            │ fault               │ end, fault,
//!    │ Fail                    │ Continue   ▼                     ▼ interrupt
//!    └─────────────────────────┴──────── the ErrorStrategy is asked
//!
//!   close(), in any state ─▶ Closed
//! ```

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::action::{Action, End, Start};
use crate::config::{SessionConfig, Settings};
use crate::decoder::Decoder;
use crate::event::Event;
use crate::fault::Fault;
use crate::item::{Item, TooLarge};
use crate::output::{Ending, Output};
use crate::repetition::Repetition;
use crate::schedule::{Loss, Schedule};
use crate::strategy::error::Verdict;
use crate::time::Timestamp;

/// One logical stream over any number of connections, without any I/O.
///
/// The driver reports what happened (`handle_*`), asks what to do next ([`poll_output`]), and passes the
/// current time to both. Chunks are decoded as their events are taken, so events are never queued.
///
/// ```
/// use everstream_core::{Action, Ending, Output, Session, SessionConfig, Start, Timestamp};
///
/// let now = Timestamp::default();
/// let mut session = Session::new(SessionConfig::default());
/// session.start();
/// assert!(matches!(session.poll_output(now), Output::Connect { .. }));
/// assert_eq!(session.last_event_id(), None);
///
/// session.handle_connected(Start::default(), now);
/// assert!(matches!(session.poll_output(now), Output::Action(Action::Start(_))));
/// assert!(matches!(session.poll_output(now), Output::Read { deadline: None }));
///
/// session.handle_data(b"id: 7\ndata: hello\n\n".to_vec(), now);
/// let Output::Action(Action::Event(event)) = session.poll_output(now) else { panic!() };
/// assert_eq!(event.data(), "hello");
///
/// session.handle_end(Ending::Complete, now);
/// assert!(matches!(session.poll_output(now), Output::Action(Action::End(_))));
/// let Output::Wait { until } = session.poll_output(now) else { panic!() };
/// assert!(matches!(session.poll_output(until), Output::Connect { .. }));
/// assert_eq!(session.last_event_id(), Some("7")); // where to resume
/// ```
///
/// [`poll_output`]: Session::poll_output
pub struct Session<B = Vec<u8>> {
    config: Settings,
    decoder: Decoder,
    state: State,
    /// Returned before anything else: at most a fault and what follows it.
    outputs: VecDeque<Output>,

    // The connection, if there is one.
    /// The chunk that is being decoded.
    chunk: Option<B>,
    /// How many bytes of `chunk` are decoded.
    decoded: usize,
    /// Chunks that arrived before the session asked for them; nearly always empty.
    queued_chunks: VecDeque<B>,
    /// How and when the connection ended, until its last chunk is decoded.
    pending_end: Option<(Option<Fault>, Timestamp)>,
    /// Whether the framing proves that the body is complete; `None` after a fault or an interruption.
    ending: Option<Ending>,
    last_byte: Timestamp,
    /// When the current wait for data began.
    reading_since: Option<Timestamp>,

    // State that outlives a connection.
    /// The end of the last connection, until it is reported.
    unreported_end: End,
    schedule: Schedule,
    attempts: u32,
    repetition: Repetition,
    /// The user has asked for the next connection before the end of this one was reported.
    restart_pending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not started, or stopped.
    Idle,
    /// Until the time that the schedule says.
    Waiting,
    Connecting,
    Open,
    Closed,
}

impl<B: AsRef<[u8]>> Session<B> {
    /// Creates an inactive session: it connects after [`start`](Self::start) or [`read`](Self::read).
    ///
    /// `B` is the type of a chunk. Each chunk is dropped as soon as it is decoded.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert!(!session.is_active());
    /// ```
    pub fn new(mut config: SessionConfig) -> Self {
        config.retry_delay_strategy.seed(config.seed);
        let mut decoder = Decoder::with_limit(config.max_event_size, config.oversize);
        decoder.set_last_event_id(config.last_event_id.as_deref());
        let schedule = Schedule::new(config.initial_retry_delay);
        Session {
            config: config.into(),
            decoder,
            state: State::Idle,
            outputs: VecDeque::new(),
            chunk: None,
            decoded: 0,
            queued_chunks: VecDeque::new(),
            pending_end: None,
            ending: None,
            last_byte: Timestamp::default(),
            reading_since: None,
            unreported_end: End::default(),
            schedule,
            attempts: 0,
            repetition: Repetition::default(),
            restart_pending: false,
        }
    }

    /// Makes an inactive session connect, once the pending delay has passed.
    ///
    /// Unlike [`read`](Self::read), this is an explicit request for a connection, so it also repeats a
    /// request that isn't safe to repeat. If a connection has ended without a fault, and that wasn't
    /// reported yet, the session reconnects after reporting it, whatever the error strategy says.
    /// Otherwise an active session ignores the call.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// session.start();
    /// assert!(matches!(session.poll_output(Default::default()), Output::Connect { .. }));
    /// ```
    pub fn start(&mut self) {
        if self.state != State::Idle {
            self.restart_pending = self.pending_end.is_some();
            return;
        }
        // The end of the previous iteration needn't be reported any more. A fault must be.
        if let Some(Output::Stop(Ok(()))) = self.outputs.back() {
            self.outputs.pop_back();
        }
        if !matches!(self.outputs.back(), Some(Output::Stop(_))) {
            self.state = State::Waiting;
            self.restart_requested();
        }
    }

    /// The user asked for another connection.
    fn restart_requested(&mut self) {
        let last_event_id = self.decoder.last_event_id();
        self.repetition
            .restart_requested(&self.config, last_event_id);
    }

    /// The user begins to read: an inactive session connects, unless the stream is complete or the
    /// request must not be repeated ([`SessionConfig::repeatable`]).
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// session.read();
    /// assert!(session.is_active());
    /// ```
    pub fn read(&mut self) {
        // The current iteration has to end first.
        if self.state == State::Idle && self.outputs.is_empty() && !self.repetition.is_finished() {
            self.state = State::Waiting;
        }
    }

    /// Returns what to do next.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// // Nothing was started.
    /// assert!(matches!(session.poll_output(Default::default()), Output::Stop(Ok(()))));
    /// ```
    pub fn poll_output(&mut self, now: Timestamp) -> Output {
        self.poll_output_with(|| now)
    }

    /// [`poll_output`](Self::poll_output) for a driver whose clock is slow to read: the clock is read
    /// only if the result depends on it.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// let output = session.poll_output_with(|| unreachable!("nothing was started"));
    /// assert!(matches!(output, Output::Stop(Ok(()))));
    /// ```
    #[doc(hidden)]
    pub fn poll_output_with(&mut self, mut clock: impl FnMut() -> Timestamp) -> Output {
        loop {
            if let Some(action) = self.poll_action() {
                return Output::Action(action);
            }
            if let Some(output) = self.next_output() {
                return output;
            }
            if self.pending_end.is_some() {
                if let Some(event) = self.dispatch_unfinished() {
                    return Output::Action(Action::Event(event));
                }
            }
            if let Some((fault, at)) = self.pending_end.take() {
                self.disconnected(fault, at);
                continue;
            }
            match self.state {
                State::Idle | State::Closed => return Output::Stop(Ok(())),
                State::Waiting if clock() < self.schedule.due() => {
                    return Output::Wait {
                        until: self.schedule.due(),
                    };
                }
                State::Waiting => {
                    self.state = State::Connecting;
                    self.attempts = self.attempts.saturating_add(1);
                }
                State::Connecting => {
                    let last_event_id = self.decoder.last_event_id();
                    return Output::Connect {
                        resume_with_get: self.repetition.resumes(&self.config, last_event_id),
                    };
                }
                State::Open => {
                    // Rule 12.
                    let deadline = self.config.read_timeout.map(|limit| {
                        let since = *self.reading_since.get_or_insert_with(&mut clock);
                        since.max(self.last_byte) + limit
                    });
                    return Output::Read { deadline };
                }
            }
        }
    }

    /// Returns an action that is ready regardless of the time, so that a driver needn't read its clock
    /// for every event. `None`: call [`poll_output`](Self::poll_output).
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// assert!(session.poll_action().is_none());
    /// ```
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(event) = self.poll_event() {
            return Some(Action::Event(event));
        }
        match self.outputs.front() {
            None => self.decode(),
            Some(Output::Action(_)) => match self.next_output() {
                Some(Output::Action(action)) => Some(action),
                _ => None,
            },
            Some(_) => None,
        }
    }

    /// The fast path of [`poll_action`](Self::poll_action): the next event, if it is contained in one
    /// chunk. After `None` there may still be an event: call `poll_action`.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// session.handle_data(b"data: a\n\n: or\ndata: b\n\n".to_vec(), now);
    /// assert_eq!(session.poll_event().unwrap().data(), "a");
    /// assert!(session.poll_event().is_none());
    /// assert!(session.poll_action().is_some()); // a comment
    /// assert_eq!(session.poll_event().unwrap().data(), "b");
    /// ```
    // Inlined with everything it calls, so that the event reaches the user in registers. Not in a browser,
    // where the size counts for more.
    #[doc(hidden)]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn poll_event(&mut self) -> Option<Event> {
        if !self.outputs.is_empty() || self.config.until.is_some() {
            return None;
        }
        let chunk = self.chunk.as_ref()?.as_ref();
        let mut rest = chunk.get(self.decoded..)?;
        let event = self.decoder.whole_event(&mut rest);
        self.decoded = chunk.len() - rest.len();
        let event = event?;
        if rest.is_empty() {
            self.next_chunk();
        }
        self.repetition.received(event.has_own_id());
        self.schedule.delivered();
        self.reading_since = None;
        Some(event)
    }

    fn next_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        if self.outputs.is_empty() {
            // There are no more until the connection ends.
            self.outputs.shrink_to_fit();
        }
        Some(output)
    }

    /// The next action in the chunks.
    fn decode(&mut self) -> Option<Action> {
        loop {
            let chunk = self.chunk.as_ref()?.as_ref();
            let mut rest = chunk.get(self.decoded..).unwrap_or_default();
            let item = self.decoder.decode_owned(&mut rest);
            self.decoded = chunk.len() - rest.len();
            if rest.is_empty() {
                self.next_chunk();
            }
            match item {
                Ok(Some(Item::Event(event))) => return self.deliver(event).map(Action::Event),
                Ok(Some(Item::Comment(text))) => {
                    self.schedule.delivered();
                    self.reading_since = None;
                    return Some(Action::Comment(text));
                }
                Ok(Some(Item::Retry(delay))) => {
                    self.schedule.retry_received(&mut self.config, delay);
                }
                Ok(Some(Item::Id)) => {
                    self.repetition.received(true);
                    self.schedule.delivered();
                }
                Ok(Some(Item::Skipped)) => self.repetition.received(self.decoder.has_skipped_id()),
                Ok(None) => {}
                Err(error) => self.too_large(error),
            }
        }
    }

    /// `None` if it completes the stream.
    fn deliver(&mut self, event: Event) -> Option<Event> {
        self.repetition.received(event.has_own_id());
        self.schedule.delivered();
        self.reading_since = None;
        let until = self.config.until.as_mut();
        if until.is_some_and(|until| until(&event)) {
            self.complete();
            return None;
        }
        Some(event)
    }

    fn too_large(&mut self, error: TooLarge) {
        self.clear_chunks();
        // The event arrived before whatever else ended the connection.
        let at = self.pending_end.take().map_or(self.last_byte, |(_, at)| at);
        self.pending_end = Some((Some(Fault::TooLarge(error)), at));
        self.ending = None;
    }

    /// All chunks are decoded. Dispatches the last event without its blank line, if the user wants that
    /// and the body is complete.
    fn dispatch_unfinished(&mut self) -> Option<Event> {
        if !self.config.dispatch_unfinished || self.ending != Some(Ending::Complete) {
            return None;
        }
        match self.decoder.dispatch_unfinished() {
            Ok(Some(Item::Event(event))) => return self.deliver(event),
            Ok(Some(Item::Id)) => {
                self.repetition.received(true);
                self.schedule.delivered();
            }
            Ok(_) => self.repetition.received(self.decoder.has_skipped_id()),
            Err(error) => self.too_large(error),
        }
        None
    }

    /// The last event of a one-shot stream arrived.
    fn complete(&mut self) {
        self.drop_connection();
        self.state = State::Idle;
        self.repetition.completed();
        self.schedule.completed();
        // The user had asked for the next connection before this event was decoded.
        if core::mem::take(&mut self.restart_pending) {
            self.state = State::Waiting;
            self.restart_requested();
            self.push_end();
        }
    }

    /// Changes [`SessionConfig::repeatable`]. If requests differ in that, call this before
    /// [`handle_connected`](Self::handle_connected) or [`handle_fault`](Self::handle_fault).
    ///
    /// ```
    /// # use everstream_core::{Ending, Output, Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// session.set_repeatable(false); // it was a POST
    /// session.handle_connected(Start::default(), now);
    /// session.handle_end(Ending::Complete, now);
    /// # session.poll_output(now);
    /// # session.poll_output(now);
    /// assert!(matches!(session.poll_output(now), Output::Stop(Ok(()))));
    /// ```
    pub fn set_repeatable(&mut self, repeatable: bool) {
        self.config.repeatable = repeatable;
    }

    /// Reports that the connection was established.
    ///
    /// ```
    /// # use everstream_core::{Action, Output, Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// session.handle_connected(Start::default(), now);
    /// let Output::Action(Action::Start(start)) = session.poll_output(now) else { panic!() };
    /// assert_eq!(start.attempt, 1);
    /// ```
    pub fn handle_connected(&mut self, mut start: Start, now: Timestamp) {
        if self.state != State::Connecting {
            return;
        }
        start.attempt = core::mem::take(&mut self.attempts);
        self.state = State::Open;
        self.ending = None;
        self.schedule.connected(now, self.decoder.last_event_id());
        self.last_byte = now;
        self.reading_since = None;
        self.repetition.request_sent(&self.config);
        // Rule 4.
        self.config.error_strategy.reset();
        self.outputs
            .push_back(Output::Action(Action::Start(Box::new(start))));
    }

    /// Reports received bytes. Call this after [`Output::Read`], so that at most one chunk is buffered.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// session.handle_data(b"data: hello\n\n".to_vec(), now);
    /// ```
    pub fn handle_data(&mut self, bytes: B, now: Timestamp) {
        if self.state == State::Open && self.pending_end.is_none() {
            self.last_byte = now;
            match self.chunk {
                None => self.chunk = Some(bytes),
                Some(_) => self.queued_chunks.push_back(bytes),
            }
        }
    }

    /// Reports that the server ended the connection cleanly. Data received before is delivered first.
    ///
    /// ```
    /// # use everstream_core::{Action, Ending, Output, Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// session.handle_end(Ending::Complete, now);
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::End(_))));
    /// ```
    pub fn handle_end(&mut self, ending: Ending, now: Timestamp) {
        let is_first = self.pending_end.is_none();
        self.end_connection(None, now);
        if is_first && self.pending_end.is_some() {
            self.ending = Some(ending);
        }
    }

    /// Reports that the connection broke or could not be made. Data received before is delivered first.
    ///
    /// ```
    /// # use everstream_core::{Action, Fault, Output, Session, SessionConfig};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// session.handle_fault(Fault::Connect("refused".into()), now);
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::Fault(_))));
    /// ```
    pub fn handle_fault(&mut self, fault: Fault, now: Timestamp) {
        self.end_connection(Some(fault), now);
    }

    /// Reports that time has passed. If the deadline of [`Output::Read`] has passed, the connection ends
    /// with [`Fault::ReadTimeout`].
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig, Start};
    /// # use std::time::Duration;
    /// # let now = Default::default();
    /// let mut config = SessionConfig::default();
    /// config.read_timeout = Some(Duration::from_secs(60));
    /// # let mut session: Session = Session::new(config);
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// let Output::Read { deadline: Some(deadline) } = session.poll_output(now) else { panic!() };
    /// session.handle_timeout(deadline); // the connection has ended
    /// assert!(matches!(session.poll_output(deadline), Output::Action(_)));
    /// ```
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let (Some(limit), Some(since)) = (self.config.read_timeout, self.reading_since) else {
            return;
        };
        if self.state == State::Open
            && self.chunk.is_none()
            && now >= since.max(self.last_byte) + limit
        {
            self.end_connection(Some(Fault::ReadTimeout(limit)), now);
        }
    }

    /// Drops the connection or the attempt, as if the server had ended it. While waiting to reconnect,
    /// the error strategy decides whether the wait continues. Does nothing if the session is inactive or
    /// the connection has already ended.
    ///
    /// [`next_retry_delay`](Self::next_retry_delay) is updated at once. It grows later if received bytes
    /// that aren't decoded yet contain a longer `retry:`.
    ///
    /// ```
    /// # use everstream_core::{Action, Output, Session, SessionConfig};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// session.start();
    /// session.interrupt(now);
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::End(_))));
    /// ```
    pub fn interrupt(&mut self, now: Timestamp) {
        match self.state {
            State::Idle | State::Closed => {}
            State::Connecting | State::Open => {
                let is_first = self.pending_end.is_none();
                self.end_connection(None, now);
                if is_first {
                    let was_open = self.state == State::Open;
                    let loss = Loss {
                        at: now,
                        was_open,
                        clean_end: false,
                        retry_after: None,
                        last_event_id: self.decoder.last_event_id(),
                    };
                    self.schedule.interrupted(&mut self.config, &loss);
                }
            }
            // The due time stays the same, but the waiting reader is notified. If a fault is pending,
            // that is what it gets.
            State::Waiting if self.outputs.is_empty() => {
                self.unreported_end = End::default();
                self.schedule.wait_interrupted(now);
                self.decide(None, now);
            }
            State::Waiting => {}
        }
    }

    /// Closes the session for good: it doesn't reconnect, and returns no more actions.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// session.close();
    /// session.start();
    /// assert!(matches!(session.poll_output(now), Output::Stop(Ok(()))));
    /// ```
    pub fn close(&mut self) {
        self.drop_connection();
        self.outputs.clear();
        self.state = State::Closed;
    }

    /// Whether there is a connection.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert!(!session.is_connected());
    /// ```
    pub fn is_connected(&self) -> bool {
        self.state == State::Open && self.pending_end.is_none()
    }

    /// When the last byte of this connection arrived (comments count), or when the connection was
    /// established if there was none yet. `None` without a connection.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert_eq!(session.last_byte(), None);
    /// ```
    pub fn last_byte(&self) -> Option<Timestamp> {
        self.is_connected().then_some(self.last_byte)
    }

    /// Whether the session is connected, connecting or waiting to connect.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// session.start();
    /// assert!(session.is_active());
    /// ```
    pub fn is_active(&self) -> bool {
        !matches!(self.state, State::Idle | State::Closed)
    }

    /// The id to resume from: the newest one among the delivered events and the blocks without data
    /// before and between them, or the preset one.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let mut config = SessionConfig::default();
    /// config.last_event_id = Some("41".into());
    /// let session: Session = Session::new(config);
    /// assert_eq!(session.last_event_id(), Some("41"));
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// Whether the stream ended although the error strategy would continue, because the request isn't
    /// safe to repeat and the server may have acted on it.
    ///
    /// ```
    /// # use everstream_core::{Fault, Output, Session, SessionConfig};
    /// # let now = Default::default();
    /// let mut config = SessionConfig::default();
    /// config.repeatable = false;
    /// let mut session: Session = Session::new(config);
    /// session.start();
    /// session.poll_output(now);
    /// session.handle_fault(Fault::Request("no response".into()), now);
    /// assert!(matches!(session.poll_output(now), Output::Stop(Err(Fault::Request(_)))));
    /// assert!(session.is_not_repeated());
    /// ```
    pub fn is_not_repeated(&self) -> bool {
        self.repetition.is_not_repeated()
    }

    /// The delay before the next connection, counted from the end of the last one. Zero before the first
    /// end.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert_eq!(session.next_retry_delay(), std::time::Duration::ZERO);
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.schedule.next_retry_delay()
    }

    /// The connection, or the attempt, has ended. Its bytes may not all be decoded yet.
    fn end_connection(&mut self, fault: Option<Fault>, now: Timestamp) {
        if !matches!(self.state, State::Connecting | State::Open) || self.pending_end.is_some() {
            return;
        }
        if !fault.as_ref().is_some_and(Fault::is_before_request) {
            self.repetition.request_sent(&self.config);
        }
        self.pending_end = Some((fault, now));
    }

    /// The connection has ended, and all of its bytes are decoded.
    fn disconnected(&mut self, fault: Option<Fault>, at: Timestamp) {
        let was_open = self.state == State::Open;
        let ending = self.ending.take();
        self.unreported_end = End::default();
        if ending.is_some() {
            self.unreported_end.discarded_bytes = self.decoder.unfinished_bytes();
            self.unreported_end.ignored_text = self.decoder.ignored_text();
        }
        self.drop_connection();
        // Rule 11. Before the strategies, which are user code and may panic.
        let last_event_id = self.decoder.last_event_id();
        self.repetition
            .disconnected(&self.config, last_event_id, was_open, fault.as_ref());
        self.state = State::Idle;
        // Rules 4, 5 and 6.
        let loss = Loss {
            at,
            was_open,
            clean_end: ending == Some(Ending::Complete),
            retry_after: fault.as_ref().and_then(Fault::retry_after),
            last_event_id,
        };
        self.schedule.lost(&mut self.config, &loss);

        // Even if a strategy panics, a finished stream stays finished.
        if !self.repetition.is_finished() {
            self.state = State::Waiting;
        }
        self.decide(fault, at);
    }

    /// Rule 2.
    fn decide(&mut self, fault: Option<Fault>, now: Timestamp) {
        let verdict = self
            .repetition
            .decide(&mut self.config, fault.as_ref(), now);
        let restart_pending = core::mem::take(&mut self.restart_pending);
        match (verdict, fault) {
            (Verdict::Continue, Some(fault)) => self.push_action(Action::Fault(fault)),
            (Verdict::Continue, None) => self.push_end(),
            (Verdict::Fail, Some(fault)) => {
                self.state = State::Idle;
                self.outputs.push_back(Output::Stop(Err(fault)));
            }
            (Verdict::Fail, None) if restart_pending => {
                self.state = State::Waiting;
                self.restart_requested();
                self.push_end();
            }
            (Verdict::Fail, None) => {
                self.state = State::Idle;
                let complete = match self.config.until {
                    Some(_) => {
                        // The end may contain the reason: the text of a response without events.
                        if self.unreported_end != End::default() {
                            self.push_end();
                        }
                        Err(Fault::Incomplete)
                    }
                    None => {
                        self.push_end();
                        Ok(())
                    }
                };
                self.outputs.push_back(Output::Stop(complete));
            }
        }
    }

    fn push_action(&mut self, action: Action) {
        self.outputs.push_back(Output::Action(action));
    }

    fn push_end(&mut self) {
        let end = End {
            not_repeated: self.repetition.is_not_repeated(),
            ..core::mem::take(&mut self.unreported_end)
        };
        self.push_action(Action::End(Box::new(end)));
    }

    /// Rule 8: an unfinished event is discarded with its connection.
    fn drop_connection(&mut self) {
        self.clear_chunks();
        self.pending_end = None;
        self.ending = None;
        self.reading_since = None;
        self.decoder.end();
    }

    #[inline(never)]
    fn next_chunk(&mut self) {
        self.chunk = self.queued_chunks.pop_front();
        self.decoded = 0;
    }

    fn clear_chunks(&mut self) {
        self.chunk = None;
        self.decoded = 0;
        self.queued_chunks.clear();
    }
}

impl<B> fmt::Debug for Session<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("last_event_id", &self.decoder.last_event_id())
            .field("next_retry_delay", &self.schedule.next_retry_delay())
            .finish_non_exhaustive()
    }
}
