//! Which responses are accepted as streams, and what faults report about the others.

use std::error::Error as _;

use everstream::{Action, FailureKind, Fault, Http};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    other_statuses_are_final,
    a_204_ends_a_stream,
    every_2xx_with_the_right_type_is_a_stream,
    wrong_content_types_are_refused,
    event_stream_types_in_every_spelling_are_accepted,
    a_missing_content_type_is_refused,
    any_content_type_is_accepted_if_configured,
    an_error_keeps_the_first_kib_of_the_body,
    an_error_keeps_headers_and_url,
    errors_do_not_reveal_secrets_of_the_url,
    a_broken_error_body_does_not_hide_the_error,
    a_stalled_error_body_does_not_block_the_error,
    an_unsupported_coding_is_a_named_fault,
    the_identity_coding_is_ignored,
    a_start_has_status_headers_and_url,
    a_disconnect_is_described_in_one_sentence_with_a_kind,
    a_fault_describes_its_cause,
);

fn other_statuses_are_final<C: Client>() {
    let statuses = [
        204, 205, 300, 304, 305, 400, 401, 403, 404, 408, 410, 429, 500, 502, 503, 504,
    ];
    for status in statuses {
        let server = Server::start();
        // A 205 fails because of its missing content type.
        server.otherwise(Reply::status(status));
        let mut client = C::quick(server.url("/"));

        let fault = client.expect_error();
        assert_eq!(fault.status(), Some(status));
        assert_eq!(
            matches!(fault, Fault::Status(_)),
            status != 205,
            "{fault:?}"
        );
        assert_eq!(server.request_count(), 1);
    }
}

fn a_204_ends_a_stream<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").end());
    server.otherwise(Reply::status(204).header("Content-Type", "text/event-stream"));
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.event_data(), "a");
    assert_eq!(client.last_error().status(), Some(204));
    assert_eq!(server.request_count(), 2);
}

fn every_2xx_with_the_right_type_is_a_stream<C: Client>() {
    for status in [200, 201, 202, 203, 206] {
        let server = Server::start();
        server.otherwise(Reply::stream().with_status(status).event("a").stall());
        let mut client = C::quick(server.url("/"));
        assert_eq!(client.expect_start().status, Some(status));
        client.expect_event("a");
    }
}

fn wrong_content_types_are_refused<C: Client>() {
    for wrong in [
        "text/plain",
        "text/event-streamfoo",
        "text/event",
        "text/event-stream-x; charset=utf-8",
        "application/json",
        "text/html; text/event-stream",
        "text/*",
        "",
        ";",
    ] {
        let server = Server::start();
        server.otherwise(
            Reply::stream()
                .header("Content-Type", wrong)
                .event("a")
                .end(),
        );
        let mut client = C::quick(server.url("/"));

        let fault = client.expect_error();
        assert!(matches!(fault, Fault::ContentType(_)), "{wrong}: {fault:?}");
        let headers = fault.headers().unwrap();
        assert_eq!(headers.get("content-type"), Some(wrong));
        assert_eq!(fault.status(), Some(200));
        assert_eq!(server.request_count(), 1);
    }
}

fn event_stream_types_in_every_spelling_are_accepted<C: Client>() {
    for right in [
        "text/event-stream",
        "Text/Event-Stream",
        "TEXT/EVENT-STREAM;CHARSET=UTF-8",
        "text/event-stream; charset=utf-8",
        "text/event-stream ;x=y; z",
        "text/event-stream;",
    ] {
        let server = Server::start();
        server.otherwise(
            Reply::stream()
                .header("Content-Type", right)
                .event("a")
                .stall(),
        );
        assert_eq!(C::quick(server.url("/")).event_data(), "a", "{right}");
    }
}

fn a_missing_content_type_is_refused<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .without_header("Content-Type")
            .event("a")
            .end(),
    );
    let mut client = C::quick(server.url("/"));

    let fault = client.expect_error();
    assert!(matches!(fault, Fault::ContentType(_)), "{fault:?}");
    assert!(
        fault.to_string().contains("without a content type"),
        "{fault}"
    );
}

fn any_content_type_is_accepted_if_configured<C: Client>() {
    let replies = [
        Reply::stream().without_header("Content-Type"),
        Reply::stream().header("Content-Type", "text/plain"),
        Reply::stream().header("Content-Type", "text/html; charset=iso-8859-1"),
        Reply::stream().header("Content-Type", ""),
        Reply::stream(),
    ];
    for reply in replies {
        let server = Server::start();
        server.otherwise(reply.event("é").stall());
        let http = Http::new(server.url("/")).any_content_type(true);
        // Decoded as UTF-8, whatever the header says.
        assert_eq!(C::quick(http).event_data(), "é");
    }
    for status in [204, 404, 500] {
        let server = Server::start();
        server.otherwise(Reply::stream().with_status(status).event("a").end());
        let http = Http::new(server.url("/")).any_content_type(true);
        let fault = C::quick(http).expect_error();
        assert!(matches!(fault, Fault::Status(_)), "{status}: {fault:?}");
    }
}

fn an_error_keeps_the_first_kib_of_the_body<C: Client>() {
    let body: Vec<u8> = (0..5000).map(|n| b'a' + (n % 26) as u8).collect();
    for length in [0, 1, 1023, 1024, 1025, 5000] {
        let server = Server::start();
        server.otherwise(Reply::status(404).send(&body[..length]));
        let mut client = C::quick(server.url("/"));

        let fault = client.expect_error();
        assert_eq!(fault.response().unwrap().body, body[..length.min(1024)]);
    }
}

fn an_error_keeps_headers_and_url<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/moved?x=1"));
    server.enqueue(
        Reply::status(503)
            .header("Retry-After", "7")
            .append_header("X-Many", "a")
            .append_header("X-Many", "b"),
    );
    let mut client = C::quick(server.url("/"));

    let error = client.last_error();
    assert_eq!(error.status(), Some(503));
    let headers = error.headers().unwrap();
    assert_eq!(headers.get("RETRY-AFTER"), Some("7"));
    assert_eq!(headers.get_all("x-many").collect::<Vec<_>>(), ["a", "b"]);
    let response = error.fault().unwrap().response().unwrap();
    assert_eq!(response.url, server.url("/moved?x=1"));
    assert_eq!(response.retry_after.unwrap().as_secs(), 7);
}

fn errors_do_not_reveal_secrets_of_the_url<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let url = server.url("/feed?token=hidden#hidden");
    let url = url.replace("http://", "http://user:hidden@");
    let mut client = C::quick(url);

    let error = client.last_error();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("/feed"), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");

    server.stop();
    let refused = format!("{:?}", client.next_action());
    assert!(refused.contains("Connect"), "{refused}");
    assert!(!refused.contains("hidden"), "{refused}");
}

fn a_broken_error_body_does_not_hide_the_error<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::status(500)
            .content_length(100)
            .send("part")
            .drop_connection(),
    );
    let fault = C::quick(server.url("/")).expect_error();
    assert_eq!(fault.status(), Some(500));
    assert_eq!(fault.response().unwrap().body, b"part");
}

fn a_stalled_error_body_does_not_block_the_error<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(500).content_length(100).send("part").stall());
    let fault = C::quick(server.url("/")).expect_error();
    assert_eq!(fault.status(), Some(500));
    assert_eq!(fault.response().unwrap().body, b"part");
}

fn an_unsupported_coding_is_a_named_fault<C: Client>() {
    for coding in ["compress", "x-unheard-of", "gzip, compress"] {
        let server = Server::start();
        server.otherwise(
            Reply::stream()
                .header("Content-Encoding", coding)
                .send("x")
                .end(),
        );
        let fault = C::quick(server.url("/")).expect_error();
        assert!(matches!(fault, Fault::ContentEncoding(_)), "{fault:?}");
        assert!(fault.to_string().contains(coding), "{fault}");
        assert_eq!(server.request_count(), 1);
    }
}

fn the_identity_coding_is_ignored<C: Client>() {
    for coding in ["identity", "Identity"] {
        let server = Server::start();
        server.otherwise(
            Reply::stream()
                .header("Content-Encoding", coding)
                .event("a")
                .stall(),
        );
        assert_eq!(C::quick(server.url("/")).event_data(), "a");
    }
}

fn a_start_has_status_headers_and_url<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "other?x=1"));
    server.enqueue(Reply::stream().header("X-Shard", "7").stall());
    let mut client = C::quick(server.url("/a/b"));

    let start = client.expect_start();
    assert_eq!(start.status, Some(200));
    assert_eq!(start.header("x-shard"), Some("7"));
    assert_eq!(start.url, Some(server.url("/a/other?x=1")));
    assert_eq!(start.attempt, 1);
}

fn a_disconnect_is_described_in_one_sentence_with_a_kind<C: Client>() {
    const CLOSED: &str = "the server closed the connection mid-response";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    for (reply, message, kind) in [
        (
            Reply::stream().event("a").drop_connection(),
            CLOSED,
            FailureKind::Closed,
        ),
        (
            Reply::stream().event("a").cut_after(10),
            "the server closed the connection before responding",
            FailureKind::Closed,
        ),
        (
            Reply::raw(format!("{head}Content-Length: 20\r\n\ndata: a\n\n")),
            CLOSED,
            FailureKind::Closed,
        ),
        (
            Reply::stream().event("a").reset(),
            "the server reset the connection mid-response",
            FailureKind::Reset,
        ),
        (
            Reply::raw("").drop_connection(),
            "the server closed the connection before responding",
            FailureKind::Closed,
        ),
    ] {
        let server = Server::start();
        server.enqueue(reply);
        let mut client = C::quick(server.url("/?token=secret"));
        let fault = loop {
            match client.next_action() {
                Some(Ok(Action::Start(_) | Action::Event(_))) => {}
                Some(Ok(Action::Fault(fault))) => break fault,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(fault.to_string(), message);
        assert!(fault.is_disconnect());
        assert_eq!(fault.failure().unwrap().kind(), kind);
        assert!(fault.source().is_none(), "no library error as the source");
    }
}

fn a_fault_describes_its_cause<C: Client>() {
    let server = Server::start();
    server.stop();
    let fault = C::quick(server.url("/")).expect_fault();
    let refused = format!("connection refused by {}", server.addr());
    assert_eq!(fault.to_string(), refused);
    assert!(fault.source().is_none(), "the message isn't repeated");
}
