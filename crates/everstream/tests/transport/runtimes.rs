//! Runtimes that end, or are left, during an attempt.

use std::net::TcpListener;
use std::time::Duration;

use everstream::{ConnectRequest, Error, Fault, Http, HttpVersion, SseClient};
use everstream_testing::{Gate, Reply, Server};
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use super::LIMIT;
use super::h2_server::H2Server;

const ENDED: &str = "the tokio runtime that opened the connection has ended";

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Polls the future in a runtime that then ends, and the rest in another one.
fn moved<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let first = runtime();
    first.block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(100), &mut future);
        assert!(waited.await.is_err(), "nothing should arrive");
    });
    drop(first);
    runtime().block_on(future)
}

/// What a client and [`Http::send`] report.
fn faults(http: &Http) -> [String; 2] {
    let request = ConnectRequest::default();
    let fault = moved(async {
        match http.send(request).await {
            Ok(response) => response.into_connection().await.unwrap_err(),
            Err(fault) => fault,
        }
    });
    let mut client = SseClient::builder(http.clone())
        .read_timeout(LIMIT)
        .error_strategy(everstream::error_strategy::always_fail())
        .build()
        .unwrap();
    let error = moved(client.start()).unwrap_err();
    [Error::from(fault), error].map(|error| format!("{error:?}"))
}

#[test]
fn an_attempt_whose_runtime_ends_during_the_tls_handshake_fails() {
    // It accepts connections, and never answers the handshake.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for message in faults(&Http::new(format!("https://{address}/"))) {
        assert_eq!(message, ENDED);
    }
}

#[test]
fn an_attempt_whose_runtime_ends_before_the_response_fails() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    for message in faults(&Http::new(server.url("/"))) {
        let expected = format!("the connection failed before responding: {ENDED}");
        assert_eq!(message, expected);
    }
}

#[test]
fn an_attempt_whose_runtime_ends_during_the_body_of_an_error_reports_its_status() {
    let server = Server::start();
    server.otherwise(Reply::raw("HTTP/1.1 404 Not Found\r\n\r\nno such feed").stall());
    for message in faults(&Http::new(server.url("/"))) {
        assert!(message.contains("404"), "{message}");
    }
}

#[test]
fn a_read_whose_runtime_ends_is_a_fault() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = SseClient::builder(server.url("/"))
        .error_strategy(everstream::error_strategy::always_fail())
        .build()
        .unwrap();
    let error = moved(async {
        client.next_event().await.unwrap().unwrap();
        client.next_event().await.unwrap().unwrap_err()
    });
    assert!(format!("{error:?}").contains(ENDED), "{error:?}");
}

#[test]
fn an_attempt_over_http2_whose_runtime_ends_before_the_response_fails() {
    let server = H2Server::cleartext();
    let http = Http::new(server.url("/")).version(HttpVersion::Http2);
    for message in faults(&http) {
        assert_eq!(message, ENDED);
    }
}

/// A request that may have been received isn't sent again.
#[test]
fn an_attempt_continues_after_it_was_polled_outside_a_runtime() {
    let (server, respond) = (Server::start(), Gate::new());
    server.otherwise(Reply::stream().head_after(&respond).event("a").stall());
    let mut client = SseClient::new(Http::new(server.url("/")).method("POST")).unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(100), client.next_event());
        assert!(waited.await.is_err(), "nothing should arrive");
    });
    assert!(server.wait_for_requests(1, LIMIT));
    let read = client.next_event().now_or_never();
    assert!(
        matches!(read, Some(Some(Err(Error::OutsideRuntime)))),
        "{read:?}"
    );
    respond.open();
    let event = runtime.block_on(client.next_event());
    assert_eq!(event.unwrap().unwrap().data(), "a");
    assert_eq!(server.request_count(), 1);
}

#[test]
fn a_request_that_is_polled_outside_its_runtime_fails() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let http = Http::new(server.url("/"));
    let mut sent = Box::pin(http.send(ConnectRequest::default()));
    runtime().block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(100), &mut sent);
        assert!(waited.await.is_err(), "nothing should arrive");
    });
    let fault = sent.now_or_never().unwrap().unwrap_err();
    assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
}
