//! One-shot streams that end with a sentinel.

use everstream_core::{SessionConfig, error_strategy};

use super::script::*;

fn until_done(config: &mut SessionConfig) {
    config.until = Some(Box::new(|event| event.data() == "[DONE]"));
}

fn until_done_or_fail(config: &mut SessionConfig) {
    until_done(config);
    config.error_strategy = Box::new(error_strategy::always_fail());
}

#[test]
fn the_sentinel_ends_the_iteration_and_is_not_delivered() {
    let mut script = Script::open(until_done);
    script.bytes("data: a\n\nid: 9\ndata: [DONE]\n\ndata: after\n\n");
    assert_eq!(script.next_n(), [event("a"), Stop, Stop]);
    assert!(!script.session.is_active());
    assert_eq!(script.id(), Some("9"));
}

#[test]
fn reading_does_not_reconnect_a_complete_stream() {
    let mut script = Script::open(until_done);
    script.bytes("data: [DONE]\n\n");
    assert_eq!(script.next(), Stop);
    for _ in 0..3 {
        script.pass(secs(100));
        script.read();
        assert_eq!(script.next(), Stop);
    }
}

/// Regression test: it took two starts, because a second end of the iteration was pending.
#[test]
fn one_start_reconnects_a_complete_stream() {
    let mut script = Script::open(until_done);
    for _ in 0..2 {
        script.bytes("data: [DONE]\n\n");
        assert_eq!(script.next(), Stop);
        script.start();
        assert!(script.session.is_active());
        script.connect();
    }
}

/// Regression test: the start applied to the end of a later connection.
#[test]
fn a_start_before_the_sentinel_is_decoded_applies_to_the_next_connection() {
    let mut script = Script::open(until_done_or_fail);
    script.bytes("data: a\n\ndata: [DONE]\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    script.start();
    assert_eq!(script.next_n(), [Lost("end"), connect()]);
    script.connect();
    script.end();
    assert_eq!(script.next_n(), [Failed("incomplete"), Stop]);
}

#[test]
fn a_restarted_stream_reconnects_after_faults() {
    let mut script = Script::open(until_done);
    script.bytes("data: [DONE]\n\n");
    assert_eq!(script.next(), Stop);
    script.start();
    script.connect();
    script.fault(broken());
    assert_eq!(script.next(), Lost("broken"));
    script.reconnect();
}

#[test]
fn a_fault_after_the_sentinel_is_ignored() {
    let mut script = Script::open(until_done_or_fail);
    script.bytes("data: a\n\ndata: [DONE]\n\n");
    script.fault(broken());
    assert_eq!(script.next_n(), [event("a"), Stop, Stop]);
}

#[test]
fn a_stream_that_ends_before_the_sentinel_is_incomplete() {
    let mut script = Script::open(until_done_or_fail);
    script.bytes("data: a\n\ndata: [DONE]\n");
    script.end();
    // The end reports how much was discarded.
    assert_eq!(
        script.next_n(),
        [event("a"), Lost("end"), Failed("incomplete"), Stop]
    );
}

#[test]
fn a_stream_that_breaks_before_the_sentinel_fails_with_what_broke_it() {
    let mut script = Script::open(until_done_or_fail);
    script.fault(broken());
    assert_eq!(script.next_n(), [Failed("broken"), Stop]);
}

#[test]
fn a_stream_that_may_not_be_repeated_is_incomplete_without_its_sentinel() {
    let mut script = Script::open(|config| {
        until_done(config);
        config.repeatable = false;
    });
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Failed("incomplete"), Stop]);
    script.read();
    assert_eq!(script.next(), Stop);
}

#[test]
fn a_one_shot_stream_is_resumed_until_its_sentinel() {
    let mut script = Script::open(until_done);
    script.receive("id: 1\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.connect().as_deref(), Some("1"));
    script.bytes("data: b\n\ndata: [DONE]\n\n");
    assert_eq!(script.next_n(), [event("b"), Stop]);
}

#[test]
fn the_sentinel_predicate_may_check_anything_and_keep_state() {
    let mut events = 0;
    let mut script = Script::open(|config| {
        config.until = Some(Box::new(move |event| {
            events += 1;
            event.event() == "bye" || events == 3
        }));
    });
    script.bytes("data: 1\n\ndata: 2\n\ndata: 3\n\n");
    assert_eq!(script.next_n(), [event("1"), event("2"), Stop]);

    let mut script = Script::open(|config| {
        config.until = Some(Box::new(|event| event.event() == "bye"));
    });
    script.bytes("data: 1\n\nevent: bye\ndata\n\n");
    assert_eq!(script.next_n(), [event("1"), Stop]);
}

#[test]
fn starting_again_does_not_hide_that_the_stream_was_incomplete() {
    let mut script = Script::open(|config| {
        until_done(config);
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.end_and_continue();
    script.interrupt();
    script.start();
    assert_eq!(script.next_n(), [Failed("incomplete"), Stop]);
    script.start();
    assert_eq!(script.next(), Wait(secs(1)));
}
