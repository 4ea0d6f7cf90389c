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
/// The driver tells it what happened (`handle_*`), asks what to do ([`poll_output`]), and always
/// says what time it is. Chunks are decoded as their events are taken: nothing is queued.
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
    /// Handed out before anything else: at most a fault and what follows it.
    outputs: VecDeque<Output>,

    // The connection, if there is one.
    /// What is received and not used up: nearly always at most one.
    chunk: Option<B>,
    /// How much of it is decoded.
    decoded: usize,
    /// What came before it was asked for.
    further: VecDeque<B>,
    /// How the connection ended and when, while its chunk isn't decoded to the end.
    ended: Option<(Option<Fault>, Timestamp)>,
    /// What is known about that end; `None` if it is a fault or an interruption.
    ending: Option<Ending>,
    last_byte: Timestamp,
    /// Since when the driver has been told to read without getting anything.
    reading_since: Option<Timestamp>,

    // What outlasts a connection.
    /// What the end of the last connection discarded, until it is reported.
    discarded: End,
    schedule: Schedule,
    attempts: u32,
    repetition: Repetition,
    /// The user has asked for the next connection before the end of this one is told of.
    restarting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not started, or stopped.
    Idle,
    /// For the time that the schedule says.
    Waiting,
    Connecting,
    Open,
    Closed,
}

impl<B: AsRef<[u8]>> Session<B> {
    /// An inactive session: rule 1.
    ///
    /// `B` is what chunks come in; it is dropped as soon as it is decoded.
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
            further: VecDeque::new(),
            ended: None,
            ending: None,
            last_byte: Timestamp::default(),
            reading_since: None,
            discarded: End::default(),
            schedule,
            attempts: 0,
            repetition: Repetition::default(),
            restarting: false,
        }
    }

    /// Makes an inactive session connect, after the delay that is due. Otherwise nothing happens.
    ///
    /// The user asks for it expressly, so that it repeats a request which reading would not, and so
    /// that an end which isn't told yet doesn't stop it.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// session.start();
    /// assert!(matches!(session.poll_output(Default::default()), Output::Connect { .. }));
    /// ```
    pub fn start(&mut self) {
        if self.state != State::Idle {
            self.restarting = self.ended.is_some();
            return;
        }
        // Who starts again needn't hear that the iteration was over; but a fault must be heard.
        if let Some(Output::Stop(Ok(()))) = self.outputs.back() {
            self.outputs.pop_back();
        }
        if !matches!(self.outputs.back(), Some(Output::Stop(_))) {
            self.state = State::Waiting;
            self.begin_anew();
        }
    }

    /// The user asks for another connection.
    fn begin_anew(&mut self) {
        let last_event_id = self.decoder.last_event_id();
        self.repetition.begin_anew(&self.config, last_event_id);
    }

    /// The user begins to read: an inactive session connects, unless that would repeat a request
    /// that may not be (rule 11), or a stream that is complete.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig};
    /// let mut session: Session = Session::new(SessionConfig::default());
    /// session.read();
    /// assert!(session.is_active());
    /// ```
    pub fn read(&mut self) {
        // The iteration that is under way comes to its end first.
        if self.state == State::Idle && self.outputs.is_empty() && !self.repetition.is_finished() {
            self.state = State::Waiting;
        }
    }

    /// What to do next.
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

    /// [`poll_output`](Self::poll_output), for a driver whose clock takes time to look at: it is
    /// asked only if the answer depends on it.
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
            if self.ended.is_some() {
                if let Some(event) = self.dispatch_unfinished() {
                    return Output::Action(Action::Event(event));
                }
            }
            if let Some((fault, at)) = self.ended.take() {
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

    /// An action that is ready whatever the time is, so that a driver needn't look at its clock for
    /// every event. `None`: call [`poll_output`](Self::poll_output).
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

    /// [`poll_action`](Self::poll_action), for what most streams have most of: the next event, if it
    /// lies whole in what came. `None` says nothing.
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
    // Inlined with all that it calls: the event reaches the user in registers.
    #[doc(hidden)]
    #[inline(always)]
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
            // There are none for as long as the connection lasts.
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
                Ok(Some(Item::Event(event))) => return self.event(event).map(Action::Event),
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
    fn event(&mut self, event: Event) -> Option<Event> {
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
        self.forget_chunks();
        // It came before whatever else ended the connection.
        let at = self.ended.take().map_or(self.last_byte, |(_, at)| at);
        self.ended = Some((Some(Fault::TooLarge(error)), at));
        self.ending = None;
    }

    /// All chunks are decoded. The last event lacks its blank line; if nothing is missing but that, it
    /// is dispatched where the user says so.
    fn dispatch_unfinished(&mut self) -> Option<Event> {
        if !self.config.dispatch_unfinished || self.ending != Some(Ending::Complete) {
            return None;
        }
        match self.decoder.dispatch_unfinished() {
            Ok(Some(Item::Event(event))) => return self.event(event),
            Ok(Some(Item::Id)) => {
                self.repetition.received(true);
                self.schedule.delivered();
            }
            Ok(_) => self.repetition.received(self.decoder.has_skipped_id()),
            Err(error) => self.too_large(error),
        }
        None
    }

    /// The last event of a one-shot stream came.
    fn complete(&mut self) {
        self.forget_connection();
        self.state = State::Idle;
        self.repetition.completed();
        self.schedule.completed();
        // The next connection was asked for before this was known.
        if core::mem::take(&mut self.restarting) {
            self.state = State::Waiting;
            self.begin_anew();
            self.tell_end();
        }
    }

    /// Changes [`SessionConfig::repeatable`]. Call it before [`handle_connected`](Self::handle_connected)
    /// or [`handle_fault`](Self::handle_fault) where the requests differ.
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

    /// The connection that was asked for is there.
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

    /// Bytes came. Call it after [`Output::Read`], so that no more is kept than was asked for.
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
        if self.state == State::Open && self.ended.is_none() {
            self.last_byte = now;
            match self.chunk {
                None => self.chunk = Some(bytes),
                Some(_) => self.further.push_back(bytes),
            }
        }
    }

    /// The server ended the connection in an orderly way. What it sent is handed out first.
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
        let is_first = self.ended.is_none();
        self.end_connection(None, now);
        if is_first && self.ended.is_some() {
            self.ending = Some(ending);
        }
    }

    /// The connection broke, or could not be made. What was received is handed out first.
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

    /// Time has passed. If it is past the deadline of [`Output::Read`], the connection is over.
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
    /// session.handle_timeout(deadline); // the connection is over
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

    /// Drops the connection, or the attempt at one, as if the server had ended it; or ends a wait
    /// for one if the error strategy says so. Does nothing to an inactive session, or to a connection
    /// that has ended already.
    ///
    /// [`next_retry_delay`](Self::next_retry_delay) is right at once. It becomes longer if bytes that
    /// were received and not decoded yet ask for a longer delay.
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
                let is_first = self.ended.is_none();
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
            // There is no connection, and there is no reason to be at the server sooner or later
            // than was due; but whoever is waiting is told. If a fault is on its way already, that
            // is what it is told.
            State::Waiting if self.outputs.is_empty() => {
                self.discarded = End::default();
                self.schedule.wait_interrupted(now);
                self.decide(None, now);
            }
            State::Waiting => {}
        }
    }

    /// Ends for good: nothing connects again, nothing is handed out any more.
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
        self.forget_connection();
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
        self.state == State::Open && self.ended.is_none()
    }

    /// When the newest byte of this connection came, comments' included, or when it was made; `None`
    /// if there is no connection.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert_eq!(session.last_byte(), None);
    /// ```
    pub fn last_byte(&self) -> Option<Timestamp> {
        self.is_connected().then_some(self.last_byte)
    }

    /// Whether it is connected, connecting or waiting to connect.
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

    /// The newest id: of the events handed out, and of blocks without data between them; or the
    /// preset one.
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

    /// Whether the stream is over although the error strategy would continue: the request isn't safe, and
    /// the server may have acted on it (rule 11).
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

    /// How long the wait after the last fault is, counted from it. Zero before the first.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert_eq!(session.next_retry_delay(), std::time::Duration::ZERO);
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.schedule.next_retry_delay()
    }

    /// The connection, or the attempt, is over. Its bytes may still be decoded.
    fn end_connection(&mut self, fault: Option<Fault>, now: Timestamp) {
        if !matches!(self.state, State::Connecting | State::Open) || self.ended.is_some() {
            return;
        }
        if !fault.as_ref().is_some_and(Fault::is_before_request) {
            self.repetition.request_sent(&self.config);
        }
        self.ended = Some((fault, now));
    }

    /// The connection is over, and all that came from it is handed out.
    fn disconnected(&mut self, fault: Option<Fault>, at: Timestamp) {
        let was_open = self.state == State::Open;
        let ending = self.ending.take();
        self.discarded = End::default();
        if ending.is_some() {
            self.discarded.discarded_bytes = self.decoder.unfinished_bytes();
            self.discarded.ignored_text = self.decoder.ignored_text();
        }
        self.forget_connection();
        // Rule 11. It comes before the strategies, which are the user's and may panic.
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

        // A strategy that panics makes a finished stream no less finished.
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
        let restarting = core::mem::take(&mut self.restarting);
        match (verdict, fault) {
            (Verdict::Continue, Some(fault)) => self.tell(Action::Fault(fault)),
            (Verdict::Continue, None) => self.tell_end(),
            (Verdict::Fail, Some(fault)) => {
                self.state = State::Idle;
                self.outputs.push_back(Output::Stop(Err(fault)));
            }
            (Verdict::Fail, None) if restarting => {
                self.state = State::Waiting;
                self.begin_anew();
                self.tell_end();
            }
            (Verdict::Fail, None) => {
                self.state = State::Idle;
                let complete = match self.config.until {
                    Some(_) => {
                        // An answer without events, such as an error, is why.
                        if self.discarded != End::default() {
                            self.tell_end();
                        }
                        Err(Fault::Incomplete)
                    }
                    None => {
                        self.tell_end();
                        Ok(())
                    }
                };
                self.outputs.push_back(Output::Stop(complete));
            }
        }
    }

    fn tell(&mut self, action: Action) {
        self.outputs.push_back(Output::Action(action));
    }

    fn tell_end(&mut self) {
        let end = End {
            not_repeated: self.repetition.is_not_repeated(),
            ..core::mem::take(&mut self.discarded)
        };
        self.tell(Action::End(Box::new(end)));
    }

    /// Rule 8: half an event is discarded with its connection.
    fn forget_connection(&mut self) {
        self.forget_chunks();
        self.ended = None;
        self.ending = None;
        self.reading_since = None;
        self.decoder.end();
    }

    /// The chunk is used up.
    #[inline(never)]
    fn next_chunk(&mut self) {
        self.chunk = self.further.pop_front();
        self.decoded = 0;
    }

    fn forget_chunks(&mut self) {
        self.chunk = None;
        self.decoded = 0;
        self.further.clear();
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
