//! Read timeouts (rule 12) and events that are too large.

use std::time::Duration;

use everstream_core::{Oversize, SessionConfig, error_strategy};

use super::script::*;

fn ten_seconds(config: &mut SessionConfig) {
    config.read_timeout = Some(secs(10));
}

impl Script {
    fn timeout(&mut self) {
        self.session.handle_timeout(self.now);
    }
}

#[test]
fn a_read_timeout_is_a_fault() {
    let mut script = Script::open(ten_seconds);
    assert_eq!(script.next(), ReadWithin(secs(10)));
    script.pass(secs(10));
    script.timeout();
    assert_eq!(script.next_n(), [Lost("read timeout"), Wait(secs(1))]);
}

#[test]
fn a_timer_that_fires_early_changes_nothing() {
    let mut script = Script::open(ten_seconds);
    assert_eq!(script.next(), ReadWithin(secs(10)));
    script.pass(secs(10) - Duration::from_nanos(1));
    script.timeout();
    assert_eq!(script.next(), ReadWithin(Duration::from_nanos(1)));
}

#[test]
fn without_a_read_timeout_the_session_waits_indefinitely() {
    let mut script = Script::open(|_| {});
    assert_eq!(script.next(), Read);
    script.pass(secs(1_000_000));
    script.timeout();
    assert_eq!(script.next(), Read);
}

#[test]
fn comments_and_partial_events_reset_the_read_timeout() {
    for bytes in [
        ": still here\n",
        "\n",
        "\r",
        "d",
        "retry: 1\n",
        "id: 1\n",
        ":",
    ] {
        let mut script = Script::open(ten_seconds);
        for _ in 0..3 {
            script.pass(secs(9));
            script.timeout();
            script.receive(bytes);
            assert_eq!(script.next(), ReadWithin(secs(10)), "{bytes:?}");
        }
        script.pass(secs(10));
        script.timeout();
        assert_eq!(script.next(), Lost("read timeout"), "{bytes:?}");
    }
}

#[test]
fn polling_again_does_not_move_the_deadline() {
    let mut script = Script::open(ten_seconds);
    assert_eq!(script.next(), ReadWithin(secs(10)));
    script.pass(secs(4));
    assert_eq!(script.next(), ReadWithin(secs(6)));
    script.pass(secs(4));
    assert_eq!(script.next(), ReadWithin(secs(2)));
}

/// As when a consumer selects between the stream and something else.
#[test]
fn a_canceled_and_restarted_read_keeps_its_deadline() {
    let mut script = Script::open(ten_seconds);
    for left in [10, 6, 2] {
        script.read();
        assert_eq!(script.next(), ReadWithin(secs(left)));
        script.pass(secs(4));
    }
    script.timeout();
    assert_eq!(script.next(), Seen::Fault("read timeout"));
}

/// A known bug of other clients: bytes wait in the kernel while the consumer is busy.
#[test]
fn a_busy_consumer_does_not_cause_a_timeout() {
    // Busy between two events.
    let mut script = Script::open(ten_seconds);
    script.bytes("data: a\n\n");
    assert_eq!(script.next(), event("a"));
    script.pass(secs(100));
    script.timeout();
    assert_eq!(script.next(), ReadWithin(secs(10)));

    // Busy with a comment, and after the start.
    let mut script = Script::open(ten_seconds);
    script.pass(secs(100));
    script.bytes(": x\n");
    assert!(matches!(script.next(), Seen::Comment(_)));
    script.pass(secs(100));
    script.timeout();
    assert_eq!(script.next(), ReadWithin(secs(10)));
}

#[test]
fn undelivered_events_prevent_a_timeout() {
    let mut script = Script::open(ten_seconds);
    script.bytes("data: a\n\ndata: b\n\n");
    script.pass(secs(100));
    script.timeout();
    assert_eq!(script.next_n(), [event("a"), event("b")]);
    assert_eq!(script.next(), ReadWithin(secs(10)));
}

#[test]
fn a_new_connection_gets_the_full_timeout() {
    let mut script = Script::open(ten_seconds);
    assert_eq!(script.next(), ReadWithin(secs(10)));
    script.pass(secs(9));
    script.end_and_continue();
    script.reconnect();
    script.timeout();
    assert_eq!(script.next(), ReadWithin(secs(10)));
}

#[test]
fn the_delay_after_a_timeout_starts_at_its_detection() {
    let mut script = Script::open(ten_seconds);
    assert_eq!(script.next(), ReadWithin(secs(10)));
    script.pass(secs(12));
    script.timeout();
    assert_eq!(script.next_n(), [Lost("read timeout"), Wait(secs(1))]);
}

fn small(config: &mut SessionConfig) {
    config.max_event_size = 20;
    config.error_strategy = Box::new(error_strategy::always_continue());
}

const LARGE: &str = "id: 2\ndata: 0123456789\ndata: 0123456789\n\n";

#[test]
fn an_oversize_event_is_a_fault_after_the_events_before_it() {
    let mut script = Script::open(small);
    script.bytes(&format!("id: 1\ndata: a\n\n{LARGE}data: b\n\n"));
    assert_eq!(script.next_n(), [event("a"), Lost("too large")]);
    assert_eq!(script.wait(), secs(1));
    assert_eq!(script.connect().as_deref(), Some("1"));
    assert_eq!(script.receive("data: c\n\n"), [event("c")]);
}

#[test]
fn an_oversize_event_takes_precedence_over_the_end_of_its_connection() {
    let mut script = Script::open(small);
    script.bytes(&format!("data: a\n\n{LARGE}"));
    script.end();
    script.pass(millis(300));
    assert_eq!(
        script.next_n(),
        [event("a"), Lost("too large"), Wait(millis(700))]
    );
}

#[test]
fn an_oversize_event_is_final_by_default() {
    let mut script = Script::open(|config| config.max_event_size = 20);
    script.bytes(LARGE);
    assert_eq!(script.next_n(), [Failed("too large"), Stop]);
}

#[test]
fn an_oversize_event_can_be_skipped() {
    let mut script = Script::open(|config| {
        small(config);
        config.oversize = Oversize::Skip;
    });
    let stream = format!("data: a\n\n{LARGE}data: b\n\n");
    assert_eq!(script.receive(&stream), [event("a"), event("b")]);
    assert_eq!(
        script.id(),
        Some("2"),
        "otherwise the event would be sent again"
    );
}
