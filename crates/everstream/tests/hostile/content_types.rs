//! Content types in every spelling (WHATWG HTML 9.2.3; Fetch, "extract a MIME type").

use everstream::Fault;
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    event_stream_content_types_are_accepted,
    other_content_types_are_refused_and_named,
);

/// The `Content-Type` lines of responses that are event streams.
const STREAMS: [&[&str]; 26] = [
    &["text/event-stream"],
    &["TEXT/EVENT-STREAM"],
    &["Text/Event-Stream"],
    &["tExT/eVeNt-StReAm"],
    &["text/event-stream;"],
    &["text/event-stream;;"],
    &["text/event-stream ;"],
    &["  text/event-stream  "],
    &["\ttext/event-stream\t;\tcharset=utf-8"],
    &["text/event-stream;charset=utf-8"],
    &["text/event-stream; charset=UTF-8"],
    &["text/event-stream; Charset=\"utf-8\""],
    &["text/event-stream; charset='utf-8'"],
    // The encoding is UTF-8, whatever the charset says.
    &["text/event-stream; charset=iso-8859-1"],
    &["text/event-stream; charset"],
    &["text/event-stream; charset="],
    &["text/event-stream; =; ==; \""],
    &["text/event-stream; a=\"b, text/html"],
    &["text/event-stream; a=\"b\\\", text/html\""],
    &["text/event-stream; a=b; a=c; charset=utf-8; charset=utf-8"],
    &["text/event-stream; a=\u{e9}"],
    // The last of several types counts, wherever the commas are.
    &["text/event-stream", "text/event-stream"],
    &["text/event-stream, text/event-stream"],
    &["text/html", "text/event-stream"],
    &["text/html; a=\",\", text/event-stream"],
    // Invalid types are ignored.
    &["text/event-stream, */*", "nonsense", ","],
];

/// The `Content-Type` lines of other responses.
const OTHERS: [&[&str]; 26] = [
    &[],
    &[""],
    &[" "],
    &[";"],
    &[","],
    &["text"],
    &["/"],
    &["text/"],
    &["/event-stream"],
    &["text/event-strea"],
    &["text/event-streamfoo"],
    &["text/event-stream-x"],
    &["text/event-stream charset=utf-8"],
    &["text/event stream"],
    &["text/event_stream"],
    &["text/ event-stream"],
    &["text /event-stream"],
    &["\"text/event-stream\""],
    &["xtext/event-stream"],
    &["application/event-stream"],
    &["application/json"],
    &["text/html; text/event-stream"],
    &["text/html; a=\"b, text/event-stream\""],
    &["*/*"],
    &["text/event-stream, text/html"],
    &["text/event-stream", "text/html"],
];

fn answer(types: &[&str]) -> Reply {
    let untyped = Reply::stream().without_header("Content-Type");
    let add = |reply: Reply, value: &&str| reply.append_header("Content-Type", *value);
    types.iter().fold(untyped, add).event("a").end()
}

fn event_stream_content_types_are_accepted<C: Client>() {
    for types in STREAMS {
        let server = Server::start();
        server.otherwise(answer(types));
        let mut client = C::quick(server.url("/"));
        match client.next_event() {
            Some(Ok(event)) => assert_eq!(event.data(), "a"),
            other => panic!("{types:?}: {other:?}"),
        }
    }
}

fn other_content_types_are_refused_and_named<C: Client>() {
    for types in OTHERS {
        let server = Server::start();
        server.otherwise(answer(types));
        let fault = C::quick(server.url("/")).expect_error();
        assert!(
            matches!(fault, Fault::ContentType(_)),
            "{types:?}: {fault:?}"
        );
        let message = fault.to_string();
        let named = match types.first() {
            Some(first) => format!("content type {:?} instead", first.trim()),
            None => "without a content type".into(),
        };
        assert!(message.contains(&named), "{types:?}: {message}");
        assert_eq!(server.request_count(), 1);
    }
}
