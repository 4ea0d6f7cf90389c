//! `everstream check`: each kind of fault gives its finding, and no other.
//!
//! This module has a server without faults, and runs the command.

mod connection;
mod report;
mod stream;
mod verdicts;

use std::fmt::Write as _;

use everstream_testing::{Reply, Request, Server};
use serde_json::Value;

use crate::common::everstream;

/// The checks that have no result for a server on this machine within a moment.
const NOT_SEEN: &[&str] = &["tls", "http-version", "delivery", "heartbeat", "preflight"];

/// Stops once the events that exist have arrived.
const FIVE: &[&str] = &["--count", "5"];

/// The head of a response without faults.
fn head() -> Reply {
    Reply::stream()
        .header("Cache-Control", "no-store, no-transform")
        .header("X-Accel-Buffering", "no")
        .header("Access-Control-Allow-Origin", "*")
}

/// The events after this one, out of five.
fn events(after: u64) -> String {
    (after + 1..=5).fold(String::new(), |mut all, n| {
        _ = write!(all, "id: {n}\ndata: {{\"n\": {n}}}\n\n");
        all
    })
}

/// The id after which the client resumes, if this server sent it.
fn resumed(request: &Request) -> Option<u64> {
    request.header("last-event-id")?.parse().ok()
}

fn rest(request: &Request) -> String {
    events(resumed(request).unwrap_or(0))
}

fn good(request: &Request) -> Reply {
    with(head(), request, "retry: 100\n\n")
}

/// Keeps the waits between connections short.
const RETRY: &str = "retry: 100\n";

/// This head, then `first`, then the events after `Last-Event-ID`.
fn with(head: Reply, request: &Request, first: &str) -> Reply {
    let retry = if first.contains("retry") { "" } else { RETRY };
    head.send(format!("{first}{retry}{}", rest(request)))
        .stall()
}

struct Outcome {
    code: i32,
    report: Value,
    news: String,
}

fn run(url: &str, options: &[&str]) -> Outcome {
    let args = ["check", url, "--format", "json"];
    let output = everstream(args.into_iter().chain(options.iter().copied()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        report: serde_json::from_str(&text).unwrap_or_default(),
        news: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    fn with_level(&self, level: &str) -> Vec<&str> {
        let findings = self.report["findings"].as_array().expect("findings");
        let of_level = findings.iter().filter(|it| it["level"] == level);
        of_level.map(|it| it["id"].as_str().unwrap()).collect()
    }

    fn observed(&self, id: &str) -> &str {
        let findings = self.report["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["id"] == id);
        found.unwrap()["observed"].as_str().unwrap()
    }
}

/// Runs the check: exactly these findings warn and fail, and the exit code agrees.
#[track_caller]
fn found(url: &str, options: &[&str], warn: &[&str], fail: &[&str]) -> Outcome {
    let outcome = run(url, options);
    let report = format!("{:#}\n{}", outcome.report, outcome.news);
    assert_eq!(outcome.with_level("warn"), warn, "{report}");
    assert_eq!(outcome.with_level("fail"), fail, "{report}");
    assert_eq!(
        outcome.code,
        if fail.is_empty() { 0 } else { 10 },
        "{report}"
    );
    let findings = outcome.report["findings"].as_array().unwrap();
    for finding in findings {
        let bad = finding["level"] == "warn" || finding["level"] == "fail";
        for advice in ["why", "fix", "source"] {
            assert_eq!(finding[advice].is_string(), bad, "{finding:#}");
        }
    }
    outcome
}

/// A server with this handler.
fn serve(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::with_handler(handler)
}

#[track_caller]
fn warns(warn: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Outcome {
    found(&serve(handler).url("/feed"), FIVE, &[warn], &[])
}

#[track_caller]
fn fails(fail: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Outcome {
    found(&serve(handler).url("/feed"), FIVE, &[], &[fail])
}
