//! The forms in which events are written.

use everstream_testing::{Reply, Server};
use serde_json::{Value, json};

use crate::common::{Running, everstream};

/// The whole of standard output and standard error, of a stream that ends for good.
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
fn data_alone() {
    assert_eq!(
        out(two_events(), &["--format", "data", "--comments"]),
        "{\"a\":\n1.50}\n[DONE]\n"
    );
}

#[test]
fn an_event_stream_again() {
    let raw = out(two_events(), &["--format", "raw"]);
    let stream = "event: price\nid: 41\ndata: {\"a\":\ndata: 1.50}\n\ndata: [DONE]\n\n";
    assert_eq!(raw, stream);
    // What is written is read as the same again.
    assert_eq!(
        out(Reply::stream().send(&*raw), &["--format", "raw"]),
        stream
    );
    assert_eq!(
        out(two_events(), &["--format", "raw", "--comments"]),
        format!(": hi\n{stream}")
    );
}

/// A colon and a space were made of each colon.
#[test]
fn comments_are_the_same_again() {
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
fn blocks_in_a_pipe_are_plain_and_whole() {
    let long = "x".repeat(500);
    let blocks = out(Reply::stream().event(&long), &["--format", "pretty"]);
    assert!(
        blocks.ends_with(&format!("Z  message\n  {long}\n\n")),
        "{blocks}"
    );
}

#[test]
fn data_that_is_json_is_nested_and_other_data_is_a_string() {
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
fn comments_are_written_if_they_are_wanted() {
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
fn quiet_leaves_out_the_news_and_verbose_adds_the_answer() {
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
fn errors_are_told_also_if_it_is_quiet() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let (code, news) = Running::follow([&*server.url("/"), "--quiet"]).end();
    assert_eq!(code, 6);
    assert!(news.contains("status 404"), "{news}");
}
