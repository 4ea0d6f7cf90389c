//! Unsafe requests that are resumed by GET: rule 11.

use std::sync::{Arc, Mutex};

use everstream_core::error_strategy::{ErrorStrategy, Verdict};
use everstream_core::{Fault, Oversize, SessionConfig, Timestamp, error_strategy};

use super::script::*;

fn resuming(config: &mut SessionConfig) {
    config.repeatable = false;
    config.resume_with_get = true;
    config.error_strategy = Box::new(error_strategy::always_continue());
}

fn resuming_until_done(config: &mut SessionConfig) {
    resuming(config);
    config.until = Some(Box::new(|event| event.data() == "[DONE]"));
}

fn resuming_but_failing(config: &mut SessionConfig) {
    resuming(config);
    config.error_strategy = Box::new(error_strategy::always_fail());
}

#[test]
fn a_stream_with_an_id_is_resumed_after_a_fault_or_an_end() {
    for stream in ["id: 7\ndata: a\n\n", "id: 7\n\n"] {
        let mut script = Script::open(resuming);
        script.receive(stream);
        script.end_and_continue();
        assert_eq!(script.next(), Wait(secs(1)));
        script.wait();
        assert_eq!(script.next(), resume_with_get("7"));
        script.connect();
        // The GET received no new id, so the previous one still counts.
        script.fault(broken());
        assert_eq!(script.next(), Lost("broken"));
        script.wait();
        assert_eq!(script.next(), resume_with_get("7"));
        script.connect();
        script.receive("id: 8\ndata: b\n\n");
        script.end_and_continue();
        script.wait();
        assert_eq!(script.next(), resume_with_get("8"));
    }
}

#[test]
fn the_id_of_a_skipped_event_is_resumed_from() {
    let mut script = Script::open(|config| {
        resuming(config);
        config.max_event_size = 20;
        config.oversize = Oversize::Skip;
    });
    script.receive("id: 7\ndata: longer than 20 bytes\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

#[test]
fn an_id_that_is_decoded_after_the_disconnect_counts() {
    let mut script = Script::open(resuming);
    script.bytes("data: a\n\nid: 7\ndata: b\n\n");
    script.fault(broken());
    assert_eq!(script.next_n(), [event("a"), event("b"), Lost("broken")]);
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

#[test]
fn a_failed_get_is_retried() {
    let mut script = Script::open(resuming);
    script.receive("id: 7\ndata: a\n\n");
    script.fault(broken());
    assert_eq!(script.next(), Lost("broken"));
    for fault in [
        refused(),
        Fault::Request("cut".into()),
        status(503),
        status(401),
    ] {
        script.wait();
        assert_eq!(script.next(), resume_with_get("7"));
        script.fault(fault);
        assert!(matches!(script.next(), Lost(_)));
    }
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
    script.interrupt();
    assert_eq!(script.next(), Lost("end"));
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

#[test]
fn a_rejected_resume_ends_the_stream() {
    for refusal in [400, 404, 405] {
        let mut script = Script::open(resuming);
        script.receive("id: 7\ndata: a\n\n");
        script.end_and_continue();
        script.wait();
        assert_eq!(script.next(), resume_with_get("7"));
        script.fault(status(refusal));
        assert_eq!(script.next(), Failed("status"), "{refusal}");
        assert!(!script.session.is_not_repeated(), "the server has said no");
        assert_not_repeated(&mut script);
        // An explicit start sends the request itself.
        script.start();
        script.wait();
        assert_eq!(script.next(), resume("7"), "{refusal}");
        script.connect();
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    }
}

/// Otherwise a strategy that logs its verdicts would announce a reconnect.
#[test]
fn stream_ends_is_called_before_the_strategy_is_asked() {
    struct RecordingStrategy(Arc<Mutex<Vec<&'static str>>>);

    impl ErrorStrategy for RecordingStrategy {
        fn apply(&mut self, _: Option<&Fault>, _: Timestamp) -> Verdict {
            self.0.lock().unwrap().push("asked");
            Verdict::Continue
        }
        fn stream_ends(&mut self, not_repeated: bool) {
            let why = if not_repeated {
                "not repeated"
            } else {
                "refused"
            };
            self.0.lock().unwrap().push(why);
        }
    }

    let calls = Arc::new(Mutex::new(Vec::new()));
    let recorder = RecordingStrategy(calls.clone());
    let mut script = Script::open(|config| {
        resuming(config);
        config.error_strategy = Box::new(recorder);
    });
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
    script.fault(status(405));
    assert_eq!(script.next(), Failed("status"));
    script.start();
    script.reconnect();
    script.end();
    assert_eq!(script.next(), Lost(NOT_REPEATED));
    let calls = calls.lock().unwrap();
    assert_eq!(
        *calls,
        ["asked", "refused", "asked", "not repeated", "asked"]
    );
}

/// A status in response to the original request is an ordinary error.
#[test]
fn only_the_response_to_a_resume_get_can_reject_it() {
    let mut script = Script::new(resuming);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(status(404));
    assert_eq!(script.next(), Failed("status"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);

    // The same for a request that may be repeated.
    let mut script = Script::open(|_| {});
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    script.connect();
    script.fault(status(404));
    assert_eq!(script.next(), Failed("status"));
    script.read();
    script.wait();
    assert_eq!(script.next(), resume("7"));
}

#[test]
fn a_stream_without_an_id_is_not_repeated() {
    for stream in [
        "data: a\n\n",
        "id: 7\ndata: a\n\nid\n\n",
        "id: 7\ndata: half\n",
        "id: 7\0\n\n",
        "id: \u{1}\ndata: a\n\n",
        "id: a\u{7f}b\n\n",
    ] {
        let mut script = Script::open(resuming);
        script.receive(stream);
        script.end();
        assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop], "{stream:?}");
        assert_not_repeated(&mut script);
    }
}

/// The id was sent with the request, not received in response to it.
#[test]
fn a_preset_id_is_sent_but_cannot_be_resumed_from() {
    let mut script = Script::new(|config| {
        resuming(config);
        config.last_event_id = Some("41".into());
    });
    script.start();
    // However often connecting fails.
    script.fault(refused());
    for fault in [refused(), Fault::Setup("the hook failed".into())] {
        assert_eq!(script.next(), resume("41"));
        script.fault(fault);
        assert!(matches!(script.next(), Lost(_)));
        script.wait();
    }
    assert_eq!(script.next(), resume("41"));
    script.connect();
    script.receive("data: a\n\n");
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn a_cleared_id_is_no_longer_resumed_from() {
    let mut script = Script::open(resuming);
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
    script.connect();
    script.receive("id\ndata: b\n\n");
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert!(script.session.is_not_repeated());
    assert_not_repeated(&mut script);
    // An explicit start sends the request itself, without an id.
    script.start();
    script.wait();
    assert_eq!(script.next(), connect());
}

#[test]
fn a_complete_one_shot_stream_is_not_resumed() {
    let mut script = Script::open(resuming_until_done);
    script.bytes("id: 7\ndata: a\n\nid: 8\ndata: [DONE]\n\n");
    script.end();
    assert_eq!(script.next_n(), [event("a"), Stop]);
    assert_not_repeated(&mut script);
    // A restart sends the request itself.
    script.start();
    assert_eq!(script.next(), resume("8"));
}

#[test]
fn a_one_shot_stream_is_resumed_until_its_last_event() {
    let mut script = Script::open(resuming_until_done);
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
    script.connect();
    script.bytes("data: b\n\ndata: [DONE]\n\n");
    assert_eq!(script.next_n(), [event("b"), Stop]);
    assert_not_repeated(&mut script);
}

#[test]
fn an_explicit_start_resumes_if_possible() {
    let mut script = Script::open(resuming_but_failing);
    script.receive("id: 7\ndata: a\n\n");
    for delay in [1, 2, 4] {
        script.end();
        assert_eq!(script.next_n(), [Lost("end"), Stop]);
        script.start();
        assert_eq!(script.wait(), secs(delay));
        assert_eq!(script.next(), resume_with_get("7"));
        script.connect();
    }
    // Also before the end is reported.
    script.end();
    script.start();
    assert_eq!(script.next(), Lost("end"));
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

#[test]
fn an_explicit_start_repeats_the_request_if_there_is_no_id() {
    let mut script = Script::open(resuming);
    script.end();
    assert_eq!(script.next_n(), [Lost(NOT_REPEATED), Stop]);
    script.start();
    script.wait();
    assert_eq!(script.next(), connect());
    script.connect();
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

/// After the strategy has failed, reading again resumes.
#[test]
fn a_stream_resumed_by_reading_may_be_resumed_again() {
    let mut script = Script::open(resuming_but_failing);
    script.receive("id: 7\ndata: a\n\n");
    for _ in 0..3 {
        script.fault(broken());
        assert_eq!(script.next(), Failed("broken"));
        assert!(!script.session.is_not_repeated());
        script.read();
        script.wait();
        assert_eq!(script.next(), resume_with_get("7"));
        script.connect();
    }
}

#[test]
fn an_interrupt_during_the_wait_changes_nothing() {
    let mut script = Script::open(resuming);
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    assert_eq!(script.next(), Wait(secs(1)));
    script.interrupt();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
}

/// With both options, the request is repeated if there is no id to resume from.
#[test]
fn a_repeatable_request_is_resumed_too() {
    let mut script = Script::open(|config| {
        resuming(config);
        config.repeatable = true;
    });
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script.connect();
    script.receive("id: 7\ndata: a\n\n");
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), resume_with_get("7"));
    script.fault(status(405));
    assert_eq!(script.next(), Failed("status"));
    assert_not_repeated(&mut script);
}
