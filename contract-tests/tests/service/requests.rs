//! Responses to valid and invalid requests.

use serde_json::{Value, json};

use crate::harness::{Harness, for_all_clients};

for_all_clients!(
    capabilities_are_listed,
    a_stream_has_a_location,
    invalid_stream_requests_are_rejected,
    unknown_fields_and_nulls_are_ignored,
    invalid_commands_are_rejected,
    unknown_streams_and_paths_are_not_found,
    other_methods_are_not_allowed,
);

fn capabilities_are_listed(harness: &Harness) {
    let answer = harness.service.ask("GET", "/", "");
    assert_eq!(answer.status, 200);
    let listed: Value = serde_json::from_str(&answer.body).unwrap();
    let expected = json!({"capabilities": [
        "comments",
        "headers",
        "last-event-id",
        "post",
        "report",
        "read-timeout",
        "restart",
        "bom",
        "server-directed-shutdown-request",
    ]});
    assert_eq!(listed, expected);
}

fn a_stream_has_a_location(harness: &Harness) {
    let answer = harness
        .service
        .ask("POST", "/", &harness.stream_request().to_string());
    assert_eq!(answer.status, 201);
    assert_eq!(answer.location.as_deref(), Some("/streams/1"));
}

fn invalid_stream_requests_are_rejected(harness: &Harness) {
    let changed = |field: &str, value: Value| {
        let mut stream_request = harness.stream_request();
        stream_request[field] = value;
        stream_request.to_string()
    };
    let without = |field: &str| {
        let mut stream_request = harness.stream_request();
        stream_request.as_object_mut().unwrap().remove(field);
        stream_request.to_string()
    };
    let cases = [
        (String::new(), "EOF"),
        ("{".into(), "EOF"),
        ("[]".into(), "invalid"),
        (r#"{"streamUrl": "\ud800"}"#.into(), "hex escape"),
        (without("streamUrl"), "streamUrl"),
        (without("callbackUrl"), "callbackUrl"),
        (without("tag"), "tag"),
        (changed("streamUrl", 1.into()), "string"),
        (changed("streamUrl", "nowhere".into()), "url"),
        (changed("streamUrl", "ftp://localhost/".into()), "url"),
        (changed("callbackUrl", "nowhere".into()), "callbackUrl"),
        (changed("callbackUrl", "ftp://x/".into()), "callbackUrl"),
        (changed("initialDelayMs", (-1).into()), "u64"),
        (changed("initialDelayMs", "1".into()), "u64"),
        (changed("readTimeoutMs", 1.5.into()), "u64"),
        (changed("readTimeoutMs", 0.into()), "readTimeoutMs"),
        (changed("lastEventId", 41.into()), "string"),
        (changed("headers", json!(["a"])), "map"),
        (changed("headers", json!({"a b": "c"})), "header"),
        (changed("headers", json!({"a": "b\nc: d"})), "header"),
        (changed("method", "GET /".into()), "method"),
        (changed("body", json!({})), "string"),
    ];
    for (body, problem) in cases {
        let answer = harness.service.ask("POST", "/", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.body.contains(problem), "{body}: {}", answer.body);
    }
    assert_eq!(harness.server.request_count(), 0);
}

fn unknown_fields_and_nulls_are_ignored(harness: &Harness) {
    let mut stream_request = harness.stream_request();
    stream_request["somethingNew"] = json!({"a": 1});
    for optional in [
        "initialDelayMs",
        "readTimeoutMs",
        "lastEventId",
        "headers",
        "method",
        "body",
    ] {
        stream_request[optional] = Value::Null;
    }
    harness.follow_with(&stream_request);
    harness.expect_requests(1);
}

fn invalid_commands_are_rejected(harness: &Harness) {
    let location = harness.follow_with(&harness.stream_request());
    for body in [
        "",
        "restart",
        "{}",
        r#"{"command":"stop"}"#,
        r#"{"command":1}"#,
    ] {
        let answer = harness.service.ask("POST", &location, body);
        assert_eq!(answer.status, 400, "{body}");
    }
}

fn unknown_streams_and_paths_are_not_found(harness: &Harness) {
    let restart = r#"{"command":"restart"}"#;
    for path in ["/streams/1", "/streams/x", "/streams/-1", "/streams/", "/x"] {
        for (method, body) in [("POST", restart), ("POST", ""), ("DELETE", "")] {
            let answer = harness.service.ask(method, path, body);
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

fn other_methods_are_not_allowed(harness: &Harness) {
    let location = harness.follow_with(&harness.stream_request());
    for (method, path) in [("PUT", "/"), ("GET", &*location), ("PUT", &location)] {
        assert_eq!(harness.service.ask(method, path, "").status, 405);
    }
}
