//! Responses that violate RFC 9112 but are accepted. That is safe because each request has its own
//! connection, so nothing can be taken for the next response.

use everstream::Headers;
use everstream_testing::{Reply, Server};

use super::outcome::{Row, check};
use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    chunked_http_1_0_responses_are_decoded,
    folded_header_lines_are_joined,
    up_to_1024_header_lines_are_accepted,
    heads_of_up_to_512_kib_are_accepted,
    a_status_line_needs_no_reason,
);

const TYPE: &str = "Content-Type: text/event-stream\r\n";
const A: &[&str] = &["start", "event a", "end"];
const CHUNK: &str = "9\r\ndata: a\n\n\r\n";

/// Keeps the connection open, so that only the framing can end the response.
fn raw(parts: &[&str]) -> Reply {
    Reply::raw(parts.concat()).stall()
}

/// Python's `http.server`, and programs built on it, send them.
fn chunked_http_1_0_responses_are_decoded<C: Client>() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let head = |headers: &str| ["HTTP/1.0 200 OK\r\n", TYPE, chunked, headers, "\r\n"].concat();
    let whole = [CHUNK, "0\r\n\r\n"].concat();
    let cut: &[&str] = &[
        "start",
        "event a",
        "Read: the server closed the connection mid-response [Closed]",
    ];
    let rows: [Row<'_>; 5] = [
        ("without keep-alive", raw(&[&head(""), &whole]), A),
        (
            "with keep-alive",
            raw(&[&head("Connection: keep-alive\r\n"), &whole]),
            A,
        ),
        (
            "with close",
            raw(&[&head("Connection: close\r\n"), &whole]),
            A,
        ),
        (
            "byte by byte",
            raw(&[&head("Connection: keep-alive\r\n"), &whole]).in_pieces(1),
            A,
        ),
        (
            "cut",
            Reply::raw([&head(""), CHUNK].concat()).drop_connection(),
            cut,
        ),
    ];
    check::<C>(&rows);
}

/// Returns the parsed headers of a stream with these header lines.
fn headers<C: Client>(lines: &str) -> Headers {
    let server = Server::start();
    server.otherwise(raw(&["HTTP/1.1 200 OK\r\n", lines, "\r\ndata: a\n\n"]));
    let mut client = C::with(quick(server.url("/")));
    let start = client.expect_start();
    client.expect_event("a");
    start.headers.unwrap()
}

fn folded_header_lines_are_joined<C: Client>() {
    let folded = headers::<C>(
        "Content-Type: text/event-stream;\r\n charset=utf-8\r\nX-A: a\r\n\t b\r\n  c\r\nX-B: d\r\n",
    );
    assert_eq!(
        folded.get("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(folded.get("x-a"), Some("a b c"));
    assert_eq!(folded.get("x-b"), Some("d"));
    let begins_on_the_next_line = headers::<C>("Content-Type:\r\n text/event-stream\r\n");
    assert_eq!(
        begins_on_the_next_line.get("content-type"),
        Some("text/event-stream")
    );
}

fn numbered(count: usize) -> String {
    (0..count)
        .map(|number| format!("X-{number}: {number}\r\n"))
        .collect()
}

fn up_to_1024_header_lines_are_accepted<C: Client>() {
    let many = headers::<C>(&(numbered(300) + TYPE));
    for number in 0..300 {
        assert_eq!(many.get(&format!("x-{number}")), Some(&*number.to_string()));
    }
    let head = |count| {
        raw(&[
            "HTTP/1.1 200 OK\r\n",
            TYPE,
            &numbered(count),
            "\r\n",
            "data: a\n\n",
        ])
    };
    check::<C>(&[
        ("the most", Reply::raw(head(1023).wire_bytes()), A),
        (
            "one more",
            head(1024),
            &["Request: the response has more than 1024 header lines [Malformed]"],
        ),
    ]);
}

fn heads_of_up_to_512_kib_are_accepted<C: Client>() {
    // Everything before the long value.
    let before = ["HTTP/1.1 200 OK\r\n", TYPE, "X-Long: "].concat();
    let head =
        |length: usize| [&before, &*"x".repeat(length - before.len() - 4), "\r\n\r\n"].concat();
    let most = 512 << 10;
    let long = |length: usize| Reply::raw(head(length) + "data: a\n\n");
    let too_large: &[&str] =
        &["Request: the head of the response is larger than 512 KiB [Malformed]"];
    check::<C>(&[
        ("400 KiB", long(400 << 10), A),
        ("500 KiB", long(500 << 10), A),
        (
            "too long without an end",
            Reply::raw(&head(most + 5)[..most]).stall(),
            too_large,
        ),
    ]);
}

fn a_status_line_needs_no_reason<C: Client>() {
    let after = |line: &str| Reply::raw([line, "\r\n", TYPE, "\r\ndata: a\n\n"].concat());
    check::<C>(&[
        ("with the space", after("HTTP/1.1 200 "), A),
        ("without the space", after("HTTP/1.1 200"), A),
        ("HTTP/1.0", after("HTTP/1.0 200"), A),
        ("two spaces", after("HTTP/1.1  200  OK"), A),
        (
            "in an error",
            after("HTTP/1.1 404"),
            &["final Status: http"],
        ),
    ]);
}
