//! The demo.

use std::io::Read;

#[cfg(target_os = "linux")]
use crate::common::pty;
use crate::common::{Running, everstream};

/// The value of a line of the summary.
fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().find_map(|line| line.trim().strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name:?} in {lines:#?}"))
        .trim()
}

fn demo(events: u32) -> Vec<String> {
    let events = events.to_string();
    let mut demo = Running::follow(["demo", "--events", &events]);
    let code = demo.wait().code();
    let lines = demo.out.all();
    assert_eq!(code, Some(0), "{lines:#?}\n{:#?}", demo.err.all());
    assert!(demo.err.all().is_empty(), "{:#?}", demo.err.all());

    assert_eq!(value(&lines, "events sent"), events);
    assert_eq!(value(&lines, "received"), events);
    for nothing in [
        "lost",
        "duplicated",
        "altered",
        "out of order",
        "unexpected",
    ] {
        assert_eq!(value(&lines, nothing), "0", "{nothing}");
    }
    assert_eq!(value(&lines, "reconnects"), "5");
    assert!(value(&lines, "longest gap").ends_with(" s"));
    lines
}

/// Asserts that the lines contain these texts, in this order.
fn assert_in_order(lines: &[String], texts: &[&str]) {
    let mut rest = lines.iter();
    for text in texts {
        assert!(
            rest.any(|line| line.contains(text)),
            "no {text:?} in its place in {lines:#?}"
        );
    }
}

#[test]
fn the_demo_shows_every_failure_and_loses_nothing() {
    let lines = demo(12);
    assert_in_order(
        &lines,
        &[
            "server: publishes 12 events at http://127.0.0.1:",
            "server: gets a request without Last-Event-ID; sends retry: 200",
            "client: connected",
            "client: received event 1",
            "server: drops the connection",
            "client: connection lost (closed mid-response); retrying in 0.",
            "server: gets a request with Last-Event-ID: 1 (",
            "client: resumed after event 1",
            "client: received events 2 to 3",
            "server: cuts the connection in the middle of event 4",
            "client: connection lost (closed mid-response); retrying in 0.",
            "server: gets a request with Last-Event-ID: 3 (",
            "client: resumed after event 3",
            "client: received event 4",
            "server: resets the connection",
            "client: connection lost (reset by the server); retrying in 0.",
            "client: resumed after event 4",
            "client: received events 5 to 6",
            "server: ends the response",
            "client: the server ended the response; retrying in 0.",
            "server: answers 503 with Retry-After: 1",
            "client: got status 503; retrying in 1.0",
            "client: resumed after event 6",
            "client: received events 7 to 8",
            "server: shuts down",
            "client: connection lost (closed mid-response); retrying in ",
            "client: connection refused; retrying in ",
            "client: connection refused; retrying in ",
            "server: is back on the same port",
            "client: resumed after event 8",
            "client: received events 9 to 12",
            "server: ends the response: all events are sent",
            "client: the server ended the response; retrying in ",
            "server: answers 204: no more events",
            "client: the stream has ended (status 204); not retrying",
            "Every event arrived once, unchanged and in order.",
            "Check your own server: everstream check URL",
        ],
    );
    // It ends with the hint, and a pipe gets no colors.
    assert!(lines.last().unwrap().starts_with("Check your own server"));
    assert!(lines.iter().all(|line| !line.contains('\x1b')), "{lines:?}");
}

#[test]
fn a_demo_with_a_single_event_succeeds() {
    let lines = demo(1);
    let cut = "server: cuts the connection in the middle of event 1";
    assert!(lines.iter().any(|line| line.contains(cut)), "{lines:#?}");
    let first = &lines[0];
    assert!(first.contains("publishes 1 event at"), "{first}");
}

#[test]
fn a_demo_with_two_events_succeeds() {
    let lines = demo(2);
    assert_in_order(
        &lines,
        &[
            "server: cuts the connection in the middle of event 1",
            "client: reconnected, from the start",
            "client: received event 1",
            "client: resumed after event 1",
            "client: received event 2",
        ],
    );
}

#[test]
fn a_demo_with_many_events_succeeds() {
    demo(20_000);
}

/// Otherwise each delay would double: with one event, no connection lasts.
#[test]
fn no_delay_is_longer_than_a_second() {
    let lines = demo(1);
    let delays = lines.iter().filter_map(|line| {
        let delay = line.split_once("retrying in ")?.1;
        delay.strip_suffix(" s")?.parse::<f64>().ok()
    });
    let delays: Vec<f64> = delays.collect();
    assert_eq!(delays.len(), 9, "{lines:#?}");
    assert!(delays.iter().all(|delay| *delay <= 1.0), "{delays:?}");
}

#[test]
fn a_demo_whose_output_is_closed_ends_quietly() {
    let (demo, mut stdout) = Running::start_unread(everstream(["demo", "--events", "5"]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(demo.end(), (0, String::new()));
}

#[cfg(unix)]
#[test]
fn a_stopped_demo_fails() {
    let mut demo = Running::follow(["demo"]);
    demo.out.wait_for_text("client: connected");
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(1));
    let errors = demo.err.all().join("\n");
    assert!(
        errors.contains("the demo was stopped by Ctrl-C before it had finished"),
        "{errors}"
    );
    let lines = demo.out.all();
    assert!(lines.iter().any(|line| line.contains("lost")));
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("Check your own server"))
    );
}

/// Events are published between two connections that nobody has requested yet.
#[cfg(unix)]
#[test]
fn unsent_events_of_a_stopped_demo_are_not_lost() {
    let mut demo = Running::follow(["demo", "--events", "1000"]);
    demo.out.wait_for_text("client: got status 503");
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(1));
    let lines = demo.out.all();
    assert_eq!(value(&lines, "lost"), "0", "{lines:#?}");
    assert_ne!(value(&lines, "received"), "0");
    assert_eq!(value(&lines, "events sent"), value(&lines, "received"));
    assert!(value(&lines, "not yet sent").parse::<u32>().unwrap() > 0);
}

/// The whole output of a demo on a terminal.
#[cfg(target_os = "linux")]
fn on_a_terminal(environment: &[(&str, &str)]) -> String {
    let line = format!("'{}' demo --events 12", env!("CARGO_BIN_EXE_everstream"));
    let mut pty = pty::Pty::run(60, 120, &line, environment);
    assert_eq!(pty.end(), 0);
    pty.written()
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_failures_and_recovery_in_color() {
    const RED: &str = "\x1b[31m";
    const YELLOW: &str = "\x1b[33m";
    const GREEN: &str = "\x1b[32m";
    let written = on_a_terminal(&[]);
    for (color, text) in [
        (GREEN, "client: connected"),
        (RED, "server: drops the connection"),
        (RED, "server: cuts the connection in the middle of event 4"),
        (YELLOW, "client: connection lost (closed mid-response); "),
        (GREEN, "client: resumed after event 3"),
        (RED, "server: resets the connection"),
        (RED, "server: answers 503 with Retry-After: 1"),
        (YELLOW, "client: got status 503; retrying in 1.0"),
        (RED, "server: shuts down\x1b[0m"),
        (YELLOW, "client: connection refused; "),
        (GREEN, "server: is back on the same port\x1b[0m"),
        ("\x1b[1;32m", "Every event arrived once, "),
    ] {
        let colored = format!("{color}{text}");
        assert!(written.contains(&colored), "no {colored:?} in {written}");
    }
    assert!(written.contains(" s\x1b[0m  client: received event 1\r\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn no_color_turns_off_the_colors_of_the_demo() {
    let written = on_a_terminal(&[("NO_COLOR", "1")]);
    assert!(written.contains("Every event arrived once"), "{written}");
    assert!(!written.contains('\x1b'), "{written:?}");
}
