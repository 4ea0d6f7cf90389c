//! What the harness asks for is what the server gets.

use everstream_testing::Reply;
use serde_json::json;

use crate::harness::{Harness, LIMIT, event, for_all_clients};

for_all_clients!(
    headers_are_sent,
    method_and_body_are_sent,
    a_post_is_repeated,
    the_last_event_id_is_sent,
    the_last_event_id_of_an_event_takes_its_place,
    the_initial_delay_is_waited,
);

fn headers_are_sent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().stall());
    let mut wanted = harness.wanted();
    wanted["headers"] = json!({"X-Team": "a b", "authorization": "Bearer x"});
    harness.follow_wanted(&wanted);
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
    let mut wanted = harness.wanted();
    wanted["method"] = "REPORT".into();
    wanted["body"] = "{\"of\": \"what\"}".into();
    wanted["headers"] = json!({"content-type": "application/json; charset=utf-8"});
    harness.follow_wanted(&wanted);
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
    let mut wanted = harness.wanted();
    wanted["method"] = "POST".into();
    wanted["body"] = "again".into();
    harness.follow_wanted(&wanted);
    harness.expect_requests(3);
    for request in harness.server.requests() {
        assert_eq!((&*request.method, &*request.body), ("POST", &b"again"[..]));
    }
}

fn the_last_event_id_is_sent(harness: &Harness) {
    harness.server.otherwise(Reply::stream().event("x").stall());
    let mut wanted = harness.wanted();
    wanted["lastEventId"] = "41".into();
    harness.follow_wanted(&wanted);
    harness.expect_told(&[event("message", "x", "41")]);
    let request = &harness.server.requests()[0];
    assert_eq!(request.header("last-event-id"), Some("41"));
}

fn the_last_event_id_of_an_event_takes_its_place(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().event_with_id("42", "x").end());
    let mut wanted = harness.wanted();
    wanted["lastEventId"] = "41".into();
    harness.server.otherwise(Reply::stream().stall());
    harness.follow_wanted(&wanted);
    harness.expect_requests(2);
    let requests = harness.server.requests();
    assert_eq!(requests[1].header("last-event-id"), Some("42"));
}

fn the_initial_delay_is_waited(harness: &Harness) {
    harness
        .server
        .enqueue(Reply::stream().end())
        .otherwise(Reply::stream().stall());
    let mut wanted = harness.wanted();
    wanted["initialDelayMs"] = 400.into();
    harness.follow_wanted(&wanted);
    assert!(harness.server.wait_for_requests(2, LIMIT));
    let requests = harness.server.requests();
    let waited = requests[1].at - requests[0].at;
    // The back-off leaves off up to half of it.
    assert!(waited.as_millis() >= 200, "{waited:?}");
}
