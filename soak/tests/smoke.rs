//! Short runs: one without an error passes, and an error that is introduced on purpose is detected.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests
#![cfg(target_os = "linux")] // measures in /proc

use std::process::{Command, Output};

/// Ends after this many events, however long they take; the minutes are for a run that hangs.
fn soak(events: u32, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_everstream-soak"))
        .args(["--minutes", "2", "--streams", "40", "--blocking", "6"])
        .args(["--interval-ms", "20", "--break-ms", "700"])
        .args(["--restart-ms", "3000", "--seed", "1"])
        .args(["--events", &events.to_string()])
        .args(more)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number after a name in the report.
fn number(report: &str, name: &str) -> u64 {
    let rest = report
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name));
    let rest = rest.unwrap_or_else(|| panic!("no {name:?} in:\n{report}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_short_run_loses_and_duplicates_no_event_and_writes_its_plot() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("plot.svg");
    let output = soak(
        6_000,
        &["--outage-ms", "2000", "--svg", svg.to_str().unwrap()],
    );
    let report = text(&output);
    assert!(output.status.success(), "{report}");
    for name in ["lost", "duplicated", "out of order", "corrupted"] {
        assert_eq!(number(&report, name), 0, "{name}");
    }
    assert!(number(&report, "events received") >= 6_000);
    // There were faults.
    assert!(number(&report, "streams started") > 100, "{report}");
    assert!(number(&report, "reset (RST)") > 0, "{report}");
    assert!(number(&report, "repeated by servers") > 0, "{report}");
    let plot = std::fs::read_to_string(&svg).unwrap();
    assert!(plot.starts_with("<svg") && plot.contains("reconnects per second"));
}

/// The run fails, and reports exactly one event of that kind.
fn is_detected(sabotage: &str, name: &str) {
    let output = soak(2_000, &["--sabotage", sabotage]);
    let report = text(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for other in ["lost", "duplicated", "out of order", "corrupted"] {
        let expected = u64::from(other == name);
        assert_eq!(number(&report, other), expected, "{other} in:\n{report}");
    }
    assert!(report.contains("stream 0, event 1"), "{report}");
}

#[test]
fn one_lost_event_fails_the_run() {
    is_detected("lose", "lost");
}

#[test]
fn one_duplicated_event_fails_the_run() {
    is_detected("duplicate", "duplicated");
}

#[test]
fn two_events_in_the_wrong_order_fail_the_run() {
    is_detected("swap", "out of order");
}

#[test]
fn one_changed_letter_fails_the_run() {
    is_detected("corrupt", "corrupted");
}

#[test]
fn every_attempt_at_a_server_that_closes_at_once_ends_in_a_fault() {
    let output = Command::new(env!("CARGO_BIN_EXE_everstream-soak"))
        .args(["--attempts", "2000"])
        .output()
        .unwrap();
    let report = text(&output);
    assert!(output.status.success(), "{report}");
    let faults: u64 = ["Fault::Connect ", "Fault::Request "]
        .into_iter()
        .filter(|name| report.contains(name))
        .map(|name| number(&report, name))
        .sum();
    assert_eq!(faults, 2000, "{report}");
}

#[test]
fn a_low_limit_of_open_files_is_an_error_with_a_remedy() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 100 && exec \"$0\" --streams 2000"])
        .arg(env!("CARGO_BIN_EXE_everstream-soak"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("at most 100 allowed"), "{error}");
    assert!(error.contains("ulimit -Hn 3300"), "{error}");
}
