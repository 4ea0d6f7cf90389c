//! `std-sockets`.

use everstream_testing::{Feed, Reply, Server};

use crate::program::{Program, command};

fn follow(url: &str) -> Program {
    Program::start(command(env!("CARGO_BIN_EXE_std-sockets"), [url]))
}

#[test]
fn a_stream_is_followed_over_ends_and_resets_until_the_server_has_no_more() {
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
        .otherwise(Reply::status(204));
    let ended = follow(&server.url("/feed?topic=a")).end();

    let wanted: String = (1..=9).map(|n| format!("tick: event {n}\n")).collect();
    assert_eq!(ended.stdout, wanted, "{}", ended.stderr);
    // 204 is the end for good.
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 204"), "{}", ended.stderr);
    let requests = server.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| it.header("last-event-id"))
        .collect();
    assert_eq!(ids, [None, Some("3"), Some("6"), Some("9")]);
    assert_eq!(requests[0].target, "/feed?topic=a");
}

#[test]
fn what_is_no_stream_is_refused() {
    let html = Reply::status(200)
        .header("Content-Type", "text/html")
        .send("<p>hello");
    for (reply, told) in [
        (html, "content type \"text/html\""),
        (Reply::status(404), "status 404"),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let ended = follow(&server.url("/")).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(server.request_count(), 1);
    }
    let ended = follow("https://localhost/").end();
    assert!(ended.stderr.contains("only http://"), "{}", ended.stderr);
}

/// An id is the server's text, and this program writes the header itself.
#[test]
fn an_id_injects_no_header() {
    let server = Server::start();
    server
        .enqueue(Reply::stream().retry(1).send("id: 1\u{b}X: y\ndata: a\n\n"))
        .otherwise(Reply::status(204));
    let ended = follow(&server.url("/")).end();
    assert_eq!(ended.stdout, "message: a\n");
    assert_eq!(server.requests()[1].header("last-event-id"), None);
}
