//! How a response over TLS may end: with `close_notify`, or without it where the framing proves that
//! all of it is there. And what a reconnect takes over from the session before.

use everstream::{Action, Fault, Http, SseClient};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};

use super::certs::{Authority, Leaf, Validity};
use super::client::{Kind, both, chain, failure};
use super::tls_server::{Goodbye, Handshake, TlsServer};

/// A server behind TLS that replies like this, and a client's settings for it.
struct Behind {
    server: Server,
    authority: Authority,
    leaf: Leaf,
}

impl Behind {
    fn new(reply: Reply) -> Self {
        let server = Server::start();
        server.otherwise(reply);
        let authority = Authority::new();
        let leaf = authority.server(&["localhost"], Validity::Now);
        Behind {
            server,
            authority,
            leaf,
        }
    }

    fn tls(&self, goodbye: Goodbye) -> (TlsServer, Http) {
        let config = self.leaf.config(&["http/1.1"]);
        let tls = TlsServer::start_with(config, &self.server, goodbye);
        let http = Http::new(tls.url("/")).root_certificates(self.authority.pem());
        (tls, http)
    }
}

#[test]
fn without_close_notify_a_body_that_the_close_ends_is_broken() {
    let behind = Behind::new(
        Reply::stream()
            .close_delimited()
            .event("whole")
            .drop_connection(),
    );
    let (_tls, http) = behind.tls(Goodbye::Missing);
    both(|kind| {
        let mut client = kind.build(SseClient::builder(http.clone()));
        assert_eq!(client.event().data(), "whole");
        let fault = client.fault().expect("a fault");
        assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
        let text = "the server closed the connection mid-response";
        assert_eq!(chain(&fault), text);
        assert_eq!(failure(&fault).kind(), FailureKind::Closed);
    });
}

#[test]
fn without_close_notify_a_body_that_is_complete_is_complete() {
    for reply in [
        Reply::stream().event("whole").end(),
        Reply::stream().content_length(13).event("whole").end(),
        // The end arrives together with the end of TCP.
        Reply::raw(Reply::stream().event("whole").end().wire_bytes()).drop_connection(),
    ] {
        let behind = Behind::new(reply);
        for goodbye in [Goodbye::Missing, Goodbye::Proper] {
            let (_tls, http) = behind.tls(goodbye);
            both(|kind| {
                let mut client = kind.build(SseClient::builder(http.clone()));
                assert_eq!(client.event().data(), "whole");
                match client.next() {
                    Some(Ok(Action::End(_))) => {}
                    other => panic!("{other:?}"),
                }
            });
        }
    }
}

#[test]
fn without_close_notify_a_body_that_is_incomplete_is_broken() {
    for reply in [
        Reply::stream().event("whole").drop_connection(),
        Reply::stream()
            .content_length(14)
            .event("whole")
            .drop_connection(),
    ] {
        let behind = Behind::new(reply);
        for goodbye in [Goodbye::Missing, Goodbye::Proper] {
            let (_tls, http) = behind.tls(goodbye);
            both(|kind| {
                let mut client = kind.build(SseClient::builder(http.clone()));
                assert_eq!(client.event().data(), "whole");
                let fault = client.fault().expect("a fault");
                assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
                assert_eq!(failure(&fault).kind(), FailureKind::Closed);
            });
        }
    }
}

#[test]
fn without_close_notify_an_error_is_reported_with_its_body() {
    let behind = Behind::new(
        Reply::status(500)
            .close_delimited()
            .send("oh no")
            .drop_connection(),
    );
    let (_tls, http) = behind.tls(Goodbye::Missing);
    both(|kind| {
        let fault = kind.build(SseClient::builder(http.clone())).any_fault();
        assert_eq!(fault.status(), Some(500));
        assert_eq!(fault.response().unwrap().body, b"oh no");
    });
}

/// In the async client: blocking clients share nothing.
#[test]
fn clients_of_one_http_resume_the_tls_session() {
    let behind = Behind::new(Reply::stream().event("whole").end());
    let (tls, http) = behind.tls(Goodbye::Proper);
    let resumed = |http: &Http| {
        let mut client = Kind::Async.build(SseClient::builder(http.clone()));
        assert_eq!(client.event().data(), "whole");
        match tls.next_handshake() {
            Handshake::Done { resumed, .. } => resumed,
            Handshake::Failed => panic!("the handshake failed"),
        }
    };
    assert_eq!([(); 3].map(|()| resumed(&http)), [false, true, true]);
    // Another `Http` is another session.
    let other = Http::new(tls.url("/")).root_certificates(behind.authority.pem());
    assert_eq!([(); 2].map(|()| resumed(&other)), [false, true]);
}
