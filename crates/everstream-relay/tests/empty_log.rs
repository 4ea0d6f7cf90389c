//! What starts an empty log: feeds that begin at their beginning for a client without an id, and feeds that
//! begin with the next event; one relay, and two that start together.

use std::time::{Duration, SystemTime};

use everstream_core::Timestamp;
use everstream_relay::{
    AppendError, Command, Config, Held, Machine, Notice, Output, Record, Role, Tail,
};

/// What a client without an id gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// All events.
    First,
    /// Those that are published from then on.
    Next,
}

/// Relays of one feed, and one log. Event n has the id n.
struct World {
    begins: Begins,
    published: u64,
    log: Vec<u64>,
    now: Timestamp,
    relays: Vec<Relay>,
}

struct Relay {
    machine: Machine,
    /// The event that its connection delivers next.
    next: u64,
    connects: usize,
    notices: Vec<Notice>,
    wake: Option<Timestamp>,
    stopped: bool,
}

impl World {
    fn new(begins: Begins, published: u64, relays: usize) -> World {
        let mut world = World {
            begins,
            published,
            log: Vec::new(),
            now: Timestamp::default(),
            relays: Vec::new(),
        };
        (0..relays).for_each(|_| world.start());
        world
    }

    fn start(&mut self) {
        self.relays.push(Relay {
            machine: Machine::new(Config::default()),
            next: 0,
            connects: 0,
            notices: Vec::new(),
            wake: None,
            stopped: false,
        });
        self.run(self.relays.len() - 1);
    }

    fn tail(&self) -> Tail {
        Tail {
            pos: self.log.len() as u64,
            id: self.log.last().map(u64::to_string),
        }
    }

    fn publish(&mut self, count: u64) {
        self.published += count;
        (0..self.relays.len()).for_each(|index| self.run(index));
    }

    fn run(&mut self, index: usize) {
        let (now, tail) = (self.now, self.tail());
        let relay = &mut self.relays[index];
        if relay.stopped {
            return;
        }
        match relay.machine.poll_output(now) {
            Output::Connect { last_event_id } => {
                relay.connects += 1;
                relay.next = match (last_event_id, self.begins) {
                    (Some(id), _) => id.parse::<u64>().unwrap() + 1,
                    (None, Begins::First) => 1,
                    (None, Begins::Next) => self.published + 1,
                };
                relay.machine.handle_connected();
            }
            Output::Notice(notice) => relay.notices.push(notice),
            Output::Stop(end) => panic!("{end:?}"),
            Output::Sink(Command::Open { .. }) => {
                let recent = self.log.iter().map(u64::to_string).collect();
                let held = Held::new(tail, recent, None);
                relay.machine.handle_opened(Ok(held), now);
            }
            Output::Sink(Command::Tail) => relay.machine.handle_tail(Ok(tail), now),
            Output::Sink(Command::Append { after, batch }) => {
                let result = match after == tail {
                    true => {
                        let ids = batch.iter().map(|it| it.id.as_deref().unwrap());
                        self.log.extend(ids.map(|id| id.parse::<u64>().unwrap()));
                        Ok(Tail {
                            pos: self.log.len() as u64,
                            id: self.log.last().map(u64::to_string),
                        })
                    }
                    false => Err(AppendError::Conflict),
                };
                relay.machine.handle_appended(result, now);
            }
            Output::Wait { read: true, .. } if relay.next <= self.published => {
                let id = Some(relay.next.to_string());
                relay.next += 1;
                let record = Record::new(id, "message", "data", SystemTime::UNIX_EPOCH);
                relay.machine.handle_event(record, now);
            }
            Output::Wait { until, .. } => {
                relay.wake = until;
                return;
            }
        }
        self.run(index);
    }

    /// Time passes, with everything that is due in it.
    fn pass(&mut self, milliseconds: u64) {
        let target = self.now + Duration::from_millis(milliseconds);
        loop {
            let running = self.relays.iter().enumerate().filter(|(_, it)| !it.stopped);
            let due = running.filter_map(|(index, it)| Some((it.wake?, index)));
            let Some((wake, index)) = due.min().filter(|(wake, _)| *wake <= target) else {
                break;
            };
            self.now = wake.max(self.now);
            self.run(index);
        }
        self.now = target;
    }

    fn roles(&self) -> Vec<Role> {
        self.relays.iter().map(|it| it.machine.role()).collect()
    }

    fn said(&self, index: usize, text: &str) -> bool {
        let notices = &self.relays[index].notices;
        notices.iter().any(|it| it.to_string().contains(text))
    }
}

/// The first event after the start, with each kind of feed.
const KINDS: [(Begins, u64); 2] = [(Begins::First, 1), (Begins::Next, 171)];

#[test]
fn one_relay_stores_all_that_it_receives() {
    for (begins, first) in KINDS {
        let mut world = World::new(begins, 170, 1);
        world.publish(3);
        world.pass(10_000);
        world.publish(2);
        world.pass(10_000);
        assert_eq!(world.log, (first..=175).collect::<Vec<_>>(), "{begins:?}");
        assert_eq!(world.relays[0].connects, 1);
        assert!(world.said(0, "the log is empty: starting it"));
        assert!(!world.said(0, "takes over"));
    }
}

#[test]
fn of_two_that_start_together_one_stores_and_the_other_stands_by() {
    for (begins, first) in KINDS {
        let mut world = World::new(begins, 170, 2);
        world.publish(3);
        world.pass(10_000);
        world.publish(2);
        world.pass(10_000);
        assert_eq!(world.log, (first..=175).collect::<Vec<_>>(), "{begins:?}");
        assert_eq!(world.roles(), [Role::Active, Role::Standby]);
        // The one that lost continues where the other one stops.
        world.relays[0].stopped = true;
        world.publish(2);
        world.pass(10_000);
        assert_eq!(world.log, (first..=177).collect::<Vec<_>>(), "{begins:?}");
        assert_eq!(world.roles()[1], Role::Active);
    }
}

#[test]
fn the_first_append_starts_the_log_for_both() {
    for (begins, first) in [(Begins::First, 1), (Begins::Next, 172)] {
        let mut world = World::new(begins, 170, 1);
        world.publish(1);
        // It is stopped with 171, and the second one's connection begins with 172.
        world.relays[0].stopped = true;
        world.start();
        world.publish(3);
        world.pass(1000);
        world.relays[0].stopped = false;
        world.publish(1);
        world.pass(10_000);
        assert_eq!(world.log, (first..=175).collect::<Vec<_>>(), "{begins:?}");
        assert_eq!(world.roles(), [Role::Standby, Role::Active]);
    }
}

#[test]
fn a_log_that_lost_everything_is_reported_and_so_is_a_feed_that_does_not_start_again() {
    for (begins, first) in KINDS {
        let mut world = World::new(begins, 170, 1);
        world.publish(3);
        world.pass(1000);
        world.log.clear();
        world.pass(20_000);
        world.publish(2);
        world.pass(20_000);
        let again = if begins == Begins::First { 1 } else { 174 };
        assert_eq!(world.log, (again..=175).collect::<Vec<_>>(), "{begins:?}");
        assert!(world.said(0, "is empty now"));
        let gap = format!(
            "events are missing at the start of the log: the feed used to start with id {first} \
             and now starts with id {again}"
        );
        assert_eq!(world.said(0, &gap), begins == Begins::Next);
        let gaps = world.relays[0].machine.snapshot(world.now).gaps;
        assert_eq!(gaps, u64::from(begins == Begins::Next));
    }
}
