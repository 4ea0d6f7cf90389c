//! `poll_event` returns the same events as `poll_output` without any fast path.

use everstream_core::{Action, Ending, Fault, Output, Session, SessionConfig, Start, Timestamp};
use everstream_core::{Oversize, error_strategy};

use super::script::secs;
use crate::numbers::Random;

const SCRIPTS: u64 = 2000;
const STEPS: usize = 60;

#[rustfmt::skip]
const PIECES: &[&str] = &[
    "data: a\n\n", "data: a\n\n", "data:b\r\n\r\n", "data: c\r\r", "data: long, longer\n\n", "\n",
    "data: d\n", "data", ": comment\n", ":", "id: 1\n", "id: 2\ndata: e\n\n", "id\n\n", "event: f\n",
    "event: g\ndata: h\n\n", "retry: 5\n", "\r", "\r\n", "\u{FEFF}", "",
];

/// Two sessions with the same inputs.
struct Pair {
    fast: Session,
    reference: Session,
    now: Timestamp,
    /// The number of events from `poll_event`.
    events: usize,
}

impl Pair {
    fn new(random: &mut Random) -> Self {
        let (limit, resumes, times_out) = (
            if random.one_in(2) { 1000 } else { 12 },
            random.one_in(3),
            random.one_in(2),
        );
        let oversize = match random.one_in(2) {
            true => Oversize::Skip,
            false => Oversize::Fail,
        };
        let config = || {
            let mut config = SessionConfig::default();
            config.max_event_size = limit;
            config.oversize = oversize;
            config.last_event_id = resumes.then(|| "preset".into());
            config.read_timeout = times_out.then(|| secs(10));
            config.error_strategy = Box::new(error_strategy::always_continue());
            config
        };
        let mut to_the_end = config();
        // `until` must see every event, which disables the fast path.
        to_the_end.until = Some(Box::new(|_| false));
        Pair {
            fast: Session::new(config()),
            reference: Session::new(to_the_end),
            now: Timestamp::default(),
            events: 0,
        }
    }

    fn both(&mut self, tell: impl Fn(&mut Session, Timestamp)) {
        tell(&mut self.fast, self.now);
        tell(&mut self.reference, self.now);
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(20) {
            0 if random.one_in(2) => {
                self.both(|session, now| session.handle_end(Ending::Unproven, now))
            }
            1 if random.one_in(2) => {
                self.both(|session, now| session.handle_fault(Fault::Read("reset".into()), now))
            }
            2 if random.one_in(4) => self.both(|session, now| session.interrupt(now)),
            3 => self.both(|session, now| session.handle_timeout(now)),
            4 => self.both(|session, _| session.start()),
            5 if random.one_in(40) => self.both(|session, _| session.close()),
            6 => self.now = self.now + secs(random.below(12) as u64),
            _ => {
                // Possibly several chunks before the first is decoded.
                let pieces = (0..random.below(7)).map(|_| PIECES[random.below(PIECES.len())]);
                let bytes = pieces.collect::<String>().into_bytes();
                self.both(|session, now| session.handle_data(bytes.clone(), now));
            }
        }
        for _ in 0..random.below(6) {
            self.poll(random.one_in(2));
        }
    }

    fn poll(&mut self, use_fast_path: bool) {
        let event = match use_fast_path {
            true => self.fast.poll_event(),
            false => None,
        };
        self.events += usize::from(event.is_some());
        let output = match event {
            Some(event) => Output::Action(Action::Event(event)),
            None => self.fast.poll_output(self.now),
        };
        let due = self.reference.poll_output(self.now);
        assert_eq!(format!("{output:?}"), format!("{due:?}"));
        assert_eq!(self.fast.last_event_id(), self.reference.last_event_id());
        assert_eq!(
            self.fast.next_retry_delay(),
            self.reference.next_retry_delay()
        );
        assert_eq!(self.fast.last_byte(), self.reference.last_byte());
        match due {
            Output::Connect { .. } => {
                self.both(|session, now| session.handle_connected(Start::default(), now));
            }
            Output::Wait { until } => self.now = until,
            Output::Read { .. } | Output::Action(_) | Output::Stop(_) => {}
        }
    }
}

#[test]
fn poll_event_returns_the_same_events_as_poll_output() {
    let mut events = 0;
    for seed in 0..SCRIPTS {
        let mut random = Random(seed);
        let mut pair = Pair::new(&mut random);
        pair.both(|session, _| session.start());
        for _ in 0..STEPS {
            pair.step(&mut random);
        }
        events += pair.events;
    }
    assert!(events as u64 > 3 * SCRIPTS, "only {events} events");
}
