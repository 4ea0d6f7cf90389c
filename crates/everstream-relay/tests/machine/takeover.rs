//! What a standby does, and when it takes over: rules 1 to 4, 14 and 15.

use everstream_relay::{Config, End, Notice, Role};

use super::{Rig, config, ms};

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

/// Another relay was faster at starting the empty log, and this one has received nothing: without an id, the
/// feed wouldn't send it what the other one leaves behind.
#[test]
fn a_standby_without_an_id_follows_the_feed_from_the_tail() {
    let mut rig = Rig::new(Config::default());
    rig.machine.handle_connected();
    rig.others(&["1", "2"]);
    rig.pass(ms(5200));
    assert_eq!(rig.machine.role(), Role::Standby);
    assert_eq!(rig.connects, [None, Some("2".to_owned())]);
    rig.others(&["3"]);
    rig.pass(ms(500));
    assert_eq!(rig.connects.len(), 2, "once");
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
    let expected = "the log has a gap after id a: the feed used to continue with id b and now continues with id d";
    assert_eq!(
        (text.as_deref(), rig.machine.snapshot(rig.now).gaps),
        (Some(expected), 1)
    );
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
