//! Unusual, old and malformed HTTP.

use everstream_testing::{Reply, Server};

use super::outcome::{Row, check, outcome, seen_until};
use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    informational_responses_are_skipped,
    http_1_0_and_minimal_responses_are_accepted,
    malformed_heads_are_named_faults,
    wrong_lengths_are_named_faults,
    malformed_chunks_are_named_faults_after_the_received_events,
    a_response_before_the_request_is_a_fault_or_accepted,
    bytes_after_a_response_are_never_taken_for_the_next_one,
);

const TYPE: &str = "Content-Type: text/event-stream\r\n";
const A: &[&str] = &["start", "event a", "end"];
const CLOSED: &[&str] = &["Request: the server closed the connection before responding [Closed]"];
const NOT_HTTP: &[&str] =
    &["Request: the server didn't answer with HTTP/1.1 or HTTP/1.0 [Malformed]"];
const CUT: &[&str] = &[
    "start",
    "event a",
    "Read: the server closed the connection mid-response [Closed]",
];

/// Sends these parts and closes the connection.
fn raw(parts: &[&str]) -> Reply {
    Reply::raw(parts.concat())
}

fn informational_responses_are_skipped<C: Client>() {
    let ok = [
        "HTTP/1.1 200 OK\r\n",
        TYPE,
        "Content-Length: 9\r\n\r\ndata: a\n\n",
    ]
    .concat();
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
    check::<C>(&[
        ("100", raw(&["HTTP/1.1 100 Continue\r\n\r\n", &ok]), A),
        ("102", raw(&["HTTP/1.1 102 Processing\r\n\r\n", &ok]), A),
        ("103", raw(&[hints, &ok]), A),
        ("199", raw(&["HTTP/1.1 199 What\r\n\r\n", &ok]), A),
        (
            "100 and 103",
            raw(&["HTTP/1.1 100 Continue\r\n\r\n", hints, &ok]),
            A,
        ),
        ("sixty-four", raw(&[&hints.repeat(64), &ok]), A),
        (
            "sixty-five",
            raw(&[&hints.repeat(65), &ok]),
            &["Request: the server sent more than 64 informational responses [Malformed]"],
        ),
        (
            "with a type",
            raw(&["HTTP/1.1 103 Early Hints\r\n", TYPE, "\r\n", &ok]),
            A,
        ),
        ("byte by byte", raw(&[hints, &ok]).in_pieces(1), A),
        (
            "101 without an Upgrade request",
            raw(&[
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                &ok,
            ]),
            &["final Status: 101"],
        ),
        ("and then nothing", raw(&[hints]), CLOSED),
    ]);
}

fn http_1_0_and_minimal_responses_are_accepted<C: Client>() {
    let body = "\r\ndata: a\n\n";
    check::<C>(&[
        (
            "1.0 without a length",
            raw(&["HTTP/1.0 200 OK\r\n", TYPE, body]),
            A,
        ),
        (
            "1.0 with a length",
            raw(&["HTTP/1.0 200 OK\r\n", TYPE, "Content-Length: 9\r\n", body]),
            A,
        ),
        (
            "1.0 keep-alive",
            raw(&[
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
                TYPE,
                "Content-Length: 9\r\n",
                body,
            ]),
            A,
        ),
        (
            "1.1 without a length",
            raw(&["HTTP/1.1 200 OK\r\n", TYPE, body]),
            A,
        ),
        (
            "Connection: close",
            raw(&["HTTP/1.1 200 OK\r\nConnection: close\r\n", TYPE, body]),
            A,
        ),
        (
            "half an event to the close",
            raw(&["HTTP/1.0 200 OK\r\n", TYPE, body, "data: b"]),
            A,
        ),
        ("no reason", raw(&["HTTP/1.1 200 \r\n", TYPE, body]), A),
        (
            "no reason and no space",
            raw(&["HTTP/1.1 200\r\n", TYPE, body]),
            A,
        ),
        (
            "a non-ASCII reason",
            raw(&["HTTP/1.1 200 Gen\u{fc}gend\r\n", TYPE, body]),
            A,
        ),
        (
            "lone LFs",
            raw(&[
                "HTTP/1.1 200 OK\n",
                "Content-Type: text/event-stream\n",
                "\ndata: a\n\n",
            ]),
            A,
        ),
        ("0.9", raw(&["data: a\n\n"]), NOT_HTTP),
        (
            "0.9, in HTML",
            raw(&["<html><body>data: a</body></html>\r\n\r\n"]),
            NOT_HTTP,
        ),
        ("1.2", raw(&["HTTP/1.2 200 OK\r\n", TYPE, body]), NOT_HTTP),
        ("2.0", raw(&["HTTP/2.0 200 OK\r\n", TYPE, body]), NOT_HTTP),
        (
            "lower case",
            raw(&["http/1.1 200 OK\r\n", TYPE, body]),
            NOT_HTTP,
        ),
        (
            "another protocol",
            raw(&["SSH-2.0-OpenSSH_9.9\r\n"]),
            NOT_HTTP,
        ),
        (
            "TLS",
            Reply::raw(b"\x15\x03\x01\x00\x02\x02\x16".as_slice()),
            NOT_HTTP,
        ),
        ("blank lines", raw(&["\r\n\r\n\r\n"]), CLOSED),
        ("NULs", Reply::raw([0; 64]), NOT_HTTP),
    ]);
}

fn malformed_heads_are_named_faults<C: Client>() {
    let head = |line: &str| raw(&["HTTP/1.1 200 OK\r\n", TYPE, line, "\r\n\r\ndata: a\n\n"]);
    let status = |line: &str| raw(&[line, "\r\n", TYPE, "\r\ndata: a\n\n"]);
    let status_fault: &[&str] = &["Request: the response has an invalid status line [Malformed]"];
    let name_fault: &[&str] = &["Request: the response has an invalid header name [Malformed]"];
    let value_fault: &[&str] = &["Request: the response has an invalid header value [Malformed]"];
    check::<C>(&[
        (
            "a status of letters",
            status("HTTP/1.1 abc OK"),
            status_fault,
        ),
        (
            "a status of two digits",
            status("HTTP/1.1 20 OK"),
            status_fault,
        ),
        (
            "a status of four digits",
            status("HTTP/1.1 2000 OK"),
            status_fault,
        ),
        (
            "a negative status",
            status("HTTP/1.1 -200 OK"),
            status_fault,
        ),
        ("status 0", status("HTTP/1.1 000 OK"), status_fault),
        (
            "status 999",
            status("HTTP/1.1 999 OK"),
            &["final Status: 999"],
        ),
        ("NUL in a value", head("X-A: a\0b"), value_fault),
        ("NUL in a name", head("X\0A: b"), name_fault),
        (
            "a control character in a value",
            head("X-A: a\x01b"),
            value_fault,
        ),
        ("a lone CR in a value", head("X-A: a\rb"), value_fault),
        ("a folded line", head("X-A: a\r\n b"), A),
        ("a line without a colon", head("no-colon"), name_fault),
        ("a space before the colon", head("X-A : b"), A),
        ("no name", head(": b"), name_fault),
        ("a non-ASCII name", head("X-\u{e9}: b"), name_fault),
        ("an empty value", head("X-A:"), A),
        (
            "a value that isn't UTF-8",
            Reply::raw(
                [
                    b"HTTP/1.1 200 OK\r\n",
                    TYPE.as_bytes(),
                    b"X-A: \xE9\r\n\r\ndata: a\n\n",
                ]
                .concat(),
            ),
            A,
        ),
    ]);
}

fn wrong_lengths_are_named_faults<C: Client>() {
    let reply =
        |headers: &str, body: &str| raw(&["HTTP/1.1 200 OK\r\n", TYPE, headers, "\r\n", body]);
    let chunked = "9\r\ndata: a\n\n\r\n0\r\n\r\n";
    let invalid: &[&str] = &["Request: the response has an invalid Content-Length [Malformed]"];
    let rows: [Row<'_>; 14] = [
        (
            "too long a length",
            reply("Content-Length: 20\r\n", "data: a\n\n"),
            CUT,
        ),
        (
            "too short a length",
            reply("Content-Length: 9\r\n", "data: a\n\ndata: b\n\n"),
            A,
        ),
        (
            "a length within an event",
            reply("Content-Length: 7\r\n", "data: a\n\n"),
            &["start", "end"],
        ),
        (
            "length 0",
            reply("Content-Length: 0\r\n", "data: a\n\n"),
            &["start", "end"],
        ),
        (
            "the same twice",
            reply("Content-Length: 9\r\nContent-Length: 9\r\n", "data: a\n\n"),
            A,
        ),
        (
            "two lengths",
            reply("Content-Length: 9\r\nContent-Length: 8\r\n", "data: a\n\n"),
            &["Request: the response has several different Content-Lengths [Malformed]"],
        ),
        (
            "a negative length",
            reply("Content-Length: -1\r\n", "data: a\n\n"),
            invalid,
        ),
        (
            "a length of letters",
            reply("Content-Length: nine\r\n", "data: a\n\n"),
            invalid,
        ),
        (
            "a length beyond 64 bits",
            reply("Content-Length: 99999999999999999999999\r\n", "data: a\n\n"),
            invalid,
        ),
        (
            "the longest",
            reply("Content-Length: 18446744073709551615\r\n", "data: a\n\n"),
            CUT,
        ),
        (
            "one more",
            reply("Content-Length: 18446744073709551616\r\n", "data: a\n\n"),
            invalid,
        ),
        // RFC 9112, section 6.3: Transfer-Encoding overrides Content-Length.
        (
            "a length and chunks",
            reply(
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                chunked,
            ),
            A,
        ),
        (
            "chunks and a length",
            reply(
                "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                chunked,
            ),
            A,
        ),
        (
            "an unknown transfer coding",
            reply("Transfer-Encoding: x\r\n", "data: a\n\n"),
            &["Request: the response has a Transfer-Encoding other than chunked [Malformed]"],
        ),
    ];
    check::<C>(&rows);
}

fn malformed_chunks_are_named_faults_after_the_received_events<C: Client>() {
    let chunks = |body: &str| {
        raw(&[
            "HTTP/1.1 200 OK\r\n",
            TYPE,
            "Transfer-Encoding: chunked\r\n\r\n",
            body,
        ])
    };
    let a = "9\r\ndata: a\n\n\r\n";
    let after_a = |body: &str| chunks(&[a, body].concat());
    let size: &[&str] = &[
        "start",
        "event a",
        "Read: the response has an invalid chunk size [Malformed]",
    ];
    let chunk_end =
        "Read: a chunk of the response doesn't end with CRLF after its declared size [Malformed]";
    check::<C>(&[
        (
            "sizes in capitals, with zeros and extensions",
            chunks("0009 ; x=\"y\"\r\ndata: a\n\n\r\n000\r\n\r\n"),
            A,
        ),
        (
            "with trailers",
            chunks("9\r\ndata: a\n\n\r\n0\r\nX-A: 1\r\n\r\n"),
            A,
        ),
        (
            "a size that is too small",
            after_a("5\r\ndata: b\n\n\r\n0\r\n\r\n"),
            &["start", "event a", chunk_end],
        ),
        (
            "a size that is too large",
            after_a("9\r\ndata: b\r\n0\r\n\r\n"),
            &["start", "event a", chunk_end],
        ),
        ("a size of letters", after_a("xyz\r\ndata: b\n\n\r\n"), size),
        ("no size", after_a("\r\ndata: b\n\n\r\n"), size),
        ("a negative size", after_a("-9\r\ndata: b\n\n\r\n"), size),
        (
            "a size in hexadecimal notation",
            after_a("0x9\r\ndata: b\n\n\r\n"),
            size,
        ),
        (
            "a size beyond 64 bits",
            after_a("10000000000000009\r\ndata: b\n\n\r\n"),
            size,
        ),
        (
            "a size ended by LF",
            after_a("9\ndata: b\n\n\r\n0\r\n\r\n"),
            size,
        ),
        (
            "a chunk without its CRLF",
            after_a("9\r\ndata: b\n\n0\r\n\r\n"),
            &["start", "event a", "event b", chunk_end],
        ),
        ("no last chunk", chunks(a), CUT),
        (
            "not chunked at all",
            chunks("data: a\n\n"),
            &[
                "start",
                "Read: the response has an invalid chunk size [Malformed]",
            ],
        ),
    ]);
}

/// The outcome depends on whether the client sends its request before it gets the response.
fn a_response_before_the_request_is_a_fault_or_accepted<C: Client>() {
    for _ in 0..20 {
        let early = Reply::on_accept().send(Reply::stream().event("a").end().wire_bytes());
        let seen = outcome::<C>(early, quick);
        let whole = seen == A;
        let refused = matches!(&*seen, [one] if one.starts_with("Request: "));
        assert!(whole || refused, "{seen:?}");
    }
}

/// Neither on the same connection nor on another.
fn bytes_after_a_response_are_never_taken_for_the_next_one<C: Client>() {
    let poison = Reply::stream().event("poison").end().wire_bytes();
    for follows in [
        &poison[..],
        b"data: poison\n\n",
        b"\r\n",
        b"HTTP/1.1",
        b"\0",
    ] {
        for first in [
            Reply::stream().event("a").end(),
            Reply::stream().content_length(9).send("data: a\n\n"),
        ] {
            let server = Server::start();
            let wire = [&first.wire_bytes()[..], follows].concat();
            // Leave the connection open for another request.
            server.enqueue(Reply::raw(wire).end());
            server.otherwise(Reply::stream().event("b").stall());
            let mut client = C::quick(server.url("/"));
            let seen = seen_until(&mut client, "b");
            let reconnected = &seen[..3] == A && seen.last().is_some_and(|last| last == "start");
            assert!(reconnected, "{seen:?}");
            assert!(!seen.concat().contains("poison"), "{seen:?}");
        }
    }
}
