//! Compressed responses: flushed data is delivered immediately, and truncated data is a fault.

use std::io::Write;

use everstream::{Fault, Http, SseClient};
use everstream_testing::{Gate, Reply, Server};

use super::client::both;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstd,
    /// Never requested, but sent by some servers. This is the correct form, with zlib framing.
    Deflate,
}

pub(crate) const ALL: [Coding; 4] = [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Deflate];

impl Coding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Deflate => "deflate",
        }
    }

    /// Compresses the pieces with a flush after each. Also returns the end of the coded stream.
    pub(crate) fn pieces(self, pieces: &[&str]) -> (Vec<Vec<u8>>, Vec<u8>) {
        match self {
            Coding::Gzip => flushed(
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()),
                pieces,
                |encoder| encoder.get_mut(),
                |encoder| encoder.finish().unwrap(),
            ),
            Coding::Brotli => flushed(
                brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20),
                pieces,
                |encoder| encoder.get_mut(),
                |encoder| encoder.into_inner(),
            ),
            Coding::Zstd => flushed(
                zstd::Encoder::new(Vec::new(), 0).unwrap(),
                pieces,
                |encoder| encoder.get_mut(),
                |encoder| encoder.finish().unwrap(),
            ),
            Coding::Deflate => flushed(
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default()),
                pieces,
                |encoder| encoder.get_mut(),
                |encoder| encoder.finish().unwrap(),
            ),
        }
    }

    pub(crate) fn whole(self, text: &str) -> Vec<u8> {
        let (pieces, end) = self.pieces(&[text]);
        [pieces.concat(), end].concat()
    }
}

fn flushed<E: Write>(
    mut encoder: E,
    pieces: &[&str],
    inner: fn(&mut E) -> &mut Vec<u8>,
    finish: fn(E) -> Vec<u8>,
) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut flushed = Vec::new();
    for piece in pieces {
        encoder.write_all(piece.as_bytes()).unwrap();
        encoder.flush().unwrap();
        flushed.push(std::mem::take(inner(&mut encoder)));
    }
    (flushed, finish(encoder))
}

pub(crate) fn compressed(coding: Coding) -> Reply {
    Reply::stream().header("Content-Encoding", coding.name())
}

/// Returns pseudorandom digits, which no coding can compress well.
fn incompressible(length: usize) -> String {
    let mut state = 1_u64;
    let mut digits = String::with_capacity(length);
    while digits.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        digits += &format!("{:x}", state >> 32);
    }
    digits.truncate(length);
    digits
}

#[test]
fn a_flushed_event_is_delivered_while_the_response_continues() {
    let large = incompressible(200_000);
    let texts = [
        "tiny".to_string(),
        "x".repeat(100_000),
        large,
        "last".to_string(),
    ];
    let events: Vec<String> = texts
        .iter()
        .map(|text| format!("data: {text}\n\n"))
        .collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let (pieces, end) = coding.pieces(&events);
            let gates: Vec<Gate> = pieces.iter().map(|_| Gate::new()).collect();
            let mut reply = compressed(coding);
            for (piece, gate) in pieces.into_iter().zip(&gates) {
                reply = reply.send(piece).wait_for(gate);
            }
            server.enqueue(reply.send(end));
            let mut client = kind.build(SseClient::builder(server.url("/")));
            for (text, gate) in texts.iter().zip(&gates) {
                assert!(client.event().data() == text, "{coding:?}");
                // The server waits for this before it sends more.
                gate.open();
            }
            assert!(client.fault().is_none(), "{coding:?}");
        }
    });
}

#[test]
fn a_flushed_event_is_delivered_whatever_the_chunk_boundaries() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let (pieces, end) = coding.pieces(&["data: first\n\n", "data: second\n\n"]);
            let gate = Gate::new();
            let mut reply = compressed(coding);
            reply = reply.send_each(pieces[0].iter().map(|byte| vec![*byte]));
            reply = reply.wait_for(&gate);
            reply = reply.send_each(pieces[1].iter().map(|byte| vec![*byte]));
            server.enqueue(reply.send(end).stall());
            let mut client = kind.build(SseClient::builder(server.url("/")));
            assert_eq!(client.event().data(), "first", "{coding:?}");
            gate.open();
            assert_eq!(client.event().data(), "second", "{coding:?}");
        }
    });
}

#[test]
fn a_truncated_compressed_body_is_a_read_fault_after_the_complete_events() {
    both(|kind| {
        for coding in ALL {
            let (pieces, _) = coding.pieces(&["data: whole\n\n", "data: cut\n\n"]);
            let half = &pieces[1][..pieces[1].len() / 2];
            type Cut = fn(Reply, Vec<u8>) -> Reply;
            let cuts: [Cut; 3] = [
                // The response ends cleanly, but the compressed data doesn't.
                |reply, _| reply.end(),
                |reply, half| reply.send(half).end(),
                |reply, half| reply.send(half).drop_connection(),
            ];
            for cut in cuts {
                let gate = Gate::new();
                let reply = compressed(coding).send(&*pieces[0]).wait_for(&gate);
                let reply = cut(reply, half.to_vec());
                let server = Server::start();
                server.enqueue(reply);
                let mut client = kind.build(SseClient::builder(server.url("/")));
                assert_eq!(client.event().data(), "whole", "{coding:?}");
                gate.open();
                let fault = client.fault();
                assert!(
                    matches!(fault, Some(Fault::Read(_))),
                    "{coding:?}: {fault:?}"
                );
            }
        }
    });
}

#[test]
fn a_corrupt_compressed_body_is_a_read_fault_after_the_complete_events() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let (pieces, _) = coding.pieces(&["data: whole\n\n"]);
            server.enqueue(
                compressed(coding)
                    .send(&*pieces[0])
                    .send(vec![0xff; 100])
                    .stall(),
            );
            let mut client = kind.build(SseClient::builder(server.url("/")));
            assert_eq!(client.event().data(), "whole", "{coding:?}");
            let fault = client.fault();
            assert!(
                matches!(fault, Some(Fault::Read(_))),
                "{coding:?}: {fault:?}"
            );
        }
    });
}

#[test]
fn supported_codings_are_requested() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    both(|kind| {
        kind.build(SseClient::builder(server.url("/"))).event();
        let request = server.requests().pop().unwrap();
        let accepted = request.header("Accept-Encoding").unwrap();
        for coding in ALL {
            let is_requested = coding != Coding::Deflate;
            assert_eq!(accepted.contains(coding.name()), is_requested, "{accepted}");
        }
    });
}

#[test]
fn a_compressed_response_is_decoded_although_it_was_not_requested() {
    both(|kind| {
        for coding in ALL {
            let server = Server::start();
            let body = coding.whole("data: x\n\n");
            server.enqueue(compressed(coding).send(body));
            let http = Http::new(server.url("/")).header("Accept-Encoding", "identity");
            assert_eq!(kind.build(SseClient::builder(http)).event().data(), "x");
            let request = server.requests().pop().unwrap();
            assert_eq!(request.header("Accept-Encoding"), Some("identity"));
        }
    });
}

#[test]
fn an_unsupported_coding_is_a_fault_that_names_it() {
    both(|kind| {
        for coding in [
            "compress",
            "gzip, br",
            "gzip, gzip",
            "deflate, gzip",
            "sdch",
        ] {
            let server = Server::start();
            server.enqueue(
                Reply::stream()
                    .header("Content-Encoding", coding)
                    .event("x"),
            );
            let fault = kind.build(SseClient::builder(server.url("/"))).any_fault();
            assert!(
                matches!(fault, Fault::ContentEncoding(_)),
                "{coding}: {fault:?}"
            );
            assert!(fault.to_string().contains(coding), "{fault}");
        }
    });
}

#[test]
fn identity_and_empty_codings_are_accepted() {
    both(|kind| {
        for coding in ["identity", "Identity", "", "identity, identity"] {
            let server = Server::start();
            let reply = Reply::stream().header("Content-Encoding", coding);
            server.enqueue(reply.event("x").stall());
            let mut client = kind.build(SseClient::builder(server.url("/")));
            assert_eq!(client.event().data(), "x", "{coding:?}");
        }
    });
}

/// Some servers send raw deflate data, without zlib framing.
#[test]
fn raw_deflate_data_is_decoded() {
    let encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    let (pieces, _) = flushed(
        encoder,
        &["data: first\n\n", "data: second\n\n"],
        |encoder| encoder.get_mut(),
        |encoder| encoder.finish().unwrap(),
    );
    both(|kind| {
        let server = Server::start();
        let gate = Gate::new();
        let reply = compressed(Coding::Deflate).send(&*pieces[0]);
        server.enqueue(reply.wait_for(&gate).send(&*pieces[1]).stall());
        let mut client = kind.build(SseClient::builder(server.url("/")));
        assert_eq!(client.event().data(), "first");
        gate.open();
        assert_eq!(client.event().data(), "second");
    });
}
