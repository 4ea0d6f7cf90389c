//! What is reported to the harness.

use std::time::{Duration, Instant};

use everstream_testing::{Gate, Reply};
use serde_json::{Value, json};

use crate::harness::{Harness, LIMIT, event, for_all_clients};

for_all_clients!(
    events_are_reported_with_type_data_and_last_event_id,
    a_byte_order_mark_is_stripped,
    comments_are_reported,
    a_clean_end_is_not_an_error,
    a_broken_connection_is_reported_and_reconnected,
    bad_statuses_and_content_types_are_reported_and_retried,
    a_read_timeout_is_reported_as_an_error,
    a_204_ends_the_stream,
    everything_is_reported_once_and_in_order,
    a_callback_waits_for_the_previous_response,
    a_rejected_callback_is_not_repeated,
    an_event_of_15_mb_is_reported,
);

fn events_are_reported_with_type_data_and_last_event_id(harness: &Harness) {
    harness.follow(
        Reply::stream()
            .send("data: no id yet\n\n")
            .send("id: 7\nevent: price\ndata: 42\ndata: and more\n\n")
            .send("data: still at 7\n\n")
            .stall(),
    );
    harness.expect_callbacks(&[
        event("message", "no id yet", ""),
        event("price", "42\nand more", "7"),
        event("message", "still at 7", "7"),
    ]);
}

fn a_byte_order_mark_is_stripped(harness: &Harness) {
    harness.follow(Reply::stream().send("\u{feff}data: first\n\n").stall());
    harness.expect_callbacks(&[event("message", "first", "")]);
}

fn comments_are_reported(harness: &Harness) {
    harness.follow(Reply::stream().send(":still here\n\n").event("x").stall());
    harness.expect_callbacks(&[
        json!({"kind": "comment", "comment": "still here"}),
        event("message", "x", ""),
    ]);
}

fn a_clean_end_is_not_an_error(harness: &Harness) {
    harness.server.enqueue(Reply::stream().event("one").end());
    harness.follow(Reply::stream().event("two").stall());
    harness.expect_callbacks(&[event("message", "one", ""), event("message", "two", "")]);
}

/// The kinds of the callbacks. The text of an error depends on the client.
fn kinds(callbacks: &[Value]) -> Vec<&str> {
    let kind = |callback: &'_ Value| match callback["kind"].as_str() {
        Some("error") if callback["error"].as_str().is_none_or(str::is_empty) => "an empty error",
        Some("error") => "error",
        Some("event") => "event",
        _ => "something else",
    };
    callbacks.iter().map(kind).collect()
}

fn a_broken_connection_is_reported_and_reconnected(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event("one").send("data: ha").reset());
    harness.follow(Reply::stream().event("two").stall());
    let callbacks = harness.received_callbacks(3);
    assert_eq!(kinds(&callbacks), ["event", "error", "event"]);
    assert_eq!(callbacks[2], event("message", "two", ""));
}

fn bad_statuses_and_content_types_are_reported_and_retried(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::status(401))
        .enqueue(Reply::status(500))
        .enqueue(Reply::stream().header("Content-Type", "text/html").end());
    harness.follow(Reply::stream().event("at last").stall());
    let callbacks = harness.received_callbacks(4);
    assert_eq!(kinds(&callbacks), ["error", "error", "error", "event"]);
    assert!(callbacks[0]["error"].as_str().unwrap().contains("401"));
}

fn a_read_timeout_is_reported_as_an_error(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event("one").stall())
        .otherwise(Reply::stream().stall());
    let mut stream_request = harness.stream_request();
    // Longer than a busy machine takes to connect and to answer.
    stream_request["readTimeoutMs"] = 3000.into();
    harness.follow_with(&stream_request);
    let callbacks = harness.received_callbacks(2);
    assert_eq!(kinds(&callbacks)[..2], ["event", "error"]);
    assert!(
        callbacks[1]["error"]
            .as_str()
            .unwrap()
            .contains("read_timeout")
    );
    harness.expect_requests(2);
}

fn a_204_ends_the_stream(harness: &Harness) {
    harness.server.enqueue(Reply::stream().event("one").end());
    let location = harness.follow(Reply::status(204));
    assert_eq!(kinds(&harness.received_callbacks(2)), ["event", "error"]);

    // The stream has ended; it isn't just between two attempts.
    let begin = Instant::now();
    loop {
        let answer = harness
            .service
            .ask("POST", &location, r#"{"command":"restart"}"#);
        if answer.status == 409 {
            break;
        }
        assert!(begin.elapsed() < LIMIT, "{}", answer.status);
    }
    assert_eq!(harness.server.request_count(), 2);
    assert_eq!(harness.service.ask("DELETE", &location, "").status, 204);
}

fn everything_is_reported_once_and_in_order(harness: &Harness) {
    let events = (0..300).map(|n| format!("data: {n}\n\n:{n}\n"));
    harness.follow(Reply::stream().send_each(events).stall());
    let expected = (0..300).flat_map(|n| {
        let comment = json!({"kind": "comment", "comment": n.to_string()});
        [event("message", &n.to_string(), ""), comment]
    });
    harness.expect_callbacks(&expected.collect::<Vec<_>>());
}

fn a_callback_waits_for_the_previous_response(harness: &Harness) {
    let (asked, answer) = (Gate::new(), Gate::new());
    let slow = Reply::status(200).head_after(&answer);
    harness.callbacks.enqueue(slow);
    harness.follow(
        Reply::stream()
            .event("one")
            .event("two")
            .open(&asked)
            .stall(),
    );

    assert!(asked.wait(LIMIT));
    harness.expect_callbacks(&[event("message", "one", "")]);
    assert!(
        !harness
            .callbacks
            .wait_for_requests(2, Duration::from_millis(100))
    );
    answer.open();
    harness.expect_callbacks(&[event("message", "one", ""), event("message", "two", "")]);
}

fn a_rejected_callback_is_not_repeated(harness: &Harness) {
    harness
        .callbacks
        .enqueue(Reply::status(500))
        // Reads the request and closes the connection.
        .enqueue(Reply::raw(""));
    let events = Reply::stream().event("one").event("two").event("three");
    harness.follow(events.stall());
    harness.expect_callbacks(&[
        event("message", "one", ""),
        event("message", "two", ""),
        event("message", "three", ""),
    ]);
}

fn an_event_of_15_mb_is_reported(harness: &Harness) {
    let data = "everstream".repeat(1_500_000);
    let begin = Instant::now();
    harness.follow(Reply::stream().event(&data).event("next").stall());
    let callbacks = harness.received_callbacks(2);
    eprintln!("received after {:?}", begin.elapsed());
    assert!(callbacks[0]["event"]["data"] == *data, "the data differs");
    assert_eq!(callbacks[1], event("message", "next", ""));
}
