//! Every command that connects says where an attempt hangs.

use everstream_testing::{Reply, Server};

use crate::common::pty::Pty;
use crate::common::{Folder, Running};

/// Accepts requests, and doesn't respond.
fn silent() -> Server {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    server
}

const NO_RESPONSE: &str = "connected, but no response after ";

#[test]
fn each_command_reports_an_attempt_without_a_response_once() {
    let (server, folder) = (silent(), Folder::new("waiting"));
    let (url, file) = (server.url("/"), folder.path("recording"));
    let file = file.to_str().unwrap();
    let [follow, verbose, record, relay, check] = [
        &[&*url][..],
        &["record", &url, file, "-v", "--force"],
        &["record", &url, "-"],
        &["relay", &url, "memory://", "--takeover", "100ms"],
        &["relay", &url, "memory://", "--check"],
    ]
    .map(|args| Running::follow(args.iter().copied()));
    let quiet = Running::follow(["record", &url, "-", "--quiet"]);
    for running in [&follow, &verbose, &record, &check] {
        let lines = running.err.wait_for_text(NO_RESPONSE);
        let told = lines.iter().filter(|line| line.contains(NO_RESPONSE));
        assert_eq!(told.count(), 1, "{lines:#?}");
    }
    // Standard output isn't a terminal, so its messages are JSON.
    let lines = relay.out.wait_for_text(NO_RESPONSE);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\"feed: connected, ")),
        "{lines:#?}"
    );
    quiet.signal("TERM");
    assert_eq!(quiet.end(), (0, String::new()));
}

/// The attempt begins while the command waits for the retry delay.
#[test]
fn a_reconnect_that_hangs_is_reported() {
    let servers = [(); 2].map(|()| silent());
    for server in &servers {
        server.enqueue(Reply::stream().event("one").end());
    }
    let [first, second] = servers.each_ref().map(|server| server.url("/"));
    let follow = Running::follow([&*first, "--retry-delay", "10ms"]);
    let record = Running::follow(["record", &second, "-", "--retry-delay", "10ms"]);
    for running in [follow, record] {
        let lines = running.err.wait_for_text(NO_RESPONSE);
        assert!(lines[0].contains("connected to "), "{lines:#?}");
    }
}

#[test]
fn the_status_line_of_record_and_the_list_of_top_show_it() {
    let (server, folder) = (silent(), Folder::new("waiting-status"));
    let (url, command) = (server.url("/"), env!("CARGO_BIN_EXE_everstream"));
    let file = folder.path("recording");
    let record = format!("'{command}' record {url} '{}'", file.display());
    let record = Pty::run(24, 100, &record, &[]);
    let top = Pty::run(24, 100, &format!("'{command}' top {url}"), &[]);
    record.wait_for("connected, no response yet");
    top.wait_for("no reply");
}
