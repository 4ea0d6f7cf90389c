//! HTTP/2: requests that the server doesn't process, errors with an unfinished body, and dead connections.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use everstream::{Action, Builder, Fault, Http, HttpVersion, SseClient};
use everstream_http::FailureKind;
use h2::Reason;

use super::LIMIT;
use super::certs::{Authority, Validity};
use super::client::{Client, Kind, both, chain, failure};
use super::h2_server::H2Server;
use super::tls_server::runtime;

fn prompt(url: String) -> Builder {
    let http = Http::new(url)
        .version(HttpVersion::Http2)
        .method("POST")
        .body("prompt");
    SseClient::builder(http).initial_retry_delay(Duration::ZERO)
}

/// Expects a fault that means that the request wasn't processed.
fn expect_unprocessed(client: &mut Client) -> Fault {
    let fault = client.fault().expect("a fault");
    assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
    fault
}

#[test]
fn a_prompt_whose_stream_is_refused_is_resent() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(prompt(server.url("/")));
        thread::scope(|scope| {
            scope.spawn(|| server.next().reset(Reason::REFUSED_STREAM));
            let fault = expect_unprocessed(&mut client);
            assert_eq!(chain(&fault), "the server refused the stream");
            assert_eq!(failure(&fault).kind(), FailureKind::Refused);
        });
        thread::scope(|scope| {
            let stream = scope.spawn(|| {
                let exchange = server.next();
                assert_eq!(exchange.request.method(), "POST");
                let mut stream = exchange.stream();
                stream.send("data: x\n\n");
                stream
            });
            assert_eq!(client.event().data(), "x");
            stream.join().unwrap();
        });
    });
}

#[test]
fn a_prompt_that_may_have_been_processed_is_not_resent() {
    let server = H2Server::cleartext();
    both(|kind| {
        for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
            let mut client = kind.build(prompt(server.url("/")));
            thread::scope(|scope| {
                scope.spawn(|| server.next().reset(reason));
                match client.any_fault() {
                    Fault::Request(_) => {}
                    other => panic!("{reason:?}: {other:?}"),
                }
            });
            assert!(client.next().is_none());
            assert_eq!(server.drain(), 0);
        }
    });
}

/// A server that sends raw server, because h2's server counts every request it has seen as processed.
struct RawServer {
    addr: SocketAddr,
    requests: Arc<AtomicUsize>,
}

const HEADERS: u8 = 1;
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A GOAWAY frame with this reason, which says that the server has processed no stream.
fn goaway(reason: u8) -> [u8; 17] {
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, reason]
}

impl RawServer {
    /// Sends `answer` after the first request of each connection, then closes it or leaves it open.
    fn start(answer: Vec<u8>, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counted) = (answer.clone(), counted.clone());
                thread::spawn(move || serve(stream, &answer, closes, &counted));
            }
        });
        RawServer { addr, requests }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &[u8],
    closes: bool,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    stream.write_all(&SETTINGS)?;
    stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut (&stream).take(length.into()), &mut std::io::sink())?;
        if head[3] == HEADERS {
            requests.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer)?;
            if closes {
                // Closing with unread data would send a reset, which may overtake the answer.
                stream.shutdown(Shutdown::Write)?;
                std::io::copy(&mut stream, &mut std::io::sink())?;
                return Ok(());
            }
        }
    }
}

#[test]
fn a_prompt_excluded_by_goaway_is_resent() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        for closes in [true, false] {
            let code = u32::from(reason) as u8;
            let server = RawServer::start(goaway(code).to_vec(), closes);
            both(|kind| {
                let before = server.requests.load(Ordering::SeqCst);
                let mut client = kind.build(prompt(server.url()));
                for _ in 0..3 {
                    let fault = expect_unprocessed(&mut client);
                    assert_eq!(failure(&fault).kind(), FailureKind::Closed, "{fault:?}");
                }
                // Each attempt sent the request once.
                assert_eq!(server.requests.load(Ordering::SeqCst) - before, 3);
            });
        }
    }
}

/// Without GOAWAY, the server may have processed the request.
#[test]
fn a_prompt_whose_connection_closes_is_not_resent() {
    let server = RawServer::start(Vec::new(), true);
    both(|kind| {
        let before = server.requests.load(Ordering::SeqCst);
        let mut client = kind.build(prompt(server.url()));
        let fault = client.any_fault();
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        assert!(client.next().is_none());
        assert_eq!(server.requests.load(Ordering::SeqCst) - before, 1);
    });
}

#[test]
fn http_1_1_required_is_handled_within_the_attempt() {
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    both(|kind| {
        let server = H2Server::tls(leaf.config(&["h2", "http/1.1"]));
        let http = Http::new(server.url("/"))
            .root_certificates(authority.pem())
            .version(match kind {
                Kind::Async => HttpVersion::Auto,
                Kind::Blocking => HttpVersion::Http2,
            });
        for http in [http.clone().method("POST").body("prompt"), http] {
            // Each setting has its own connections.
            let http = http.connect_timeout(LIMIT);
            let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
            let mut client = kind.build(builder);
            thread::scope(|scope| {
                scope.spawn(|| server.next().reset(Reason::HTTP_1_1_REQUIRED));
                // No fault precedes the start.
                client.started();
            });
            assert_eq!(client.event().data(), "over HTTP/1.1");
            assert!(client.fault().is_none());
            // The next attempt uses HTTP/1.1 from the start. A prompt has no next attempt.
            match client.next() {
                Some(Ok(Action::Start(_))) => assert_eq!(client.event().data(), "over HTTP/1.1"),
                None => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(server.drain(), 0);
        }
    });
}

#[test]
fn connect_timeout_applies_to_the_second_connection_of_an_attempt() {
    let authority = Authority::new();
    let config = authority
        .server(&["localhost"], Validity::Now)
        .config(&["h2", "http/1.1"]);
    let serving = runtime();
    let listener = serving.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let port = listener.local_addr().unwrap().port();
    serving.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let socket = acceptor.accept(socket).await.unwrap();
        let mut h2 = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = h2.accept().await.unwrap().unwrap();
        respond.send_reset(Reason::HTTP_1_1_REQUIRED);
        // The next connection is never accepted, so it waits in the TLS handshake.
        _ = poll_fn(|cx| h2.poll_closed(cx)).await;
        std::future::pending::<()>().await;
    });
    let limit = Duration::from_secs(1);
    let http = Http::new(format!("https://localhost:{port}/"))
        .root_certificates(authority.pem())
        .connect_timeout(limit);
    let mut client = Kind::Async.build(SseClient::builder(http));
    match client.any_fault() {
        Fault::ConnectTimeout(waited) => assert_eq!(waited, limit),
        other => panic!("{other:?}"),
    }
    serving.shutdown_background();
}

#[test]
fn an_error_with_an_unfinished_body_is_reported_after_two_seconds() {
    let server = H2Server::cleartext();
    both(|kind| {
        let http = Http::new(server.url("/")).version(HttpVersion::Http2);
        let mut client = kind.build(SseClient::builder(http));
        let began = Instant::now();
        thread::scope(|scope| {
            let stream = scope.spawn(|| {
                let mut stream = server.next().respond(500);
                stream.send("oh no");
                stream
            });
            let fault = client.any_fault();
            assert_eq!(fault.status(), Some(500), "{fault:?}");
            assert_eq!(fault.response().unwrap().body, b"oh no");
            let took = began.elapsed();
            assert!(took >= Duration::from_secs(2) && took < LIMIT, "{took:?}");
            stream.join().unwrap();
        });
    });
}

/// Starts a server for one connection, in the client's runtime, so that paused time advances only if
/// both wait.
async fn server(answers_pings: bool) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut h2 = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = h2.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", "text/event-stream");
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        body.send_data("data: a\n\n".into(), false).unwrap();
        let flushed = async {
            // Drives the connection until everything is written; no other request arrives.
            tokio::time::timeout(Duration::from_secs(1), h2.accept()).await
        };
        assert!(flushed.await.is_err());
        if answers_pings {
            _ = poll_fn(|cx| h2.poll_closed(cx)).await;
        } else {
            std::future::pending::<()>().await;
        }
    });
    (addr, serving)
}

async fn connected(addr: SocketAddr) -> SseClient {
    let http = Http::new(format!("http://{addr}/")).version(HttpVersion::Http2);
    let mut client = SseClient::new(http).unwrap();
    let event = client.next_event().await.unwrap().unwrap();
    assert_eq!(event.data(), "a");
    tokio::time::pause();
    client
}

/// With the async client, whose connection task also runs between reads.
#[tokio::test]
async fn a_connection_that_does_not_answer_pings_is_closed() {
    let (addr, _serving) = server(false).await;
    let mut client = connected(addr).await;
    let began = tokio::time::Instant::now();
    let hour = Duration::from_secs(3600);
    match tokio::time::timeout(hour, client.next_action()).await {
        Ok(Some(Ok(Action::Fault(Fault::Read(_))))) => {}
        other => panic!("{other:?}"),
    }
    let took = began.elapsed();
    // A ping after a minute, and twenty seconds for the reply.
    let expected = Duration::from_secs(78)..Duration::from_secs(82);
    assert!(expected.contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_connection_that_answers_pings_stays_open() {
    let (addr, _serving) = server(true).await;
    let mut client = connected(addr).await;
    let day = Duration::from_secs(24 * 3600);
    let silent = tokio::time::timeout(day, client.next_action()).await;
    assert!(silent.is_err(), "{silent:?}");
}
