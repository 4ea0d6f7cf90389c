//! The demo, as people see it.

use std::io::Read;

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
        "never sent",
    ] {
        assert_eq!(value(&lines, nothing), "0", "{nothing}");
    }
    assert_eq!(value(&lines, "reconnects"), "5");
    assert!(value(&lines, "longest gap").ends_with(" s"));
    lines
}

#[test]
fn every_trouble_is_told_and_nothing_is_lost() {
    let lines = demo(12);
    let mut rest = lines.iter();
    for text in [
        "server: publishes 12 events at http://127.0.0.1:",
        "server: is asked for the stream, from its beginning; sets retry to 300 ms",
        "client: connected",
        "server: drops the connection",
        "client: received events 1 to 2",
        "2 received so far; asks again in 0.",
        "client: resumed after event 2",
        "server: cuts the connection in the middle of event 5",
        "client: resumed after event 4",
        "server: resets the connection",
        "client: resumed after event 6",
        "server: is busy: answers 503, come back after 1 s",
        "client: got status 503; 8 received so far; asks again in 1.0",
        "client: resumed after event 8",
        "server: stops; nobody listens any more",
        "client: connection refused; 10 received so far",
        "client: connection refused; 10 received so far",
        "server: is back on the same port",
        "client: resumed after event 10",
        "server: answers 204: there is nothing more to come",
        "client: stops asking",
        "Every event arrived once, unchanged and in order.",
    ] {
        assert!(
            rest.any(|line| line.contains(text)),
            "no {text:?} in its place in {lines:#?}"
        );
    }
}

#[test]
fn a_single_event_survives_all_troubles() {
    let lines = demo(1);
    let cut = "server: cuts the connection in the middle of event 1";
    assert!(lines.iter().any(|line| line.contains(cut)), "{lines:#?}");
}

#[test]
fn many_events_are_compared_too() {
    demo(20_000);
}

#[test]
fn a_demo_that_nobody_watches_any_more_ends_quietly() {
    let (demo, mut stdout) = Running::start_unread(everstream(["demo", "--events", "5"]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(demo.end(), (0, String::new()));
}

#[cfg(unix)]
#[test]
fn a_demo_that_is_stopped_has_proved_nothing() {
    let mut demo = Running::follow(["demo"]);
    demo.out.wait_for_text("client: connected");
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(1));
    let news = demo.err.all().join("\n");
    assert!(
        news.contains("the demo was stopped by Ctrl-C before its end"),
        "{news}"
    );
    let lines = demo.out.all();
    assert!(lines.iter().any(|line| line.contains("lost")));
}

/// Between two connections events are published that nobody has asked for yet.
#[cfg(unix)]
#[test]
fn what_a_stopped_demo_has_not_sent_is_not_lost() {
    let mut demo = Running::follow(["demo", "--events", "1000"]);
    demo.out.wait_for_text("client: got status 503");
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(1));
    let lines = demo.out.all();
    assert_eq!(value(&lines, "lost"), "0", "{lines:#?}");
    assert_ne!(value(&lines, "received"), "0");
    assert_eq!(value(&lines, "events sent"), value(&lines, "received"));
    assert!(value(&lines, "still to come").parse::<u32>().unwrap() > 0);
}
