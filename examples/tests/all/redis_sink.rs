//! Tests of `redis-sink`, with a real Redis.

use std::thread;
use std::time::Instant;

use everstream_engines::Redis;
use everstream_testing::{Feed, Reply, Server};
use redis::Connection;

use crate::program::{LIMIT, Program, command};

fn connect(redis: &Redis) -> Connection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_connection().unwrap()
}

fn sink(redis: &Redis, server: &Server) -> Program {
    let path = env!("CARGO_BIN_EXE_redis-sink");
    let url = format!("{}?key=news", redis.url());
    Program::start(command(path, [&server.url("/"), &url]))
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

fn cursor(redis: &mut Connection) -> (Option<String>, Option<String>) {
    let mut command = redis::cmd("HMGET");
    command.arg("{news}:cursor").arg("pos").arg("id");
    command.query(redis).unwrap()
}

/// Checks that each event was written once, in order.
fn assert_written(redis: &mut Connection, count: usize) {
    let mut command = redis::cmd("XRANGE");
    command.arg("news").arg("-").arg("+");
    let entries: Vec<(String, Vec<String>)> = command.query(redis).unwrap();
    let fields: Vec<Vec<String>> = entries.into_iter().map(|(_, fields)| fields).collect();
    let wanted: Vec<Vec<String>> = (1..=count)
        .map(|number| {
            let (id, data) = (number.to_string(), format!("event {number}"));
            [
                "data",
                &data,
                "sse-event",
                "tick",
                "sse-pos",
                &id,
                "sse-id",
                &id,
            ]
            .map(String::from)
            .into()
        })
        .collect();
    assert_eq!(fields, wanted);
    let last = Some(count.to_string());
    assert_eq!(cursor(redis), (last.clone(), last));
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
fn killed_runs_write_each_event_once() {
    const RUNS: usize = 8;
    let redis = Redis::start();
    let mut connection = connect(&redis);
    let (server, feed) = feed(0);
    for run in 0..RUNS {
        let program = sink(&redis, &server);
        // The program is killed while it writes these.
        push(&feed, 200);
        let (before, step) = (length(&mut connection), 1 + run * 17);
        wait_for_length(&mut connection, before + step);
        program.kill();
    }
    assert!(
        length(&mut connection) < feed.len(),
        "the program was killed too late"
    );
    let _program = sink(&redis, &server);
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
    assert_eq!(server.request_count(), RUNS + 1);
}

#[test]
fn restarts_of_redis_write_each_event_once() {
    let mut redis = Redis::start();
    let (server, feed) = feed(0);
    let program = sink(&redis, &server);
    for _ in 0..3 {
        push(&feed, 200);
        let written = feed.len() - 150;
        wait_for_length(&mut connect(&redis), written);
        redis.kill();
        // The others may already have been written.
        push(&feed, 1);
        program.wait_for_stderr("retrying after an error of Redis");
        redis.restart();
    }
    let mut connection = connect(&redis);
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
}

#[test]
fn dropped_connections_write_each_event_once() {
    let redis = Redis::start();
    let mut connection = connect(&redis);
    let (server, feed) = feed(100);
    for _ in 0..5 {
        server.enqueue(
            Reply::stream()
                .retry(1)
                .resume(feed.take(20).and_half())
                .reset(),
        );
    }
    let _program = sink(&redis, &server);
    wait_for_length(&mut connection, feed.len());
    assert_written(&mut connection, feed.len());
}

#[test]
fn a_second_sink_writes_nothing_twice() {
    let redis = Redis::start();
    let mut connection = connect(&redis);
    let (server, feed) = feed(1);
    let first = sink(&redis, &server);
    wait_for_length(&mut connection, 1);
    let second = sink(&redis, &server);
    assert!(server.wait_for_requests(2, LIMIT));
    push(&feed, 1);
    wait_for_length(&mut connection, 2);
    // The second writer fails.
    let began = Instant::now();
    let (mut first, mut second) = (first, second);
    while first.is_running() && second.is_running() {
        assert!(began.elapsed() < LIMIT, "both continue");
        thread::yield_now();
    }
    let later = if first.is_running() { second } else { first };
    let ended = later.end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("another writer has appended"),
        "{}",
        ended.stderr
    );
    assert_written(&mut connection, 2);
}

/// In a MULTI/EXEC transaction, the position would change even if the event isn't added.
#[test]
fn an_event_that_cannot_be_added_does_not_count_as_written() {
    let redis = Redis::start();
    let mut connection = connect(&redis);
    redis::cmd("SET")
        .arg("news")
        .arg("text")
        .exec(&mut connection)
        .unwrap();
    let (server, _feed) = feed(1);
    let ended = sink(&redis, &server).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("WRONGTYPE"), "{}", ended.stderr);
    assert_eq!(cursor(&mut connection), (None, None));
}

#[test]
fn events_without_ids_and_refusals_end_the_program_with_the_reason() {
    let redis = Redis::start();
    for (reply, message) in [
        (Reply::stream().event("one").stall(), "without an id"),
        (Reply::status(403), "status 403"),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let ended = sink(&redis, &server).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    assert_eq!(length(&mut connect(&redis)), 0);
}
