//! How a response over TLS may end: with `close_notify`, or without it where the framing proves that
//! all of it is there. And what a reconnect takes over from the session before.

use std::time::Duration;

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
fn a_response_that_tls_does_not_end_is_broken_and_not_finished() {
    let behind = Behind::new(
        Reply::stream()
            .close_delimited()
            .event_with_id("1", "whole")
            .send("data: par")
            .end(),
    );
    for (goodbye, broken) in [(Goodbye::Missing, true), (Goodbye::Proper, false)] {
        let (_tls, http) = behind.tls(goodbye);
        both(|kind| {
            let mut client = kind.build(SseClient::builder(http.clone()));
            assert_eq!(client.event().data(), "whole");
            match client.next() {
                Some(Ok(Action::Fault(fault @ Fault::Read(_)))) => {
                    assert!(broken);
                    let expected = "the server closed the connection mid-response";
                    assert_eq!(fault.to_string(), expected);
                }
                Some(Ok(Action::End(_))) => assert!(!broken),
                other => panic!("{other:?}"),
            }
        });
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

#[test]
fn a_reconnect_resumes_the_tls_session() {
    let behind = Behind::new(Reply::stream().close_delimited().event("hello").end());
    both(|kind| {
        let (tls, http) = behind.tls(Goodbye::Proper);
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        for expected in [false, true, true] {
            assert_eq!(client.event().data(), "hello");
            match tls.next_handshake() {
                Handshake::Done { resumed, .. } => assert_eq!(resumed, expected),
                Handshake::Failed => panic!(),
            }
            assert!(client.fault().is_none());
        }
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
