//! Output formats.

use everstream_testing::{Reply, Server};
use serde_json::{Value, json};

use crate::common::{Running, everstream};

/// Standard output and standard error of a stream that ends permanently.
fn followed(stream: Reply, options: &[&str]) -> (String, String) {
    let server = Server::start();
    server.enqueue(stream.retry(100).end());
    server.otherwise(Reply::status(204));
    let url = server.url("/feed?token=secret");
    let output = everstream([&*url].into_iter().chain(options.iter().copied()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn out(stream: Reply, options: &[&str]) -> String {
    followed(stream, options).0
}

fn two_events() -> Reply {
    Reply::stream()
        .comment("hi")
        .send("event: price\nid: 41\ndata: {\"a\":\ndata: 1.50}\n\n")
        .event("[DONE]")
}

#[test]
fn format_data_writes_the_data() {
    assert_eq!(
        out(two_events(), &["--format", "data", "--comments"]),
        "{\"a\":\n1.50}\n[DONE]\n"
    );
}

#[test]
fn format_raw_writes_an_event_stream() {
    let raw = out(two_events(), &["--format", "raw"]);
    let stream = "event: price\nid: 41\ndata: {\"a\":\ndata: 1.50}\n\ndata: [DONE]\n\n";
    assert_eq!(raw, stream);
    // The output can be read again, with the same events.
    assert_eq!(
        out(Reply::stream().send(&*raw), &["--format", "raw"]),
        stream
    );
    assert_eq!(
        out(two_events(), &["--format", "raw", "--comments"]),
        format!(": hi\n{stream}")
    );
}

/// Each colon used to become a colon and a space.
#[test]
fn format_raw_writes_comments_unchanged() {
    let stream = ":)\n: hi\n:  indented\n:\n: \n::\n:é\ttab \n";
    assert_eq!(
        out(
            Reply::stream().send(stream),
            &["--format", "raw", "--comments"]
        ),
        stream
    );
}

#[test]
fn format_pretty_in_a_pipe_is_plain_and_uncut() {
    let long = "x".repeat(500);
    let blocks = out(Reply::stream().event(&long), &["--format", "pretty"]);
    assert!(
        blocks.ends_with(&format!("Z  message\n  {long}\n\n")),
        "{blocks}"
    );
}

#[test]
fn json_data_nests_json_and_quotes_other_data() {
    let lines = out(two_events(), &["--json-data"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["data"], json!({"a": 1.5}));
    assert_eq!(lines[1]["data"], json!("[DONE]"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn comments_are_written_on_request() {
    let lines = out(two_events(), &["--comments"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["comment"], "hi");
    assert!(first["time"].as_str().unwrap().ends_with('Z'), "{first}");
    assert_eq!(lines.lines().count(), 3);
    assert_eq!(out(two_events(), &[]).lines().count(), 2);
    let blocks = out(two_events(), &["--format", "pretty", "--comments"]);
    assert!(blocks.starts_with(": hi\n\n"), "{blocks}");
}

#[test]
fn quiet_hides_messages_and_verbose_adds_the_response() {
    let stream = || {
        Reply::stream()
            .header("X-Team", "a\u{9b}2J")
            .header("Set-Cookie", "id=secret")
            .event("x")
    };
    for quiet in ["--quiet", "--silent", "-s"] {
        assert_eq!(followed(stream(), &[quiet]).1, "");
    }
    let usual = followed(stream(), &[]).1;
    assert!(usual.contains("connected to"), "{usual}");
    assert!(!usual.to_lowercase().contains("x-team"), "{usual}");
    let verbose = followed(stream(), &["--verbose"]).1;
    assert!(verbose.contains("everstream: < status 200\n"), "{verbose}");
    assert!(
        verbose.contains("< content-type: text/event-stream\n"),
        "{verbose}"
    );
    assert!(verbose.contains("< x-team: a"), "{verbose}");
    assert!(verbose.contains("< set-cookie: (not shown)"), "{verbose}");
    assert!(!verbose.contains('\u{9b}'), "{verbose}");
    assert!(!verbose.contains("secret"), "{verbose}");
}

#[test]
fn quiet_still_shows_errors() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let (code, stderr) = Running::follow([&*server.url("/"), "--quiet"]).end();
    assert_eq!(code, 6);
    assert!(stderr.contains("status 404"), "{stderr}");
}
