//! `everstream relay`, with a log in memory: what it shows, how it ends, what it refuses.

use std::io::{Read, Write};
use std::net::TcpStream;

use everstream_testing::{Reply, Server};

use crate::common::pty::Pty;
use crate::common::{Folder, PATIENCE, Running, everstream, wait_for};

const QUICK: [&str; 2] = ["--takeover", "100ms"];

fn feed() -> Server {
    let server = Server::start();
    server.otherwise_with(|request| {
        let known = request.header("last-event-id").is_some();
        let stream = Reply::stream();
        let stream = match known {
            true => stream,
            false => stream
                .send("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")
                .send("event: odd\nid: three\ndata: c\n\n"),
        };
        stream.stall()
    });
    server
}

fn relay(url: &str, more: &[&str]) -> Running {
    let args = ["relay", url, "memory://"].into_iter();
    Running::follow(args.chain(QUICK).chain(more.iter().copied()))
}

/// The exit code and standard error of a command line that is refused.
fn refused(args: &[&str]) -> (i32, String) {
    Running::follow(["relay"].into_iter().chain(args.iter().copied())).end()
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_takes_over_and_reports_in_json() {
    let server = feed();
    let mut relay = relay(&server.url("/"), &[]);
    let lines = relay.out.wait_for_text(r#""role":"active""#);
    let first = r#""message":"the log is empty: starting it""#;
    assert!(lines[0].contains(first), "{lines:#?}");
    let status = lines.iter().find(|it| it.contains("active\"")).unwrap();
    for part in [
        r#""kind":"status""#,
        r#""position":3"#,
        r#""last_id":"three""#,
        r#""stored":3"#,
    ] {
        assert!(status.contains(part), "{status}");
    }
    relay.signal("TERM");
    assert_eq!(relay.wait().code(), Some(0));
    let last = relay.out.all().pop().unwrap();
    let expected = "ended after 3 events stored; the log ends with position 3, id three";
    assert!(last.contains(expected), "{last}");
    assert_eq!(relay.err.all(), [""; 0]);
}

#[test]
fn a_terminal_shows_a_status_line() {
    let server = feed();
    let command = env!("CARGO_BIN_EXE_everstream");
    let line = format!(
        "exec '{command}' relay '{}' memory:// --takeover 100ms",
        server.url("/")
    );
    let mut terminal = Pty::run(24, 80, &line, &[]);
    let shown = terminal.wait_for("active  3 stored");
    assert!(
        shown.contains("everstream: this relay is now the active one"),
        "{shown}"
    );
    assert!(!shown.contains('{'), "{shown}");
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn metrics_and_health_are_served() {
    let server = feed();
    let address = format!("127.0.0.1:{}", everstream_engines::free_port());
    let port = std::net::TcpListener::bind(&address).unwrap();
    let taken = relay(&server.url("/"), &["--metrics", &address]);
    let (code, errors) = taken.end();
    assert_eq!(code, 2);
    assert!(
        errors.contains(&format!("--metrics can't listen on {address}")),
        "{errors}"
    );
    drop(port);
    let relay = relay(&server.url("/"), &["--metrics", &address]);
    relay.out.wait_for_text(r#""role":"active""#);
    let answer = wait_for("metrics", || {
        Some(get(&address, "/metrics"))
            .filter(|it| it.contains("everstream_relay_stored_total 3\n"))
    });
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    for line in [
        "everstream_relay_role{role=\"active\"} 1",
        "everstream_relay_role{role=\"standby\"} 0",
        "everstream_relay_log_position 3",
        "# TYPE everstream_relay_append_seconds histogram",
        "everstream_relay_append_seconds_count 1",
        "everstream_relay_append_seconds_bucket{le=\"+Inf\"} 1",
    ] {
        assert!(
            answer.lines().any(|it| it == line),
            "no {line} in\n{answer}"
        );
    }
    let health = get(&address, "/healthz");
    assert!(
        health.starts_with("HTTP/1.0 200") && health.ends_with("\r\n\r\nactive\n"),
        "{health}"
    );
    assert!(get(&address, "/").starts_with("HTTP/1.0 404"));
}

#[test]
fn check_connects_to_both_ends() {
    let server = feed();
    let (code, said) = relay(&server.url("/"), &["--check"]).end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said,
        "everstream: the log ends with position 0: the relay creates it when it starts, if it doesn't exist\n\
         everstream: the feed is connected"
    );
    server.otherwise(Reply::status(403));
    let (code, said) = relay(&server.url("/"), &["--check"]).end();
    assert_eq!(code, 6);
    assert!(said.contains("the log ends with"), "{said}");
}

#[test]
fn a_feed_without_ids_is_refused_with_the_way_out() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("no id").stall());
    let (code, said) = relay(&server.url("/"), &[]).end();
    assert_eq!(code, 1);
    assert!(said.contains("with no id"), "{said}");
    assert!(
        said.contains("hint: --no-ids accepts such a feed"),
        "{said}"
    );
    let relay = relay(&server.url("/"), &["--no-ids"]);
    relay.out.wait_for_text(r#""stored":1"#);
}

#[test]
fn a_feed_that_gives_up_ends_it_as_it_ends_follow() {
    let server = Server::start();
    server.otherwise(Reply::status(404).send("no such feed\n"));
    let (code, said) = relay(&server.url("/"), &[]).end();
    assert_eq!(code, 6);
    assert!(said.contains("the server said: no such feed"), "{said}");
}

#[test]
fn passwords_in_arguments_are_refused_and_never_shown() {
    for url in [
        "postgres://me:sesame@host/db?table=a&feed=b",
        "redis://:sesame@host/0?key=a",
        "nats://me:sesame@host/A",
    ] {
        let (code, said) = refused(&["http://localhost/", url]);
        assert_eq!(code, 2);
        assert!(said.contains("EVERSTREAM_SINK_PASSWORD"), "{said}");
        assert!(!said.contains("sesame"), "{said}");
    }
    // What isn't a sink may be a secret of a header that lacks its quotes.
    let (code, said) = refused(&["http://localhost/", "sesame"]);
    assert_eq!(code, 2);
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_url_in_a_file_may_have_a_password() {
    let folder = Folder::new("relay-file");
    let file = folder.file("url", "memory://me:sesame@host\n");
    let server = feed();
    let args = [
        "relay",
        &server.url("/"),
        "--check",
        "--sink-url-file",
        file.to_str().unwrap(),
    ];
    let (code, said) = Running::start(everstream(args)).end();
    assert_eq!(code, 0, "{said}");
    let (code, _) = refused(&["http://localhost/"]);
    assert_eq!(code, 2, "a sink is needed");
}

#[cfg(not(feature = "relay-nats"))]
#[test]
fn an_engine_that_was_not_built_in_is_named() {
    let (code, said) = refused(&["http://localhost/", "nats://host/STREAM"]);
    assert_eq!(code, 2);
    let expected = "error: this everstream was built without NATS\neverstream: hint: \
                    build it with --features relay-nats: cargo install --git REPO everstream-cli \
                    --features relay-nats";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_layout_that_the_engine_does_not_have_is_refused() {
    let (code, said) = refused(&["http://localhost/", "memory://", "--layout", "cloudevents"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--layout cloudevents is for NATS"), "{said}");
}

#[test]
fn max_time_is_refused_with_an_alternative() {
    let (code, told) = refused(&["http://localhost/", "memory://", "--max-time", "3"]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("relay doesn't support --max-time"), "{told}");
    assert!(told.contains("timeout 60 everstream relay"), "{told}");
}

/// Such as a container image without the package.
#[cfg(feature = "relay-postgres")]
#[test]
fn missing_ca_certificates_are_named() {
    let server = feed();
    let url = "postgres://127.0.0.1:1/db?table=log&feed=log&sslmode=require";
    let mut command = everstream(["relay", &server.url("/"), url, "--check"]);
    command.env("SSL_CERT_FILE", "/no/such/file");
    command.env("SSL_CERT_DIR", "/no/such/dir");
    let (code, stderr) = Running::start(command).end();
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("no CA certificates: install them (the package ca-certificates)"),
        "{stderr}"
    );
    assert!(stderr.contains("sslrootcert"), "{stderr}");
}
