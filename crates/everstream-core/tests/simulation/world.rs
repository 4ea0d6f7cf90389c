//! A session, the server and the user around it, and a model of the allowed outputs.
//!
//! The model is written from the rules, not from the session's code: it knows only the session's inputs
//! and outputs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_core::error_strategy::{self, Verdict};
use everstream_core::{
    Ending, ErrorResponse, Fault, Session, SessionConfig, Start, Timestamp, retry_delay,
};

use super::numbers::Random;
use super::server::{Due, Stream};

#[path = "outputs.rs"]
mod outputs;

const FLOOR: Duration = Duration::from_millis(100);
const INITIAL: Duration = Duration::from_secs(1);
const THRESHOLD: Duration = Duration::from_secs(60);
/// The threshold of a connection that delivered something.
const DELIVERY_THRESHOLD: Duration = Duration::from_secs(25);
/// The delay after a clean end without `retry:`, and the cap of its growth with `retry:` but without a
/// new id.
const POLL: Duration = Duration::from_secs(3);
const UNCHANGED_POLL: Duration = Duration::from_secs(1);
const DEFAULT_CAP: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting,
    Connecting,
    Open,
    Closed,
}

/// Why a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Fault,
    End(Ending),
    Interrupt,
}

/// The delay that was computed at an interruption.
#[derive(Debug, Clone, Copy)]
struct Early {
    delay: Duration,
    /// The server has changed the base since then.
    base_changed: bool,
    /// Whether there was a delay before it.
    growing: bool,
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
    pub(crate) not_repeated: u64,
    pub(crate) by_get: u64,
    pub(crate) refused: u64,
    pub(crate) restarted: u64,
    pub(crate) closed: u64,
    pub(crate) polled_with_new_id: u64,
    pub(crate) polled_again: u64,
    pub(crate) reset_by_delivery: u64,
    pub(crate) lengthened: u64,
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
        self.not_repeated += other.not_repeated;
        self.by_get += other.by_get;
        self.refused += other.refused;
        self.restarted += other.restarted;
        self.closed += other.closed;
        self.polled_with_new_id += other.polled_with_new_id;
        self.polled_again += other.polled_again;
        self.reset_by_delivery += other.reset_by_delivery;
        self.lengthened += other.lengthened;
    }
}

pub(crate) struct World {
    random: Random,
    session: Session,
    now: Timestamp,
    /// The strategy's verdicts that the model hasn't seen yet.
    verdicts: Arc<Mutex<Vec<Verdict>>>,
    serial: u64,
    pub(crate) counts: Counts,

    // The configuration.
    repeatable: bool,
    resume_with_get: bool,
    jitter: f64,
    /// The user's cap. With one, clean ends and deliveries make no difference.
    cap: Option<Duration>,
    read_timeout: Option<Duration>,

    // Inputs that haven't led to an output yet.
    phase: Phase,
    start_due: bool,
    /// When the connection, or the attempt, was lost, and why.
    lost: Option<(Timestamp, Cause)>,
    /// Set if the connection was interrupted.
    early: Option<Early>,
    /// When a wait was interrupted.
    wait_interrupted: Option<Timestamp>,
    /// The end was reported, and the end of the iteration is reported next.
    stop_due: bool,
    /// The user has asked for the next connection before the end of this one was reported.
    restarting: bool,
    due: VecDeque<Due>,

    // The connection.
    stream: Stream,
    opened: Timestamp,
    last_byte: Timestamp,
    /// The id that was sent with its request.
    sent_id: Option<String>,
    /// An event, an id or a comment.
    delivered: bool,
    /// The session is waiting for bytes, with this deadline.
    reading: Option<Option<Timestamp>>,
    retry_after: Duration,
    /// Whether the last request was a GET to resume the stream, and whether the server rejected it.
    by_get: bool,
    refused: bool,

    // State that outlives a connection.
    last_id: Option<String>,
    server_sent_id: bool,
    sent: bool,
    finished: bool,
    /// The strategy would have continued, but the request may not be repeated.
    not_repeated: bool,
    base: (Duration, bool),
    /// There was a delay since the last reset.
    growing: bool,
    /// What the base is multiplied by the next time.
    factor: f64,
    /// The last reset was due to a changed base, and no connection has lasted since.
    restarted: bool,
    not_before: Timestamp,
}

impl World {
    pub(crate) fn new(mut random: Random) -> Self {
        let verdicts = Arc::new(Mutex::new(Vec::new()));
        let jitter = [0.0, 0.5, 1.0][random.below(3)];
        let cap = random.one_in(3).then_some(Duration::from_secs(5));
        let read_timeout = random.one_in(2).then_some(Duration::from_secs(10));
        let repeatable = !random.one_in(3);
        let resume_with_get = random.one_in(2);
        let preset = random.one_in(4).then(|| "preset".to_owned());

        let mut config = SessionConfig::default();
        config.repeatable = repeatable;
        config.resume_with_get = resume_with_get;
        config.read_timeout = read_timeout;
        config.last_event_id = preset.clone();
        config.seed = random.below(1000) as u64;
        let backoff = retry_delay::backoff().jitter(jitter);
        config.retry_delay_strategy = Box::new(match cap {
            Some(cap) => backoff.max_delay(cap),
            None => backoff,
        });
        let (log, mut chance) = (verdicts.clone(), random.fork());
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
            resume_with_get,
            jitter,
            cap,
            read_timeout,
            phase: Phase::Idle,
            start_due: false,
            lost: None,
            early: None,
            wait_interrupted: None,
            stop_due: false,
            restarting: false,
            due: VecDeque::new(),
            stream: Stream::random(&mut random, &mut serial),
            opened: Timestamp::default(),
            last_byte: Timestamp::default(),
            sent_id: None,
            delivered: false,
            reading: None,
            retry_after: Duration::ZERO,
            by_get: false,
            refused: false,
            last_id: preset,
            server_sent_id: false,
            sent: false,
            finished: false,
            not_repeated: false,
            base: (INITIAL, false),
            growing: false,
            factor: 1.0,
            restarted: false,
            not_before: Timestamp::default(),
            serial,
            random,
        }
    }

    /// One random action of the server, the user or the driver, then up to three polls.
    pub(crate) fn step(&mut self) {
        // Otherwise most of a script would be spent waiting.
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
            17 => self.call_in_wrong_state(),
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

    /// At the end, everything that is due is delivered within a bounded number of outputs.
    pub(crate) fn settle(&mut self) {
        self.interrupt();
        let bound = self.due.len() + 4;
        let outputs = (0..=bound).take_while(|_| self.poll()).count();
        assert!(outputs <= bound, "too many outputs");
        assert_eq!(self.due, [], "received but never delivered");
        self.close();
        assert!(!self.poll());
    }

    fn start(&mut self) {
        self.session.start();
        if self.phase == Phase::Idle {
            self.phase = Phase::Waiting;
            self.stop_due = false;
            self.begin_again();
        } else {
            self.restarting = self.lost.is_some();
        }
    }

    /// An explicit start resumes if possible, and otherwise sends the request again.
    pub(super) fn begin_again(&mut self) {
        self.finished = false;
        self.not_repeated = false;
        self.sent &= self.can_resume();
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
        // A misbehaving driver: after a rejected resume there is no connection.
        self.refused = false;
        self.request_sent();
        self.opened = self.now;
        self.last_byte = self.now;
        self.sent_id = self.last_id.clone();
        self.delivered = false;
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
            let ending = match self.random.one_in(2) {
                true => Ending::Complete,
                false => Ending::Unproven,
            };
            self.session.handle_end(ending, self.now);
            self.lose(Cause::End(ending));
        }
    }

    fn fault(&mut self) {
        let mut retry_after = Duration::ZERO;
        let fault = match (self.phase, self.random.below(3)) {
            (Phase::Open, _) => Fault::Read("reset".into()),
            (Phase::Connecting, 0) => {
                let status = [503, 503, 503, 400, 404, 405][self.random.below(6)];
                let mut response = ErrorResponse::new(status);
                retry_after = Duration::from_secs([0, 3, 100][self.random.below(3)]);
                response.retry_after = Some(retry_after);
                self.refused |= status < 500 && self.by_get && self.lost.is_none();
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
        self.lose(Cause::Fault);
    }

    fn timeout(&mut self) {
        if let Some(Some(deadline)) = self.reading {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.lose(Cause::Fault);
        }
    }

    fn interrupt(&mut self) {
        self.session.interrupt(self.now);
        match self.phase {
            Phase::Idle | Phase::Closed => {}
            Phase::Connecting | Phase::Open => {
                if self.lost.is_none() {
                    self.request_sent();
                    self.lose(Cause::Interrupt);
                    self.delay_computed_early();
                }
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

    /// Calls of a misbehaving driver, in the wrong state.
    fn call_in_wrong_state(&mut self) {
        if self.phase != Phase::Connecting {
            self.session.handle_connected(Start::default(), self.now);
        }
        if !matches!(self.phase, Phase::Connecting | Phase::Open) {
            self.session.handle_end(Ending::Complete, self.now);
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
        let millis = [0, 1, 300, 2000, 20_000, 25_000, 100_000][self.random.below(7)];
        self.now = self.now + Duration::from_millis(millis);
    }

    fn lose(&mut self, cause: Cause) {
        self.reading = None;
        self.lost.get_or_insert((self.now, cause));
    }

    fn request_sent(&mut self) {
        if !self.sent {
            self.sent = true;
            self.server_sent_id = false;
        }
    }
}
