//! Corrupt, truncated and malicious compressed responses: no flushed event is lost, and memory stays
//! bounded.

use std::error::Error as _;
use std::io;

use everstream::{Action, Fault, SseClient, blocking};
use everstream_testing::{Reply, Server};

use super::client::{Client, both};
use super::compression::{ALL, Coding, compressed};
#[cfg(feature = "reqwest")]
use crate::support::reqwest_client;

const TEXTS: [&str; 3] = ["data: first\n\n", "data: second\n\n", "data: third\n\n"];

/// Sends the reply in one write, so that its end is in the same read as the flushed data.
fn in_one_write(reply: &Reply, after: &[u8]) -> Reply {
    let mut bytes = reply.wire_bytes();
    bytes.extend_from_slice(after);
    Reply::raw(bytes).drop_connection()
}

fn assert_all_events(client: &mut Client, context: &str) {
    for data in ["first", "second", "third"] {
        assert_eq!(client.event().data(), data, "{context}");
    }
}

fn read_fault(client: &mut Client, context: &str) -> Fault {
    match client.fault() {
        Some(fault @ Fault::Read(_)) => fault,
        other => panic!("{context}: {other:?}"),
    }
}

#[test]
fn an_error_in_the_same_read_as_flushed_data_loses_no_event() {
    both(|kind| {
        for coding in ALL {
            let (pieces, _) = coding.pieces(&TEXTS);
            let flushed = pieces.concat();
            let cut = coding.pieces(&[&TEXTS.concat(), "data: cut\n\n"]).0;
            let half = [&cut[0][..], &cut[1][..cut[1].len() / 2]].concat();
            let corrupt = [&flushed[..], &[0xff; 100]].concat();
            let stream = || compressed(coding);
            let breaks = [
                (
                    "the connection is dropped",
                    in_one_write(&stream().send(&*flushed).drop_connection(), b""),
                ),
                (
                    "in the middle of a chunk",
                    in_one_write(&stream().send(&*flushed).drop_connection(), b"100\r\n"),
                ),
                (
                    "invalid chunk framing follows",
                    in_one_write(&stream().send(&*flushed).drop_connection(), b"invalid"),
                ),
                (
                    "corrupt data follows",
                    in_one_write(&stream().send(corrupt).end(), b""),
                ),
                (
                    "a clean end in the middle of an event",
                    in_one_write(&stream().send(half).end(), b""),
                ),
                // Some servers never finish the coded stream. The events are delivered, but the end
                // can't be distinguished from a truncation.
                (
                    "a clean end after a flush",
                    in_one_write(&stream().send(&*flushed).end(), b""),
                ),
                (
                    "a close-delimited body",
                    in_one_write(&stream().close_delimited().send(&*flushed).end(), b""),
                ),
            ];
            for (what, reply) in breaks {
                let context = format!("{coding:?}: {what}");
                let server = Server::start();
                server.enqueue(reply);
                let mut client = kind.build(SseClient::builder(server.url("/")));
                assert_all_events(&mut client, &context);
                read_fault(&mut client, &context);
            }
        }
    });
}

#[test]
fn a_truncated_body_is_reported_as_truncated() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let body = coding.whole(&TEXTS.concat());
            server.enqueue(compressed(coding).send(&body[..body.len() - 1]).end());
            let mut client = kind.build(SseClient::builder(server.url("/")));
            assert_all_events(&mut client, coding.name());
            let fault = read_fault(&mut client, coding.name());
            let cause = fault.source().and_then(|cause| cause.downcast_ref());
            let cause: &io::Error = cause.expect("an I/O error");
            assert_eq!(cause.kind(), io::ErrorKind::UnexpectedEof);
            let text = cause.to_string();
            assert!(text.contains(coding.name()) && text.contains("ends"));
        }
    });
}

#[test]
fn an_empty_body_is_a_clean_end_in_every_coding() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            server.enqueue(compressed(coding).end());
            let mut client = kind.build(SseClient::builder(server.url("/")));
            client.started();
            assert!(client.fault().is_none(), "{coding:?}");
        }
    });
}

#[test]
fn several_members_are_decoded_as_one_body() {
    both(|kind| {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let server = Server::start();
            let members = TEXTS.map(|text| coding.whole(text));
            server.enqueue(compressed(coding).send(members.concat()).end());
            server.enqueue(compressed(coding).send_each(members).end());
            let builder = SseClient::builder(server.url("/"));
            let mut client = kind.build(builder.initial_retry_delay(std::time::Duration::ZERO));
            for _ in 0..2 {
                assert_all_events(&mut client, coding.name());
                assert!(client.fault().is_none(), "{coding:?}");
            }
        }
    });
}

#[test]
fn names_of_codings_are_case_insensitive() {
    both(|kind| {
        for (name, coding) in [
            ("GZIP", Coding::Gzip),
            ("X-Gzip", Coding::Gzip),
            ("Br", Coding::Brotli),
            ("ZSTD", Coding::Zstd),
        ] {
            let server = Server::start();
            let reply = Reply::stream().header("Content-Encoding", name);
            server.enqueue(reply.send(coding.whole("data: x\n\n")));
            let mut client = kind.build(SseClient::builder(server.url("/")));
            assert_eq!(client.event().data(), "x", "{name}");
        }
    });
}

#[test]
fn an_error_body_is_decoded_as_far_as_possible() {
    both(|kind| {
        for coding in ALL {
            let text = "the quota is used up. ".repeat(100);
            let body = coding.whole(&text);
            let cut = coding.pieces(&["the quota"]).0.concat();
            for (body, expected) in [(&body, &text[..1024]), (&cut, "the quota")] {
                let server = Server::start();
                let reply = Reply::status(429).header("Content-Encoding", coding.name());
                server.enqueue(reply.send(&**body).end());
                let fault = kind.build(SseClient::builder(server.url("/"))).any_fault();
                let error = fault.response().unwrap();
                assert_eq!(std::str::from_utf8(&error.body).unwrap(), expected);
            }
        }
        // A body in an unsupported coding is kept as it is.
        let server = Server::start();
        let reply = Reply::status(429).header("Content-Encoding", "sdch");
        server.enqueue(reply.send("as it is").end());
        let fault = kind.build(SseClient::builder(server.url("/"))).any_fault();
        assert_eq!(fault.response().unwrap().body, b"as it is");
    });
}

#[cfg(feature = "reqwest")]
#[test]
fn responses_of_a_custom_client_are_decoded() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let (pieces, _) = coding.pieces(&TEXTS);
            server.enqueue(in_one_write(
                &compressed(coding).send(pieces.concat()).drop_connection(),
                b"",
            ));
            let custom = reqwest_client::builder().build().unwrap();
            let http = everstream::Http::new(server.url("/")).client(custom);
            let mut client = kind.build(SseClient::builder(http));
            assert_all_events(&mut client, coding.name());
            read_fault(&mut client, coding.name());
        }
    });
}

/// With the blocking client, which does all its work on the measured thread.
#[test]
fn a_decompression_bomb_takes_little_memory() {
    const EVENTS: usize = 32 << 10;
    let event = format!("data: {}\n\n", "0".repeat(1016));
    let text = event.repeat(EVENTS);
    for coding in ALL {
        let server = Server::start();
        let body = coding.whole(&text);
        assert!(body.len() < text.len() / 300, "{coding:?}: {}", body.len());
        server.enqueue(compressed(coding).send(body).end());
        let mut client = blocking::SseClient::new(server.url("/")).unwrap();
        let mut events = 0;
        let used = allocation_counter::measure(|| {
            loop {
                match client.next_action() {
                    Some(Ok(Action::Event(_))) => events += 1,
                    Some(Ok(Action::Start(_))) => {}
                    other => break assert!(matches!(other, Some(Ok(Action::End(_))))),
                }
            }
        });
        assert_eq!(events, EVENTS, "{coding:?}");
        println!("{coding:?}: peak {} KiB", used.bytes_max >> 10);
        // The window of Brotli here is 1 MiB.
        assert!(used.bytes_max < 3 << 20, "{coding:?}: {}", used.bytes_max);
    }
}
