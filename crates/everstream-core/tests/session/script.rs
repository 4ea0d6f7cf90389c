//! A session, a clock that the test controls, and the session's outputs in comparable form.

use std::time::Duration;

use everstream_core::{
    Action, Ending, ErrorResponse, Fault, Output, Session, SessionConfig, Start, Timestamp,
    retry_delay,
};

/// An output of the session. Times are relative to now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Connect(Option<String>),
    /// By GET, from this id.
    Resume(Option<String>),
    Wait(Duration),
    Read,
    ReadWithin(Duration),
    /// With the number of attempts.
    Start(u32),
    /// With its data.
    Event(String),
    Comment(String),
    Fault(&'static str),
    /// The iteration has ended cleanly.
    Stop,
    /// The iteration has ended with this fault.
    Failed(&'static str),
}

pub(crate) use Seen::{Failed, Fault as Lost, Read, ReadWithin, Start as Started, Stop, Wait};

/// The name of an end after which the request isn't repeated.
pub(crate) const NOT_REPEATED: &str = "end, not repeated";

pub(crate) fn connect() -> Seen {
    Seen::Connect(None)
}

pub(crate) fn resume(last_event_id: &str) -> Seen {
    Seen::Connect(Some(last_event_id.into()))
}

pub(crate) fn resume_with_get(last_event_id: &str) -> Seen {
    Seen::Resume(Some(last_event_id.into()))
}

pub(crate) fn event(data: &str) -> Seen {
    Seen::Event(data.into())
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn refused() -> Fault {
    Fault::Connect("refused".into())
}

pub(crate) fn broken() -> Fault {
    Fault::Read("reset".into())
}

pub(crate) fn status(status: u16) -> Fault {
    Fault::Status(Box::new(ErrorResponse::new(status)))
}

pub(crate) fn retry_after(asked: Duration) -> Fault {
    let mut response = ErrorResponse::new(503);
    response.retry_after = Some(asked);
    Fault::Status(Box::new(response))
}

fn name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Connect(_) => "refused",
        Fault::ConnectTimeout(_) => "connect timeout",
        Fault::Request(_) => "request",
        Fault::Status(_) => "status",
        Fault::Read(_) => "broken",
        Fault::ReadTimeout(_) => "read timeout",
        Fault::TooLarge(_) => "too large",
        Fault::Incomplete => "incomplete",
        Fault::Setup(_) => "setup",
        Fault::Source(_) => "source",
        _ => "another fault",
    }
}

pub(crate) struct Script {
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
}

impl Script {
    /// An inactive session, by default with delays of 1, 2, 4, 8, 16, 30, 30... seconds.
    pub(crate) fn new(configure: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::default();
        config.retry_delay_strategy = Box::new(retry_delay::backoff().jitter(0.0));
        configure(&mut config);
        Script {
            session: Session::new(config),
            now: Timestamp::since_start(secs(1000)),
        }
    }

    /// A session with a connection whose start was reported.
    pub(crate) fn open(configure: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut script = Self::new(configure);
        script.session.start();
        script.connect();
        script
    }

    /// The next output.
    pub(crate) fn next(&mut self) -> Seen {
        let from_now = |moment: Timestamp| moment.saturating_duration_since(self.now);
        match self.session.poll_output(self.now) {
            Output::Connect { resume_with_get } => {
                let last_event_id = self.session.last_event_id().map(String::from);
                match resume_with_get {
                    true => Seen::Resume(last_event_id),
                    false => Seen::Connect(last_event_id),
                }
            }
            Output::Wait { until } => Seen::Wait(from_now(until)),
            Output::Read { deadline: None } => Seen::Read,
            Output::Read {
                deadline: Some(deadline),
            } => Seen::ReadWithin(from_now(deadline)),
            Output::Action(Action::Start(start)) => Seen::Start(start.attempt),
            Output::Action(Action::Event(event)) => Seen::Event(event.into_data()),
            Output::Action(Action::Comment(text)) => Seen::Comment(text),
            Output::Action(Action::End(end)) if end.not_repeated => Seen::Fault(NOT_REPEATED),
            Output::Action(Action::End(_)) => Seen::Fault("end"),
            Output::Action(Action::Fault(fault)) => Seen::Fault(name(&fault)),
            Output::Stop(Ok(())) => Seen::Stop,
            Output::Stop(Err(fault)) => Seen::Failed(name(&fault)),
            other => panic!("{other:?} is unknown"),
        }
    }

    /// The next N outputs.
    pub(crate) fn next_n<const N: usize>(&mut self) -> [Seen; N] {
        [(); N].map(|()| self.next())
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Waits until the session wants to connect. Returns how long that was; zero if it doesn't wait.
    pub(crate) fn wait(&mut self) -> Duration {
        match self.next() {
            Seen::Wait(time) => {
                self.pass(time);
                time
            }
            Seen::Connect(_) | Seen::Resume(_) => Duration::ZERO,
            other => panic!("expected a wait or a connection, got {other:?}"),
        }
    }

    /// Establishes the connection that the session asks for. Returns the id to resume from.
    pub(crate) fn connect(&mut self) -> Option<String> {
        let (Seen::Connect(id) | Seen::Resume(id)) = self.next() else {
            panic!("the session doesn't connect");
        };
        self.session.handle_connected(Start::default(), self.now);
        assert!(matches!(self.next(), Seen::Start(_)));
        id
    }

    /// Waits and connects. Returns how long the wait was.
    pub(crate) fn reconnect(&mut self) -> Duration {
        let waited = self.wait();
        self.connect();
        waited
    }

    /// Passes bytes to the session, which must be reading.
    pub(crate) fn bytes(&mut self, bytes: &str) {
        let next = self.next();
        assert!(
            matches!(next, Seen::Read | Seen::ReadWithin(_)),
            "{next:?} instead of reading"
        );
        self.session.handle_data(bytes.into(), self.now);
    }

    /// Passes bytes to the session, and returns the resulting outputs.
    pub(crate) fn receive(&mut self, bytes: &str) -> Vec<Seen> {
        self.bytes(bytes);
        let mut seen = Vec::new();
        loop {
            match self.next() {
                Seen::Read | Seen::ReadWithin(_) => return seen,
                other => seen.push(other),
            }
        }
    }

    pub(crate) fn end(&mut self) {
        self.session.handle_end(Ending::Unproven, self.now);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.session.handle_fault(fault, self.now);
    }

    /// The server ends the connection, and the session reports that and continues.
    pub(crate) fn end_and_continue(&mut self) {
        self.end();
        assert_eq!(self.next(), Seen::Fault("end"));
    }

    /// The server ends the connection, and the framing proves that the body is complete.
    pub(crate) fn end_cleanly(&mut self) {
        self.session.handle_end(Ending::Complete, self.now);
        assert_eq!(self.next(), Seen::Fault("end"));
    }

    /// The server sends this body and ends it cleanly, and the session reconnects. Returns the delay.
    pub(crate) fn poll(&mut self, body: &str) -> Duration {
        self.receive(body);
        self.end_cleanly();
        self.reconnect()
    }

    /// Waits for the pending delay, refuses the next attempt, and waits again. Returns the second delay.
    pub(crate) fn refuse(&mut self) -> Duration {
        self.wait();
        assert!(matches!(self.next(), Seen::Connect(_)));
        self.fault(refused());
        assert_eq!(self.next(), Seen::Fault("refused"));
        self.wait()
    }

    pub(crate) fn start(&mut self) {
        self.session.start();
    }

    pub(crate) fn read(&mut self) {
        self.session.read();
    }

    pub(crate) fn interrupt(&mut self) {
        self.session.interrupt(self.now);
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.session.last_event_id()
    }
}

/// However often the user reads, the session doesn't reconnect.
pub(crate) fn assert_not_repeated(script: &mut Script) {
    for _ in 0..3 {
        script.pass(secs(100));
        assert_eq!(script.next(), Stop);
        script.read();
        assert!(!script.session.is_active());
    }
}
