//! The rules of the machine, one by one.

mod records;
mod takeover;
mod writer;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use everstream_core::Timestamp;
use everstream_relay::{
    AppendError, Command, Config, End, Failure, Held, Machine, Notice, Output, Record, Role,
    SinkError, Tail,
};

/// A relay at a log that this test plays.
struct Rig {
    machine: Machine,
    now: Timestamp,
    log: Vec<Record>,
    largest: Option<usize>,
    /// What the next appends come to, instead of being stored.
    answers: VecDeque<AppendError>,
    /// The log takes commands, and doesn't answer.
    stuck: bool,
    away: bool,
    connects: Vec<Option<String>>,
    notices: Vec<Notice>,
    batches: Vec<usize>,
    polls: usize,
    reads: bool,
    wake: Option<Timestamp>,
    end: Option<Result<End, Failure>>,
}

impl Rig {
    fn new(config: Config) -> Rig {
        Rig::with_log(config, &[])
    }

    fn with_log(config: Config, ids: &[&str]) -> Rig {
        let mut rig = Rig {
            machine: Machine::new(config),
            now: Timestamp::default(),
            log: ids.iter().map(|id| record(id)).collect(),
            largest: None,
            answers: VecDeque::new(),
            stuck: false,
            away: false,
            connects: Vec::new(),
            notices: Vec::new(),
            batches: Vec::new(),
            polls: 0,
            reads: false,
            wake: None,
            end: None,
        };
        rig.run();
        rig
    }

    /// A relay that started an empty log, and stored `ids`.
    fn active(config: Config, ids: &[&str]) -> Rig {
        let mut rig = Rig::new(config);
        rig.machine.handle_connected();
        rig.receive(ids);
        rig.pass(ms(5));
        assert_eq!(rig.connects, [None]);
        assert_eq!(rig.machine.role(), Role::Active);
        rig
    }

    /// A standby of a log with one record.
    fn standby() -> Rig {
        Rig::with_log(Config::default(), &["0"])
    }

    fn tail(&self) -> Tail {
        Tail {
            pos: self.log.len() as u64,
            id: self.log.last().and_then(|it| it.id.clone()),
        }
    }

    fn ids(&self) -> Vec<&str> {
        let ids = self.log.iter().map(|it| it.id.as_deref());
        ids.map(|id| id.unwrap_or("-")).collect()
    }

    fn run(&mut self) {
        loop {
            match self.machine.poll_output(self.now) {
                Output::Wait { until, read } => {
                    (self.wake, self.reads) = (until, read);
                    return;
                }
                Output::Connect { last_event_id } => self.connects.push(last_event_id),
                Output::Notice(notice) => self.notices.push(notice),
                Output::Stop(end) => {
                    (self.end, self.wake) = (Some(end), None);
                    return;
                }
                Output::Sink(_) if self.stuck => {}
                Output::Sink(command) => self.answer(command),
            }
        }
    }

    fn answer(&mut self, command: Command) {
        let away = || SinkError::Unavailable("away".into());
        match command {
            Command::Open { .. } if self.away => self.machine.handle_opened(Err(away()), self.now),
            Command::Open { .. } => {
                let recent = self.log.iter().filter_map(|it| it.id.clone()).collect();
                let held = Held::new(self.tail(), recent, self.largest);
                self.machine.handle_opened(Ok(held), self.now);
            }
            Command::Tail => {
                self.polls += 1;
                let result = if self.away {
                    Err(away())
                } else {
                    Ok(self.tail())
                };
                self.machine.handle_tail(result, self.now);
            }
            Command::Append { after, batch } => {
                self.batches.push(batch.len());
                let result = match self.answers.pop_front() {
                    Some(error) => Err(error),
                    None if after != self.tail() => Err(AppendError::Conflict),
                    None => {
                        self.log.extend(batch.iter().cloned());
                        Ok(self.tail())
                    }
                };
                self.machine.handle_appended(result, self.now);
            }
        }
    }

    fn receive(&mut self, ids: &[&str]) {
        for id in ids {
            self.machine.handle_event(record(id), self.now);
        }
        self.run();
    }

    /// Time passes, with everything that is due in it.
    fn pass(&mut self, time: Duration) {
        let target = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= target) {
            assert!(wake > self.now, "nothing happens at {wake:?}");
            self.now = wake;
            self.run();
        }
        self.now = target;
    }

    /// Another relay stores these.
    fn others(&mut self, ids: &[&str]) {
        self.log.extend(ids.iter().map(|id| record(id)));
    }
}

fn record(id: &str) -> Record {
    let id = Some(id.to_owned()).filter(|id| id != "-");
    Record::new(id, "message", "data", SystemTime::UNIX_EPOCH)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn config(set: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    set(&mut config);
    config
}
