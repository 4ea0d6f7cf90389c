//! Tests of `std-sockets`.

use everstream_testing::{Feed, Reply, Server};

use crate::program::{Program, command};

fn follow(url: &str) -> Program {
    Program::start(command(env!("CARGO_BIN_EXE_std-sockets"), [url]))
}

fn follow_for(url: &str, read_timeout: &str) -> Program {
    let program = env!("CARGO_BIN_EXE_std-sockets");
    Program::start(command(program, [url, read_timeout]))
}

#[test]
fn a_stream_is_followed_over_ends_and_resets_until_a_204() {
    let (server, feed) = (Server::start(), Feed::new());
    for number in 1..=9 {
        feed.push_event("tick", format!("event {number}"));
    }
    server
        .enqueue(Reply::stream().retry(1).resume(feed.take(3)).end())
        .enqueue(Reply::on_accept().reset())
        .enqueue(
            Reply::stream()
                .resume(feed.take(3).and_half())
                .drop_connection(),
        )
        .enqueue(Reply::stream().in_pieces(1).resume(feed.take(3)))
        .enqueue(Reply::stream().close_delimited().end())
        .otherwise(Reply::status(204));
    let ended = follow(&server.url("/feed?topic=a")).end();

    let wanted: String = (1..=9).map(|n| format!("tick: event {n}\n")).collect();
    assert_eq!(ended.stdout, wanted, "{}", ended.stderr);
    // 204 ends the stream.
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 204"), "{}", ended.stderr);
    let requests = server.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(ids, [None, Some("3"), Some("6"), Some("9"), Some("9")]);
    assert_eq!(requests[0].target, "/feed?topic=a");
}

#[test]
fn other_responses_are_refused() {
    let html = Reply::status(200)
        .header("Content-Type", "text/html")
        .send("<p>hello");
    for (reply, message) in [
        (html, "content type \"text/html\""),
        (Reply::status(404), "status 404"),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let ended = follow(&server.url("/")).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
        assert_eq!(server.request_count(), 1);
    }
    let ended = follow("https://localhost/").end();
    assert!(ended.stderr.contains("only http://"), "{}", ended.stderr);
}

/// The server chooses the id, and this program writes the header itself.
#[test]
fn an_id_cannot_inject_a_header() {
    let server = Server::start();
    server
        .enqueue(Reply::stream().retry(1).send("id: 1\u{b}X: y\ndata: a\n\n"))
        .otherwise(Reply::status(204));
    let ended = follow(&server.url("/")).end();
    assert_eq!(ended.stdout, "message: a\n");
    assert_eq!(server.requests()[1].header("last-event-id"), None);
}

#[test]
fn redirects_are_followed_and_credentials_are_not_sent_to_another_origin() {
    let (server, other) = (Server::start(), Server::start());
    server
        .enqueue(Reply::redirect(307, "/moved?a=b#part"))
        .enqueue(Reply::redirect(302, other.url("/feed")));
    other
        .enqueue(Reply::stream().retry(1).event_with_id("7", "hello").end())
        .otherwise(Reply::status(204));
    server.otherwise(Reply::redirect(308, other.url("/feed")));
    let url = server.url("/");
    let ended = follow(&url.replace("http://", "http://user:pw@")).end();

    assert_eq!(ended.stdout, "message: hello\n", "{}", ended.stderr);
    let requests = server.requests();
    assert_eq!(requests[1].target, "/moved?a=b");
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwdw=="));
    }
    for request in other.requests() {
        assert_eq!(request.header("authorization"), None);
    }
    // The next attempt starts at the original URL, and the id is sent after the redirect, too.
    assert_eq!(requests[2].header("last-event-id"), Some("7"));
    assert_eq!(other.requests()[1].header("last-event-id"), Some("7"));
}

#[test]
fn a_redirect_that_cannot_be_followed_is_an_error() {
    for (location, message) in [
        ("https://localhost/", "only http://"),
        ("/", "10 redirects"),
    ] {
        let server = Server::start();
        server.otherwise(Reply::redirect(302, location));
        let ended = follow(&server.url("/")).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[test]
fn the_client_reconnects_after_the_read_timeout() {
    let server = Server::start();
    server
        .enqueue(Reply::stream().retry(1).event_with_id("1", "a").stall())
        .enqueue(Reply::raw("HTTP/1.1 200 OK\r\n").stall())
        .otherwise(Reply::status(204));
    let ended = follow_for(&server.url("/"), "2").end();
    assert_eq!(ended.stdout, "message: a\n");
    for message in ["no data received for 2 s", "no response within 2 s"] {
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    assert_eq!(server.requests()[2].header("last-event-id"), Some("1"));
}

#[test]
fn malformed_chunks_are_a_fault_after_the_received_events() {
    let server = Server::start();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "10\r\nretry:1\ndata: a\n\r\n1\r\n\n\r\nno-size\r\n";
    server
        .enqueue(Reply::raw(format!("{head}{body}")))
        .otherwise(Reply::status(204));
    let ended = follow(&server.url("/")).end();
    assert_eq!(ended.stdout, "message: a\n");
    let message = "the response has an invalid chunk size";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
}
