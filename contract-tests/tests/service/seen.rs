//! What the harness is told of.

use std::time::{Duration, Instant};

use everstream_testing::{Gate, Reply};
use serde_json::{Value, json};

use crate::harness::{Harness, LIMIT, event, for_all_clients};

for_all_clients!(
    events_are_told_with_type_data_and_the_last_event_id,
    a_byte_order_mark_is_no_data,
    comments_are_told,
    a_clean_end_is_no_error,
    a_broken_connection_is_an_error_and_is_made_again,
    statuses_and_content_types_are_errors_and_are_tried_again,
    silence_longer_than_the_read_timeout_is_an_error,
    a_204_stops_it_for_good,
    everything_is_told_in_order_and_once,
    a_callback_waits_for_the_answer_to_the_one_before,
    a_callback_that_is_refused_is_not_repeated,
    an_event_of_15_mb_gets_through,
);

fn events_are_told_with_type_data_and_the_last_event_id(harness: &Harness) {
    harness.follow(
        Reply::stream()
            .send("data: no id yet\n\n")
            .send("id: 7\nevent: price\ndata: 42\ndata: and more\n\n")
            .send("data: still at 7\n\n")
            .stall(),
    );
    harness.expect_told(&[
        event("message", "no id yet", ""),
        event("price", "42\nand more", "7"),
        event("message", "still at 7", "7"),
    ]);
}

fn a_byte_order_mark_is_no_data(harness: &Harness) {
    harness.follow(Reply::stream().send("\u{feff}data: first\n\n").stall());
    harness.expect_told(&[event("message", "first", "")]);
}

fn comments_are_told(harness: &Harness) {
    harness.follow(Reply::stream().send(":still here\n\n").event("x").stall());
    harness.expect_told(&[
        json!({"kind": "comment", "comment": "still here"}),
        event("message", "x", ""),
    ]);
}

fn a_clean_end_is_no_error(harness: &Harness) {
    harness.server.enqueue(Reply::stream().event("one").end());
    harness.follow(Reply::stream().event("two").stall());
    harness.expect_told(&[event("message", "one", ""), event("message", "two", "")]);
}

/// The errors' texts are the client's own.
fn kinds(told: &[Value]) -> Vec<&str> {
    let kind = |told: &'_ Value| match told["kind"].as_str() {
        Some("error") if told["error"].as_str().is_none_or(str::is_empty) => "an empty error",
        Some("error") => "error",
        Some("event") => "event",
        _ => "something else",
    };
    told.iter().map(kind).collect()
}

fn a_broken_connection_is_an_error_and_is_made_again(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event("one").send("data: ha").reset());
    harness.follow(Reply::stream().event("two").stall());
    let told = harness.told(3);
    assert_eq!(kinds(&told), ["event", "error", "event"]);
    assert_eq!(told[2], event("message", "two", ""));
}

fn statuses_and_content_types_are_errors_and_are_tried_again(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::status(401))
        .enqueue(Reply::status(500))
        .enqueue(Reply::stream().header("Content-Type", "text/html").end());
    harness.follow(Reply::stream().event("at last").stall());
    let told = harness.told(4);
    assert_eq!(kinds(&told), ["error", "error", "error", "event"]);
    assert!(told[0]["error"].as_str().unwrap().contains("401"));
}

fn silence_longer_than_the_read_timeout_is_an_error(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event("one").stall())
        .otherwise(Reply::stream().stall());
    let mut wanted = harness.wanted();
    wanted["readTimeoutMs"] = 1000.into();
    harness.follow_wanted(&wanted);
    let told = harness.told(2);
    assert_eq!(kinds(&told)[..2], ["event", "error"]);
    assert!(told[1]["error"].as_str().unwrap().contains("read_timeout"));
    harness.expect_requests(2);
}

fn a_204_stops_it_for_good(harness: &Harness) {
    harness.server.enqueue(Reply::stream().event("one").end());
    let location = harness.follow(Reply::status(204));
    assert_eq!(kinds(&harness.told(2)), ["event", "error"]);

    // It is over, rather than between two attempts.
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

fn everything_is_told_in_order_and_once(harness: &Harness) {
    let events = (0..300).map(|n| format!("data: {n}\n\n:{n}\n"));
    harness.follow(Reply::stream().send_each(events).stall());
    let expected = (0..300).flat_map(|n| {
        let comment = json!({"kind": "comment", "comment": n.to_string()});
        [event("message", &n.to_string(), ""), comment]
    });
    harness.expect_told(&expected.collect::<Vec<_>>());
}

fn a_callback_waits_for_the_answer_to_the_one_before(harness: &Harness) {
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
    harness.expect_told(&[event("message", "one", "")]);
    assert!(
        !harness
            .callbacks
            .wait_for_requests(2, Duration::from_millis(100))
    );
    answer.open();
    harness.expect_told(&[event("message", "one", ""), event("message", "two", "")]);
}

fn a_callback_that_is_refused_is_not_repeated(harness: &Harness) {
    harness
        .callbacks
        .enqueue(Reply::status(500))
        // Reads the request and hangs up.
        .enqueue(Reply::raw(""));
    let events = Reply::stream().event("one").event("two").event("three");
    harness.follow(events.stall());
    harness.expect_told(&[
        event("message", "one", ""),
        event("message", "two", ""),
        event("message", "three", ""),
    ]);
}

fn an_event_of_15_mb_gets_through(harness: &Harness) {
    let data = "everstream".repeat(1_500_000);
    let begin = Instant::now();
    harness.follow(Reply::stream().event(&data).event("next").stall());
    let told = harness.told(2);
    eprintln!("through after {:?}", begin.elapsed());
    assert!(told[0]["event"]["data"] == *data, "the data is another");
    assert_eq!(told[1], event("message", "next", ""));
}
