//! HTTP/2 with and without TLS, shared connections, and all the ways in which they end.

use std::time::Duration;

use everstream::{Action, Builder, Fault, Http, HttpVersion, SseClient};
use everstream_testing::{Reply, Server};
use h2::Reason;

use super::certs::{Authority, Validity};
use super::client::{Client, Kind, both};
use super::h2_server::{H2Server, Stream};
use super::tls_server::{Handshake, TlsServer, runtime};

fn builder(http: Http) -> Builder {
    SseClient::builder(http).initial_retry_delay(Duration::ZERO)
}

/// Settings for HTTP/2 with prior knowledge, which both clients support.
fn cleartext(server: &H2Server) -> Http {
    Http::new(server.url("/feed")).version(HttpVersion::Http2)
}

/// Connects, and reads one event with an id.
fn client_after_one_event(kind: Kind, server: &H2Server) -> (Client, Stream) {
    let mut client = kind.build(builder(cleartext(server)));
    let mut stream = connect(&mut client, server);
    stream.send("id: 1\ndata: one\n\ndata: half");
    assert_eq!(client.event().data(), "one");
    (client, stream)
}

/// Connects the client, and begins the response.
fn connect(client: &mut Client, server: &H2Server) -> Stream {
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| server.next().stream());
        client.started();
        stream.join().unwrap()
    })
}

/// Checks that the client reconnects and resumes.
fn assert_resumes(mut client: Client, server: &H2Server) {
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let exchange = server.next();
            assert_eq!(exchange.header("last-event-id"), Some("1"));
            let mut stream = exchange.stream();
            stream.send("data: two\n\n");
            stream
        });
        loop {
            match client.next() {
                Some(Ok(Action::Start(_))) => break,
                // Without a delay, the request may still be sent on the ending connection, whose GOAWAY
                // may say that it wasn't processed.
                Some(Ok(Action::Fault(Fault::Request(_) | Fault::Connect(_)))) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(client.event().data(), "two");
        stream.join().unwrap();
    });
}

#[test]
fn events_are_delivered_as_they_are_flushed() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(builder(cleartext(&server)));
        let mut stream = connect(&mut client, &server);
        for number in 0..5 {
            // The next event isn't sent before this one was delivered.
            stream.send(format!("data: {number}\n\n"));
            assert_eq!(client.event().data(), number.to_string());
        }
        stream.end();
        assert!(client.fault().is_none());
    });
}

#[test]
fn the_async_client_uses_http2_if_negotiated() {
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let server = H2Server::tls(leaf.config(&["h2", "http/1.1"]));
    let http = Http::new(server.url("/feed"))
        .root_certificates(authority.pem())
        .bearer_token("t");
    let mut client = Kind::Async.build(builder(http));
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let exchange = server.next();
            assert_eq!(exchange.request.version(), http::Version::HTTP_2);
            assert_eq!(exchange.header("accept"), Some("text/event-stream"));
            assert_eq!(exchange.header("authorization"), Some("Bearer t"));
            let mut stream = exchange.stream();
            stream.send("data: x\n\n");
            stream
        });
        client.started();
        let _alive = stream.join().unwrap();
        assert_eq!(client.event().data(), "x");
    });
}

#[test]
fn the_blocking_client_uses_http1_although_the_server_offers_http2() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["h2", "http/1.1"]), &server);
    let http = Http::new(tls.url("/")).root_certificates(authority.pem());
    let mut client = Kind::Blocking.build(builder(http));
    assert_eq!(client.event().data(), "x");
    match tls.next_handshake() {
        Handshake::Done { alpn, .. } => assert_eq!(alpn.as_deref(), Some("http/1.1")),
        Handshake::Failed => panic!(),
    }
}

#[test]
fn version_http1_forces_http1_although_the_server_offers_http2() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["h2", "http/1.1"]), &server);
    both(|kind| {
        let http = Http::new(tls.url("/"))
            .root_certificates(authority.pem())
            .version(HttpVersion::Http1);
        assert_eq!(kind.build(builder(http)).event().data(), "x");
    });
}

#[test]
fn the_blocking_client_uses_http2_over_tls_if_configured() {
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let server = H2Server::tls(leaf.config(&["h2", "http/1.1"]));
    let http = Http::new(server.url("/"))
        .root_certificates(authority.pem())
        .version(HttpVersion::Http2);
    let mut client = Kind::Blocking.build(builder(http));
    let mut stream = connect(&mut client, &server);
    stream.send("data: x\n\n");
    assert_eq!(client.event().data(), "x");
}

/// With async clients in one runtime.
#[test]
fn clients_of_one_http_share_a_connection() {
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let server = H2Server::tls(leaf.config(&["h2"]));
    let http = Http::new("").root_certificates(authority.pem());
    runtime().block_on(async {
        let mut connected = Vec::new();
        for number in 0..5 {
            let url = server.url(&format!("/feed/{number}"));
            let mut client = SseClient::new(http.clone().set_url(url)).unwrap();
            let started = tokio::spawn(async move {
                client.start().await.unwrap();
                client
            });
            let exchange = tokio::task::block_in_place(|| server.next());
            assert_eq!(exchange.connection, 0, "client {number} opened its own");
            assert_eq!(exchange.request.uri().path(), format!("/feed/{number}"));
            let stream = exchange.stream();
            let client = started.await.unwrap();
            connected.push((client, stream));
        }
        // All streams work.
        for (number, (client, stream)) in connected.iter_mut().enumerate() {
            stream.send(format!("data: {number}\n\n"));
            let event = client.next_event().await.unwrap().unwrap();
            assert_eq!(event.data(), number.to_string());
        }
        // Closing one client doesn't affect the others.
        connected.remove(0).0.close();
        let (client, stream) = &mut connected[0];
        stream.send("data: still here\n\n");
        let event = client.next_event().await.unwrap().unwrap();
        assert_eq!(event.data(), "still here");
    });
}

#[test]
fn a_reset_stream_is_a_read_fault_and_resumes_on_the_same_connection() {
    let server = H2Server::cleartext();
    both(|kind| {
        let (mut client, stream) = client_after_one_event(kind, &server);
        stream.reset(Reason::INTERNAL_ERROR);
        let fault = client.fault();
        assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
        assert_eq!(
            fault.unwrap().to_string(),
            "the server reset the stream mid-response (INTERNAL_ERROR)"
        );
        assert_resumes(client, &server);
    });
}

#[test]
fn a_stream_reset_with_no_error_is_not_complete() {
    let server = H2Server::cleartext();
    both(|kind| {
        let (mut client, stream) = client_after_one_event(kind, &server);
        // NO_ERROR claims that the response is complete, but END_STREAM is missing.
        stream.reset(Reason::NO_ERROR);
        _ = client.fault();
        assert_resumes(client, &server);
    });
}

#[test]
fn goaway_with_an_error_mid_stream_is_a_read_fault_and_resumes() {
    let server = H2Server::cleartext();
    both(|kind| {
        let (mut client, stream) = client_after_one_event(kind, &server);
        stream.go_away_abruptly(Reason::INTERNAL_ERROR);
        let fault = client.fault();
        assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
        // GOAWAY, RST_STREAM and the end of the connection race.
        assert!(fault.unwrap().is_disconnect());
        assert_resumes(client, &server);
    });
}

#[test]
fn after_a_graceful_goaway_the_stream_continues_and_the_next_one_has_a_new_connection() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(builder(cleartext(&server)));
        let (first, mut stream) = std::thread::scope(|scope| {
            let server = &server;
            let exchange = scope.spawn(|| {
                let exchange = server.next();
                (exchange.connection, exchange.stream())
            });
            client.started();
            exchange.join().unwrap()
        });
        stream.go_away();
        stream.send("id: 1\ndata: after goaway\n\n");
        assert_eq!(client.event().data(), "after goaway");
        stream.end();
        assert!(client.fault().is_none());
        std::thread::scope(|scope| {
            let stream = scope.spawn(|| {
                let exchange = server.next();
                assert_ne!(exchange.connection, first);
                assert_eq!(exchange.header("last-event-id"), Some("1"));
                let mut stream = exchange.stream();
                stream.send("data: two\n\n");
                stream
            });
            assert_eq!(client.event().data(), "two");
            stream.join().unwrap();
        });
    });
}

#[test]
fn a_reset_instead_of_a_response_is_a_request_fault() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(builder(cleartext(&server)));
        std::thread::scope(|scope| {
            scope.spawn(|| server.next().reset(Reason::INTERNAL_ERROR));
            let fault = client.fault();
            assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
            assert_eq!(
                fault.unwrap().to_string(),
                "the server reset the stream before responding (INTERNAL_ERROR)"
            );
        });
    });
}

/// The server flushes its head early, and sends nothing more until it has read the whole request.
#[test]
fn the_request_body_is_sent_completely_after_an_early_response() {
    const LENGTH: usize = 4 << 20;
    let serving = runtime();
    let listener = serving.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    serving.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut h2 = h2::server::handshake(socket).await.unwrap();
                let (request, mut respond) = h2.accept().await.unwrap().unwrap();
                let head = http::Response::builder().header("content-type", "text/event-stream");
                let head = head.body(()).unwrap();
                let mut events = respond.send_response(head, false).unwrap();
                tokio::spawn(async move {
                    let (mut body, mut length) = (request.into_body(), 0);
                    while let Some(Ok(bytes)) = body.data().await {
                        length += bytes.len();
                        body.flow_control().release_capacity(bytes.len()).unwrap();
                    }
                    _ = events.send_data(format!("data: {length}\n\n").into(), true);
                });
                _ = std::future::poll_fn(|cx| h2.poll_closed(cx)).await;
            });
        }
    });
    both(|kind| {
        let http = Http::new(&url)
            .version(HttpVersion::Http2)
            .method("POST")
            .body(vec![b'x'; LENGTH]);
        let mut client = kind.build(builder(http));
        client.started();
        assert_eq!(client.event().data(), LENGTH.to_string());
    });
    serving.shutdown_background();
}
