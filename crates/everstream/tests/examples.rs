//! Runs each example against its demo server and checks what it prints.
//!
//! `cargo test` builds the examples before it runs the tests; a run of only this file doesn't.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs an example, which must succeed, and returns its output.
fn run(example: &str) -> String {
    // The examples are in a folder next to that of the test programs.
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", example]);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{error}: {}; run `cargo build --examples` first",
                path.display()
            )
        });
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

#[test]
fn follow_shows_every_kind_of_action() {
    let shown = run("follow");
    let lines: Vec<&str> = shown
        .lines()
        // Delays are random.
        .filter(|line| !line.starts_with("next attempt in "))
        .collect();
    let (last, lines) = lines.split_last().unwrap();
    let (gave_up, lines) = lines.split_last().unwrap();
    assert_eq!(
        lines,
        [
            "connected, status Some(200)",
            "a comment: hello",
            "message: one",
            "disconnected: the server closed the connection mid-response",
            "connected, status Some(200)",
            "message: two",
            "disconnected: the server ended the response",
        ]
    );
    assert!(gave_up.ends_with("answered with status 204"), "{gave_up}");
    assert_eq!(*last, "the last id was Some(\"2\")");
    assert_eq!(shown.matches("next attempt in ").count(), 2);
}

#[test]
fn follow_blocking_reads_over_several_connections() {
    assert_eq!(
        run("follow_blocking"),
        "message: tick\nmessage: tock\nmessage: tick\nmessage: tock\nmessage: tick\nclosed\n"
    );
}
