//! What an end discards and ignores, and the last event without its blank line: rule 8.

use everstream_core::{Action, End, Ending, Output, SessionConfig, error_strategy};

use super::script::*;

fn dispatch(config: &mut SessionConfig) {
    config.dispatch_unfinished = true;
}

fn dispatch_until_done(config: &mut SessionConfig) {
    dispatch(config);
    config.until = Some(Box::new(|event| event.data() == "[DONE]"));
    config.error_strategy = Box::new(error_strategy::always_fail());
}

/// The next output, which must be an end.
fn next_end(script: &mut Script) -> End {
    match script.session.poll_output(script.now) {
        Output::Action(Action::End(end)) => *end,
        other => panic!("{other:?} instead of an end"),
    }
}

fn end_of(stream: &str, ending: Ending, configure: fn(&mut SessionConfig)) -> End {
    let mut script = Script::open(configure);
    script.bytes(stream);
    script.session.handle_end(ending, script.now);
    next_end(&mut script)
}

fn size_and_text(discarded_bytes: usize, ignored_text: Option<&str>) -> End {
    let mut end = End::default();
    end.discarded_bytes = discarded_bytes;
    end.ignored_text = ignored_text.map(String::from);
    end
}

#[test]
fn an_end_reports_the_size_of_the_discarded_event() {
    for ending in [Ending::Complete, Ending::Unproven] {
        let end = end_of("id: 1\ndata: hel", ending, |_| {});
        assert_eq!(end, size_and_text(15, None));
        assert_eq!(end_of(": comment", ending, |_| {}), End::default());
    }
}

#[test]
fn an_end_reports_the_text_of_a_response_without_fields() {
    let text = "{\"error\": \"overloaded\"}";
    for ending in [Ending::Complete, Ending::Unproven] {
        let end = end_of(text, ending, |_| {});
        assert_eq!(end, size_and_text(0, Some(text)));
    }
}

#[test]
fn discarded_bytes_are_reported_once() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a");
    script.end();
    assert_eq!(next_end(&mut script).discarded_bytes, 7);
    script.interrupt();
    assert_eq!(next_end(&mut script), End::default());
    script.reconnect();
    script.end();
    assert_eq!(next_end(&mut script), End::default());
}

#[test]
fn an_incomplete_stream_reports_the_text_received_instead_of_events() {
    let mut script = Script::open(|config| {
        config.until = Some(Box::new(|_| true));
        config.error_strategy = Box::new(error_strategy::always_fail());
    });
    script.bytes("error: overloaded\n");
    script.end();
    assert_eq!(
        next_end(&mut script),
        size_and_text(0, Some("error: overloaded"))
    );
    assert_eq!(script.next_n(), [Failed("incomplete"), Stop]);
    script.start();
    script.interrupt();
    assert_eq!(script.next(), Failed("incomplete"), "not reported twice");
}

#[test]
fn an_interrupt_reports_no_discarded_bytes() {
    for configure in [|_: &mut SessionConfig| {}, dispatch] {
        let mut script = Script::open(configure);
        script.receive("data: a");
        script.interrupt();
        assert_eq!(next_end(&mut script), End::default());
    }
}

#[test]
fn the_last_event_is_dispatched_only_if_configured_and_complete() {
    for (ending, configure, dispatched) in [
        (Ending::Complete, dispatch as fn(&mut _), true),
        (Ending::Unproven, dispatch, false),
        (Ending::Complete, |_: &mut _| {}, false),
    ] {
        let mut script = Script::open(configure);
        script.bytes("data: a\n\nid: 7\ndata: b");
        script.session.handle_end(ending, script.now);
        assert_eq!(script.next(), event("a"));
        assert_eq!(script.id(), None);
        if dispatched {
            assert_eq!(script.next(), event("b"));
            assert_eq!(script.id(), Some("7"));
            assert_eq!(next_end(&mut script), End::default());
        } else {
            assert_eq!(next_end(&mut script).discarded_bytes, 13);
            assert_eq!(script.id(), None);
        }
        script.wait();
        assert_eq!(script.connect().is_some(), dispatched);
    }
}

#[test]
fn an_unfinished_event_is_not_dispatched_after_a_fault_or_timeout() {
    let mut script = Script::open(dispatch);
    script.bytes("data: a\n");
    script.fault(broken());
    assert_eq!(script.next(), Lost("broken"));

    let mut script = Script::open(|config| {
        dispatch(config);
        config.read_timeout = Some(secs(5));
    });
    script.receive("data: a\n");
    script.pass(secs(5));
    script.session.handle_timeout(script.now);
    assert_eq!(script.next(), Lost("read timeout"));
}

#[test]
fn the_sentinel_counts_without_its_blank_line() {
    let mut script = Script::open(dispatch_until_done);
    script.bytes("data: a\n\ndata: [DONE]");
    script.session.handle_end(Ending::Complete, script.now);
    assert_eq!(script.next_n(), [event("a"), Stop, Stop]);
    script.read();
    assert_eq!(script.next(), Stop, "it is complete");
}

#[test]
fn an_unfinished_event_that_is_too_large_is_a_fault() {
    let mut script = Script::open(|config| {
        dispatch(config);
        config.max_event_size = 10;
    });
    script.bytes("data: abcd\nid:1234567");
    script.session.handle_end(Ending::Complete, script.now);
    assert_eq!(script.next(), Failed("too large"));
}

#[test]
fn a_truncated_retry_at_the_end_is_ignored() {
    let mut script = Script::open(dispatch);
    script.bytes("data: a\nretry: 10");
    script.session.handle_end(Ending::Complete, script.now);
    assert_eq!(script.next_n(), [event("a"), Lost("end"), Wait(secs(1))]);
}

#[test]
fn the_id_of_a_block_without_data_counts_at_a_complete_end() {
    let mut script = Script::open(dispatch);
    script.bytes("id: 7");
    script.session.handle_end(Ending::Complete, script.now);
    assert_eq!(script.next(), Lost("end"));
    assert_eq!(script.id(), Some("7"));
}
