//! What an interrupt does in each state: rule 10.

use std::time::Duration;

use everstream_core::retry_delay::{self, backoff};
use everstream_core::{Ending, Start, error_strategy};

use super::resets::{Calls, Counting};
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
fn an_interrupt_while_reading_acts_as_if_the_server_ended_the_connection() {
    let mut script = Script::open(|_| {});
    script.bytes("id: 7\ndata: a\n\ndata: half");
    assert_eq!(script.next_n(), [event("a"), Read]);
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
    script.pass(secs(1));
    assert_eq!(script.next(), resume("7"));
}

#[test]
fn an_interrupt_while_connecting_abandons_the_attempt() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

#[test]
fn received_events_are_delivered_before_an_interrupt_is_reported() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nid: 2\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [event("b"), Lost("end")]);
    assert_eq!(script.wait(), secs(1));
    assert_eq!(script.next(), resume("2"));
}

#[test]
fn an_unreported_start_is_reported_before_an_interrupt() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    script.interrupt();
    assert_eq!(script.next_n(), [Started(1), Lost("end"), Wait(secs(1))]);
}

/// An interrupt must not make the session reconnect earlier or later than due.
#[test]
fn an_interrupt_while_waiting_is_reported_and_does_not_change_the_wait() {
    let mut script = Script::open(|_| {});
    script.end_and_continue();
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
    // The strategy retries the first of several consecutive faults.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.end_and_continue();
    assert_eq!(script.next(), Wait(secs(1)));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert!(!script.session.is_active());
    script.start();
    assert_eq!(script.next(), Wait(secs(1)), "the delay is still due");
}

#[test]
fn a_start_before_an_interrupt_is_reported_reconnects_after_the_report() {
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.end_and_continue();
    script.interrupt();
    script.start();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

/// Regression test: the start failed together with the interrupted connection.
#[test]
fn a_start_after_an_interrupt_reconnects_whatever_the_strategy() {
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
        "the next one isn't retried"
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
fn an_interrupt_after_an_unreported_fault_reports_only_the_fault() {
    let mut script = Script::open(|_| {});
    script.fault(broken());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("broken"), Wait(secs(1))]);
}

#[test]
fn a_thousand_interrupts_at_once_count_as_one() {
    let open: fn() -> Script = || Script::open(|_| {});
    let connecting: fn() -> Script = || {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        script
    };
    let waiting: fn() -> Script = || {
        let mut script = Script::open(|_| {});
        script.end_and_continue();
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
fn interrupts_while_waiting_do_not_move_the_due_time() {
    let mut script = Script::open(|_| {});
    script.end_and_continue();
    for _ in 0..999 {
        script.pass(millis(1));
        script.interrupt();
        assert_eq!(script.next(), Lost("end"));
        assert!(matches!(script.next(), Wait(_)));
    }
    assert_eq!(script.next(), Wait(millis(1)));
    script.pass(millis(1));
    script.connect();
    // The interrupts didn't lengthen the next delay either.
    script.end_and_continue();
    assert_eq!(script.next(), Wait(secs(2)));
}

/// Regression test: until the next read it was still the previous delay.
#[test]
fn next_retry_delay_is_updated_at_the_interrupt() {
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
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.session.next_retry_delay(), secs(16));
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(16))]);
}

#[test]
fn the_delay_after_an_interrupt_starts_at_the_interrupt() {
    let mut script = Script::open(|_| {});
    script.interrupt();
    script.pass(millis(400));
    assert_eq!(script.next_n(), [Lost("end"), Wait(millis(600))]);
}

/// Received bytes count even if they were not read before the interrupt.
#[test]
fn a_retry_decoded_after_an_interrupt_is_honored() {
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
        // There was no delay before, so the change doesn't count as a reset.
        script.end_and_continue();
        assert_eq!(script.wait(), secs(delay.max(2 * delay.min(15))));
    }
}

#[test]
fn a_shorter_retry_decoded_after_an_interrupt_affects_only_the_next_delay() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(10));
    script.bytes("data: a\n\nretry: 3000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(10))]);
    script.pass(secs(10));
    script.connect();
    script.end_and_continue();
    assert_eq!(script.wait(), secs(6));
}

/// The server asks for 9 s; the delay without that is 5 s to 10 s.
#[test]
fn a_retry_decoded_after_an_interrupt_is_honored_with_any_jitter() {
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
fn the_users_cap_limits_a_retry_decoded_after_an_interrupt() {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(backoff().jitter(0.0).max_delay(secs(5)));
    });
    script.bytes("data: a\n\nretry: 9000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(5))]);
}

#[test]
fn a_changed_retry_decoded_after_an_interrupt_resets_the_backoff_once() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4] {
        script.end_and_continue();
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
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn the_strategy_is_asked_once_for_each_lost_connection() {
    let counting = Counting::default();
    let asked = |delays| {
        let asked = Calls { delays, resets: 0 };
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
    // While waiting, and while connecting.
    script.end_and_continue();
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

/// Whatever the strategy, the client doesn't reconnect before the time that the server asked for.
#[test]
fn a_retry_decoded_after_an_interrupt_is_honored_with_any_strategy() {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|base| base.delay));
    });
    script.bytes("data: a\n\nretry: 9000\n\n");
    assert_eq!(script.next(), event("a"));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(9))]);
}

#[test]
fn an_interrupt_after_the_end_changes_nothing() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nid: 7\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.session.handle_end(Ending::Complete, script.now);
    script.interrupt();
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    assert_eq!(script.next_n(), [event("b"), Lost("end"), Wait(secs(3))]);
}

#[test]
fn an_interrupt_before_the_last_event_of_a_one_shot_stream_leaves_no_delay() {
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
