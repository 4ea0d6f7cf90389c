//! What an interrupt does in each state: rule 10.

use std::time::Duration;

use everstream_core::retry_delay::{self, backoff};
use everstream_core::{Ending, Start, error_strategy};

use super::resets::{Asked, Counting};
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

/// It was that of the loss before, until somebody read.
#[test]
fn the_next_delay_is_right_as_soon_as_a_connection_or_an_attempt_is_interrupted() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4] {
        script.bytes("data: a\n\ndata: b\n\n");
        assert_eq!(script.next(), event("a"));
        script.interrupt();
        assert_eq!(script.session.next_retry_delay(), secs(delay));
        assert_eq!(script.next_n(), [event("b"), Lost("end")]);
        assert_eq!(script.session.next_retry_delay(), secs(delay));
        assert_eq!(script.reconnect(), secs(delay));
    }
    script.end_and_go_on();
    script.wait();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.session.next_retry_delay(), secs(16));
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(16))]);
}

#[test]
fn the_delay_after_an_interruption_counts_from_it_and_not_from_the_next_read() {
    let mut script = Script::open(|_| {});
    script.interrupt();
    script.pass(millis(400));
    assert_eq!(script.next_n(), [Lost("end"), Wait(millis(600))]);
}

/// What had been received says when the server may be asked again, although nobody had read it.
#[test]
fn a_retry_that_is_decoded_after_an_interruption_is_waited_for() {
    for (retry, delay) in [(9, 9), (100, 100)] {
        let mut script = Script::open(|_| {});
        script.bytes(&format!("data: a\n\nretry: {retry}000\n\ndata: b\n\n"));
        assert_eq!(script.next(), event("a"));
        script.interrupt();
        assert_eq!(script.session.next_retry_delay(), secs(1));
        script.pass(millis(500));
        assert_eq!(script.next_n(), [event("b"), Lost("end")]);
        assert_eq!(script.session.next_retry_delay(), secs(delay));
        assert_eq!(script.reconnect(), secs(delay) - millis(500));
        // It had no delay before, so that it isn't a restart.
        script.end_and_go_on();
        assert_eq!(script.wait(), secs(delay.max(2 * delay.min(15))));
    }
}

#[test]
fn a_shorter_retry_that_is_decoded_after_an_interruption_changes_the_next_delay_only() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(10));
    script.bytes("data: a\n\nretry: 3000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(10))]);
    script.pass(secs(10));
    script.connect();
    script.end_and_go_on();
    assert_eq!(script.wait(), secs(6));
}

/// Not to be asked before 9 s with a delay of 5 s to 10 s.
#[test]
fn a_retry_that_is_decoded_after_an_interruption_is_waited_for_whatever_the_jitter() {
    for seed in 0..100 {
        let mut script = Script::open(|config| {
            config.initial_retry_delay = secs(10);
            config.retry_delay_strategy = Box::new(backoff());
            config.seed = seed;
        });
        script.bytes("data: a\n\nretry: 9000\n\n");
        assert_eq!(script.next(), event("a"));
        script.interrupt();
        assert_eq!(script.next(), Lost("end"));
        assert!(script.wait() >= secs(9));
    }
}

#[test]
fn the_users_cap_holds_for_a_retry_that_is_decoded_after_an_interruption() {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(backoff().jitter(0.0).max_delay(secs(5)));
    });
    script.bytes("data: a\n\nretry: 9000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(5))]);
}

#[test]
fn a_change_of_retry_that_is_decoded_after_an_interruption_restarts_the_delay_once() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4] {
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
    script.bytes("data: a\n\nretry: 2000\n\nretry: 3000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(8))]);
    script.pass(secs(8));
    script.connect();
    for (retry, delay) in [(3, 3), (4, 8), (3, 12)] {
        script.receive(&format!("retry: {retry}000\n\n"));
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn the_strategy_is_asked_once_for_each_connection_that_is_lost() {
    let counting = Counting::default();
    let asked = |delays| {
        let asked = Asked { delays, resets: 0 };
        assert_eq!(*counting.0.lock().unwrap(), asked);
    };
    let mut script =
        Script::open(|config| config.retry_delay_strategy = Box::new(counting.clone()));
    script.bytes("data: a\n\nretry: 1\n\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    for _ in 0..3 {
        script.interrupt();
        asked(1);
    }
    script.end();
    script.fault(broken());
    assert_eq!(script.next_n(), [event("b"), Lost("end")]);
    asked(1);
    script.reconnect();
    // While it waits, and while it connects.
    script.end_and_go_on();
    asked(2);
    script.interrupt();
    assert_eq!(script.next(), Lost("end"));
    script.wait();
    assert_eq!(script.next(), connect());
    asked(2);
    script.interrupt();
    script
        .session
        .handle_connected(Start::default(), script.now);
    script.interrupt();
    asked(3);
    assert_eq!(script.next_n(), [Started(1), Lost("end")]);
    asked(3);
}

/// Whatever a strategy makes of the base of its own, a server is not asked before it said.
#[test]
fn a_retry_that_is_decoded_after_an_interruption_is_waited_for_with_any_strategy() {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|base| base.delay));
    });
    script.bytes("data: a\n\nretry: 9000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(9))]);
}

#[test]
fn an_interruption_of_a_connection_that_has_ended_changes_nothing() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nid: 7\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.session.handle_end(Ending::Complete, script.now);
    script.interrupt();
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    assert_eq!(script.next_n(), [event("b"), Lost("end"), Wait(secs(3))]);
}

#[test]
fn an_interruption_before_the_last_event_of_a_one_shot_stream_leaves_no_delay() {
    let mut script = Script::open(|config| {
        config.until = Some(Box::new(|event| event.data() == "[DONE]"));
    });
    script.bytes("data: a\n\ndata: [DONE]\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next(), Stop);
    script.start();
    script.connect();
    script.fault(broken());
    assert_eq!(script.next_n(), [Lost("broken"), Wait(secs(2))]);
}
