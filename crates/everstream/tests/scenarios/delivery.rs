//! Events are delivered as soon as they are flushed, and none is lost between two reads.

use std::time::Duration;

use everstream::Action;
use everstream_testing::{Gate, Reply, Server};

use crate::support::{Client, DELAY, for_both_clients};

for_both_clients!(
    a_second_iterator_continues_where_the_first_stopped,
    events_received_before_a_drop_are_delivered_first,
    events_received_before_an_interrupt_are_delivered_first,
    an_event_is_delivered_when_flushed_in_chunks,
    an_event_is_delivered_when_flushed_in_a_body_with_a_length,
    an_event_is_delivered_when_flushed_in_a_close_delimited_body,
    an_event_that_ends_with_a_lone_cr_is_delivered_immediately,
    an_event_sent_byte_by_byte_is_delivered,
    a_cancelled_read_loses_no_data,
    polling_without_waiting_makes_progress,
    a_read_with_a_timeout_ends_in_a_flood_of_comments,
    comments_are_delivered,
    a_large_event_is_delivered_intact,
);

fn a_second_iterator_continues_where_the_first_stopped<C: Client>() {
    let server = Server::start();
    let chunk = "data: 1\n\ndata: 2\n\n: c\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n";
    server.otherwise(Reply::stream().send(chunk).stall());
    let mut client = C::quick(server.url("/"));

    for data in ["1", "2", "3"] {
        let event = client.first_of_events().unwrap().unwrap();
        assert_eq!(event.data(), data);
    }
    match client.first_of_all() {
        Some(Ok(Action::Event(event))) => assert_eq!(event.data(), "4"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.event_data(), "5");
    assert_eq!(server.request_count(), 1);
}

fn events_received_before_a_drop_are_delivered_first<C: Client>() {
    let server = Server::start();
    let chunk = "data: 1\n\ndata: 2\n\ndata: 3\n\n";
    server.enqueue(Reply::stream().send(chunk).drop_connection());
    server.otherwise(Reply::stream().event("4").stall());
    let mut client = C::quick(server.url("/"));
    client.expect_start();
    client.expect_event("1");
    server.drop_connections();
    client.expect_event("2");
    client.expect_event("3");
    client.expect_fault();
    client.expect_start();
    client.expect_event("4");
}

fn events_received_before_an_interrupt_are_delivered_first<C: Client>() {
    let server = Server::start();
    let chunk = "data: 1\n\ndata: 2\n\ndata: 3\n\n";
    server.enqueue(Reply::stream().send(chunk).stall());
    server.otherwise(Reply::stream().event("4").stall());
    let mut client = C::quick(server.url("/"));
    client.expect_start();
    client.expect_event("1");
    client.handle().interrupt();
    client.expect_event("2");
    client.expect_event("3");
    client.expect_clean_end();
    client.expect_start();
    client.expect_event("4");
}

/// Sends each event only after the previous one was delivered.
fn assert_prompt<C: Client>(reply: Reply, pieces: [Vec<u8>; 3]) {
    let server = Server::start();
    let seen = [Gate::new(), Gate::new()];
    let [one, two, three] = pieces;
    server.otherwise(
        reply
            .send(one)
            .wait_for(&seen[0])
            .send(two)
            .wait_for(&seen[1])
            .send(three)
            .stall(),
    );
    let mut client = C::quick(server.url("/"));
    assert_eq!(client.event_data(), "1");
    seen[0].open();
    assert_eq!(client.event_data(), "2");
    seen[1].open();
    assert_eq!(client.event_data(), "3");
}

fn plain() -> [Vec<u8>; 3] {
    ["1", "2", "3"].map(|data| format!("data: {data}\n\n").into())
}

fn an_event_is_delivered_when_flushed_in_chunks<C: Client>() {
    assert_prompt::<C>(Reply::stream(), plain());
}

fn an_event_is_delivered_when_flushed_in_a_body_with_a_length<C: Client>() {
    assert_prompt::<C>(Reply::stream().content_length(100_000), plain());
}

fn an_event_is_delivered_when_flushed_in_a_close_delimited_body<C: Client>() {
    assert_prompt::<C>(Reply::stream().close_delimited(), plain());
}

fn an_event_that_ends_with_a_lone_cr_is_delivered_immediately<C: Client>() {
    let lone_cr = ["1", "2", "3"].map(|data| format!("data: {data}\r\r").into());
    assert_prompt::<C>(Reply::stream(), lone_cr);
}

#[cfg(all(feature = "gzip", feature = "brotli", feature = "zstd"))]
mod compressed {
    use std::io::Write;

    use super::*;
    use crate::support::for_both_clients;

    for_both_clients!(
        an_event_is_delivered_when_flushed_in_gzip,
        an_event_is_delivered_when_flushed_in_brotli,
        an_event_is_delivered_when_flushed_in_zstd,
        compression_is_offered,
        a_truncated_compressed_body_is_a_fault,
        a_corrupt_compressed_body_is_a_fault,
    );

    /// Compresses the events, with a flush after each.
    fn flushed<W: Write>(mut encoder: W, written: impl Fn(&W) -> Vec<u8>) -> [Vec<u8>; 3] {
        let mut before = 0;
        plain().map(|event| {
            encoder.write_all(&event).unwrap();
            encoder.flush().unwrap();
            let all = written(&encoder);
            let piece = all[before..].to_vec();
            before = all.len();
            piece
        })
    }

    fn gzip() -> [Vec<u8>; 3] {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        flushed(encoder, |encoder| encoder.get_ref().clone())
    }

    fn an_event_is_delivered_when_flushed_in_gzip<C: Client>() {
        assert_prompt::<C>(Reply::stream().header("Content-Encoding", "gzip"), gzip());
    }

    fn an_event_is_delivered_when_flushed_in_brotli<C: Client>() {
        let encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18);
        let pieces = flushed(encoder, |encoder| encoder.get_ref().clone());
        assert_prompt::<C>(Reply::stream().header("Content-Encoding", "br"), pieces);
    }

    fn an_event_is_delivered_when_flushed_in_zstd<C: Client>() {
        let encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        let pieces = flushed(encoder, |encoder| encoder.get_ref().clone());
        assert_prompt::<C>(Reply::stream().header("Content-Encoding", "zstd"), pieces);
    }

    fn compression_is_offered<C: Client>() {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").stall());
        C::quick(server.url("/")).event_data();
        let requests = server.requests();
        let offered = requests[0].header("accept-encoding").unwrap();
        for coding in ["gzip", "br", "zstd"] {
            assert!(offered.contains(coding), "{offered}");
        }
    }

    fn a_truncated_compressed_body_is_a_fault<C: Client>() {
        let server = Server::start();
        let [one, two, _] = gzip();
        let cut = two[..two.len() / 2].to_vec();
        let reply = Reply::stream().header("Content-Encoding", "gzip");
        // The framing is valid; only the compressed data is truncated.
        server.otherwise(reply.send(one).send(cut).end());
        let mut client = C::quick(server.url("/"));
        client.expect_start();
        client.expect_event("1");
        assert!(matches!(client.expect_fault(), everstream::Fault::Read(_)));
    }

    fn a_corrupt_compressed_body_is_a_fault<C: Client>() {
        let server = Server::start();
        let reply = Reply::stream().header("Content-Encoding", "gzip");
        server.otherwise(reply.send("this isn't gzip, is it? not at all").stall());
        let mut client = C::quick(server.url("/"));
        client.expect_start();
        assert!(matches!(client.expect_fault(), everstream::Fault::Read(_)));
    }
}

fn an_event_sent_byte_by_byte_is_delivered<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event_with_id("é", "a\nb☃")
            .in_pieces(1)
            .stall(),
    );
    let mut client = C::quick(server.url("/"));
    let event = client.next_event().unwrap().unwrap();
    assert_eq!((event.data(), event.id()), ("a\nb☃", Some("é")));
}

fn a_cancelled_read_loses_no_data<C: Client>() {
    let server = Server::start();
    let gate = Gate::new();
    server.otherwise(
        Reply::stream()
            .send("data: a")
            .wait_for(&gate)
            .send("\n\n")
            .stall(),
    );
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    for _ in 0..3 {
        assert!(client.event_within(Duration::from_millis(5)).is_none());
        assert!(client.is_connected());
    }
    gate.open();
    assert_eq!(client.event_data(), "a");
    assert_eq!(server.request_count(), 1);
}

fn polling_without_waiting_makes_progress<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    let event = loop {
        if let Some(event) = client.event_within(Duration::ZERO) {
            break event.unwrap().unwrap();
        }
    };
    assert_eq!(event.data(), "a");
    assert_eq!(server.request_count(), 1);
}

fn a_read_with_a_timeout_ends_in_a_flood_of_comments<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().send_forever(":\n".repeat(8000)));
    let mut client = C::quick(server.url("/"));
    assert!(client.event_within(Duration::from_millis(50)).is_none());
}

fn comments_are_delivered<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .send(":one\n")
            .event("a")
            .send(": two\n")
            .stall(),
    );
    let mut client = C::quick(server.url("/"));
    client.expect_start();
    assert!(matches!(client.expect_action(), Action::Comment(text) if text == "one"));
    client.expect_event("a");
    assert!(matches!(client.expect_action(), Action::Comment(text) if text.trim() == "two"));
    assert!(client.event_within(DELAY).is_none());
}

fn a_large_event_is_delivered_intact<C: Client>() {
    let server = Server::start();
    let data = "0123456789abcdef".repeat(1 << 18);
    server.otherwise(Reply::stream().event(&data).event("small").stall());
    let mut client = C::quick(server.url("/"));
    let event = client.next_event().unwrap().unwrap();
    assert!(event.data() == data, "the 4 MiB of data were altered");
    assert_eq!(client.event_data(), "small");
}
