//! A cancelled read continues when it is started again: a connection is opened only once, however often
//! reads are cancelled. Applies only to the async client.

use std::time::Duration;

use everstream::{Http, SseClient};
use everstream_testing::{Gate, Reply, Server};
use tokio::time::{sleep, timeout};

use super::LIMIT;
use super::certs::{Authority, Validity};
use super::proxy_server::{Behavior, Proxy};
use super::tls_server::{Handshake, TlsServer, runtime};

const TICK: Duration = Duration::from_millis(1);

/// How often the read is cancelled before the server or the proxy continues.
const TIMES: usize = 6;

/// A server that answers once the gate is open.
fn slow(gate: &Gate) -> Server {
    let server = Server::start();
    server.otherwise(Reply::stream().head_after(gate).event("hello").stall());
    server
}

/// Reads an event, cancelling the read every millisecond. Opens each of these gates after more reads were
/// cancelled.
fn cancelled(http: Http, gates: &[&Gate]) {
    runtime().block_on(async {
        let mut client = SseClient::new(http).unwrap();
        let mut cancelled = 0;
        let event = timeout(LIMIT, async {
            loop {
                tokio::select! {
                    event = client.next_event() => break event,
                    () = sleep(TICK) => cancelled += 1,
                }
                if let Some(gate) = (cancelled / TIMES)
                    .checked_sub(1)
                    .and_then(|it| gates.get(it))
                {
                    gate.open();
                }
            }
        });
        let event = event.await.expect("it connects").unwrap().unwrap();
        assert_eq!(event.data(), "hello");
    });
}

#[test]
fn over_tcp() {
    let gate = Gate::new();
    let server = slow(&gate);
    cancelled(Http::new(server.url("/")), &[&gate]);
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
}

#[test]
fn over_tls() {
    let gate = Gate::new();
    let server = slow(&gate);
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let http = Http::new(tls.url("/")).root_certificates(authority.pem());
    cancelled(http, &[&gate]);
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
    assert!(matches!(tls.next_handshake(), Handshake::Done { .. }));
    assert!(tls.try_next_handshake().is_none());
}

#[test]
fn over_a_tunnel() {
    let gate = Gate::new();
    let server = slow(&gate);
    let authority = Authority::new();
    let leaf = authority.server(&["feed.test"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let tunnel = Gate::new();
    let proxy = Proxy::start(Behavior::ConnectLaterTo(tls.addr(), tunnel.clone()));
    let http = Http::new("https://feed.test/")
        .root_certificates(authority.pem())
        .proxy(proxy.url());
    cancelled(http, &[&tunnel, &gate]);
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
    assert_eq!(proxy.heads().len(), 1);
    assert!(matches!(tls.next_handshake(), Handshake::Done { .. }));
    assert!(tls.try_next_handshake().is_none());
}
