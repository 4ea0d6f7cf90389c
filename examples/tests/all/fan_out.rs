//! `fan-out`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use everstream::blocking::{Next, SseClient};
use everstream::{Action, Builder, Http};
use everstream_testing::{Feed, Gate, Reply, Server};
use socket2::{Domain, Socket, Type};

use crate::program::{LIMIT, Program, command};

/// The program, and the URL that it serves.
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

/// Listens from now on.
fn started(builder: Builder<SseClient>) -> SseClient {
    let mut client = builder.build().unwrap();
    client.start().unwrap();
    client
}

/// Type, data and id of the next event.
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

    // Responses that last for ever don't keep it from stopping.
    program.interrupt();
    let ended = program.end();
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_browser_that_comes_back_gets_what_it_missed_and_then_what_is_new() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut first = started(browser(&url));
    push(&feed, 10);
    while next(&mut first).2 != "10" {}

    let mut back = started(browser(&url).last_event_id("4"));
    push(&feed, 1);
    for number in 5..=11 {
        assert_eq!(next(&mut back), numbered("news", number));
    }
    // One that has seen everything, and one that is new.
    let mut current = started(browser(&url).last_event_id("11"));
    let mut new = started(browser(&url));
    push(&feed, 1);
    assert_eq!(next(&mut current), numbered("news", 12));
    assert_eq!(next(&mut new), numbered("news", 12));
}

#[test]
fn a_browser_that_was_away_for_too_long_is_told_of_the_gap() {
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut first = started(browser(&url));
    // So that the service has got them all, and never more at once than a browser may be behind.
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
    // A comment comes after the id.
    while !matches!(
        new.next_action_timeout(LIMIT).unwrap().item().unwrap(),
        Action::Comment(_)
    ) {}
    assert_eq!(new.last_event_id(), Some("2"));
}

#[test]
fn silence_is_filled_with_comments() {
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

/// A connection for which the system takes little that isn't read.
fn small(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/events").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

#[test]
fn a_browser_that_does_not_read_is_sent_away_and_keeps_nobody_waiting() {
    const EVENTS: usize = 450;
    let (upstream, feed) = (Server::start(), Feed::new());
    upstream.otherwise(Reply::stream().resume(&feed));
    let (_program, url) = serve(&upstream, "15");
    let mut reader = started(browser(&url));
    let mut idle = small(&url);
    idle.write_all(b"GET /events HTTP/1.0\r\n\r\n").unwrap();
    // The head is here: it is listening.
    idle.set_read_timeout(Some(LIMIT)).unwrap();
    idle.read_exact(&mut [0; 8]).unwrap();

    // More than the system's buffers hold.
    let text = "x".repeat(32 << 10);
    for number in 1..=EVENTS {
        feed.push(&text);
        // The one who reads is never far behind.
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
        // Comments would keep it alive for ever.
        assert!(began.elapsed() < LIMIT, "it was not sent away");
    }
    assert!(received < EVENTS * text.len(), "it was sent everything");
}

#[test]
fn the_end_of_the_upstream_is_the_end_of_the_service() {
    let (upstream, over) = (Server::start(), Gate::new());
    upstream.otherwise(Reply::status(410).head_after(&over));
    let (program, url) = serve(&upstream, "15");
    let mut browser = started(browser(&url));
    over.open();
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
