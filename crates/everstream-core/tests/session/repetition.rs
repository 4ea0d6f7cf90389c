//! Requests that may not be repeated unasked: rule 11.

use std::panic::{AssertUnwindSafe, catch_unwind};

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
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert_not_repeated(&mut script);

    let mut script = Script::open(once);
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
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
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert_not_repeated(&mut script);

    // While connecting it may be on its way already.
    let mut script = Script::new(once);
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
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
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
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

    let mut script = Script::new(once);
    script.start();
    assert_eq!(script.next(), connect());
    script.session.set_repeatable(true);
    script.fault(Fault::Request("cut".into()));
    assert_eq!(script.next(), Lost("request"));
}

#[test]
fn it_is_repeated_to_resume_after_an_id_that_the_server_sent() {
    for stream in ["id: 7\ndata: a\n\n", "id: 7\n\n"] {
        let mut script = Script::open(once);
        script.receive(stream);
        script.end_and_go_on();
        script.wait();
        assert_eq!(script.connect().as_deref(), Some("7"));
        // The resumed request brings no id of its own: the one from before still says where.
        script.fault(broken());
        assert_eq!(script.next(), Lost("broken"));
        script.wait();
        assert_eq!(script.connect().as_deref(), Some("7"));
    }
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
        assert_eq!(script.next_n(), [Lost("end"), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn an_id_that_cannot_be_sent_is_nothing_to_resume_from() {
    for id in ["\u{1}", "a\u{7f}b"] {
        let mut script = Script::open(once);
        script.receive(&format!("id: {id}\ndata: a\n\n"));
        script.end();
        assert_eq!(script.next_n(), [Lost("end"), Stop], "{id:?}");
        assert_not_repeated(&mut script);
    }
}

#[test]
fn a_strategy_that_panics_does_not_make_it_be_repeated() {
    let mut script = Script::new(|config| {
        once(config);
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|_| panic!("the user's")));
    });
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(status(503));
    catch_unwind(AssertUnwindSafe(|| script.next())).unwrap_err();
    assert_not_repeated(&mut script);
}

#[test]
fn an_id_that_is_decoded_after_the_disconnect_counts() {
    let mut script = Script::open(once);
    script.bytes("data: a\n\nid: 7\ndata: b\n\n");
    script.fault(broken());
    assert_eq!(script.next_n(), [event("a"), event("b"), Lost("broken")]);
    script.wait();
    assert_eq!(script.next(), resume("7"));
}

#[test]
fn a_preset_id_does_not_say_that_this_request_was_received() {
    let mut script = Script::open(|config| {
        once(config);
        config.last_event_id = Some("41".into());
    });
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn an_express_start_repeats_it_once_after_the_delay() {
    let mut script = Script::open(once);
    for delay in [1, 2, 4] {
        script.end();
        assert_eq!(script.next_n(), [Lost("end"), Stop]);
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
    assert_eq!(script.connect().as_deref(), Some("7"));
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn if_the_strategy_fails_it_may_still_resume_by_reading() {
    let mut script = Script::open(|config| {
        config.repeatable = false;
        config.error_strategy = Box::new(error_strategy::always_fail());
    });
    script.receive("id: 7\ndata: a\n\n");
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    script.read();
    script.wait();
    assert_eq!(script.next(), resume("7"));
}

/// Going on by reading forgot once that an id had been received, as an express start must.
#[test]
fn what_was_resumed_by_reading_may_be_resumed_again() {
    let mut script = Script::open(|config| {
        config.repeatable = false;
        config.error_strategy = Box::new(error_strategy::always_fail());
    });
    script.receive("id: 7\ndata: a\n\n");
    for _ in 0..3 {
        script.fault(broken());
        assert_eq!(script.next(), Failed("broken"));
        script.read();
        script.wait();
        assert_eq!(script.connect().as_deref(), Some("7"));
    }
}

#[test]
fn a_request_that_may_be_repeated_is() {
    let mut script = Script::open(|_| {});
    for _ in 0..5 {
        script.end_and_go_on();
        script.reconnect();
    }
}
