//! Requests that may not be repeated: rule 11. For requests that are resumed, see `resuming.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use everstream_core::error_strategy::Verdict;
use everstream_core::{Fault, SessionConfig, error_strategy, retry_delay};

use super::script::*;

/// A request that may not be repeated, with a strategy that always continues.
fn unrepeatable(config: &mut SessionConfig) {
    config.repeatable = false;
    config.error_strategy = Box::new(error_strategy::always_continue());
}

#[test]
fn an_unsafe_request_is_not_repeated_after_its_stream_ended_or_broke() {
    let mut script = Script::open(unrepeatable);
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);

    let mut script = Script::open(unrepeatable);
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);

    let mut script = Script::open(|config| {
        unrepeatable(config);
        config.read_timeout = Some(secs(5));
    });
    assert_eq!(script.next(), ReadWithin(secs(5)));
    script.pass(secs(5));
    script.session.handle_timeout(script.now);
    assert_eq!(script.next(), Failed("read timeout"));
    assert_not_repeated(&mut script);
}

#[test]
fn an_unsafe_request_is_not_repeated_if_the_server_may_have_received_it() {
    for fault in [
        Fault::Request("cut".into()),
        Fault::Source("it failed".into()),
        status(503),
        retry_after(secs(1)),
    ] {
        let mut script = Script::new(unrepeatable);
        script.start();
        assert_eq!(script.next(), connect());
        script.fault(fault);
        assert!(matches!(script.next(), Failed(_)));
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_interrupt_does_not_repeat_the_request() {
    let mut script = Script::open(unrepeatable);
    script.interrupt();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);

    // While connecting, the request may already be on its way.
    let mut script = Script::new(unrepeatable);
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn a_refused_connection_is_retried_because_nothing_was_sent() {
    let mut script = Script::new(unrepeatable);
    script.start();
    for fault in [
        refused(),
        Fault::ConnectTimeout(secs(10)),
        Fault::Setup("no token".into()),
    ] {
        script.wait();
        assert_eq!(script.next(), connect());
        script.fault(fault);
        assert!(matches!(script.next(), Lost(_)));
    }
    script.reconnect();
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn an_interrupt_before_the_request_allows_a_retry() {
    let mut script = Script::new(unrepeatable);
    script.start();
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), connect()]);
}

#[test]
fn set_repeatable_applies_to_the_request_that_was_sent() {
    // The first request is safe, the second one isn't.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::always_continue());
    });
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(false);
    script.fault(Fault::Request("cut".into()));
    assert_eq!(script.next(), Failed("request"));
    assert_not_repeated(&mut script);

    // The second one never reaches the server, so it is retried.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::always_continue());
    });
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(false);
    script.fault(refused());
    assert_eq!(script.next(), Lost("refused"));
    script.wait();
    assert_eq!(script.next(), connect());

    let mut script = Script::new(unrepeatable);
    script.start();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(true);
    script.fault(Fault::Request("cut".into()));
    assert_eq!(script.next(), Lost("request"));
}

#[test]
fn a_received_id_does_not_repeat_the_request() {
    for stream in ["id: 7\ndata: a\n\n", "id: 7\n\n"] {
        let mut script = Script::open(unrepeatable);
        script.receive(stream);
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_error_before_the_request_is_retried() {
    let mut script = Script::new(unrepeatable);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(Fault::Setup("the hook failed".into()));
    assert_eq!(script.next(), Lost("setup"));
    assert!(!script.session.is_not_repeated());
    script.wait();
    assert_eq!(script.next(), connect());
}

/// `not_repeated` is only set if the strategy would have continued.
#[test]
fn not_repeated_is_false_if_the_strategy_ends_the_stream() {
    let fail = |config: &mut SessionConfig| {
        unrepeatable(config);
        config.error_strategy = Box::new(error_strategy::always_fail());
    };
    let mut script = Script::open(fail);
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert!(!script.session.is_not_repeated());
    assert_not_repeated(&mut script);

    let mut script = Script::open(fail);
    script.fault(broken());
    assert_eq!(script.next_n(), [Failed("broken"), Stop]);
    assert!(!script.session.is_not_repeated());
    assert_not_repeated(&mut script);
}

/// The error is `Incomplete`, and `is_not_repeated` tells why there is no retry.
#[test]
fn a_one_shot_stream_that_ended_early_is_not_repeated() {
    let mut script = Script::open(|config| {
        unrepeatable(config);
        config.until = Some(Box::new(|event| event.data() == "[DONE]"));
    });
    script.end();
    assert_eq!(script.next(), Failed("incomplete"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);
}

#[test]
fn the_strategy_is_asked_once_even_if_its_verdict_has_no_effect() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let mut script = Script::open(|config| {
        config.repeatable = false;
        config.error_strategy = Box::new(error_strategy::from_fn(move |_| {
            *count.lock().unwrap() += 1;
            Verdict::Continue
        }));
    });
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[test]
fn a_start_before_the_end_is_reported_clears_not_repeated() {
    // Between the end of the connection and that of the iteration.
    let mut script = Script::open(unrepeatable);
    script.end();
    assert_eq!(script.next(), Lost(NOT_REPEATED));
    script.start();
    assert!(!script.session.is_not_repeated());
    assert_eq!(script.reconnect(), secs(1));

    // Before anything was decided or reported.
    let mut script = Script::open(unrepeatable);
    script.end();
    script.start();
    assert_eq!(script.next(), Lost("end"));
    assert!(!script.session.is_not_repeated());
    assert_eq!(script.reconnect(), secs(1));
}

#[test]
fn a_cleared_or_undispatched_id_cannot_be_resumed_from() {
    for stream in [
        "id: 7\ndata: a\n\nid\n\n",
        "id: 7\ndata: half\n",
        "id: 7\0\n\n",
    ] {
        let mut script = Script::open(unrepeatable);
        script.receive(stream);
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_unsendable_id_cannot_be_resumed_from() {
    for id in ["\u{1}", "a\u{7f}b"] {
        let mut script = Script::open(unrepeatable);
        script.receive(&format!("id: {id}\ndata: a\n\n"));
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{id:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn a_panicking_strategy_does_not_repeat_the_request() {
    let delay = |config: &mut SessionConfig| {
        unrepeatable(config);
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|_| panic!("the user's")));
    };
    let error = |config: &mut SessionConfig| {
        unrepeatable(config);
        config.error_strategy = Box::new(error_strategy::from_fn(|_| panic!("the user's")));
    };
    for mut script in [Script::new(delay), Script::new(error)] {
        script.start();
        assert_eq!(script.next(), connect());
        script.fault(status(503));
        catch_unwind(AssertUnwindSafe(|| script.next())).unwrap_err();
        assert_not_repeated(&mut script);
    }
}

#[test]
fn a_preset_id_does_not_prove_that_the_request_was_received() {
    let mut script = Script::open(|config| {
        unrepeatable(config);
        config.last_event_id = Some("41".into());
    });
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn an_explicit_start_repeats_the_request_once_after_the_delay() {
    let mut script = Script::open(unrepeatable);
    for delay in [1, 2, 4] {
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
        script.read();
        assert_eq!(script.next(), Stop);
        script.start();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn an_id_from_before_an_explicit_start_does_not_repeat_the_new_request() {
    let mut script = Script::open(|config| {
        config.repeatable = false;
        config.error_strategy = Box::new(error_strategy::always_fail());
    });
    script.receive("id: 7\ndata: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    script.start();
    script.wait();
    assert_eq!(script.next(), resume("7"));
    script.connect();
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn reading_does_not_repeat_the_request_after_fail() {
    let mut script = Script::open(|config| {
        config.repeatable = false;
        config.error_strategy = Box::new(error_strategy::always_fail());
    });
    script.receive("id: 7\ndata: a\n\n");
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert_not_repeated(&mut script);
}

#[test]
fn a_repeatable_request_is_repeated() {
    let mut script = Script::open(|_| {});
    for _ in 0..5 {
        script.end_and_continue();
        script.reconnect();
    }
}
