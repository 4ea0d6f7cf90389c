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
fn clients_of_different_urls_share_the_other_settings() {
    let http = Http::new("http://localhost/feed").header("x-team", "a");
    let bytes = kept(|| http.clone().set_url("http://localhost/feed/1"));
    println!("{bytes} bytes for another URL");
    assert!(bytes < 100, "{bytes} bytes");
}

#[test]
fn a_connection_attempt_is_small() {
    let server = Server::start();
    server.otherwise(Reply::stream().stall());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let http = Http::new(server.url("/")).no_proxy();
    let connecting = || {
        let mut client = SseClient::new(http.clone()).unwrap();
        let next = poll_fn(|cx| Poll::Ready(client.poll_next_action(cx).is_pending()));
        assert!(runtime.block_on(next), "it waits");
        client
    };
    // What they share.
    let first = connecting();
    let each = kept(|| (0..32).map(|_| connecting()).collect::<Vec<_>>()) / 32;
    drop(first);
    println!("{each} bytes for each client that is connecting");
    assert!(each < 6_000, "{each} bytes");
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
            client.start().await.unwrap();
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
fn a_stream_over_http_that_waits_is_small() {
    let each = kept_by_readers(32, "data: one\n\n") / 32;
    println!("{each} bytes for each stream over HTTP/1.1, with the runtime's part");
    assert!(each < 1_650, "{each} bytes");
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

/// What a stream over TLS keeps: mostly keys, and what rustls remembers of the handshake.
#[cfg(feature = "rustls")]
#[test]
fn a_stream_over_tls_that_waits_keeps_no_buffer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n";
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    // In a thread of its own, which isn't measured.
    let serving = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = serving.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let port = listener.local_addr().unwrap().port();
    serving.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut socket = acceptor.accept(socket).await.unwrap();
                _ = socket.read(&mut [0; 4096]).await;
                _ = socket.write_all(STREAM.as_bytes()).await;
                _ = socket.flush().await;
                // Until the client goes.
                _ = socket.read(&mut [0]).await;
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let http = Http::new(format!("https://localhost:{port}/"))
        .version(everstream::HttpVersion::Http1)
        .root_certificates(made.cert.pem());
    let client = || {
        let mut client = SseClient::new(http.clone()).unwrap();
        runtime.block_on(async {
            client.next_event().await.unwrap().unwrap();
            let next = poll_fn(|cx| Poll::Ready(client.poll_next_action(cx).is_pending()));
            assert!(next.await, "it waits");
        });
        client
    };
    // What they share.
    let first: Vec<_> = (0..16).map(|_| client()).collect();
    let each = kept(|| (0..32).map(|_| client()).collect::<Vec<_>>()) / 32;
    println!("{each} bytes for each stream over TLS");
    assert!(each < 7_000, "{each} bytes");
    drop(first);
}
