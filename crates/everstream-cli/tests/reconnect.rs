//! When it tries again, and when it gives up.

use everstream_testing::{Reply, Server};

use crate::common::Running;

fn end(server: &Server, options: &[&str]) -> (i32, String) {
    let url = server.url("/");
    Running::follow([&*url].into_iter().chain(options.iter().copied())).end()
}

#[test]
fn one_connection_can_be_all() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x").end());
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 0, "{news}");
    assert!(!news.contains("retrying"), "{news}");
    assert!(
        news.contains("stopped by the end of the stream after 1 event"),
        "{news}"
    );

    server.enqueue(Reply::stream().event("x").reset());
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 8, "{news}");
    assert!(
        news.contains("the server reset the connection mid-response\n"),
        "{news}"
    );

    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--no-reconnect"]).0, 6);
    server.stop();
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 5);
    assert!(news.contains("hint: nobody listens there"), "{news}");
}

#[test]
fn attempts_without_a_connection_are_counted() {
    let server = Server::start();
    let options = ["--max-attempts", "2", "--retry-delay", "10ms"];
    // A connection that ends is no failed attempt, and the count begins anew after it.
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.otherwise(Reply::status(503));
    let (code, news) = end(&server, &options);
    assert_eq!(code, 6, "{news}");
    assert_eq!(server.request_count(), 6);
}

#[test]
fn time_without_a_connection_is_limited() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let options = ["--max-time", "300ms", "--retry-delay", "50ms"];
    let (code, news) = end(&server, &options);
    assert_eq!(code, 6, "{news}");
    assert!(server.request_count() > 1);
}

#[test]
fn statuses_to_go_on_after_are_chosen() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::status(204));
    let options = ["--retry-status", "404,5xx", "--retry-delay", "10ms"];
    assert_eq!(end(&server, &options).0, 4);
    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--retry-status", ""]).0, 6);
}

#[test]
fn the_delay_has_a_base_and_a_limit() {
    let server = Server::start();
    server.enqueue(Reply::status(503));
    server.otherwise(Reply::status(204));
    let options = ["--retry-delay", "100h", "--retry-max", "20ms"];
    let (code, news) = end(&server, &options);
    assert_eq!(code, 4);
    assert!(news.contains("retrying in 0.0"), "{news}");
}

#[test]
fn a_server_that_ends_cleanly_is_polled_unless_the_wait_is_limited() {
    let server = Server::start();
    let delay = |options: &[&str]| {
        server.enqueue(Reply::stream().event_with_id("1", "x").end());
        let url = server.url("/");
        let args = [&*url, "--retry-delay", "100ms"];
        let follower = Running::follow(args.into_iter().chain(options.iter().copied()));
        let news = follower.err.wait_for_text("retrying in ").join("\n");
        let (_, delay) = news.split_once("retrying in ").unwrap();
        let (delay, _) = delay.split_once(" s").unwrap();
        delay.parse::<f64>().unwrap()
    };
    let polled = delay(&[]);
    assert!((3.0..=4.5).contains(&polled), "{polled} s");
    let limited = delay(&["--retry-max", "30s"]);
    assert!((0.0..=0.1).contains(&limited), "{limited} s");
}

#[test]
fn a_post_is_repeated_only_if_that_is_said() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").end());
    let (code, news) = end(&server, &["-d", "x", "--retry-delay", "10ms"]);
    assert_eq!(code, 0, "{news}");
    assert_eq!(server.request_count(), 1);
    let options = [
        "-d",
        "x",
        "--repeat-unsafe",
        "--retry-delay",
        "10ms",
        "--count",
        "3",
    ];
    assert_eq!(end(&server, &options).0, 0);
    assert_eq!(server.request_count(), 4);
}

/// It isn't told that an option did it which wasn't given.
#[test]
fn a_post_that_broke_is_told_what_would_send_it_again() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").reset());
    let (code, news) = end(&server, &["-d", "x", "--retry-delay", "10ms"]);
    assert_eq!(code, 8, "{news}");
    assert!(
        news.contains("the server reset the connection mid-response\n"),
        "{news}"
    );
    assert!(
        news.contains("so does a POST whose answer has no ids, without --repeat-unsafe"),
        "{news}"
    );
    assert_eq!(server.request_count(), 1);
}
