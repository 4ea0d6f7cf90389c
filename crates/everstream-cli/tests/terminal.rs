//! What is shown on a terminal: a pseudo-terminal, made by `script` of util-linux.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod common;

use std::process::{Command, Stdio};

use everstream_testing::{Reply, Server};

/// All that a terminal gets while this stream is followed to its end, and the exit code.
fn on_a_terminal(stream: Reply, environment: &[(&str, &str)]) -> (String, Option<i32>) {
    let server = Server::start();
    server.enqueue(stream.retry(100).end());
    server.otherwise(Reply::status(204));
    let follow = format!(
        "'{}' '{}'",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let mut script = Command::new("script");
    common::clean(&mut script);
    let output = script
        .args(["--quiet", "--return", "--command", &follow, "/dev/null"])
        .env("TERM", "xterm-256color")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("these tests need the program script (Debian: bsdutils)");
    let shown = String::from_utf8(output.stdout).unwrap();
    // The terminal's own doing.
    (shown.replace("\r\n", "\n"), output.status.code())
}

#[test]
fn an_event_is_a_block_that_people_can_read() {
    let stream = Reply::stream().send("event: price\nid: 41\ndata: 7 €\ndata: 8 €\n\n");
    let (shown, code) = on_a_terminal(stream, &[]);
    assert_eq!(code, Some(4));
    assert!(
        shown.contains("\x1b[1;36mprice\x1b[0m  \x1b[2mid 41\x1b[0m\n  7 €\n  8 €\n\n"),
        "{shown:?}"
    );
    assert!(
        shown.contains("\x1b[2meverstream: connected to http://"),
        "{shown:?}"
    );
}

#[test]
fn no_color_is_honoured() {
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (shown, _) = on_a_terminal(Reply::stream().event("x"), &[environment]);
        assert!(shown.contains("message\n  x\n\n"), "{shown:?}");
        assert!(!shown.contains('\x1b'), "{shown:?}");
    }
}

/// A server could retitle the window, clear the screen or answer a query as if it were typed.
#[test]
fn a_server_can_not_control_the_terminal() {
    let attack = "\x1b]0;owned\x07\x1b[2J\u{9b}6n\u{202e}\x08";
    let stream = Reply::stream()
        .send(format!("event: {attack}\nid: {attack}\ndata: {attack}\n\n"))
        .event("tab\tstays");
    let (shown, _) = on_a_terminal(stream, &[("NO_COLOR", "1")]);
    let controls: Vec<char> = shown
        .chars()
        .filter(|c| (c.is_control() && !"\n\t".contains(*c)) || *c == '\u{202e}')
        .collect();
    assert!(controls.is_empty(), "{shown:?}");
    let visible = r"\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}6n\u{202e}\u{8}";
    assert!(
        shown.contains(&format!("{visible}  id {visible}\n  {visible}\n")),
        "{shown:?}"
    );
    assert!(shown.contains("tab\tstays"), "{shown:?}");
}
