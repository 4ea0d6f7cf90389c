//! What an interrupt does in each state: rule 10.

use everstream_core::{Start, error_strategy};

use super::script::*;

#[test]
fn an_interrupt_before_the_first_start_does_nothing() {
    let mut script = Script::new(|_| {});
    script.interrupt();
    assert_eq!(script.next(), Stop);
    script.start();
    assert_eq!(script.next(), connect());
}

#[test]
fn an_interrupt_after_a_stop_does_nothing() {
    let mut script =
        Script::open(|config| config.error_strategy = Box::new(error_strategy::always_fail()));
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    script.interrupt();
    assert_eq!(script.next(), Stop);
    script.read();
    assert_eq!(script.next(), Wait(secs(1)), "the delay is still due");
}

#[test]
fn an_interrupt_while_reading_is_as_if_the_server_had_ended_the_connection() {
    let mut script = Script::open(|_| {});
    script.bytes("id: 7\ndata: a\n\ndata: half");
    assert_eq!(script.next_n(), [event("a"), Read]);
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
    script.pass(secs(1));
    assert_eq!(script.next(), resume("7"));
}

#[test]
fn an_interrupt_while_connecting_gives_the_attempt_up() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

#[test]
fn what_was_received_is_handed_out_before_an_interrupt_is_told() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nid: 2\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [event("b"), Lost("end")]);
    assert_eq!(script.wait(), secs(1));
    assert_eq!(script.next(), resume("2"));
}

#[test]
fn a_start_that_nobody_was_told_of_is_told_before_an_interrupt() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    script.interrupt();
    assert_eq!(script.next_n(), [Started(1), Lost("end"), Wait(secs(1))]);
}

/// Neither may it make the session ask the server earlier than was due, nor later.
#[test]
fn an_interrupt_while_waiting_is_told_and_leaves_the_wait_as_long_as_it_was() {
    let mut script = Script::open(|_| {});
    script.end_and_go_on();
    assert_eq!(script.next(), Wait(secs(1)));
    script.pass(millis(300));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(millis(700))]);
    assert_eq!(script.session.next_retry_delay(), millis(700));
    script.pass(millis(700));
    assert_eq!(script.next(), connect());
}

#[test]
fn an_interrupt_while_waiting_ends_the_wait_if_the_error_strategy_fails() {
    // It forgives the first fault of a row.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.end_and_go_on();
    assert_eq!(script.next(), Wait(secs(1)));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert!(!script.session.is_active());
    script.start();
    assert_eq!(script.next(), Wait(secs(1)), "the delay is still due");
}

#[test]
fn starting_again_before_an_interrupt_was_told_goes_on_after_telling() {
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.end_and_go_on();
    script.interrupt();
    script.start();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

/// A start after an interrupt failed with it, although it was meant to come after.
#[test]
fn starting_again_after_an_interrupt_of_a_connection_connects_whatever_the_strategy() {
    let mut script =
        Script::open(|config| config.error_strategy = Box::new(error_strategy::always_fail()));
    script.bytes("data: a\n\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    script.start();
    assert_eq!(
        script.next_n(),
        [event("b"), Lost("end"), Wait(secs(1))],
        "and nothing is lost"
    );
    script.interrupt();
    assert_eq!(
        script.next_n(),
        [Lost("end"), Stop],
        "the next one isn't forgiven"
    );
}

#[test]
fn starting_again_does_not_hide_a_fault() {
    let mut script =
        Script::open(|config| config.error_strategy = Box::new(error_strategy::always_fail()));
    script.fault(broken());
    script.start();
    assert_eq!(script.next(), Failed("broken"));
}

#[test]
fn a_fault_that_is_not_told_yet_is_all_that_an_interrupt_leads_to() {
    let mut script = Script::open(|_| {});
    script.fault(broken());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("broken"), Wait(secs(1))]);
}

#[test]
fn a_thousand_interrupts_at_once_are_one() {
    let open: fn() -> Script = || Script::open(|_| {});
    let connecting: fn() -> Script = || {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        script
    };
    let waiting: fn() -> Script = || {
        let mut script = Script::open(|_| {});
        script.end_and_go_on();
        script
    };
    for prepare in [open, connecting, waiting] {
        let mut script = prepare();
        for _ in 0..1000 {
            script.interrupt();
        }
        assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
    }
}

#[test]
fn any_number_of_interrupts_leaves_the_connection_due_when_it_was() {
    let mut script = Script::open(|_| {});
    script.end_and_go_on();
    for _ in 0..999 {
        script.pass(millis(1));
        script.interrupt();
        assert_eq!(script.next(), Lost("end"));
        assert!(matches!(script.next(), Wait(_)));
    }
    assert_eq!(script.next(), Wait(millis(1)));
    script.pass(millis(1));
    script.connect();
    // They didn't lengthen the next delay either.
    script.end_and_go_on();
    assert_eq!(script.next(), Wait(secs(2)));
}
