//! What hostile servers can make a client allocate: the peak of live bytes on the thread that does
//! all of a client's work, measured with a counting allocator.
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

/// What a client may take beside events: reqwest's and hyper's buffers, one chunk in hand.
const OVERHEAD: u64 = MIB;

/// A buffer that grows doubles, and while it is moved both are there: the old one of up to the limit,
/// and the new one of up to twice that.
const GROWING: u64 = 3;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Async,
    Blocking,
}

/// Reads until the iteration or the stream ends, and returns how many actions came, with the peak.
fn peak(kind: Kind, builder: Builder, mut each: impl FnMut(Action)) -> (u64, Option<Error>) {
    let mut error = None;
    // Whether the stream is over.
    let mut seen = |next: Option<Result<Action, Error>>| match next {
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
            allocation_counter::measure(|| while !seen(client.next_action()) {})
        }
        Kind::Async => {
            // Of one thread, so that the connection's task runs here too.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let _inside = runtime.enter();
            let mut client = builder.build().unwrap();
            allocation_counter::measure(|| {
                runtime.block_on(async { while !seen(client.next_action().await) {} });
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

/// A stream of six times the limit: lines of no data but their line ends come to more than it too.
fn repeated(limit: u64, before: &str, part: &[u8]) -> Reply {
    let block = part.repeat((1 << 20) / part.len());
    let reply = Reply::stream().send(before);
    let blocks = usize::try_from(6 * limit / MIB).unwrap().max(1);
    reply.send_each(std::iter::repeat_n(block, blocks)).end()
}

/// Every scenario with both clients and several limits.
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
                let bound = GROWING * limit + OVERHEAD;
                assert!(peak <= bound, "{what}, {kind:?}, limit {limit}: {peak}");
            }
        }
    }
}

const LIMITS: [u64; 2] = [64 << 10, 4 * MIB];

#[test]
fn an_endless_line_takes_no_more_than_three_times_the_limit_and_a_mib() {
    check("a line of data", &LIMITS, "data: ", b"x");
    check("invalid UTF-8", &LIMITS, "data: ", &[0xFF]);
    check("a comment", &LIMITS, ":", b"x");
    check("an id", &LIMITS, "id: ", b"x");
    check("a type", &LIMITS, "event: ", b"x");
    check("a field's name", &LIMITS, "", b"x");
}

#[test]
fn endless_lines_take_no_more_than_three_times_the_limit_and_a_mib() {
    check("lines of data", &[64 << 10, MIB], "", b"data: x\n");
    check("empty lines of data", &[64 << 10, MIB], "", b"data\n");
    check("comments", &[64 << 10], "", b":0123456789abcdef\n");
    check("ids without data", &[64 << 10], "", b"id: 1\n\n");
    check("retries", &[64 << 10], "", b"retry: 1\n");
}

/// The limit says nothing about heads: these are hyper's.
#[test]
fn endless_heads_take_less_than_a_mib() {
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
            // Then it closes, so that what is passed over comes to an end as well.
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

/// They have no flow control: those that arrive in one turn of the runtime are kept until the next.
#[cfg(feature = "http2")]
mod informational {
    use super::*;
    use everstream::{Fault, Http, HttpVersion, error_strategy};

    /// More than 200 MiB if they were kept.
    const FLOOD: usize = 1_000_000;
    const BOUND: u64 = 32 * MIB;

    fn settings(url: String) -> Builder {
        let http = Http::new(url).version(HttpVersion::Http2);
        SseClient::builder(http).error_strategy(error_strategy::always_fail())
    }

    #[test]
    fn a_flood_of_informational_responses_over_http_2_ends_in_a_fault() {
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
    fn a_flood_over_http_2_does_not_pile_up_while_the_client_is_not_polled() {
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
fn a_million_tiny_events_in_one_chunk_take_less_than_a_mib() {
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
fn an_endless_body_of_an_error_takes_less_than_a_mib() {
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
