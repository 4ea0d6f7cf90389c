//! How much memory an idle stream keeps allocated. A program may have thousands of streams.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use everstream::{Connection, Http, SseClient, connect_fn};
use everstream_testing::{Reply, Server};
use futures_util::{StreamExt, stream};

/// Returns how many bytes are still allocated after `create`.
fn kept<T>(create: impl FnOnce() -> T) -> i64 {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(create()));
    drop(result);
    used.bytes_current
}

#[test]
fn a_client_stores_no_request() {
    let http = Http::new("http://localhost/feed")
        .header("x-team", "a")
        .no_proxy();
    // Allocate first what all its clients share.
    drop(SseClient::new(http.clone()).unwrap());
    let one = http.clone().set_url("http://localhost/feed/1");
    let bytes = kept(|| SseClient::new(one).unwrap());
    println!("{bytes} bytes before connecting");
    assert!(bytes < 1_400, "{bytes} bytes");
    assert!(size_of::<SseClient>() <= 16, "tasks store clients by value");
    assert!(size_of::<Http>() <= 16, "tasks store `Http` by value");
}

#[test]
fn clients_of_different_urls_share_the_other_settings() {
    let http = Http::new("http://localhost/feed").header("x-team", "a");
    let bytes = kept(|| http.clone().set_url("http://localhost/feed/1"));
    println!("{bytes} bytes for another URL");
    assert!(bytes < 100, "{bytes} bytes");
}

#[test]
fn a_connection_attempt_takes_little_memory() {
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
        assert!(runtime.block_on(next), "the client should wait");
        client
    };
    // Allocate first what they share.
    let first = connecting();
    let each = kept(|| (0..32).map(|_| connecting()).collect::<Vec<_>>()) / 32;
    drop(first);
    println!("{each} bytes for each connecting client");
    assert!(each < 6_000, "{each} bytes");
}

#[test]
fn an_idle_stream_keeps_neither_chunks_nor_queues() {
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
            assert!(next.await, "the client should wait");
        });
        client
    });
    println!("{bytes} bytes after an event");
    assert!(bytes < 1_250, "{bytes} bytes");
}

/// Returns what `count` clients keep after reading the first event of a stream with this body.
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
    // Allocate first what they share, and the thread's pool of buffers.
    let first: Vec<_> = (0..8).map(|_| client()).collect();
    let bytes = kept(|| (0..count).map(|_| client()).collect::<Vec<_>>());
    drop(first);
    bytes
}

#[test]
fn an_idle_http_stream_takes_little_memory() {
    let each = kept_by_readers(32, "data: one\n\n") / 32;
    println!("{each} bytes for each stream over HTTP/1.1, including the runtime's");
    assert!(each < 1_650, "{each} bytes");
}

#[test]
fn a_small_unread_event_does_not_keep_a_buffer() {
    let each = kept_by_readers(32, "data: one\n\ndata: two\n\n") / 32;
    println!("{each} bytes for each reader with an unread event");
    assert!(each < 8 << 10, "{each} bytes");
    // Up to an eighth of a buffer.
    let body = format!("data: one\n\ndata: {}\n\n", "x".repeat(4_000));
    let each = kept_by_readers(32, &body) / 32;
    println!("{each} bytes for each reader with an unread event of 4 kB");
    assert!(each < 16 << 10, "{each} bytes");
}

#[test]
fn finished_buffers_are_freed_beyond_the_pool() {
    let body = format!("data: one\n\ndata: {}\n\n", "x".repeat(40_000));
    let server = Server::start();
    server.otherwise(Reply::stream().send(body).stall());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let http = Http::new(server.url("/"));
    let mut peak = 0;
    let bytes = kept(|| {
        let used = allocation_counter::measure(|| {
            let mut clients: Vec<_> = (0..32)
                .map(|_| SseClient::new(http.clone()).unwrap())
                .collect();
            for client in &mut clients {
                runtime.block_on(async { client.next_event().await.unwrap().unwrap() });
            }
        });
        peak = used.bytes_max;
    });
    println!("{bytes} bytes after 32 large chunks, peak {peak}");
    assert!(
        peak > 1 << 20,
        "each chunk should have its own buffer: {peak}"
    );
    assert!(bytes < 6 * (64 << 10), "{bytes} bytes");
}

/// A stream over TLS keeps mostly keys, and rustls's state of the handshake.
#[cfg(feature = "rustls")]
#[test]
fn an_idle_tls_stream_keeps_no_buffer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n";
    let generated = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let key = generated.signing_key.serialize_der().try_into().unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![generated.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    // In another thread, which isn't measured.
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
                // Wait until the client closes.
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
        .root_certificates(generated.cert.pem());
    let client = || {
        let mut client = SseClient::new(http.clone()).unwrap();
        runtime.block_on(async {
            client.next_event().await.unwrap().unwrap();
            let next = poll_fn(|cx| Poll::Ready(client.poll_next_action(cx).is_pending()));
            assert!(next.await, "the client should wait");
        });
        client
    };
    // Allocate first what they share.
    let first: Vec<_> = (0..16).map(|_| client()).collect();
    let each = kept(|| (0..32).map(|_| client()).collect::<Vec<_>>()) / 32;
    println!("{each} bytes for each stream over TLS");
    assert!(each < 7_000, "{each} bytes");
    drop(first);
}
