//! What a stream keeps allocated while nothing comes, beside the connection's own buffers. There may
//! be thousands of them in a program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use everstream::{Connection, Http, SseClient, connect_fn};
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
    let one = http.clone().url("http://localhost/feed/1");
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
