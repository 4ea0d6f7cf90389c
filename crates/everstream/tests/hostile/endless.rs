//! Responses that never end. `hostile_memory.rs` measures how much memory they take.

use std::time::Duration;

use everstream_testing::{Reply, Server};

use super::outcome::{Row, check_with};
use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    endless_parts_beyond_the_limits_are_named_faults,
    endless_streams_within_the_limits_can_be_cancelled_and_closed,
    a_million_tiny_events_in_one_chunk_arrive_in_order,
);

const TOO_LARGE: &[&str] = &[
    "start",
    "final TooLarge: an event is larger than the limit of 65536 bytes",
];

const HEAD_TOO_LARGE: &[&str] =
    &["Request: the head of the response is larger than 512 KiB [Malformed]"];

const NOT_HTTP: &[&str] =
    &["Request: the server didn't answer with HTTP/1.1 or HTTP/1.0 [Malformed]"];

const CHUNK_LINE_TOO_LONG: &[&str] = &[
    "start",
    "Read: the response has a chunk extension larger than 16 KiB [Malformed]",
];

const TRAILERS: &[&str] = &[
    "start",
    "event a",
    "Read: the response has invalid or oversized trailers [Malformed]",
];

fn endless(before: &str, repeated: &str) -> Reply {
    // In writes of an efficient size.
    let times = (32 << 10) / repeated.len();
    Reply::raw(before).send_forever(repeated.repeat(times))
}

/// A close-delimited stream, so that only the repeated part is endless.
fn stream(before: &str, repeated: &str) -> Reply {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    endless(&[head, before].concat(), repeated)
}

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunked(before: &str, repeated: &str) -> Reply {
    endless(&[CHUNKED, before].concat(), repeated)
}

fn endless_parts_beyond_the_limits_are_named_faults<C: Client>() {
    let rows: [Row<'_>; 23] = [
        ("a line of data", stream("data: ", "x"), TOO_LARGE),
        (
            "a line of invalid UTF-8",
            Reply::stream().send("data: ").send_forever([0xFF; 1 << 15]),
            TOO_LARGE,
        ),
        ("lines of data", stream("", "data: x\n"), TOO_LARGE),
        ("empty lines of data", stream("", "data\n"), TOO_LARGE),
        ("a comment", stream(":", "x"), TOO_LARGE),
        ("an unknown field", stream("unknown: ", "x"), TOO_LARGE),
        ("a field's name", stream("", "x"), TOO_LARGE),
        ("a retry", stream("retry: ", "0"), TOO_LARGE),
        ("an id", stream("id: ", "x"), TOO_LARGE),
        ("a type", stream("event: ", "x"), TOO_LARGE),
        (
            "a status line",
            endless("HTTP/1.1 200 ", "x"),
            HEAD_TOO_LARGE,
        ),
        ("an invalid status line", endless("", "x"), NOT_HTTP),
        (
            "blank lines before a status line",
            endless("", "\r\n"),
            HEAD_TOO_LARGE,
        ),
        (
            "informational responses",
            endless("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
            &["Request: the server sent more than 64 informational responses [Malformed]"],
        ),
        (
            "headers",
            endless("HTTP/1.1 200 OK\r\n", "X-More: 1\r\n"),
            &["Request: the response has more than 1024 header lines [Malformed]"],
        ),
        (
            "a header's value",
            endless("HTTP/1.1 200 OK\r\nX-More: ", "x"),
            HEAD_TOO_LARGE,
        ),
        (
            "a header's name",
            endless("HTTP/1.1 200 OK\r\n", "x"),
            HEAD_TOO_LARGE,
        ),
        (
            "a chunk's extension",
            chunked("9;", "x"),
            CHUNK_LINE_TOO_LONG,
        ),
        // Each extension is short; the limit applies to the contents of the chunks.
        (
            "extensions of many chunks",
            chunked("", "1;x=y\r\n:\r\n"),
            TOO_LARGE,
        ),
        (
            "zeros of a chunk's size",
            chunked("", "0"),
            CHUNK_LINE_TOO_LONG,
        ),
        (
            "a chunk's size",
            chunked("", "1"),
            &[
                "start",
                "Read: the response has an invalid chunk size [Malformed]",
            ],
        ),
        (
            "trailers",
            chunked("9\r\ndata: a\n\n\r\n0\r\n", "X-More: 1\r\n"),
            TRAILERS,
        ),
        (
            "a trailer",
            chunked("9\r\ndata: a\n\n\r\n0\r\nX-More: ", "x"),
            TRAILERS,
        ),
    ];
    check_with::<C>(&rows, |url| quick(url).max_event_size(64 << 10));
}

/// Each of these is a valid stream, so only the user can stop it.
fn endless_streams_within_the_limits_can_be_cancelled_and_closed<C: Client>() {
    for (what, reply) in [
        ("comments", stream("", ":\n")),
        ("blank lines", stream("", "\n")),
        ("retries", stream("", "retry: 1\nretry: 2\n")),
        ("ids without data", stream("", "id: 1\n\nid: 2\n\n")),
        ("types without data", stream("", "event: x\n\n")),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let mut client = C::with(quick(server.url("/")).max_event_size(64 << 10));
        let event = client.event_within(Duration::from_millis(50));
        assert!(event.is_none(), "{what}: {event:?}");
        assert!(server.request_count() <= 1, "{what}");
        client.close();
        assert!(client.next_event().is_none(), "{what}");
        assert!(server.wait_for_open_connections(0, LIMIT), "{what}");
    }
}

fn a_million_tiny_events_in_one_chunk_arrive_in_order<C: Client>() {
    const EVENTS: usize = 1_000_000;
    let events: String = (0..EVENTS)
        .map(|number| format!("data:{number}\n\n"))
        .collect();
    let server = Server::start();
    server.otherwise(Reply::stream().send(events).end());
    let mut client = C::quick(server.url("/"));
    client.expect_start();
    for number in 0..EVENTS {
        let event = client.next_event().unwrap().unwrap();
        assert_eq!(event.data().parse(), Ok(number));
    }
    client.expect_clean_end();
    assert_eq!(server.request_count(), 1);
}
