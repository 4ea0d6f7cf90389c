//! Commands to a followed stream and to the service.

use everstream_testing::{Gate, Reply};

use crate::harness::{Harness, LIMIT, event, for_all_clients};

for_all_clients!(
    restart_reconnects_without_the_delay,
    restart_during_the_delay_ends_it,
    restart_before_the_response_tries_again,
    restart_reports_received_events_first,
    restart_does_not_wait_for_callbacks,
    a_restart_skips_only_one_delay,
    streams_are_independent,
    delete_closes_the_connection,
    delete_ends_a_delay,
    delete_cancels_an_unanswered_callback,
    delete_of_the_service_exits,
    the_service_exits_while_streams_are_followed,
);

/// Long enough that a test which waits for it fails.
const AN_HOUR: u64 = 3_600_000;

fn follow_with_long_delay(harness: &Harness) -> String {
    let mut stream_request = harness.stream_request();
    stream_request["initialDelayMs"] = AN_HOUR.into();
    harness.follow_with(&stream_request)
}

fn restart(harness: &Harness, location: &str) {
    let command = r#"{"command":"restart"}"#;
    assert_eq!(harness.service.ask("POST", location, command).status, 202);
}

fn restart_reconnects_without_the_delay(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event_with_id("1", "one").stall())
        .enqueue(Reply::stream().event_with_id("2", "two").stall());
    let location = follow_with_long_delay(harness);
    harness.expect_callbacks(&[event("message", "one", "1")]);
    restart(harness, &location);
    harness.expect_callbacks(&[event("message", "one", "1"), event("message", "two", "2")]);
    let requests = harness.server.requests();
    assert_eq!(requests[1].header("last-event-id"), Some("1"));
    assert!(harness.server.wait_for_open_connections(1, LIMIT));
}

fn restart_during_the_delay_ends_it(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event_with_id("1", "one").reset())
        .enqueue(Reply::stream().event_with_id("2", "two").stall());
    let location = follow_with_long_delay(harness);
    // The error is reported when the delay begins, or just before.
    assert_eq!(harness.received_callbacks(2)[1]["kind"], "error");
    restart(harness, &location);
    assert_eq!(
        harness.received_callbacks(3)[2],
        event("message", "two", "2")
    );
    let requests = harness.server.requests();
    assert_eq!(requests[1].header("last-event-id"), Some("1"));
}

fn restart_before_the_response_tries_again(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().head_after(&Gate::new()))
        .enqueue(Reply::stream().event("two").stall());
    let location = follow_with_long_delay(harness);
    harness.expect_requests(1);
    restart(harness, &location);
    harness.expect_callbacks(&[event("message", "two", "")]);
}

fn restart_reports_received_events_first(harness: &Harness) {
    let answer = Gate::new();
    harness
        .callbacks
        .enqueue(Reply::status(200).head_after(&answer));
    let events = (0..50).map(|n| format!("id: {n}\ndata: {n}\n\n"));
    harness
        .server
        .enqueue(Reply::stream().send(events.collect::<String>()).stall())
        .otherwise(Reply::stream().event("after").stall());
    let location = follow_with_long_delay(harness);
    assert_eq!(harness.received_callbacks(1).len(), 1);
    restart(harness, &location);
    answer.open();
    let callbacks = harness.received_callbacks(51);
    assert_eq!(callbacks[49], event("message", "49", "49"));
    assert_eq!(callbacks[50], event("message", "after", "49"));
    let requests = harness.server.requests();
    assert_eq!(requests[1].header("last-event-id"), Some("49"));
}

fn restart_does_not_wait_for_callbacks(harness: &Harness) {
    let never = Gate::new();
    harness
        .callbacks
        .otherwise(Reply::status(200).head_after(&never));
    harness
        .server
        .enqueue(Reply::stream().event("one").event("two").stall())
        .otherwise(Reply::stream().stall());
    let location = follow_with_long_delay(harness);
    assert_eq!(harness.received_callbacks(1).len(), 1);
    restart(harness, &location);
    harness.expect_requests(2);
}

fn a_restart_skips_only_one_delay(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event("one").stall())
        .otherwise(Reply::stream().event("two").reset());
    let location = follow_with_long_delay(harness);
    harness.expect_callbacks(&[event("message", "one", "")]);
    restart(harness, &location);
    assert_eq!(harness.received_callbacks(3)[2]["kind"], "error");
    // The next delay isn't skipped; a second restart is needed.
    assert_eq!(harness.server.request_count(), 2);
    restart(harness, &location);
    assert_eq!(harness.received_callbacks(5)[4]["kind"], "error");
    assert_eq!(harness.server.request_count(), 3);
}

fn streams_are_independent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().stall());
    let first = harness.follow_with(&harness.stream_request());
    let second = harness.follow_with(&harness.stream_request());
    assert_ne!(first, second);
    // Waits for the requests, not just for the connections.
    harness.expect_requests(2);
    assert_eq!(harness.service.ask("DELETE", &first, "").status, 204);
    assert!(harness.server.wait_for_open_connections(1, LIMIT));
    restart(harness, &second);
    harness.expect_requests(3);
}

fn delete_closes_the_connection(harness: &Harness) {
    let location = harness.follow(Reply::stream().event("one").stall());
    harness.expect_callbacks(&[event("message", "one", "")]);
    assert_eq!(harness.service.ask("DELETE", &location, "").status, 204);
    assert!(harness.server.wait_for_open_connections(0, LIMIT));
    assert_eq!(harness.service.ask("DELETE", &location, "").status, 404);
    assert_eq!(harness.server.request_count(), 1);
}

fn delete_ends_a_delay(harness: &Harness) {
    harness.server.enqueue(Reply::status(503));
    let location = follow_with_long_delay(harness);
    assert_eq!(harness.received_callbacks(1)[0]["kind"], "error");
    assert_eq!(harness.service.ask("DELETE", &location, "").status, 204);
    assert_eq!(harness.service.ask("DELETE", "/", "").status, 200);
    assert!(harness.service.exits());
    assert_eq!(harness.server.request_count(), 1);
}

fn delete_cancels_an_unanswered_callback(harness: &Harness) {
    harness
        .callbacks
        .otherwise(Reply::status(200).head_after(&Gate::new()));
    // More than the queue of callbacks holds.
    let events = (0..100).map(|n| format!("data: {n}\n\n"));
    let location = harness.follow(Reply::stream().send_each(events).stall());
    assert_eq!(harness.received_callbacks(1).len(), 1);
    assert_eq!(harness.service.ask("DELETE", &location, "").status, 204);
    assert!(harness.callbacks.wait_for_open_connections(0, LIMIT));
    assert!(harness.server.wait_for_open_connections(0, LIMIT));
    assert_eq!(harness.callbacks.request_count(), 1);
}

fn delete_of_the_service_exits(harness: &Harness) {
    assert_eq!(harness.service.ask("DELETE", "/", "").status, 200);
    assert!(harness.service.exits());
}

fn the_service_exits_while_streams_are_followed(harness: &Harness) {
    harness.follow(Reply::stream().event("one").stall());
    harness.expect_callbacks(&[event("message", "one", "")]);
    assert_eq!(harness.service.ask("DELETE", "/", "").status, 200);
    assert!(harness.service.exits());
    assert!(harness.server.wait_for_open_connections(0, LIMIT));
}
