//! A session, the server and the user around it, and a model that says what may come.
//!
//! The model is written from the rules, not from the session's code: it knows what was told to the
//! session and what the session said, and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_core::error_strategy::{self, Verdict};
use everstream_core::{
    Action, ErrorResponse, Event, Fault, Output, Session, SessionConfig, Start, Timestamp,
    retry_delay,
};

use crate::Random;
use crate::server::{Due, Stream};

const FLOOR: Duration = Duration::from_millis(100);
const INITIAL: Duration = Duration::from_secs(1);
const THRESHOLD: Duration = Duration::from_secs(60);
const DEFAULT_CAP: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting,
    Connecting,
    Open,
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: u64,
    pub(crate) resumed: u64,
    pub(crate) events: u64,
    pub(crate) late_events: u64,
    pub(crate) waits: u64,
    pub(crate) failures: u64,
    pub(crate) interrupted_waits: u64,
    pub(crate) once: u64,
    pub(crate) closed: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.connections += other.connections;
        self.resumed += other.resumed;
        self.events += other.events;
        self.late_events += other.late_events;
        self.waits += other.waits;
        self.failures += other.failures;
        self.interrupted_waits += other.interrupted_waits;
        self.once += other.once;
        self.closed += other.closed;
    }
}

pub(crate) struct World {
    random: Random,
    session: Session,
    now: Timestamp,
    /// The strategy's answers that the model hasn't seen.
    verdicts: Arc<Mutex<Vec<Verdict>>>,
    serial: u64,
    pub(crate) counts: Counts,

    // The configuration.
    repeatable: bool,
    jitter: f64,
    cap: Option<Duration>,
    read_timeout: Option<Duration>,

    // What was told to the session and hasn't led to an output.
    phase: Phase,
    start_due: bool,
    /// When the connection, or the attempt, was lost, and whether by a fault.
    lost: Option<(Timestamp, bool)>,
    /// A wait was interrupted then.
    wait_interrupted: Option<Timestamp>,
    /// The user was told of the end, and is about to be told of the iteration's.
    stop_due: bool,
    due: VecDeque<Due>,

    // The connection.
    stream: Stream,
    opened: Timestamp,
    last_byte: Timestamp,
    /// The session wants bytes and nothing was told to it since, with its deadline.
    reading: Option<Option<Timestamp>>,
    retry_after: Duration,

    // What outlasts it.
    last_id: Option<String>,
    server_sent_id: bool,
    sent: bool,
    finished: bool,
    base: (Duration, bool),
    /// Delays since the last reset.
    delays: i32,
    not_before: Timestamp,
}

impl World {
    pub(crate) fn new(mut random: Random) -> Self {
        let verdicts = Arc::new(Mutex::new(Vec::new()));
        let jitter = [0.0, 0.5, 1.0][random.below(3)];
        let cap = random.one_in(3).then_some(Duration::from_secs(5));
        let read_timeout = random.one_in(2).then_some(Duration::from_secs(10));
        let repeatable = !random.one_in(3);
        let preset = random.one_in(4).then(|| "preset".to_owned());

        let mut config = SessionConfig::default();
        config.repeatable = repeatable;
        config.read_timeout = read_timeout;
        config.last_event_id = preset.clone();
        config.seed = random.below(1000) as u64;
        let backoff = retry_delay::backoff().jitter(jitter);
        config.retry_delay_strategy = Box::new(match cap {
            Some(cap) => backoff.max_delay(cap),
            None => backoff,
        });
        let (log, mut chance) = (verdicts.clone(), Random(random.below(1000) as u64));
        config.error_strategy = Box::new(error_strategy::from_fn(move |_| {
            let verdict = match chance.one_in(6) {
                true => Verdict::Fail,
                false => Verdict::Continue,
            };
            log.lock().unwrap().push(verdict);
            verdict
        }));

        let mut serial = 0;
        World {
            session: Session::new(config),
            now: Timestamp::since_start(Duration::from_secs(random.below(1000) as u64)),
            verdicts,
            counts: Counts::default(),
            repeatable,
            jitter,
            cap,
            read_timeout,
            phase: Phase::Idle,
            start_due: false,
            lost: None,
            wait_interrupted: None,
            stop_due: false,
            due: VecDeque::new(),
            stream: Stream::random(&mut random, &mut serial),
            opened: Timestamp::default(),
            last_byte: Timestamp::default(),
            reading: None,
            retry_after: Duration::ZERO,
            last_id: preset,
            server_sent_id: false,
            sent: false,
            finished: false,
            base: (INITIAL, false),
            delays: 0,
            not_before: Timestamp::default(),
            serial,
            random,
        }
    }

    /// Something happens; then the session may be asked what to do.
    pub(crate) fn step(&mut self) {
        // Or most of a script would be spent waiting.
        if self.phase == Phase::Waiting && self.random.one_in(3) {
            self.now = self.now.max(self.not_before);
        }
        match self.random.below(20) {
            0 | 1 => self.start(),
            2 | 3 => self.read(),
            4..=8 => self.bytes(),
            9 => self.end(),
            10 => self.fault(),
            11 if self.random.one_in(2) => self.interrupt(),
            12 => self.timeout(),
            13..=15 => self.connected(),
            16 if self.random.one_in(12) => self.close(),
            17 => self.out_of_place(),
            _ => self.pass(),
        }
        assert_eq!(
            self.session.is_active(),
            !matches!(self.phase, Phase::Idle | Phase::Closed)
        );
        for _ in 0..self.random.below(4) {
            self.poll();
        }
    }

    /// In the end everything that is due comes, in a bounded number of outputs.
    pub(crate) fn settle(&mut self) {
        self.interrupt();
        let bound = self.due.len() + 4;
        let outputs = (0..=bound).take_while(|_| self.poll()).count();
        assert!(outputs <= bound, "it never comes to rest");
        assert_eq!(self.due, [], "received and never handed out");
        self.close();
        assert!(!self.poll());
    }

    fn start(&mut self) {
        self.session.start();
        if self.phase == Phase::Idle {
            self.phase = Phase::Waiting;
            self.stop_due = false;
            self.sent = false;
            self.finished = false;
        }
    }

    fn read(&mut self) {
        self.session.read();
        self.reading = None;
        let at_rest = !self.stop_due && self.wait_interrupted.is_none();
        if self.phase == Phase::Idle && at_rest && !self.finished {
            self.phase = Phase::Waiting;
        }
    }

    fn connected(&mut self) {
        if self.phase != Phase::Connecting {
            return;
        }
        self.session.handle_connected(Start::default(), self.now);
        self.phase = Phase::Open;
        self.start_due = true;
        self.request_sent();
        self.opened = self.now;
        self.last_byte = self.now;
        self.stream = Stream::random(&mut self.random, &mut self.serial);
        self.counts.connections += 1;
        self.counts.resumed += u64::from(self.last_id.is_some());
    }

    fn bytes(&mut self) {
        if self.reading.take().is_some() {
            let (bytes, due) = self.stream.next(&mut self.random);
            self.session.handle_data(bytes, self.now);
            if self.lost.is_none() {
                self.last_byte = self.now;
                self.due.extend(due);
            }
        }
    }

    fn end(&mut self) {
        if self.phase == Phase::Open {
            self.session.handle_end(self.now);
            self.lose(false);
        }
    }

    fn fault(&mut self) {
        let mut retry_after = Duration::ZERO;
        let fault = match (self.phase, self.random.below(3)) {
            (Phase::Open, _) => Fault::Read("reset".into()),
            (Phase::Connecting, 0) => {
                let mut response = ErrorResponse::new(503);
                retry_after = Duration::from_secs([0, 3, 100][self.random.below(3)]);
                response.retry_after = Some(retry_after);
                Fault::Status(Box::new(response))
            }
            (Phase::Connecting, _) => Fault::Connect("refused".into()),
            _ => return,
        };
        if self.lost.is_none() {
            self.retry_after = retry_after;
            if !fault.is_connect() {
                self.request_sent();
            }
        }
        self.session.handle_fault(fault, self.now);
        self.lose(true);
    }

    fn timeout(&mut self) {
        if let Some(Some(deadline)) = self.reading {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.lose(true);
        }
    }

    fn interrupt(&mut self) {
        self.session.interrupt(self.now);
        match self.phase {
            Phase::Idle | Phase::Closed => {}
            Phase::Connecting | Phase::Open => {
                if self.lost.is_none() {
                    self.request_sent();
                }
                self.lose(false);
            }
            Phase::Waiting => {
                if self.wait_interrupted.is_none() {
                    self.counts.interrupted_waits += 1;
                    self.wait_interrupted = Some(self.now);
                    self.decide(false);
                }
            }
        }
    }

    fn close(&mut self) {
        self.session.close();
        self.counts.closed += u64::from(self.phase != Phase::Closed);
        self.phase = Phase::Closed;
        self.reading = None;
        self.due.clear();
    }

    /// What a confused driver may say.
    fn out_of_place(&mut self) {
        if self.phase != Phase::Connecting {
            self.session.handle_connected(Start::default(), self.now);
        }
        if !matches!(self.phase, Phase::Connecting | Phase::Open) {
            self.session.handle_end(self.now);
            self.session
                .handle_fault(Fault::Read("late".into()), self.now);
        }
        if self.phase != Phase::Open || self.lost.is_some() {
            self.session
                .handle_data(b"id: stray\ndata: stray\n\n".to_vec(), self.now);
            self.session.handle_timeout(self.now);
        }
    }

    fn pass(&mut self) {
        let millis = [0, 1, 300, 2000, 20_000, 100_000][self.random.below(6)];
        self.now = self.now + Duration::from_millis(millis);
    }

    fn lose(&mut self, by_fault: bool) {
        self.reading = None;
        self.lost.get_or_insert((self.now, by_fault));
    }

    fn request_sent(&mut self) {
        if !self.sent {
            self.sent = true;
            self.server_sent_id = false;
        }
    }

    /// Asks the session. Returns whether it said something for the user.
    fn poll(&mut self) -> bool {
        self.reading = None;
        let output = self.session.poll_output(self.now);
        if self.phase == Phase::Closed {
            assert!(matches!(output, Output::Stop(Ok(()))), "{output:?}");
            return false;
        }
        if self.stop_due && self.wait_interrupted.is_none() {
            assert!(matches!(output, Output::Stop(Ok(()))), "{output:?}");
            self.stop_due = false;
            return false;
        }
        let action = matches!(output, Output::Action(_));
        match output {
            Output::Action(Action::Start(start)) => {
                assert!(self.start_due && start.attempt > 0);
                self.start_due = false;
            }
            Output::Action(Action::Event(event)) => self.event(&event),
            Output::Action(Action::Comment(text)) => {
                self.take_silent();
                assert_eq!(self.due.pop_front(), Some(Due::Comment(text)));
            }
            Output::Action(Action::Fault(fault)) => self.fault_told(fault.as_ref()),
            Output::Stop(Err(_)) => {
                self.all_told();
                let (at, by_fault) = self.lost.take().expect("something was lost");
                assert!(by_fault);
                self.disconnected(at);
                self.decide(true);
                assert_eq!(self.phase, Phase::Idle, "without FAIL nothing stops");
                self.counts.failures += 1;
            }
            Output::Stop(Ok(())) => assert_eq!(self.phase, Phase::Idle),
            Output::Connect { last_event_id } => {
                self.nothing_pending();
                assert!(matches!(self.phase, Phase::Waiting | Phase::Connecting));
                assert!(self.now >= self.not_before, "the server is asked too early");
                assert!(!self.must_not_repeat(), "repeated unasked");
                assert_eq!(last_event_id, self.last_id);
                self.phase = Phase::Connecting;
            }
            Output::Wait { until } => {
                self.nothing_pending();
                assert_eq!(self.phase, Phase::Waiting);
                assert!(until == self.not_before && until > self.now);
                self.counts.waits += 1;
            }
            Output::Read { deadline } => {
                self.nothing_pending();
                assert_eq!(self.phase, Phase::Open);
                assert_eq!(deadline.is_some(), self.read_timeout.is_some());
                if let (Some(deadline), Some(limit)) = (deadline, self.read_timeout) {
                    assert!(deadline >= self.last_byte + limit);
                    assert!(deadline <= self.now + limit);
                }
                self.reading = Some(deadline);
            }
            other => panic!("{other:?} is unknown to this model"),
        }
        assert_eq!(self.session.last_event_id(), self.last_id.as_deref());
        action
    }

    fn nothing_pending(&mut self) {
        self.all_told();
        assert!(!self.start_due && self.lost.is_none() && self.wait_interrupted.is_none());
    }

    /// All that came over the connection was handed out.
    fn all_told(&mut self) {
        self.take_silent();
        assert_eq!(self.due, []);
    }

    /// What is decoded on the way to the next thing that the user sees.
    fn take_silent(&mut self) {
        while let Some(Due::Retry(_) | Due::Id(_)) = self.due.front() {
            match self.due.pop_front() {
                Some(Due::Retry(delay)) => {
                    let base = (delay.max(FLOOR), true);
                    if base != self.base {
                        self.base = base;
                        self.delays = 0;
                    }
                }
                Some(Due::Id(id)) => self.id_received(id),
                _ => {}
            }
        }
    }

    fn id_received(&mut self, id: String) {
        self.server_sent_id = true;
        self.last_id = Some(id).filter(|id| !id.is_empty());
    }

    fn event(&mut self, event: &Event) {
        assert!(!self.start_due);
        self.take_silent();
        let Some(Due::Event { data, id }) = self.due.pop_front() else {
            panic!("{event:?} was not sent, or was handed out before");
        };
        assert_eq!((event.data(), event.id()), (&*data, id.as_deref()));
        if let Some(id) = id {
            self.id_received(id);
        }
        assert_eq!(event.last_event_id(), self.last_id.as_deref());
        self.counts.events += 1;
        self.counts.late_events += u64::from(self.lost.is_some());
    }

    fn fault_told(&mut self, fault: Option<&Fault>) {
        if let Some(at) = self.wait_interrupted.take() {
            assert!(fault.is_none());
            let left = self.not_before.saturating_duration_since(at);
            assert_eq!(self.session.next_retry_delay(), left);
            return;
        }
        self.all_told();
        let (at, by_fault) = self.lost.take().expect("something was lost");
        assert_eq!(fault.is_some(), by_fault);
        self.disconnected(at);
        self.decide(by_fault);
        assert!(fault.is_none() || self.phase == Phase::Waiting);
    }

    /// The next delay, and the moment before which nothing connects.
    fn disconnected(&mut self, at: Timestamp) {
        let lasted = at.saturating_duration_since(self.opened);
        if self.phase == Phase::Open && lasted >= THRESHOLD {
            self.delays = 0;
        }
        let (base, from_server) = self.base;
        let cap = self.cap.unwrap_or(match from_server {
            true => base.max(DEFAULT_CAP),
            false => DEFAULT_CAP,
        });
        let full = base.mul_f64(2f64.powi(self.delays)).min(cap);
        self.delays += 1;
        let (low, high) = match from_server {
            true => (
                full,
                full.mul_f64(1.0 + self.jitter)
                    .min(self.cap.unwrap_or(Duration::MAX)),
            ),
            false => (full.mul_f64(1.0 - self.jitter), full),
        };
        let asked = std::mem::take(&mut self.retry_after).min(self.cap.unwrap_or(Duration::MAX));
        let delay = self.session.next_retry_delay();
        // Floating point may be off by a nanosecond.
        let slack = Duration::from_nanos(1);
        assert!(delay + slack >= low.max(asked), "{delay:?} is too short");
        assert!(delay <= high.max(asked) + slack, "{delay:?} is too long");
        self.not_before = at + delay;
    }

    fn must_not_repeat(&self) -> bool {
        !self.repeatable && self.sent && !(self.server_sent_id && self.last_id.is_some())
    }

    /// What the rules and the strategy make of a loss.
    fn decide(&mut self, by_fault: bool) {
        let asked = std::mem::take(&mut *self.verdicts.lock().unwrap());
        let verdict = if self.must_not_repeat() {
            assert_eq!(asked, [], "there was nothing to decide");
            self.finished = true;
            self.counts.once += 1;
            Verdict::Fail
        } else {
            assert_eq!(asked.len(), 1, "asked once a fault");
            asked[0]
        };
        self.start_due = false;
        match verdict {
            Verdict::Continue => self.phase = Phase::Waiting,
            Verdict::Fail => {
                self.phase = Phase::Idle;
                self.stop_due = !by_fault;
            }
        }
    }
}
