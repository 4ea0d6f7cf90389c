//! Requests that may not be repeated unasked: rule 11. Those that are resumed are in `resuming.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use everstream_core::error_strategy::Verdict;
use everstream_core::{Fault, SessionConfig, error_strategy, retry_delay};

use super::script::*;

/// A request that may not be repeated, under a strategy that always would.
fn once(config: &mut SessionConfig) {
    config.repeatable = false;
    config.error_strategy = Box::new(error_strategy::always_continue());
}

/// However often the user reads on, no connection is asked for.
fn assert_not_repeated(script: &mut Script) {
    for _ in 0..3 {
        script.pass(secs(100));
        assert_eq!(script.next(), Stop);
        script.read();
        assert!(!script.session.is_active());
    }
}

#[test]
fn it_is_not_repeated_after_its_stream_ended_or_broke() {
    let mut script = Script::open(once);
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);

    let mut script = Script::open(once);
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);

    let mut script = Script::open(|config| {
        once(config);
        config.read_timeout = Some(secs(5));
    });
    assert_eq!(script.next(), ReadWithin(secs(5)));
    script.pass(secs(5));
    script.session.handle_timeout(script.now);
    assert_eq!(script.next(), Failed("silence"));
    assert_not_repeated(&mut script);
}

#[test]
fn it_is_not_repeated_if_the_server_may_have_got_it() {
    for fault in [
        Fault::Request("cut".into()),
        Fault::Source("it failed".into()),
        status(503),
        retry_after(secs(1)),
    ] {
        let mut script = Script::new(once);
        script.start();
        assert_eq!(script.next(), connect());
        script.fault(fault);
        assert!(matches!(script.next(), Failed(_)));
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_interrupt_does_not_make_it_be_repeated() {
    let mut script = Script::open(once);
    script.interrupt();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);

    // While connecting it may be on its way already.
    let mut script = Script::new(once);
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn a_refused_connection_may_be_tried_again_because_nothing_was_sent() {
    let mut script = Script::new(once);
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
fn an_interrupt_while_nothing_was_sent_spends_nothing() {
    let mut script = Script::new(once);
    script.start();
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), connect()]);
}

#[test]
fn what_was_sent_decides_where_the_requests_differ() {
    // The first request is safe, the second one isn't.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::always_continue());
    });
    script.end_and_go_on();
    script.wait();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(false);
    script.fault(Fault::Request("cut".into()));
    assert_eq!(script.next(), Failed("request"));
    assert_not_repeated(&mut script);

    // The second one never reaches the server, so it is tried again.
    let mut script = Script::open(|config| {
        config.error_strategy = Box::new(error_strategy::always_continue());
    });
    script.end_and_go_on();
    script.wait();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(false);
    script.fault(refused());
    assert_eq!(script.next(), Lost("refused"));
    script.wait();
    assert_eq!(script.next(), connect());

    let mut script = Script::new(once);
    script.start();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(true);
    script.fault(Fault::Request("cut".into()));
    assert_eq!(script.next(), Lost("request"));
}

#[test]
fn an_id_that_the_server_sent_does_not_make_it_be_repeated() {
    for stream in ["id: 7\ndata: a\n\n", "id: 7\n\n"] {
        let mut script = Script::open(once);
        script.receive(stream);
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn it_may_be_repeated_after_an_error_that_comes_before_the_request() {
    let mut script = Script::new(once);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(Fault::Setup("the hook failed".into()));
    assert_eq!(script.next(), Lost("setup"));
    assert!(!script.session.is_not_repeated());
    script.wait();
    assert_eq!(script.next(), connect());
}

/// There would be nothing to say if the strategy wanted no other connection either.
#[test]
fn a_stream_that_the_strategy_ends_is_not_one_that_is_not_repeated() {
    let fail = |config: &mut SessionConfig| {
        once(config);
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

/// The error is that of a one-shot stream, and the reason why it isn't asked for again is told too.
#[test]
fn a_one_shot_stream_that_ended_early_is_not_repeated() {
    let mut script = Script::open(|config| {
        once(config);
        config.until = Some(Box::new(|event| event.data() == "[DONE]"));
    });
    script.end();
    assert_eq!(script.next(), Failed("incomplete"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);
}

#[test]
fn the_strategy_is_asked_once_also_if_it_has_nothing_to_decide() {
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
fn a_start_before_the_end_is_told_takes_the_news_back() {
    // Between the end of the connection and that of the iteration.
    let mut script = Script::open(once);
    script.end();
    assert_eq!(script.next(), Lost(NOT_REPEATED));
    script.start();
    assert!(!script.session.is_not_repeated());
    assert_eq!(script.reconnect(), secs(1));

    // It was neither decided nor told.
    let mut script = Script::open(once);
    script.end();
    script.start();
    assert_eq!(script.next(), Lost("end"));
    assert!(!script.session.is_not_repeated());
    assert_eq!(script.reconnect(), secs(1));
}

#[test]
fn an_id_that_was_cleared_or_never_dispatched_is_nothing_to_resume_from() {
    for stream in [
        "id: 7\ndata: a\n\nid\n\n",
        "id: 7\ndata: half\n",
        "id: 7\0\n\n",
    ] {
        let mut script = Script::open(once);
        script.receive(stream);
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_id_that_cannot_be_sent_is_nothing_to_resume_from() {
    for id in ["\u{1}", "a\u{7f}b"] {
        let mut script = Script::open(once);
        script.receive(&format!("id: {id}\ndata: a\n\n"));
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{id:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn a_strategy_that_panics_does_not_make_it_be_repeated() {
    let delay = |config: &mut SessionConfig| {
        once(config);
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|_| panic!("the user's")));
    };
    let error = |config: &mut SessionConfig| {
        once(config);
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
fn a_preset_id_does_not_say_that_this_request_was_received() {
    let mut script = Script::open(|config| {
        once(config);
        config.last_event_id = Some("41".into());
    });
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn an_express_start_repeats_it_once_after_the_delay() {
    let mut script = Script::open(once);
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
fn an_id_from_before_an_express_start_does_not_make_the_new_request_be_repeated() {
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
fn if_the_strategy_fails_reading_does_not_repeat_it_either() {
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
fn a_request_that_may_be_repeated_is() {
    let mut script = Script::open(|_| {});
    for _ in 0..5 {
        script.end_and_go_on();
        script.reconnect();
    }
}
