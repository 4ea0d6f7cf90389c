//! What a writer does with the answers of the log: rules 5 to 10 and 15.

use everstream_relay::{AppendError, Config, End, Failure, Notice, Role};

use super::{Rig, config, ms};

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
