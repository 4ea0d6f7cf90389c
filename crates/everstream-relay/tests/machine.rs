//! The rules of the machine, one by one.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use everstream_core::Timestamp;
use everstream_relay::{
    AppendError, Command, Config, DEAD_LETTER, End, Failure, Held, Machine, Notice, Output, Record,
    Role, SinkError, Tail,
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

#[test]
fn a_standby_follows_the_feed_from_the_tail_and_stores_nothing() {
    let mut rig = Rig::with_log(Config::default(), &["a", "b"]);
    assert_eq!(rig.connects, [Some("b".to_owned())]);
    rig.receive(&["c"]);
    rig.pass(ms(4900));
    assert_eq!(rig.machine.role(), Role::Standby);
    assert_eq!((rig.ids(), rig.polls), (vec!["a", "b"], 25));
}

#[test]
fn it_takes_over_when_an_event_is_missing_and_reconnects_from_the_tail() {
    let mut rig = Rig::with_log(Config::default(), &["a"]);
    rig.receive(&["b", "c"]);
    rig.pass(ms(5200));
    assert_eq!(rig.machine.role(), Role::TakingOver);
    assert_eq!(rig.connects, [Some("a".to_owned()), Some("a".to_owned())]);
    rig.receive(&["b", "c"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "b", "c"], Role::Active)
    );
}

#[test]
fn an_idle_feed_is_no_reason_to_take_over() {
    let mut rig = Rig::with_log(Config::default(), &["a"]);
    rig.receive(&["b"]);
    rig.others(&["b"]);
    rig.pass(ms(60_000));
    assert_eq!(rig.machine.role(), Role::Standby);
    assert!(matches!(rig.notices[..], [Notice::Opened(_)]));
}

#[test]
fn a_log_that_moves_is_no_reason_to_take_over() {
    let mut rig = Rig::standby();
    rig.receive(&["slow"]);
    for number in 0..10 {
        rig.pass(ms(3000));
        rig.others(&[&number.to_string()]);
    }
    assert!(matches!(rig.notices[..], [Notice::Opened(_)]));
}

#[test]
fn an_event_that_arrives_after_it_was_stored_is_not_missing() {
    let mut rig = Rig::standby();
    rig.others(&["a", "b"]);
    rig.pass(ms(1000));
    // This relay's connection is behind the log.
    rig.others(&["c"]);
    rig.receive(&["a", "b"]);
    rig.pass(ms(20_000));
    assert!(matches!(rig.notices[..], [Notice::Opened(_)]));
}

#[test]
fn the_age_of_a_missing_event_outlives_its_id() {
    let mut rig = Rig::standby();
    rig.receive(&["first"]);
    for number in 0..50 {
        rig.pass(ms(99));
        let ids: Vec<String> = (0..200).map(|it| format!("{number}.{it}")).collect();
        rig.receive(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(rig.machine.snapshot(rig.now).lag, Some(ms(4950)));
    rig.pass(ms(200));
    assert_eq!(rig.machine.role(), Role::TakingOver);
}

#[test]
fn a_log_that_was_away_has_the_time_again() {
    let mut rig = Rig::standby();
    rig.receive(&["a"]);
    rig.away = true;
    rig.pass(ms(20_000));
    rig.away = false;
    rig.pass(ms(5000));
    assert_eq!(rig.machine.role(), Role::Standby);
    rig.pass(ms(2500));
    assert_eq!(rig.machine.role(), Role::TakingOver);
}

#[test]
fn a_takeover_is_given_up_if_the_log_has_moved() {
    let mut rig = Rig::standby();
    rig.receive(&["a", "b"]);
    rig.pass(ms(4990));
    let before = rig.tail();
    rig.stuck = true;
    rig.pass(ms(500));
    // The poll's answer is from before; opening the log shows the truth.
    rig.machine.handle_tail(Ok(before), rig.now);
    rig.others(&["a"]);
    rig.stuck = false;
    rig.run();
    assert_eq!((rig.machine.role(), rig.connects.len()), (Role::Standby, 1));
    assert!(rig.notices.iter().any(|it| matches!(it, Notice::NotNeeded)));
}

#[test]
fn batches_are_bounded_and_the_feed_waits_behind_a_full_buffer() {
    let config = config(|it| (it.batch, it.buffer) = (4, 6));
    let mut rig = Rig::active(config, &["a"]);
    rig.batches.clear();
    rig.stuck = true;
    rig.receive(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(rig.reads);
    rig.receive(&["10"]);
    assert!(!rig.reads, "four on their way, six wait");
    rig.stuck = false;
    let stored = rig.log.clone();
    rig.others(&["1", "2", "3", "4"]);
    rig.machine.handle_appended(Ok(rig.tail()), rig.now);
    rig.run();
    assert_eq!(rig.log.len(), stored.len() + 8);
    assert!(rig.reads);
    rig.pass(ms(5));
    assert_eq!((rig.batches, rig.log.len()), (vec![4, 2], 11));
}

#[test]
fn a_batch_waits_for_the_linger() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.batches.clear();
    rig.receive(&["b"]);
    rig.pass(ms(4));
    rig.receive(&["c"]);
    assert!(rig.batches.is_empty());
    rig.pass(ms(1));
    assert_eq!(rig.batches, [2]);
}

#[test]
fn after_a_conflict_it_is_the_standby_and_what_it_had_is_missing() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.others(&["b"]);
    rig.receive(&["b", "c"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "b"], Role::Standby)
    );
    rig.pass(ms(5200));
    assert_eq!(rig.connects.last(), Some(&Some("b".to_owned())));
    rig.receive(&["c"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "b", "c"], Role::Active)
    );
}

#[test]
fn a_takeover_from_a_tail_without_an_id_is_reported() {
    let mut rig = Rig::with_log(Config::default(), &["a", "-"]);
    rig.receive(&["b"]);
    rig.pass(ms(5200));
    assert_eq!(rig.connects, [None, None]);
    let told = |it: &&Notice| matches!(it, Notice::NoLastId { pos: 2 });
    assert_eq!(rig.notices.iter().filter(told).count(), 1);
    // An empty log, and one whose ids aren't used, lack nothing.
    let without = config(|it| it.no_ids = true);
    for rig in [
        Rig::active(Config::default(), &["a"]),
        Rig::with_log(without, &["-"]),
    ] {
        let is_warned = rig
            .notices
            .iter()
            .any(|it| matches!(it, Notice::NoLastId { .. }));
        assert!(!is_warned, "{:?}", rig.notices);
    }
}

#[test]
fn a_log_that_can_no_longer_be_used_ends_a_writer() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.answers
        .push_back(AppendError::Unusable("the table is gone".into()));
    rig.receive(&["b"]);
    rig.pass(ms(5));
    let Some(Err(Failure::Unusable(why))) = &rig.end else {
        panic!("{:?}", rig.end)
    };
    assert_eq!(why.to_string(), "the table is gone");
}

#[test]
fn only_the_tail_decides_on_an_unknown_outcome() {
    for stored in 0..=3 {
        let mut rig = Rig::active(Config::default(), &["a"]);
        rig.answers.push_back(AppendError::Unknown("reset".into()));
        rig.receive(&["b", "c", "d"]);
        rig.others(&["b", "c", "d"][..stored]);
        (rig.polls, rig.batches) = (0, Vec::new());
        rig.pass(ms(5));
        assert_eq!((rig.ids(), rig.polls), (vec!["a", "b", "c", "d"], 1));
        let rest = [3, 3 - stored];
        assert_eq!(rig.batches, rest[..if stored < 3 { 2 } else { 1 }]);
        assert_eq!(rig.machine.role(), Role::Active);
    }
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.answers.push_back(AppendError::Unknown("reset".into()));
    rig.receive(&["b"]);
    rig.others(&["x"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "x"], Role::Standby)
    );
}

#[test]
fn a_log_that_is_not_available_gets_the_same_batch_later() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    let away = || AppendError::Unavailable("away".into());
    rig.answers.extend((0..8).map(|_| away()));
    rig.receive(&["b"]);
    rig.batches.clear();
    rig.pass(ms(5));
    rig.receive(&["c"]);
    // 0.1, 0.2, 0.4, 0.8, 1.6 and then 2 s.
    rig.pass(ms(3100 + 2 * 2000));
    assert_eq!(rig.batches, [1; 8]);
    assert!(!rig.machine.snapshot(rig.now).available);
    rig.pass(ms(2005));
    assert_eq!(rig.ids(), ["a", "b", "c"]);
    assert_eq!(rig.batches, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn an_append_whose_outcome_is_never_known_is_repeated_with_growing_delays() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    let reset = || AppendError::Unknown("reset".into());
    rig.answers.extend((0..100).map(|_| reset()));
    rig.receive(&["b"]);
    rig.batches.clear();
    // At once, then 0.1, 0.2, 0.4, 0.8, 1.6 and 2 s.
    rig.pass(ms(5 + 3100 + 2000));
    assert_eq!(rig.batches, [1; 8]);
    rig.answers.clear();
    rig.pass(ms(2000));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "b"], Role::Active)
    );
}

#[test]
fn an_idle_writer_notices_another_and_a_log_that_went_back() {
    let mut rig = Rig::active(Config::default(), &["a", "b"]);
    rig.others(&["c"]);
    rig.pass(ms(5000));
    assert_eq!(rig.machine.role(), Role::Standby);

    let mut rig = Rig::active(Config::default(), &["a", "b"]);
    rig.log.truncate(1);
    rig.pass(ms(10_400));
    assert!(
        rig.notices
            .iter()
            .any(|it| matches!(it, Notice::WentBack { .. }))
    );
    assert_eq!(rig.connects.last(), Some(&Some("a".to_owned())));
    rig.receive(&["b"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["a", "b"], Role::Active)
    );
}

#[test]
fn repeated_events_are_dropped_until_the_first_unknown_one() {
    let mut rig = Rig::active(Config::default(), &["a", "b", "c"]);
    rig.machine.handle_connected();
    rig.receive(&["a", "b", "c", "d", "b"]);
    rig.pass(ms(5));
    assert_eq!(rig.ids(), ["a", "b", "c", "d", "b"]);
    assert_eq!(rig.machine.snapshot(rig.now).skipped, 3);
}

#[test]
fn a_rejected_record_ends_the_relay_after_those_before_it() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.answers.push_back(AppendError::Rejected {
        index: 1,
        why: "NUL".into(),
    });
    rig.receive(&["b", "c", "d"]);
    rig.pass(ms(5));
    assert_eq!(rig.ids(), ["a", "b"]);
    let Some(Err(Failure::Rejected { id, why })) = rig.end else {
        panic!("{:?}", rig.end)
    };
    assert_eq!((id.as_deref(), &*why), (Some("c"), "NUL"));
}

#[test]
fn a_dead_letter_takes_the_place_of_a_rejected_record() {
    let mut rig = Rig::active(config(|it| it.dead_letter = true), &["a"]);
    rig.answers.push_back(AppendError::Rejected {
        index: 1,
        why: "a NUL: \0".into(),
    });
    rig.receive(&["b", "c", "d"]);
    rig.pass(ms(5));
    assert_eq!(rig.ids(), ["a", "b", "c", "d"]);
    assert_eq!(
        (&*rig.log[2].event, &*rig.log[2].data),
        (DEAD_LETTER, "not stored: a NUL:  (4 bytes)")
    );

    // A log that can't store the placeholder either has a problem with the id.
    rig.answers.push_back(AppendError::Rejected {
        index: 0,
        why: "id".into(),
    });
    rig.answers.push_back(AppendError::Rejected {
        index: 0,
        why: "id".into(),
    });
    rig.receive(&["e"]);
    rig.pass(ms(5));
    assert!(matches!(rig.end, Some(Err(Failure::Rejected { .. }))));
}

#[test]
fn a_record_larger_than_the_log_stores_is_not_sent() {
    let config = config(|it| it.no_ids = true);
    let mut rig = Rig::with_log(config, &[]);
    rig.machine = Machine::new(self::config(|it| it.no_ids = true));
    rig.largest = Some(4);
    rig.run();
    rig.receive(&["a"]);
    let large = Record::new(None, "message", "12345", SystemTime::UNIX_EPOCH);
    rig.machine.handle_event(large, rig.now);
    rig.run();
    rig.pass(ms(5));
    assert_eq!((rig.log.len(), rig.batches), (1, vec![1]));
    let Some(Err(failure)) = rig.end else {
        panic!("{:?}", rig.end)
    };
    assert!(
        failure
            .to_string()
            .contains("5 bytes of data, and it stores 4"),
        "{failure}"
    );
}

#[test]
fn an_event_without_an_id_ends_the_relay_after_those_before_it() {
    for id in ["-", ""] {
        let mut rig = Rig::active(Config::default(), &["a"]);
        rig.receive(&["b", id, "c"]);
        assert_eq!(rig.ids(), ["a", "b"]);
        assert!(
            matches!(rig.end, Some(Err(Failure::NoIds { .. }))),
            "{:?}",
            rig.end
        );
    }
    let mut rig = Rig::standby();
    rig.receive(&["-"]);
    assert!(matches!(rig.end, Some(Err(Failure::NoIds { .. }))));
}

#[test]
fn an_id_that_no_request_can_carry_ends_the_relay() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.receive(&["tab\tis fine", "b\u{1}"]);
    assert_eq!(rig.ids(), ["a", "tab\tis fine"]);
    let Some(Err(failure)) = rig.end else {
        panic!("{:?}", rig.end)
    };
    assert!(
        failure.to_string().contains(r#"the id "b\u{1}""#),
        "{failure}"
    );
}

#[test]
fn without_ids_it_writes_at_once_and_a_second_writer_ends_it() {
    let mut rig = Rig::with_log(config(|it| it.no_ids = true), &["old"]);
    assert_eq!(rig.connects, [None]);
    rig.receive(&["-", "x"]);
    rig.pass(ms(5));
    assert_eq!(
        (rig.ids(), rig.machine.role()),
        (vec!["old", "-", "-"], Role::Active)
    );
    rig.others(&["-"]);
    rig.receive(&["-"]);
    rig.pass(ms(5));
    assert!(matches!(rig.end, Some(Err(Failure::SecondWriter))));
}

#[test]
fn a_feed_that_forgot_the_next_event_leaves_a_gap_that_is_reported() {
    let mut rig = Rig::with_log(Config::default(), &["a"]);
    rig.receive(&["b", "c", "d"]);
    rig.pass(ms(5200));
    rig.receive(&["d"]);
    rig.pass(ms(5));
    assert_eq!(rig.ids(), ["a", "d"]);
    let text = rig
        .notices
        .iter()
        .map(|it| it.to_string())
        .find(|it| it.contains("gap"));
    let expected = "the log has a gap after id a: the feed sent id b next before, and id d now";
    assert_eq!(
        (text.as_deref(), rig.machine.snapshot(rig.now).gaps),
        (Some(expected), 1)
    );
}

#[test]
fn told_to_stop_it_waits_for_the_batch_on_its_way() {
    let mut rig = Rig::active(config(|it| it.batch = 2), &["a"]);
    rig.stuck = true;
    rig.receive(&["b", "c", "d"]);
    rig.machine.stop();
    rig.run();
    assert_eq!((rig.reads, rig.end.is_none()), (false, true));
    rig.others(&["b", "c"]);
    rig.machine.handle_appended(Ok(rig.tail()), rig.now);
    rig.run();
    assert!(matches!(rig.end, Some(Ok(End::Stopped))));
    assert_eq!(rig.machine.snapshot(rig.now).stored, 3);
}

#[test]
fn after_the_feed_has_ended_a_writer_stores_the_rest_and_a_standby_watches() {
    let mut rig = Rig::active(Config::default(), &["a"]);
    rig.receive(&["b"]);
    rig.machine.handle_feed_ended();
    rig.run();
    assert_eq!(rig.ids(), ["a", "b"]);
    assert!(matches!(rig.end, Some(Ok(End::FeedEnded))));

    let mut rig = Rig::standby();
    rig.receive(&["a"]);
    rig.machine.handle_feed_ended();
    rig.run();
    rig.pass(ms(1000));
    assert!(rig.end.is_none());
    rig.others(&["a"]);
    rig.pass(ms(200));
    assert!(matches!(rig.end, Some(Ok(End::FeedEnded))));
}
