//! The library, as the tests of a server use it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod buffering;
mod hostile;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_check::{Check, Level, Options, Progress, Report, check};
use everstream_testing::{Reply, Request, Server};

/// A server without problems.
fn good(request: &Request) -> Reply {
    let after = request.header("last-event-id");
    let after: u64 = after.and_then(|id| id.parse().ok()).unwrap_or(0);
    let events = (after + 1..=5).map(|n| format!("id: {n}\ndata: {n}\n\n"));
    Reply::stream()
        .header("Cache-Control", "no-store, no-transform")
        .send(format!("retry: 100\n{}", events.collect::<String>()))
        .stall()
}

pub(crate) fn run(url: &str, options: Options) -> Report {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(check(url, options))
}

/// The number at the beginning.
fn seconds(said: &str) -> f64 {
    said.split(' ').next().unwrap().parse().expect(said)
}

#[test]
fn a_good_server_has_no_problems() {
    let server = Server::with_handler(good);
    let report = run(&server.url("/"), Options::new().events(5));
    assert_eq!(report.verdict(), "no problems");
    assert_eq!(report.level(Check::Resume), Level::Pass);
    assert_eq!(report.observations.events, Some(5));
    assert_eq!(report.findings.len(), Check::ALL.len());
    let order: Vec<Check> = report.findings.iter().map(|it| it.check).collect();
    assert_eq!(order, Check::ALL);
}

#[test]
fn the_verdict_names_problems_then_warnings() {
    let server = Server::with_handler(|request| match request.header("last-event-id") {
        Some(_) => Reply::status(410),
        None => good(request)
            .header("Content-Type", "text/event-stream; charset=latin1")
            .header("Cache-Control", "no-transform"),
    });
    let report = run(&server.url("/"), Options::new().events(5));
    let expected = "3 problems: wrong charset, can't resume, refuses unknown ids; \
                    1 warning: may be cached";
    assert_eq!(report.verdict(), expected);
}

#[test]
fn a_warning_of_what_was_seen_precedes_precautions() {
    let server = Server::with_handler(|_| {
        let text = "retry: 1000\nretry: 100\nid: 1\ndata: x\n\n";
        Reply::stream()
            .header("Cache-Control", "no-transform")
            .send(text)
            .stall()
    });
    let options = Options::new().events(1).duration(Duration::from_secs(1));
    let verdict = run(&server.url("/"), options).verdict();
    let expected = "no problems; 3 warnings: unsuitable retry, can't resume, may be cached";
    assert!(verdict.starts_with(expected), "{verdict}");
}

#[test]
fn a_stream_without_events_is_in_the_verdict() {
    let server = Server::with_handler(|_| {
        Reply::stream()
            .header("Cache-Control", "no-store, no-transform")
            .send(": hi\n\n")
            .stall()
    });
    let options = Options::new().duration(Duration::from_secs(1));
    let report = run(&server.url("/"), options);
    let verdict = report.verdict();
    let rest = verdict.strip_prefix("no problems; no event arrived in ");
    assert!(seconds(rest.expect(&verdict)) >= 1.0, "{verdict}");
    assert!(verdict.ends_with(" s, only comments"), "{verdict}");
}

/// Bug: a proxy that withholds the body had "no problems".
#[test]
fn a_stream_without_data_is_not_one_without_problems() {
    let server = Server::with_handler(|_| {
        Reply::stream()
            .header("Cache-Control", "no-store, no-transform")
            .stall()
    });
    let options = Options::new().duration(Duration::from_secs(1));
    let verdict = run(&server.url("/"), options).verdict();
    let rest = verdict.strip_prefix("no events seen; nothing arrived in ");
    assert!(seconds(rest.expect(&verdict)) >= 1.0, "{verdict}");
}

#[test]
fn nothing_to_connect_to_is_a_finding() {
    let server = Server::start();
    server.stop();
    for url in [&*server.url("/"), "nonsense"] {
        let report = run(url, Options::new());
        assert_eq!(report.level(Check::Reachable), Level::Fail, "{url}");
        assert_eq!(report.verdict(), "1 problem: can't be reached");
    }
}

#[test]
fn it_stops_when_it_is_asked_to_and_reports_what_it_saw() {
    let server = Server::with_handler(good);
    let seen = Arc::new(Mutex::new(0));
    let (ask, asked) = tokio::sync::oneshot::channel::<()>();
    let (ask, shared) = (Mutex::new(Some(ask)), seen.clone());
    let options = Options::new()
        .duration(Duration::from_secs(3600))
        .stop_on(async {
            _ = asked.await;
            "the test".to_owned()
        })
        .on_progress(move |progress| {
            if let Progress::Watching { events: 5, .. } = progress {
                *shared.lock().unwrap() += 1;
                ask.lock().unwrap().take().map(|ask| ask.send(()));
            }
        });
    let report = run(&server.url("/"), options);
    let resume = report.finding(Check::Resume).unwrap();
    assert_eq!(resume.observed, "not checked: stopped by the test");
    assert_eq!(*seen.lock().unwrap(), 1);
    assert_eq!(server.request_count(), 1);
}

#[test]
fn it_runs_in_a_task_of_any_thread() {
    fn is_send<T: Send>(_: T) {}
    is_send(check("http://localhost/", Options::new()));
}
