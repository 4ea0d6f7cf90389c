//! What is shown, and keys.

use std::process::Command;
use std::time::Instant;

use everstream_testing::{Gate, Reply, Request, Server};

use super::{Top, server};
use crate::common::PATIENCE;
use crate::common::pty::Pty;

#[test]
fn the_dashboard_shows_the_state_of_streams() {
    let server = server();
    let urls = format!(
        "{} {} {}",
        server.url("/prices"),
        server.url("/away"),
        server.url("/over")
    );
    let mut top = Top::start("shows", &urls);
    let shown = top.pty.wait("three states", |screen| {
        let all = [
            "1 connected",
            "1 retrying",
            "1 ended",
            "connected",
            "503, retry in ",
            "204, ended",
            "price 12  news 1",
        ];
        all.iter().all(|part| screen.contains(part))
    });
    assert!(shown.contains("everstream top"), "{shown}");
    let line = shown
        .lines()
        .find(|line| line.contains("/prices "))
        .unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    // Number, URL, state; 13 events, the bytes of their data, and so on.
    assert_eq!(cells[2], "connected", "{line}");
    assert!(cells.contains(&"13"), "{line}");
    assert!(shown.contains("last id    12"), "{shown}");
    assert!(shown.contains("comments: 1"), "{shown}");
    // The stream that fails.
    top.pty.press("\x1b[B");
    top.pty.wait_for("status 503");
    top.pty.press("\x1b[B");
    top.pty
        .wait_for("the server ended the stream permanently (status 204)");

    top.pty.press("q");
    assert_eq!(top.end(), 0);
    let left = top.pty.with_screen(|screen| screen.contents());
    assert!(
        left.contains("/prices: 13 events; the last id is 12"),
        "{left}"
    );
    assert!(left.contains("/over: 0 events\n"), "{left}");
}

#[test]
fn keys_select_filter_pause_and_explain() {
    let (server, go, sent) = (Server::start(), Gate::new(), Gate::new());
    let tick = |reply: Reply, id: u32, data: &str| {
        reply.send(format!("event: tick\nid: {id}\ndata: {data}\n\n"))
    };
    let reply = tick(Reply::stream(), 1, "first").wait_for(&go);
    let reply = tick(reply, 2, "second").open(&sent).stall();
    server.otherwise_with(move |request: &Request| match request.path() {
        "/feed" => reply.clone(),
        _ => Reply::status(204),
    });
    let urls = format!("{} {}", server.url("/feed"), server.url("/over"));
    let mut top = Top::start("keys", &urls);
    top.pty.wait_for("tick 1");

    top.pty.press("?");
    top.pty.wait_for("select a stream");
    top.pty.press("\x1b");
    top.pty
        .wait("help gone", |screen| !screen.contains("select a stream"));

    top.pty.press("fover");
    top.pty.wait("a filtered list", |screen| {
        screen.contains("filter: over") && !screen.contains("/feed")
    });
    top.pty.press("\x1b");
    top.pty.wait_for("/feed");

    top.pty.press("\r");
    let shown = top.pty.wait_for("Last events, newest first");
    assert!(shown.contains("tick  id 1  first"), "{shown}");

    // A paused display doesn't change; the stream continues.
    top.pty.press("p");
    top.pty.wait_for("PAUSED");
    go.open();
    assert!(sent.wait(PATIENCE));
    for _ in 0..3 {
        // A key causes a redraw, in the thread that reads the stream.
        top.pty.press("?");
        top.pty.wait_for("select a stream");
        top.pty.press("?");
        let shown = top
            .pty
            .wait("help gone", |screen| !screen.contains("select a stream"));
        assert!(!shown.contains("second"), "{shown}");
    }
    top.pty.press("p");
    top.pty.wait_for("tick  id 2  second");

    top.pty.press("\x1b");
    top.pty.wait_for("types      tick 2");
    top.pty.press("\x1b");
    assert_eq!(top.end(), 0);
}

#[test]
fn resizing_redraws_the_screen() {
    let server = server();
    let mut top = Top::start("resize", &server.url("/prices"));
    let shown = top.pty.wait_for("price 12");
    assert!(!shown.contains("LAST ID"), "{shown}");
    // Pausing stops the clock from redrawing.
    top.pty.press("p");
    top.pty.wait_for("PAUSED");
    top.pty.resize(30, 140);
    let tty = top.file("tty");
    let resized = Command::new("stty")
        .args(["-F", &tty, "rows", "30", "cols", "140"])
        .status();
    assert!(resized.unwrap().success());
    top.pty.wait_for("LAST ID");
    top.pty.press("q");
    assert_eq!(top.pty.end(), 0);
}

/// Keys are read from the terminal, whatever standard input is.
#[test]
fn a_body_may_be_piped_in() {
    let server = Server::with_handler(|request: &Request| {
        Reply::stream()
            .event(String::from_utf8_lossy(&request.body))
            .stall()
    });
    let line = format!(
        "echo '{{\"ask\":7}}' | '{}' top {} --json @-",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let mut pty = Pty::run(24, 80, &line, &[]);
    pty.wait_for("message 1");
    pty.press("\r");
    pty.wait_for("{\"ask\":7}");
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_flood_of_events_does_not_block_keys_or_add_redraws() {
    let server = Server::start();
    server.otherwise(Reply::stream().send_forever("data: x\n\n".repeat(100)));
    let begin = Instant::now();
    let mut top = Top::start("flood", &format!("{0} {0}", server.url("/")));
    top.pty.wait("many events", |screen| {
        let many =
            |cell: &str| cell.parse().is_ok_and(|count: u64| count > 100) || cell.ends_with('M');
        screen
            .lines()
            .filter(|line| line.contains("connected") && line.split(' ').any(many))
            .count()
            == 2
    });
    top.pty.press("?");
    top.pty.wait_for("select a stream");
    top.pty.press("qq");
    assert_eq!(top.end(), 0);
    // Each drawing hides the cursor.
    let drawings = top.pty.written().matches("\x1b[?25l").count();
    let most = 4.0 * begin.elapsed().as_secs_f64() + 6.0;
    assert!(drawings >= 2 && (drawings as f64) < most, "{drawings}");
}
