//! The options of a stream reach the server.

use everstream_testing::Reply;
use serde_json::json;

use crate::harness::{Harness, LIMIT, event, for_all_clients};

for_all_clients!(
    headers_are_sent,
    method_and_body_are_sent,
    a_post_is_repeated,
    the_last_event_id_is_sent,
    the_id_of_an_event_replaces_the_initial_last_event_id,
    the_initial_delay_is_used,
);

fn headers_are_sent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().stall());
    let mut stream_request = harness.stream_request();
    stream_request["headers"] = json!({"X-Team": "a b", "authorization": "Bearer x"});
    harness.follow_with(&stream_request);
    harness.expect_requests(1);
    let request = &harness.server.requests()[0];
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/stream");
    assert_eq!(request.header("x-team"), Some("a b"));
    assert_eq!(request.header("authorization"), Some("Bearer x"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("last-event-id"), None);
}

fn method_and_body_are_sent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().stall());
    let mut stream_request = harness.stream_request();
    stream_request["method"] = "REPORT".into();
    stream_request["body"] = "{\"of\": \"what\"}".into();
    stream_request["headers"] = json!({"content-type": "application/json; charset=utf-8"});
    harness.follow_with(&stream_request);
    harness.expect_requests(1);
    let request = &harness.server.requests()[0];
    assert_eq!(request.method, "REPORT");
    assert_eq!(request.body, b"{\"of\": \"what\"}");
    let content_type = request.header("content-type");
    assert_eq!(content_type, Some("application/json; charset=utf-8"));
}

fn a_post_is_repeated(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().end())
        .enqueue(Reply::status(503))
        .otherwise(Reply::stream().stall());
    let mut stream_request = harness.stream_request();
    stream_request["method"] = "POST".into();
    stream_request["body"] = "again".into();
    harness.follow_with(&stream_request);
    harness.expect_requests(3);
    for request in harness.server.requests() {
        assert_eq!((&*request.method, &*request.body), ("POST", &b"again"[..]));
    }
}

fn the_last_event_id_is_sent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().event("x").stall());
    let mut stream_request = harness.stream_request();
    stream_request["lastEventId"] = "41".into();
    harness.follow_with(&stream_request);
    harness.expect_callbacks(&[event("message", "x", "41")]);
    let request = &harness.server.requests()[0];
    assert_eq!(request.header("last-event-id"), Some("41"));
}

fn the_id_of_an_event_replaces_the_initial_last_event_id(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event_with_id("42", "x").end());
    let mut stream_request = harness.stream_request();
    stream_request["lastEventId"] = "41".into();
    harness.server.otherwise(Reply::stream().stall());
    harness.follow_with(&stream_request);
    harness.expect_requests(2);
    let requests = harness.server.requests();
    assert_eq!(requests[1].header("last-event-id"), Some("42"));
}

fn the_initial_delay_is_used(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().end())
        .otherwise(Reply::stream().stall());
    let mut stream_request = harness.stream_request();
    stream_request["initialDelayMs"] = 400.into();
    harness.follow_with(&stream_request);
    assert!(harness.server.wait_for_requests(2, LIMIT));
    let requests = harness.server.requests();
    let waited = requests[1].at - requests[0].at;
    // Jitter shortens the delay by up to half.
    assert!(waited.as_millis() >= 200, "{waited:?}");
}
