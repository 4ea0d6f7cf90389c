//! The last event id, and what outlives a connection: rules 7 and 8.

use super::script::*;

#[test]
fn a_reconnect_sends_the_newest_id() {
    let mut script = Script::open(|_| {});
    script.receive("id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: c\n\n");
    assert_eq!(script.id(), Some("2"));
    script.end_and_continue();
    script.wait();
    assert_eq!(script.connect().as_deref(), Some("2"));
}

#[test]
fn the_id_survives_connections_without_one_and_refused_ones() {
    let mut script = Script::open(|_| {});
    script.receive("id: 1\ndata: a\n\n");
    for _ in 0..3 {
        script.end_and_continue();
        script.wait();
        assert_eq!(script.next(), resume("1"));
        script.fault(refused());
        assert_eq!(script.next(), Lost("refused"));
        script.wait();
        assert_eq!(script.connect().as_deref(), Some("1"));
        script.receive("data: b\n\n: c\n\n");
    }
    assert_eq!(script.id(), Some("1"));
}

#[test]
fn the_id_survives_a_failure() {
    let mut script = Script::open(|_| {});
    script.receive("id: 1\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume("1"));
    script.fault(status(500));
    assert_eq!(script.next(), Failed("status"));
    script.start();
    script.wait();
    assert_eq!(script.next(), resume("1"));
}

#[test]
fn a_block_with_only_an_id_sets_it() {
    let mut script = Script::open(|_| {});
    assert_eq!(script.receive("id: 1\n\n"), []);
    assert_eq!(script.id(), Some("1"));
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume("1"));
}

#[test]
fn an_empty_id_clears_it() {
    for clear in ["id\n\n", "id:\n\n", "id: \ndata: x\n\n"] {
        let mut script = Script::open(|_| {});
        script.receive("id: 1\ndata: a\n\n");
        script.receive(clear);
        assert_eq!(script.id(), None, "{clear:?}");
        script.end_and_continue();
        script.wait();
        assert_eq!(script.next(), connect(), "{clear:?}");
    }
}

#[test]
fn an_id_with_nul_is_ignored() {
    let mut script = Script::open(|_| {});
    script.receive("id: 1\ndata: a\n\n");
    assert_eq!(script.receive("id: 2\0\ndata: b\n\n"), [event("b")]);
    script.receive("id: \0\n\n");
    assert_eq!(script.id(), Some("1"));
}

#[test]
fn an_unfinished_event_sets_no_id_and_is_never_completed() {
    for half in [
        "id: 2\ndata: b\n",
        "id: 2\ndata: b",
        "id: 2\n",
        "id: 2",
        "event: put\ndata: b\n",
    ] {
        let mut script = Script::open(|_| {});
        script.receive("id: 1\ndata: a\n\n");
        assert_eq!(script.receive(half), []);
        script.end_and_continue();
        assert_eq!(script.id(), Some("1"), "{half:?}");
        script.wait();
        assert_eq!(script.connect().as_deref(), Some("1"), "{half:?}");
        assert_eq!(script.receive("\n"), [], "{half:?}");
        assert_eq!(script.receive("data: c\n\n"), [event("c")], "{half:?}");
        assert_eq!(script.id(), Some("1"), "{half:?}");
    }
}

#[test]
fn the_type_of_an_unfinished_event_does_not_carry_over() {
    use everstream_core::{Action, Output};
    let mut script = Script::open(|_| {});
    script.receive("event: put\ndata: half\n");
    script.end_and_continue();
    script.reconnect();
    script.bytes("data: whole\n\n");
    let Output::Action(Action::Event(event)) = script.session.poll_output(script.now) else {
        panic!("an event was sent");
    };
    assert_eq!((event.event(), event.data()), ("message", "whole"));
}

/// The CR ended its line; the LF is a blank line of another stream.
#[test]
fn a_cr_at_the_end_of_a_connection_does_not_swallow_an_lf_of_the_next() {
    let mut script = Script::open(|_| {});
    script.receive("data: a\r");
    script.end_and_continue();
    script.reconnect();
    // The LF ends the first line of the stream, and a BOM is removed only from the first line. If the
    // LF were swallowed, there would be an event.
    assert_eq!(script.receive("\n\u{FEFF}data: b\n\n"), []);
    assert_eq!(script.receive("data: c\n\n"), [event("c")]);
}

#[test]
fn every_connection_may_begin_with_a_bom() {
    let mut script = Script::open(|_| {});
    for _ in 0..3 {
        assert_eq!(script.receive("\u{FEFF}data: a\n\n"), [event("a")]);
        script.end_and_continue();
        script.reconnect();
    }
}

#[test]
fn a_partial_character_is_not_completed_by_the_next_connection() {
    let mut script = Script::open(|_| {});
    assert_eq!(script.next(), Read);
    script
        .session
        .handle_data(b"data: \xE2\x82".to_vec(), script.now);
    assert_eq!(script.next(), Read);
    script.end_and_continue();
    script.reconnect();
    assert_eq!(script.next(), Read);
    script
        .session
        .handle_data(b"\xACdata: a\n\ndata: b\n\n".to_vec(), script.now);
    assert_eq!(script.next_n(), [event("b"), Read]);
}

#[test]
fn all_received_items_are_delivered_before_the_end_is_reported() {
    type Lose = fn(&mut Script);
    let lose: [(&str, Lose); 3] = [
        ("end", Script::end),
        ("broken", |script| script.fault(broken())),
        ("end", Script::interrupt),
    ];
    for (name, lose) in lose {
        let mut script = Script::open(|_| {});
        script.bytes("data: a\n\n: b\ndata: c\n\nid: 4\n\ndata: half");
        lose(&mut script);
        let comment = Seen::Comment(" b".into());
        assert_eq!(
            script.next_n(),
            [event("a"), comment, event("c"), Lost(name)]
        );
        assert_eq!(script.wait(), secs(1));
        assert_eq!(script.next(), resume("4"));
    }
}

/// Otherwise a program that stores the id after each event would skip undelivered events.
#[test]
fn the_id_is_that_of_the_last_delivered_event_not_the_last_received() {
    let mut script = Script::open(|_| {});
    script.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    assert_eq!(script.id(), Some("1"));
    script.session.close();
    assert_eq!(script.id(), Some("1"));
}

#[test]
fn a_preset_id_is_sent_and_reported_until_the_server_sends_another() {
    let mut script = Script::new(|config| config.last_event_id = Some("41".into()));
    assert_eq!(script.id(), Some("41"));
    script.start();
    assert_eq!(script.connect().as_deref(), Some("41"));
    script.receive("id: 42\ndata: a\n\n");
    assert_eq!(script.id(), Some("42"));
}

#[test]
fn an_empty_preset_id_is_none() {
    let mut script = Script::new(|config| config.last_event_id = Some(String::new()));
    assert_eq!(script.id(), None);
    script.start();
    assert_eq!(script.next(), connect());
}

/// The driver decides whether the id is valid as a header value.
#[test]
fn an_id_that_is_invalid_as_a_header_value_is_kept_unchanged() {
    for id in ["\u{1}", "a\tb", "ü \u{1F600}", "\u{7F}", " "] {
        let mut script = Script::open(|_| {});
        script.receive(&format!("id: {id}\n\n"));
        script.end_and_continue();
        script.wait();
        assert_eq!(script.next(), resume(id));
    }
}
