//! A cancelled read continues when it is started again: a connection is opened only once, however often
//! reads are cancelled. Applies only to the async client.

use std::time::Duration;

use everstream::{Http, SseClient};
use everstream_testing::{Reply, Server};
use tokio::time::{sleep, timeout};

use super::LIMIT;
use super::certs::{Authority, Validity};
use super::proxy_server::{Behavior, Proxy};
use super::tls_server::{Handshake, TlsServer, runtime};

/// Many times longer than a read lasts here before it is cancelled.
const SLOW: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(1);

fn slow() -> Server {
    let server = Server::start();
    server.otherwise(Reply::stream().head_delayed(SLOW).event("hello").stall());
    server
}

/// Reads an event, cancelling the read every millisecond. Returns how often it was cancelled.
fn cancelled(http: Http) -> u32 {
    runtime().block_on(async {
        let mut client = SseClient::new(http).unwrap();
        let mut cancelled = 0;
        let event = timeout(LIMIT, async {
            loop {
                tokio::select! {
                    event = client.next_event() => break event,
                    () = sleep(TICK) => cancelled += 1,
                }
            }
        });
        let event = event.await.expect("it connects").unwrap().unwrap();
        assert_eq!(event.data(), "hello");
        cancelled
    })
}

#[test]
fn over_tcp() {
    let server = slow();
    let times = cancelled(Http::new(server.url("/")));
    assert!(times > 5, "{times}");
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
}

#[test]
fn over_tls() {
    let server = slow();
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let times = cancelled(Http::new(tls.url("/")).root_certificates(authority.pem()));
    assert!(times > 5, "{times}");
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
    assert!(matches!(tls.next_handshake(), Handshake::Done { .. }));
    assert!(tls.try_next_handshake().is_none());
}

#[test]
fn over_a_tunnel() {
    let server = slow();
    let authority = Authority::new();
    let leaf = authority.server(&["feed.test"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let proxy = Proxy::start(Behavior::ConnectSlowlyTo(tls.addr(), SLOW));
    let http = Http::new("https://feed.test/")
        .root_certificates(authority.pem())
        .proxy(proxy.url());
    let times = cancelled(http);
    assert!(times > 10, "{times}");
    assert_eq!(
        (server.accepted_connections(), server.request_count()),
        (1, 1)
    );
    assert_eq!(proxy.heads().len(), 1);
    assert!(matches!(tls.next_handshake(), Handshake::Done { .. }));
    assert!(tls.try_next_handshake().is_none());
}
