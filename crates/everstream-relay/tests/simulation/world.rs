//! Several relays, one engine, one feed, and a clock that jumps.

use std::time::{Duration, SystemTime};

use everstream_core::Timestamp;
use everstream_relay::{Command, Config, End, Machine, Notice, Output, Record, Role};

use super::Random;
use super::engine::{Answer, Engine, State, unanswered, unavailable};
use super::feed::{Client, Feed};

const TAKEOVER: u64 = 1000;
/// A calm world needs no longer to store everything: the longest delay, two takeovers, and some.
const SETTLES: u64 = 12_000;

pub(crate) struct World {
    random: Random,
    /// In milliseconds.
    now: u64,
    feed: Feed,
    engine: Engine,
    relays: Vec<Relay>,
    flights: Vec<Flight>,
    calm: bool,
    counts: Counts,
}

#[derive(Debug)]
struct Relay {
    /// None: it was killed.
    machine: Option<Machine>,
    /// Counts its processes, so that nothing is delivered to the next one.
    process: u64,
    /// It is stopped until then.
    paused: u64,
    client: Option<Client>,
    wake: Option<u64>,
    reads: bool,
    slow: bool,
}

/// A command on its way to the engine, or its answer on its way back.
struct Flight {
    relay: usize,
    process: u64,
    at: u64,
    cargo: Cargo,
}

enum Cargo {
    Command(Command),
    /// A command whose sender no longer waits for the answer.
    Abandoned(Command),
    Answer(Answer),
}

macro_rules! counts {
    ($($name:ident: $least:expr,)*) => {
        /// What happened, and how often it has to in a thousand sequences.
        #[derive(Debug, Default)]
        pub(crate) struct Counts { $(pub(crate) $name: u64,)* }

        impl Counts {
            pub(crate) fn add(&mut self, other: &Counts) {
                $(self.$name += other.$name;)*
            }

            pub(crate) fn all(&self) -> Vec<(&'static str, u64, u64)> {
                vec![$((stringify!($name), self.$name, $least),)*]
            }
        }
    };
}

counts! {
    stored: 40_000, started: 1000, takeovers: 600, conflicts: 100, unknown: 800, late: 15, skipped: 1000,
    went_back: 60, not_needed: 8, dead_letters: 300, gaps: 10, kills: 400, pauses: 400,
    stops: 400, outages: 1500,
}

impl World {
    pub(crate) fn new(mut random: Random) -> World {
        let relays = 1 + random.below(3) as usize;
        let begins_now = random.one_in(3);
        let mut world = World {
            random,
            now: 0,
            feed: Feed {
                published: 0,
                begins_now,
                forgotten: 0,
                left_out: Default::default(),
            },
            engine: Engine {
                state: State::Up,
                log: Vec::new(),
                checked: 0,
                was_emptied: false,
            },
            relays: Vec::new(),
            flights: Vec::new(),
            calm: false,
            counts: Counts::default(),
        };
        for index in 0..relays {
            world.relays.push(Relay {
                machine: None,
                process: 0,
                paused: 0,
                client: None,
                wake: None,
                reads: false,
                slow: false,
            });
            world.launch(index);
        }
        world
    }

    fn launch(&mut self, index: usize) {
        let mut config = Config::default();
        config.takeover = Duration::from_millis(TAKEOVER);
        config.poll = Duration::from_millis(250);
        config.batch = 1 + self.random.below(16) as usize;
        config.buffer = config.batch + self.random.below(16) as usize;
        config.linger = Duration::from_millis(self.random.below(10));
        config.dead_letter = true;
        config.recent = 64;
        let relay = &mut self.relays[index];
        relay.machine = Some(Machine::new(config));
        relay.process += 1;
        relay.client = None;
        relay.wake = Some(self.now);
        relay.slow = !self.calm && self.random.one_in(8);
    }

    /// Something happens, and some time passes.
    pub(crate) fn step(&mut self) {
        let index = self.random.below(self.relays.len() as u64) as usize;
        match self.random.below(20) {
            0..8 => self.feed.published += self.random.below(24),
            8 => self.kill(index),
            9 | 10 if self.relays[index].machine.is_none() => self.launch(index),
            9 => {
                let time = self.random.below(3000);
                self.relays[index].paused = self.now + time;
                self.counts.pauses += 1;
            }
            10 => self.stop(index),
            11 | 12 => {
                let ready = self.now + self.random.below(400);
                if let Some(client) = &mut self.relays[index].client {
                    client.drop_connection(ready);
                }
            }
            13 => {
                self.engine.state = State::Down;
                self.counts.outages += 1;
            }
            14 => {
                self.engine.state = State::Paused;
                self.counts.outages += 1;
            }
            15 if self.random.one_in(3) => self.engine.fail_over(&mut self.random),
            16 if self.random.one_in(3) => {
                let kept = self.random.below(40);
                let forgotten = self.feed.published.saturating_sub(kept);
                self.feed.forgotten = self.feed.forgotten.max(forgotten);
            }
            _ => self.engine.state = State::Up,
        }
        let time = match self.random.below(6) {
            0 => 0,
            1..5 => self.random.below(100),
            _ => self.random.below(2 * TAKEOVER),
        };
        self.advance(time);
    }

    /// Everything works, and the log gets all of the feed.
    pub(crate) fn settle(&mut self) {
        self.calm = true;
        self.engine.state = State::Up;
        for index in 0..self.relays.len() {
            self.relays[index].paused = 0;
            self.relays[index].slow = false;
        }
        // What a relay can't know is missing arrives with the next event.
        self.feed.published += 1;
        let limit = self.now + SETTLES;
        while self.engine.log.last() != Some(&self.feed.published) {
            if self.feed.begins_now && self.engine.log.is_empty() {
                // Relays that connected since have nothing to start the log with.
                self.feed.published += 1;
            }
            assert!(
                self.now < limit,
                "not settled: {:?} of {}: {:#?}",
                self.engine.log.last(),
                self.feed.published,
                self.relays,
            );
            // Some may have been told to stop.
            for index in 0..self.relays.len() {
                if self.relays[index].machine.is_none() {
                    self.launch(index);
                }
            }
            self.advance(50);
        }
        // A relay that was replaced finds out with its next poll, or when it tries its batch again.
        let limit = self.now + TAKEOVER + 2500;
        while self.active() > 1 {
            assert!(self.now < limit, "{} active relays", self.active());
            self.advance(50);
        }
    }

    fn active(&self) -> usize {
        let machines = self.relays.iter().filter_map(|it| it.machine.as_ref());
        machines.filter(|it| it.role() == Role::Active).count()
    }

    fn kill(&mut self, index: usize) {
        if self.relays[index].machine.is_some() {
            self.collect(index);
            self.relays[index].machine = None;
            self.relays[index].client = None;
            self.counts.kills += 1;
        }
    }

    fn stop(&mut self, index: usize) {
        if let Some(machine) = &mut self.relays[index].machine {
            machine.stop();
            self.relays[index].wake = Some(self.now);
            self.counts.stops += 1;
        }
    }

    fn advance(&mut self, time: u64) {
        let target = self.now + time;
        loop {
            self.work();
            let next = self.next().filter(|next| *next <= target);
            let Some(next) = next else { break };
            self.now = next.max(self.now);
        }
        self.now = target;
    }

    /// When something is due.
    fn next(&self) -> Option<u64> {
        let flights = self.flights.iter().map(|flight| match flight.cargo {
            Cargo::Answer(_) => flight.at.max(self.relays[flight.relay].paused),
            _ if self.engine.state == State::Paused => u64::MAX,
            _ => flight.at,
        });
        let relays = self.relays.iter().filter(|it| it.machine.is_some());
        let relays = relays.flat_map(|relay| {
            let client = relay.client.as_ref().filter(|client| {
                !client.is_connected() || (relay.reads && client.has_event(&self.feed))
            });
            let times = [relay.wake, client.map(|client| client.ready)];
            times.map(|time| time.map_or(u64::MAX, |time| time.max(relay.paused)))
        });
        flights.chain(relays).filter(|at| *at != u64::MAX).min()
    }

    fn work(&mut self) {
        let mut index = 0;
        while index < self.flights.len() {
            if self.lands(&self.flights[index]) {
                let flight = self.flights.swap_remove(index);
                self.land(flight);
            } else {
                index += 1;
            }
        }
        for index in 0..self.relays.len() {
            if self.relays[index].paused <= self.now {
                self.deliver(index);
                self.poll(index);
            }
        }
    }

    fn lands(&self, flight: &Flight) -> bool {
        let open = match flight.cargo {
            Cargo::Answer(_) => self.relays[flight.relay].paused <= self.now,
            _ => self.engine.state != State::Paused,
        };
        open && flight.at <= self.now
    }

    fn land(&mut self, mut flight: Flight) {
        match flight.cargo {
            Cargo::Answer(answer) => {
                let now = timestamp(self.now);
                let relay = &mut self.relays[flight.relay];
                let machine = relay.machine.as_mut();
                let Some(machine) = machine.filter(|_| relay.process == flight.process) else {
                    return;
                };
                match answer {
                    Answer::Opened(result) => machine.handle_opened(result, now),
                    Answer::Tail(result) => machine.handle_tail(result, now),
                    Answer::Appended(result) => machine.handle_appended(result, now),
                }
                relay.wake = Some(self.now);
            }
            Cargo::Abandoned(command) => {
                if self.engine.state == State::Up {
                    let before = self.engine.log.len();
                    self.engine.run(&command, &mut self.random);
                    self.counts.late += u64::from(self.engine.log.len() > before);
                    self.check();
                }
            }
            Cargo::Command(command) => {
                let mut answer = match self.engine.state {
                    State::Up => self.engine.run(&command, &mut self.random),
                    _ if self.random.one_in(3) => unanswered(&command),
                    _ => unavailable(&command),
                };
                self.check();
                if !self.calm && self.random.one_in(12) {
                    answer = unanswered(&command);
                }
                flight.at = self.now + self.random.below(4);
                flight.cargo = Cargo::Answer(answer);
                self.flights.push(flight);
            }
        }
    }

    /// The feed's events arrive.
    fn deliver(&mut self, index: usize) {
        let relay = &mut self.relays[index];
        let (Some(machine), Some(client)) = (&mut relay.machine, &mut relay.client) else {
            return;
        };
        if client.ready > self.now {
            return;
        }
        if !client.is_connected() {
            client.connect(&mut self.feed, &mut self.random, !self.calm);
            machine.handle_connected();
        }
        let mut limit = 1 + self.random.below(12);
        while relay.reads && limit > 0 && client.has_event(&self.feed) {
            let id = client.take().to_string();
            let record = Record::new(Some(id), "message", "", SystemTime::UNIX_EPOCH);
            machine.handle_event(record, timestamp(self.now));
            relay.wake = Some(self.now);
            limit -= 1;
            relay.reads = match machine.poll_output(timestamp(self.now)) {
                Output::Wait { read, .. } => read,
                output => {
                    self.obey(index, output);
                    return;
                }
            };
        }
        client.ready = self.now + if relay.slow { 300 } else { 1 };
    }

    fn poll(&mut self, index: usize) {
        loop {
            let relay = &mut self.relays[index];
            let due = relay.wake.is_some_and(|wake| wake <= self.now);
            let Some(machine) = relay.machine.as_mut().filter(|_| due) else {
                return;
            };
            let output = machine.poll_output(timestamp(self.now));
            self.obey(index, output);
        }
    }

    fn obey(&mut self, index: usize, output: Output) {
        let relay = &mut self.relays[index];
        match output {
            Output::Wait { until, read } => {
                let until = until.map(|until| until.elapsed().as_millis() as u64);
                assert!(
                    until.is_none_or(|until| until > self.now),
                    "wakes in the past"
                );
                relay.wake = until;
                relay.reads = read;
            }
            Output::Connect { last_event_id } => {
                let last = last_event_id.map(|id| id.parse().unwrap());
                // A feed that begins now never sends again what a relay without an id had received.
                let now = timestamp(self.now);
                let received = (relay.machine.as_ref()).map_or(0, |it| it.snapshot(now).received);
                assert!(
                    last.is_some() || received == 0 || self.engine.was_emptied,
                    "{received} events are dropped"
                );
                let ready = self.now + self.random.below(100);
                relay.client = Some(Client::new(last, ready));
            }
            Output::Sink(command) => self.send(index, command),
            Output::Notice(notice) => match notice {
                Notice::Opened(tail) if tail.pos == 0 => self.counts.started += 1,
                Notice::TakingOver => self.counts.takeovers += 1,
                Notice::WentBack { .. } => self.counts.went_back += 1,
                Notice::NotNeeded => self.counts.not_needed += 1,
                Notice::DeadLetter { .. } => self.counts.dead_letters += 1,
                _ => {}
            },
            Output::Stop(result) => {
                assert!(matches!(result, Ok(End::Stopped)), "{result:?}");
                self.collect(index);
                let relay = &mut self.relays[index];
                relay.machine = None;
                relay.client = None;
            }
        }
    }

    fn send(&mut self, index: usize, command: Command) {
        let process = self.relays[index].process;
        let at = self.now + self.random.below(6);
        let mut fly = |at, cargo| {
            self.flights.push(Flight {
                relay: index,
                process,
                at,
                cargo,
            });
        };
        if !self.calm && self.random.one_in(25) {
            // The sender gives up before the engine gets to it.
            fly(at, Cargo::Answer(unanswered(&command)));
            fly(at + self.random.below(400), Cargo::Abandoned(command));
        } else {
            fly(at, Cargo::Command(command));
        }
    }

    /// The invariant: once, in order, and nothing is missing that the feed still had.
    fn check(&mut self) {
        let log = &self.engine.log;
        for place in self.engine.checked..log.len() {
            if place == 0 && self.feed.begins_now {
                continue;
            }
            let before = place.checked_sub(1).map_or(0, |place| log[place]);
            let event = log[place];
            assert!(before < event, "{event} follows {before}: {log:?}");
            let lost = (before + 1..event)
                .find(|it| *it > self.feed.forgotten && !self.feed.left_out.contains(it));
            assert_eq!(lost, None, "{event} follows {before}: {log:?}");
        }
        self.engine.checked = log.len();
    }

    /// The counts of a relay that ends.
    fn collect(&mut self, index: usize) {
        if let Some(machine) = &self.relays[index].machine {
            let snapshot = machine.snapshot(timestamp(self.now));
            self.counts.stored += snapshot.stored;
            self.counts.conflicts += snapshot.conflicts;
            self.counts.unknown += snapshot.unknown;
            self.counts.skipped += snapshot.skipped;
            self.counts.gaps += snapshot.gaps;
        }
    }

    pub(crate) fn counts(mut self) -> Counts {
        (0..self.relays.len()).for_each(|index| self.collect(index));
        self.counts
    }
}

fn timestamp(milliseconds: u64) -> Timestamp {
    Timestamp::since_start(Duration::from_millis(milliseconds))
}
