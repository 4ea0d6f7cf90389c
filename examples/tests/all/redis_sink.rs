//! `redis-sink`, with a real Redis.

use std::io::ErrorKind;
use std::process::Command;
use std::thread;
use std::time::Instant;

use everstream_testing::{Feed, Reply, Server};
use redis::Connection;
use tempfile::TempDir;

use crate::program::{LIMIT, Program, command};

/// A server of its own, with all that it has written on disk. Nothing but its socket is in reach.
struct Redis {
    folder: TempDir,
    program: Option<Program>,
}

impl Redis {
    fn start() -> Redis {
        if let Err(error) = Command::new("redis-server").arg("--version").output() {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            panic!(
                "redis-server isn't installed. On Debian: apt-get install redis-server, \
                 which `cargo xtask test` does by itself as root"
            );
        }
        let mut redis = Redis {
            folder: tempfile::tempdir().unwrap(),
            program: None,
        };
        redis.restart();
        redis
    }

    fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill();
        }
    }

    fn restart(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--unixsocket", "socket", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .current_dir(self.folder.path());
        let program = Program::start(command);
        while !program.line().contains("eady to accept connections") {}
        self.program = Some(program);
    }

    fn url(&self) -> String {
        format!(
            "redis+unix://{}",
            self.folder.path().join("socket").display()
        )
    }

    fn connect(&self) -> Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    fn sink(&self, server: &Server) -> Program {
        let path = env!("CARGO_BIN_EXE_redis-sink");
        Program::start(command(path, [&server.url("/"), &self.url(), "news"]))
    }
}

fn length(redis: &mut Connection) -> usize {
    redis::cmd("XLEN").arg("news").query(redis).unwrap()
}

fn wait_for_length(redis: &mut Connection, wanted: usize) {
    let began = Instant::now();
    while length(redis) < wanted {
        assert!(began.elapsed() < LIMIT, "{} of {wanted}", length(redis));
        thread::yield_now();
    }
}

fn cursor(redis: &mut Connection) -> Option<String> {
    redis::cmd("GET")
        .arg("{news}:last-event-id")
        .query(redis)
        .unwrap()
}

/// Each event once, in order.
fn assert_written(redis: &mut Connection, count: usize) {
    let mut command = redis::cmd("XRANGE");
    command.arg("news").arg("-").arg("+");
    let entries: Vec<(String, Vec<String>)> = command.query(redis).unwrap();
    let fields: Vec<Vec<String>> = entries.into_iter().map(|(_, fields)| fields).collect();
    let wanted: Vec<Vec<String>> = (1..=count)
        .map(|number| {
            let (id, data) = (number.to_string(), format!("event {number}"));
            ["id", &id, "event", "tick", "data", &data]
                .map(String::from)
                .into()
        })
        .collect();
    assert_eq!(fields, wanted);
    assert_eq!(cursor(redis), Some(count.to_string()));
}

fn feed(events: usize) -> (Server, Feed) {
    let (server, feed) = (Server::start(), Feed::new());
    server.otherwise(Reply::stream().retry(1).resume(&feed));
    push(&feed, events);
    (server, feed)
}

fn push(feed: &Feed, events: usize) {
    for _ in 0..events {
        feed.push_event("tick", format!("event {}", feed.len() + 1));
    }
}

#[test]
fn each_event_is_written_once_over_runs_that_are_killed() {
    const RUNS: usize = 8;
    let redis = Redis::start();
    let mut connection = redis.connect();
    let (server, feed) = feed(0);
    for run in 0..RUNS {
        let sink = redis.sink(&server);
        // It is killed on its way through these.
        push(&feed, 200);
        let (before, step) = (length(&mut connection), 1 + run * 17);
        wait_for_length(&mut connection, before + step);
        sink.kill();
    }
    assert!(
        length(&mut connection) < feed.len(),
        "it was killed too late"
    );
    let _sink = redis.sink(&server);
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
    assert_eq!(server.request_count(), RUNS + 1);
}

#[test]
fn each_event_is_written_once_over_restarts_of_redis() {
    let mut redis = Redis::start();
    let (server, feed) = feed(0);
    let sink = redis.sink(&server);
    for _ in 0..3 {
        push(&feed, 200);
        let written = feed.len() - 150;
        wait_for_length(&mut redis.connect(), written);
        redis.kill();
        // It may have written all others.
        push(&feed, 1);
        sink.wait_for_stderr("again, because of Redis");
        redis.restart();
    }
    let mut connection = redis.connect();
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
}

#[test]
fn each_event_is_written_once_over_drops_of_the_feed() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let (server, feed) = feed(100);
    for _ in 0..5 {
        server.enqueue(
            Reply::stream()
                .retry(1)
                .resume(feed.take(20).and_half())
                .reset(),
        );
    }
    let _sink = redis.sink(&server);
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
}

#[test]
fn a_second_sink_writes_nothing_twice() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let (server, feed) = feed(1);
    let first = redis.sink(&server);
    wait_for_length(&mut connection, 1);
    let second = redis.sink(&server);
    assert!(server.wait_for_requests(2, LIMIT));
    push(&feed, 1);
    wait_for_length(&mut connection, 2);
    // One of them was later.
    let began = Instant::now();
    let (mut first, mut second) = (first, second);
    while first.is_running() && second.is_running() {
        assert!(began.elapsed() < LIMIT, "both go on");
        thread::yield_now();
    }
    let later = if first.is_running() { second } else { first };
    let ended = later.end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("changed by somebody else"),
        "{}",
        ended.stderr
    );
    assert_written(&mut connection, 2);
}

/// In a transaction of MULTI and EXEC the id would be stored all the same.
#[test]
fn an_event_that_cannot_be_added_does_not_count_as_written() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    redis::cmd("SET")
        .arg("news")
        .arg("text")
        .exec(&mut connection)
        .unwrap();
    let (server, _feed) = feed(1);
    let ended = redis.sink(&server).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("WRONGTYPE"), "{}", ended.stderr);
    assert_eq!(cursor(&mut connection), None);
}

#[test]
fn events_without_ids_and_refusals_end_it_with_the_reason() {
    let redis = Redis::start();
    for (reply, told) in [
        (Reply::stream().event("one").stall(), "without an id"),
        (Reply::status(403), "status 403"),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let ended = redis.sink(&server).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    assert_eq!(length(&mut redis.connect()), 0);
}
