//! Tests of `fan-out`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use everstream::blocking::{Next, SseClient};
use everstream::{Action, Builder, Http};
use everstream_testing::{Feed, Gate, Reply, Server};
use socket2::{Domain, Socket, Type};

use crate::program::{LIMIT, Program, command};

/// Starts the program, and returns it with the URL that it serves.
fn serve(upstream: &Server, keep_alive: &str) -> (Program, String) {
    let args = [&upstream.url("/"), "127.0.0.1:0"];
    let mut command = command(env!("CARGO_BIN_EXE_fan-out"), args);
    command.env("KEEP_ALIVE", keep_alive);
    let program = Program::start(command);
    let url = program.line().trim_end().to_owned();
    (program, url)
}

fn browser(url: &str) -> Builder<SseClient> {
    SseClient::builder(Http::new(url).no_proxy())
}

/// Connects a browser.
fn started(builder: Builder<SseClient>) -> SseClient {
    let mut client = builder.build().unwrap();
    client.start().unwrap();
    client
}

/// Returns the type, data and id of the next event.
fn next(client: &mut SseClient) -> (String, String, String) {
    let event = client.next_event_timeout(LIMIT).unwrap().item().unwrap();
    let id = event.id().unwrap_or_default();
    (event.event().into(), event.data().into(), id.into())
}

fn numbered(kind: &str, number: usize) -> (String, String, String) {
    let id = number.to_string();
    (kind.into(), format!("event {number}\nof many"), id)
}

fn push(feed: &Feed, count: usize) {
    for _ in 0..count {
        feed.push_event("news", format!("event {}\nof many", feed.len() + 1));
    }
}

#[test]
fn all_browsers_get_all_events_from_one_connection() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (program, url) = serve(&upstream, "15");
    let mut browsers: Vec<_> = (0..3).map(|_| started(browser(&url))).collect();
    push(&feed, 100);
    for browser in &mut browsers {
        for number in 1..=100 {
            assert_eq!(next(browser), numbered("news", number));
        }
    }
    assert_eq!(upstream.request_count(), 1);

    // Endless responses don't keep the service from stopping.
    program.interrupt();
    let ended = program.end();
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_reconnecting_browser_gets_missed_events_then_new_ones() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut first = started(browser(&url));
    push(&feed, 10);
    while next(&mut first).2 != "10" {}

    let mut resumed = started(browser(&url).last_event_id("4"));
    push(&feed, 1);
    for number in 5..=11 {
        assert_eq!(next(&mut resumed), numbered("news", number));
    }
    // A browser that has seen everything, and a new one.
    let mut current = started(browser(&url).last_event_id("11"));
    let mut new = started(browser(&url));
    push(&feed, 1);
    assert_eq!(next(&mut current), numbered("news", 12));
    assert_eq!(next(&mut new), numbered("news", 12));
}

#[test]
fn a_browser_that_was_away_for_too_long_gets_a_gap_event() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut first = started(browser(&url));
    // Wait for the service to receive them, in batches smaller than a browser's allowed lag.
    while feed.len() < 1001 {
        push(&feed, 143);
        while next(&mut first).2 != feed.len().to_string() {}
    }
    let mut kept = started(browser(&url).last_event_id("2"));
    assert_eq!(next(&mut kept), numbered("news", 3));
    let mut late = started(browser(&url).last_event_id("1"));
    assert_eq!(
        next(&mut late),
        ("gap".into(), String::new(), "1001".into())
    );
    push(&feed, 1);
    assert_eq!(next(&mut late), numbered("news", 1002));
}

#[test]
fn a_browser_can_resume_from_before_its_first_event() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "0.01");
    let mut first = started(browser(&url));
    push(&feed, 2);
    while next(&mut first).2 != "2" {}
    let mut new = started(browser(&url));
    // A comment follows the id.
    while !matches!(
        new.next_action_timeout(LIMIT).unwrap().item().unwrap(),
        Action::Comment(_)
    ) {}
    assert_eq!(new.last_event_id(), Some("2"));
}

#[test]
fn idle_streams_get_comments() {
    let upstream = Server::start();
    upstream.otherwise(Reply::stream().stall());
    let (_program, url) = serve(&upstream, "0.01");
    let mut browser = browser(&url).build().unwrap();
    let mut comments = 0;
    while comments < 3 {
        match browser.next_action_timeout(LIMIT).unwrap().item().unwrap() {
            Action::Comment(_) => comments += 1,
            Action::Start(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Connects with a small receive buffer.
fn with_small_buffer(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/events").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

#[test]
fn a_browser_that_does_not_read_is_disconnected_and_does_not_delay_others() {
    const EVENTS: usize = 450;
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut reader = started(browser(&url));
    let mut idle = with_small_buffer(&url);
    idle.write_all(b"GET /events HTTP/1.0\r\n\r\n").unwrap();
    // Once the head has arrived, this browser is subscribed.
    idle.set_read_timeout(Some(LIMIT)).unwrap();
    idle.read_exact(&mut [0; 8]).unwrap();

    // Larger than the system's buffers.
    let text = "x".repeat(32 << 10);
    for number in 1..=EVENTS {
        feed.push(&text);
        // Keep the other browser from falling behind.
        if number % 50 == 0 {
            while next(&mut reader).2 != number.to_string() {}
        }
    }
    let (mut received, mut buffer) = (0, vec![0; 64 << 10]);
    let began = Instant::now();
    loop {
        match idle.read(&mut buffer).unwrap() {
            0 => break,
            length => received += length,
        }
        // Comments would keep the connection open forever.
        assert!(began.elapsed() < LIMIT, "the browser wasn't disconnected");
    }
    assert!(received < EVENTS * text.len(), "the browser got everything");
}

#[test]
fn the_service_ends_with_its_upstream() {
    let (upstream, end) = (Server::start(), Gate::new());
    upstream.otherwise(Reply::status(410).head_after(&end));
    let (program, url) = serve(&upstream, "15");
    let mut browser = started(browser(&url));
    end.open();
    assert!(matches!(
        browser.next_action_timeout(LIMIT),
        Ok(Next::Item(Action::Start(_)))
    ));
    assert!(matches!(
        browser.next_action_timeout(LIMIT),
        Ok(Next::Item(Action::End(_)))
    ));
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 410"), "{}", ended.stderr);
}
