//! Tests of `feature-flags`.

use std::time::Instant;

use everstream_testing::{Feed, Gate, Reply, Server};

use crate::program::{LIMIT, Program, command};

fn follow(server: &Server) -> Program {
    Program::start(command(
        env!("CARGO_BIN_EXE_feature-flags"),
        [server.url("/")],
    ))
}

impl Program {
    fn query(&mut self, flag: &str) -> String {
        self.write_line(flag);
        self.line()
    }

    /// Queries a flag until the program prints `wanted`, because events take time to arrive.
    fn query_until(&mut self, flag: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let answer = self.query(flag);
            if answer == wanted {
                return;
            }
            assert!(began.elapsed() < LIMIT, "still {answer:?}, not {wanted:?}");
        }
    }
}

#[test]
fn flags_are_kept_in_sync_by_put_patch_and_delete() {
    let (server, feed) = (Server::start(), Feed::new());
    server.otherwise(Reply::stream().resume(&feed));
    let mut program = follow(&server);

    let all = r#"{"dark": {"version": 1, "value": true}, "limit": {"version": 4, "value": 10}}"#;
    feed.push_event("put", all);
    assert_eq!(program.query("dark"), "dark = true\n");
    assert_eq!(program.query("limit"), "limit = 10\n");
    assert_eq!(program.query("other"), "other is not set\n");

    feed.push_event("patch", r#"{"name": "dark", "version": 2, "value": false}"#);
    program.query_until("dark", "dark = false\n");
    feed.push_event("patch", r#"{"name": "new", "version": 1, "value": ["a"]}"#);
    program.query_until("new", "new = [\"a\"]\n");
    feed.push_event("delete", r#"{"name": "new", "version": 2}"#);
    program.query_until("new", "new is not set\n");

    // Outdated patches, for a deleted flag and another, and malformed events; all arrive before the last.
    feed.push_event("patch", r#"{"name": "new", "version": 1, "value": ["a"]}"#);
    feed.push_event("patch", r#"{"name": "limit", "version": 3, "value": 9}"#);
    feed.push_event("patch", "not JSON");
    feed.push_event("patch", r#"{"name": "limit", "version": 5}"#);
    feed.push_event(
        "patch",
        r#"{"name": "dark", "version": 3, "value": "last"}"#,
    );
    program.query_until("dark", "dark = \"last\"\n");
    assert_eq!(program.query("new"), "new is not set\n");
    assert_eq!(program.query("limit"), "limit = 10\n");

    program.close_stdin();
    let ended = program.end();
    assert!(ended.status.success());
    assert_eq!(
        ended.stderr.matches("skipped: ").count(),
        2,
        "{}",
        ended.stderr
    );
}

#[test]
fn flags_are_kept_while_the_server_is_down_and_replaced_afterwards() {
    let (server, back) = (Server::start(), Gate::new());
    let put = |value: &str| Reply::stream().event_of_type("put", value);
    server
        .enqueue(
            put(r#"{"a": {"version": 1, "value": 1}}"#)
                .retry(1)
                .drop_connection(),
        )
        .otherwise(
            put(r#"{"b": {"version": 1, "value": 2}}"#)
                .head_after(&back)
                .stall(),
        );
    let mut program = follow(&server);
    assert!(server.wait_for_requests(2, LIMIT));
    assert_eq!(program.query("a"), "a = 1\n");
    back.open();
    program.query_until("b", "b = 2\n");
    assert_eq!(program.query("a"), "a is not set\n");
}

#[test]
fn it_stops_during_a_read() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_of_type("put", "{}").stall());
    let mut program = follow(&server);
    assert_eq!(program.query("a"), "a is not set\n");
    program.close_stdin();
    let ended = program.end();
    assert!(ended.status.success());
    // The program waited for the thread.
    assert_eq!(ended.stderr, "stopped\n");
}

#[test]
fn a_refused_stream_fails_immediately() {
    let server = Server::start();
    server.otherwise(Reply::status(403));
    let ended = follow(&server).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 403"), "{}", ended.stderr);
}
