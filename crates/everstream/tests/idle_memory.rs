//! What a stream keeps allocated while nothing comes, beside the connection's own buffers. There may
//! be thousands of them in a program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use everstream::{Connection, Http, SseClient, connect_fn};
use everstream_testing::{Reply, Server};
use futures_util::{StreamExt, stream};

/// What is still allocated of what this has allocated.
fn kept<T>(make: impl FnOnce() -> T) -> i64 {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(make()));
    drop(result);
    used.bytes_current
}

#[test]
fn a_client_keeps_no_request() {
    let http = Http::new("http://localhost/feed")
        .header("x-team", "a")
        .no_proxy();
    // What all clients of it share.
    drop(SseClient::new(http.clone()).unwrap());
    let one = http.clone().set_url("http://localhost/feed/1");
    let bytes = kept(|| SseClient::new(one).unwrap());
    println!("{bytes} bytes before it connects");
    assert!(bytes < 1_400, "{bytes} bytes");
    assert!(size_of::<SseClient>() <= 16, "tasks hold clients by value");
    assert!(size_of::<Http>() <= 16, "and what they are made of");
}

#[test]
fn a_stream_that_waits_keeps_neither_chunks_nor_queues() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let source = connect_fn(|_| async {
        let chunk = io::Result::Ok([b"data: hello\n\n".as_slice(), &[b'\n'; 8 << 10]].concat());
        let chunks = stream::iter([chunk]).chain(stream::pending());
        Ok::<_, io::Error>(Connection::from_stream(chunks))
    });
    let bytes = kept(|| {
        let mut client = SseClient::new(source).unwrap();
        runtime.block_on(async {
            client.next_event().await.unwrap().unwrap();
            let next = poll_fn(|cx| Poll::Ready(client.poll_next_action(cx).is_pending()));
            assert!(next.await, "it waits");
        });
        client
    });
    println!("{bytes} bytes after an event");
    assert!(bytes < 1_250, "{bytes} bytes");
}

/// What clients keep that have read one event of a stream of this, and that wait.
fn kept_by_readers(count: usize, body: &str) -> i64 {
    let server = Server::start();
    server.otherwise(Reply::stream().send(body).stall());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let http = Http::new(server.url("/"));
    let client = || {
        let mut client = SseClient::new(http.clone()).unwrap();
        runtime.block_on(async { client.next_event().await.unwrap().unwrap() });
        client
    };
    // What they share, and the buffers that the thread keeps.
    let first: Vec<_> = (0..8).map(|_| client()).collect();
    let bytes = kept(|| (0..count).map(|_| client()).collect::<Vec<_>>());
    drop(first);
    bytes
}

#[test]
fn a_small_event_that_is_not_read_does_not_keep_a_buffer() {
    let each = kept_by_readers(32, "data: one\n\ndata: two\n\n") / 32;
    println!("{each} bytes for each reader with an event to come");
    assert!(each < 8 << 10, "{each} bytes");
    // Up to an eighth of a buffer.
    let body = format!("data: one\n\ndata: {}\n\n", "x".repeat(4_000));
    let each = kept_by_readers(32, &body) / 32;
    println!("{each} bytes for each reader with an event of 4 kB to come");
    assert!(each < 16 << 10, "{each} bytes");
}

#[test]
fn buffers_that_are_done_with_are_not_kept_beyond_the_pool() {
    let body = format!("data: one\n\ndata: {}\n\n", "x".repeat(40_000));
    let server = Server::start();
    server.otherwise(Reply::stream().send(body).stall());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let http = Http::new(server.url("/"));
    let mut at_most = 0;
    let bytes = kept(|| {
        let used = allocation_counter::measure(|| {
            let mut clients: Vec<_> = (0..32)
                .map(|_| SseClient::new(http.clone()).unwrap())
                .collect();
            for client in &mut clients {
                runtime.block_on(async { client.next_event().await.unwrap().unwrap() });
            }
        });
        at_most = used.bytes_max;
    });
    println!("{bytes} bytes after 32 large chunks, and at most {at_most}");
    assert!(at_most > 1 << 20, "each chunk has its buffer: {at_most}");
    assert!(bytes < 6 * (64 << 10), "{bytes} bytes");
}
