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

use crate::action::{Action, Start};
use crate::config::SessionConfig;
use crate::decoder::Decoder;
use crate::event::Event;
use crate::event_id::is_sendable_id;
use crate::fault::Fault;
use crate::item::Item;
use crate::output::Output;
use crate::strategy::delay::BaseDelay;
use crate::strategy::error::Verdict;
use crate::time::Timestamp;

/// One logical stream over any number of connections, without any I/O.
///
/// The driver tells it what happened (`handle_*`), asks what to do ([`poll_output`]), and always
/// says what time it is. Chunks are decoded as their events are taken: nothing is queued.
///
/// ```
/// use everstream_core::{Action, Output, Session, SessionConfig, Start, Timestamp};
///
/// let now = Timestamp::default();
/// let mut session = Session::new(SessionConfig::default());
/// session.start();
/// assert!(matches!(session.poll_output(now), Output::Connect));
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
/// session.handle_end(now);
/// assert!(matches!(session.poll_output(now), Output::Action(Action::Fault(None))));
/// let Output::Wait { until } = session.poll_output(now) else { panic!() };
/// assert!(matches!(session.poll_output(until), Output::Connect));
/// assert_eq!(session.last_event_id(), Some("7")); // where to resume
/// ```
///
/// [`poll_output`]: Session::poll_output
pub struct Session<B = Vec<u8>> {
    config: SessionConfig,
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
    opened: Timestamp,
    last_byte: Timestamp,
    /// Since when the driver has been told to read without getting anything.
    reading_since: Option<Timestamp>,

    // What outlasts a connection.
    base_delay: BaseDelay,
    growth: Growth,
    next_retry_delay: Duration,
    /// No connection is made before.
    due: Timestamp,
    attempts: u32,
    /// A request went out that may not be repeated without an id to resume from.
    sent: bool,
    /// The server sent an id since then.
    id_received: bool,
    /// Only [`Session::start`] makes a connection again: the stream is complete, or the request
    /// may not be repeated.
    finished: bool,
    /// The user has asked for the next connection before the end of this one is told of.
    restarting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not started, or stopped.
    Idle,
    /// For `due`.
    Waiting,
    Connecting,
    Open,
    Closed,
}

/// How far the delays have grown since a connection lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// There was no delay.
    None,
    Grown,
    /// They grow for the second time: the server changed the base meanwhile.
    GrownAnew,
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
        let base_delay = BaseDelay::configured(config.initial_retry_delay);
        Session {
            config,
            decoder,
            state: State::Idle,
            outputs: VecDeque::new(),
            chunk: None,
            decoded: 0,
            further: VecDeque::new(),
            ended: None,
            opened: Timestamp::default(),
            last_byte: Timestamp::default(),
            reading_since: None,
            base_delay,
            growth: Growth::None,
            next_retry_delay: Duration::ZERO,
            due: Timestamp::default(),
            attempts: 0,
            sent: false,
            id_received: false,
            finished: false,
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
    /// assert!(matches!(session.poll_output(Default::default()), Output::Connect));
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
            self.finished = false;
            self.sent = false;
        }
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
        if self.state == State::Idle && self.outputs.is_empty() && !self.finished {
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
            if let Some((fault, at)) = self.ended.take() {
                self.disconnected(fault, at);
                continue;
            }
            match self.state {
                State::Idle | State::Closed => return Output::Stop(Ok(())),
                State::Waiting if clock() < self.due => return Output::Wait { until: self.due },
                State::Waiting => {
                    self.state = State::Connecting;
                    self.attempts = self.attempts.saturating_add(1);
                }
                State::Connecting => return Output::Connect,
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
        self.id_received |= event.has_own_id();
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
                Ok(Some(Item::Event(event))) => {
                    self.id_received |= event.has_own_id();
                    self.reading_since = None;
                    if self
                        .config
                        .until
                        .as_mut()
                        .is_some_and(|until| until(&event))
                    {
                        self.complete();
                        return None;
                    }
                    return Some(Action::Event(event));
                }
                Ok(Some(Item::Comment(text))) => {
                    self.reading_since = None;
                    return Some(Action::Comment(text));
                }
                Ok(Some(Item::Retry(delay))) => self.retry_received(delay),
                Ok(Some(Item::Id)) => self.id_received = true,
                Ok(Some(Item::Skipped) | None) => {}
                Err(error) => {
                    self.forget_chunks();
                    // It came before whatever else ended the connection.
                    let at = self.ended.take().map_or(self.last_byte, |(_, at)| at);
                    self.ended = Some((Some(Fault::TooLarge(error)), at));
                }
            }
        }
    }

    /// Rule 6: a changed value restarts the delay, once until a connection lasts; a repeated one
    /// doesn't. Or else a server that says `retry: 100` and hangs up, or 100 and 101 in turns, would
    /// switch the back-off off.
    fn retry_received(&mut self, delay: Duration) {
        let base = BaseDelay::from_server(delay.max(self.config.min_server_retry_delay));
        if self.base_delay == base {
            return;
        }
        self.base_delay = base;
        if self.growth == Growth::Grown {
            self.growth = Growth::GrownAnew;
            self.config.retry_delay_strategy.reset();
        }
    }

    /// The last event of a one-shot stream came.
    fn complete(&mut self) {
        self.forget_connection();
        self.state = State::Idle;
        self.finished = true;
    }

    /// Changes [`SessionConfig::repeatable`]. Call it before [`handle_connected`](Self::handle_connected)
    /// or [`handle_fault`](Self::handle_fault) where the requests differ.
    ///
    /// ```
    /// # use everstream_core::{Output, Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// session.set_repeatable(false); // it was a POST
    /// session.handle_connected(Start::default(), now);
    /// session.handle_end(now);
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
        self.opened = now;
        self.last_byte = now;
        self.reading_since = None;
        self.request_sent();
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
    /// # use everstream_core::{Action, Output, Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// session.handle_end(now);
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::Fault(None))));
    /// ```
    pub fn handle_end(&mut self, now: Timestamp) {
        self.end_connection(None, now);
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
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::Fault(Some(_)))));
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
    /// for one if the error strategy says so. Does nothing to an inactive session.
    ///
    /// ```
    /// # use everstream_core::{Action, Output, Session, SessionConfig};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// session.start();
    /// session.interrupt(now);
    /// assert!(matches!(session.poll_output(now), Output::Action(Action::Fault(None))));
    /// ```
    pub fn interrupt(&mut self, now: Timestamp) {
        match self.state {
            State::Idle | State::Closed => {}
            State::Connecting | State::Open => self.end_connection(None, now),
            // There is no connection, and there is no reason to be at the server sooner or later
            // than was due; but whoever is waiting is told. If a fault is on its way already, that
            // is what it is told.
            State::Waiting if self.outputs.is_empty() => {
                self.next_retry_delay = self.due.saturating_duration_since(now);
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

    /// How long the wait after the last fault is, counted from it. Zero before the first.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig};
    /// let session: Session = Session::new(SessionConfig::default());
    /// assert_eq!(session.next_retry_delay(), std::time::Duration::ZERO);
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.next_retry_delay
    }

    /// The connection, or the attempt, is over. Its bytes may still be decoded.
    fn end_connection(&mut self, fault: Option<Fault>, now: Timestamp) {
        if !matches!(self.state, State::Connecting | State::Open) || self.ended.is_some() {
            return;
        }
        if !fault.as_ref().is_some_and(Fault::is_before_request) {
            self.request_sent();
        }
        self.ended = Some((fault, now));
    }

    /// The server may have got the request.
    fn request_sent(&mut self) {
        if !self.config.repeatable && !self.sent {
            self.sent = true;
            // An id from before, or a preset one, doesn't say that this request was received.
            self.id_received = false;
        }
    }

    /// The connection is over, and all that came from it is handed out.
    fn disconnected(&mut self, fault: Option<Fault>, at: Timestamp) {
        let was_open = self.state == State::Open;
        self.forget_connection();
        // Rule 11. It comes before the strategies, which are the user's and may panic.
        self.finished = self.sent && !self.can_resume();
        self.state = State::Idle;
        // Rules 5 and 6.
        if was_open {
            let lasted = at.saturating_duration_since(self.opened);
            if lasted >= self.config.retry_delay_reset_threshold {
                self.growth = Growth::None;
                self.config.retry_delay_strategy.reset();
            }
        }
        if self.growth == Growth::None {
            self.growth = Growth::Grown;
        }
        let strategy = &mut self.config.retry_delay_strategy;
        let asked = fault
            .as_ref()
            .and_then(Fault::retry_after)
            .unwrap_or_default();
        let asked = asked.min(strategy.cap().unwrap_or(Duration::MAX));
        self.next_retry_delay = strategy.apply(self.base_delay).max(asked);
        self.due = at + self.next_retry_delay;

        self.state = State::Waiting;
        self.decide(fault, at);
    }

    /// Rule 2.
    fn decide(&mut self, fault: Option<Fault>, now: Timestamp) {
        let verdict = match self.finished {
            true => Verdict::Fail,
            false => self.config.error_strategy.apply(fault.as_ref(), now),
        };
        let restarting = core::mem::take(&mut self.restarting);
        match (verdict, fault) {
            (Verdict::Continue, fault) => {
                self.outputs.push_back(Output::Action(Action::Fault(fault)));
            }
            (Verdict::Fail, Some(fault)) => {
                self.state = State::Idle;
                self.outputs.push_back(Output::Stop(Err(fault)));
            }
            (Verdict::Fail, None) if restarting => {
                self.finished = false;
                self.sent = false;
                self.outputs.push_back(Output::Action(Action::Fault(None)));
            }
            (Verdict::Fail, None) => {
                self.state = State::Idle;
                let complete = match self.config.until {
                    Some(_) => Err(Fault::Incomplete),
                    None => {
                        self.outputs.push_back(Output::Action(Action::Fault(None)));
                        Ok(())
                    }
                };
                self.outputs.push_back(Output::Stop(complete));
            }
        }
    }

    /// Whether the next request will say where to go on: the server has sent an id since the request
    /// first went out, and the newest id can be a header's value.
    fn can_resume(&self) -> bool {
        self.id_received && self.last_event_id().is_some_and(is_sendable_id)
    }

    /// Rule 8: half an event is discarded with its connection.
    fn forget_connection(&mut self) {
        self.forget_chunks();
        self.ended = None;
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
            .field("next_retry_delay", &self.next_retry_delay)
            .finish_non_exhaustive()
    }
}
