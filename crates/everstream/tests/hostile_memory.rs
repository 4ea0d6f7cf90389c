//! How much memory hostile servers can make a client allocate: the peak of live bytes on the client's
//! thread, measured with a counting allocator.
//!
//! `cargo test -p everstream --all-features --test hostile_memory -- --nocapture` prints the figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

#[cfg(feature = "http2")]
#[path = "support/raw_h2.rs"]
mod raw_h2;

use std::time::Duration;

use everstream::{Action, Builder, Error, Oversize, SseClient, blocking, retry_delay};
use everstream_testing::{Reply, Server};

const MIB: u64 = 1 << 20;

/// What a client may allocate apart from events: buffers, and the current chunk.
const OVERHEAD: u64 = MIB;

/// A growing buffer doubles, and while it is copied both exist: the old one of up to the limit, and the
/// new one of up to twice the limit.
const GROWTH_FACTOR: u64 = 3;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Async,
    Blocking,
}

/// Reads until the iteration or the stream ends. Returns the peak, and the error if there was one.
fn peak(kind: Kind, builder: Builder, mut each: impl FnMut(Action)) -> (u64, Option<Error>) {
    let mut error = None;
    // Returns whether the stream has ended.
    let mut ends = |next: Option<Result<Action, Error>>| match next {
        Some(Ok(Action::End(_))) | None => true,
        Some(Ok(action)) => {
            each(action);
            false
        }
        Some(Err(fault)) => {
            error = Some(fault);
            true
        }
    };
    let used = match kind {
        Kind::Blocking => {
            let mut client = Builder::<blocking::SseClient>::from(builder)
                .build()
                .unwrap();
            allocation_counter::measure(|| while !ends(client.next_action()) {})
        }
        Kind::Async => {
            // Single-threaded, so that the connection's task runs in this thread too.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let _inside = runtime.enter();
            let mut client = builder.build().unwrap();
            allocation_counter::measure(|| {
                runtime.block_on(async { while !ends(client.next_action().await) {} });
            })
        }
    };
    (used.bytes_max, error)
}

fn settings(server: &Server, limit: u64) -> Builder {
    SseClient::builder(server.url("/"))
        .max_event_size(usize::try_from(limit).unwrap())
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::from_millis(1)))
}

/// A stream of six times the limit, so that even empty data lines add up to more than the limit.
fn repeated(limit: u64, before: &str, part: &[u8]) -> Reply {
    let block = part.repeat((1 << 20) / part.len());
    let reply = Reply::stream().send(before);
    let blocks = usize::try_from(6 * limit / MIB).unwrap().max(1);
    reply.send_each(std::iter::repeat_n(block, blocks)).end()
}

/// Checks the peak with both clients and all these limits.
fn check(what: &str, limits: &[u64], before: &str, part: &[u8]) {
    for kind in [Kind::Async, Kind::Blocking] {
        for &limit in limits {
            for oversize in [Oversize::Fail, Oversize::Skip] {
                let server = Server::start();
                server.otherwise(repeated(limit, before, part));
                let builder = settings(&server, limit).oversize(oversize);
                let (peak, _) = peak(kind, builder, drop);
                println!(
                    "{what}, {kind:?}, {oversize:?}: limit {} KiB, peak {} KiB",
                    limit >> 10,
                    peak >> 10
                );
                let bound = GROWTH_FACTOR * limit + OVERHEAD;
                assert!(peak <= bound, "{what}, {kind:?}, limit {limit}: {peak}");
            }
        }
    }
}

const LIMITS: [u64; 2] = [64 << 10, 4 * MIB];

#[test]
fn endless_lines_take_at_most_three_times_the_limit_plus_1_mib() {
    check("a line of data", &LIMITS, "data: ", b"x");
    check("invalid UTF-8", &LIMITS, "data: ", &[0xFF]);
    check("a comment", &LIMITS, ":", b"x");
    check("an id", &LIMITS, "id: ", b"x");
    check("a type", &LIMITS, "event: ", b"x");
    check("a field's name", &LIMITS, "", b"x");
}

#[test]
fn endless_numbers_of_lines_take_at_most_three_times_the_limit_plus_1_mib() {
    check("lines of data", &[64 << 10, MIB], "", b"data: x\n");
    check("empty lines of data", &[64 << 10, MIB], "", b"data\n");
    check("comments", &[64 << 10], "", b":0123456789abcdef\n");
    check("ids without data", &[64 << 10], "", b"id: 1\n\n");
    check("retries", &[64 << 10], "", b"retry: 1\n");
}

/// `max_event_size` doesn't apply to heads, which have their own limits.
#[test]
fn endless_heads_take_less_than_1_mib() {
    for (what, before, part) in [
        ("a status line", "HTTP/1.1 200 ", "x"),
        ("headers", "HTTP/1.1 200 OK\r\n", "X-More: 1\r\n"),
        ("a header's value", "HTTP/1.1 200 OK\r\nX-More: ", "x"),
        (
            "informational responses",
            "",
            "HTTP/1.1 103 Early Hints\r\n\r\n",
        ),
        (
            "a chunk's extension",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            "x",
        ),
        (
            "trailers",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            "X-More: 1\r\n",
        ),
    ] {
        for kind in [Kind::Async, Kind::Blocking] {
            let server = Server::start();
            // Then close, so that parts which the client skips also end.
            let block = part.repeat((64 << 10) / part.len());
            let blocks = std::iter::repeat_n(block, 32);
            server.enqueue(Reply::raw(before).send_each(blocks));
            server.otherwise(Reply::stream().end());
            let (peak, _) = peak(kind, settings(&server, 64 << 10), drop);
            println!("{what}, {kind:?}: peak {} KiB", peak >> 10);
            assert!(peak <= OVERHEAD, "{what}, {kind:?}: {peak}");
        }
    }
}

/// HTTP/2 has no flow control for them, so those that arrive in one poll are kept until the next.
#[cfg(feature = "http2")]
mod informational {
    use super::*;
    use everstream::{Fault, Http, HttpVersion, error_strategy};

    /// More than 200 MiB if all were kept.
    const FLOOD: usize = 1_000_000;
    const BOUND: u64 = 32 * MIB;

    fn settings(url: String) -> Builder {
        let http = Http::new(url).version(HttpVersion::Http2);
        SseClient::builder(http).error_strategy(error_strategy::always_fail())
    }

    #[test]
    fn a_flood_of_informational_responses_over_http2_is_a_fault() {
        for kind in [Kind::Async, Kind::Blocking] {
            let url = raw_h2::informational(FLOOD);
            let (peak, error) = peak(kind, settings(url), |action| panic!("{action:?}"));
            println!("a flood over HTTP/2, {kind:?}: peak {} KiB", peak >> 10);
            let error = error.expect("a fault");
            assert!(
                matches!(error.fault(), Some(Fault::Request(_))),
                "{error:?}"
            );
            assert!(peak <= BOUND, "{kind:?}: {peak}");
        }
    }

    #[test]
    fn a_flood_over_http2_does_not_pile_up_while_the_client_is_not_polled() {
        let (url, reports, command) = raw_h2::on_command(FLOOD);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let mut client = settings(url).build().unwrap();
        let reported = async {
            while reports.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let sent = async {
            tokio::select! {
                next = client.next_action() => panic!("{next:?}"),
                () = reported => {}
            }
        };
        runtime.block_on(sent);
        let used = allocation_counter::measure(|| {
            command.send(()).unwrap();
            runtime.block_on(async {
                let answered = async {
                    while reports.try_recv().is_err() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                let limit = Duration::from_secs(60);
                tokio::time::timeout(limit, answered)
                    .await
                    .expect("in time");
            });
        });
        let peak = used.bytes_max;
        println!("a flood that isn't read: peak {} KiB", peak >> 10);
        assert!(peak <= BOUND, "{peak}");
    }
}

#[test]
fn a_million_tiny_events_in_one_chunk_take_less_than_1_mib() {
    const EVENTS: usize = 1_000_000;
    let events: String = (0..EVENTS)
        .map(|number| format!("data:{number}\n\n"))
        .collect();
    for kind in [Kind::Async, Kind::Blocking] {
        let server = Server::start();
        server.otherwise(Reply::stream().send(&*events).end());
        let mut expected = 0;
        let builder = SseClient::builder(server.url("/"));
        let (peak, error) = peak(kind, builder, |action| {
            if let Action::Event(event) = action {
                assert_eq!(event.data().parse(), Ok(expected));
                expected += 1;
            }
        });
        assert!(error.is_none(), "{error:?}");
        assert_eq!(expected, EVENTS);
        println!(
            "a million events, {kind:?}: peak {} KiB of {} KiB",
            peak >> 10,
            events.len() >> 10
        );
        assert!(peak <= OVERHEAD, "{kind:?}: {peak}");
    }
}

#[test]
fn endless_error_bodies_take_less_than_1_mib() {
    for kind in [Kind::Async, Kind::Blocking] {
        let server = Server::start();
        server.otherwise(
            Reply::status(404)
                .chunked()
                .send_forever(vec![b'x'; 1 << 16]),
        );
        let (peak, error) = peak(kind, SseClient::builder(server.url("/")), drop);
        assert_eq!(error.unwrap().status(), Some(404));
        println!("the body of an error, {kind:?}: peak {} KiB", peak >> 10);
        assert!(peak <= OVERHEAD, "{kind:?}: {peak}");
    }
}
