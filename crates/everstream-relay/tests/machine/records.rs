//! Which events and records are stored: rules 11 to 13.

use std::time::SystemTime;

use everstream_relay::{AppendError, Config, DEAD_LETTER, Failure, Machine, Record, Role};

use super::{Rig, config, ms};

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
    rig.machine = Machine::new(super::config(|it| it.no_ids = true));
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
