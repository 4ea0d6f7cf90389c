//! Ends of responses over TLS: with `close_notify`, or without it if the framing proves that the response
//! is complete. Also session resumption.

use std::time::Duration;

use everstream::{Action, Fault, Http, SseClient};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};

use super::certs::{Authority, Leaf, Validity};
use super::client::{Kind, both, chain, failure};
use super::tls_server::{CloseNotify, Handshake, TlsServer};

/// A server for TLS, with its certificate.
struct Origin {
    server: Server,
    authority: Authority,
    leaf: Leaf,
}

impl Origin {
    fn new(reply: Reply) -> Self {
        let server = Server::start();
        server.otherwise(reply);
        let authority = Authority::new();
        let leaf = authority.server(&["localhost"], Validity::Now);
        Origin {
            server,
            authority,
            leaf,
        }
    }

    fn tls(&self, close_notify: CloseNotify) -> (TlsServer, Http) {
        let config = self.leaf.config(&["http/1.1"]);
        let tls = TlsServer::start_with(config, &self.server, close_notify);
        let http = Http::new(tls.url("/")).root_certificates(self.authority.pem());
        (tls, http)
    }
}

#[test]
fn without_close_notify_a_close_delimited_body_is_a_fault() {
    let origin = Origin::new(
        Reply::stream()
            .close_delimited()
            .event("whole")
            .drop_connection(),
    );
    let (_tls, http) = origin.tls(CloseNotify::Missing);
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
fn without_close_notify_a_complete_body_is_a_clean_end() {
    for reply in [
        Reply::stream().event("whole").end(),
        Reply::stream().content_length(13).event("whole").end(),
        // The end of the response arrives together with the end of TCP.
        Reply::raw(Reply::stream().event("whole").end().wire_bytes()).drop_connection(),
    ] {
        let origin = Origin::new(reply);
        for close_notify in [CloseNotify::Missing, CloseNotify::Sent] {
            let (_tls, http) = origin.tls(close_notify);
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
fn without_close_notify_an_incomplete_body_is_a_fault() {
    for reply in [
        Reply::stream().event("whole").drop_connection(),
        Reply::stream()
            .content_length(14)
            .event("whole")
            .drop_connection(),
    ] {
        let origin = Origin::new(reply);
        for close_notify in [CloseNotify::Missing, CloseNotify::Sent] {
            let (_tls, http) = origin.tls(close_notify);
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
fn a_close_delimited_response_without_close_notify_is_a_fault() {
    let origin = Origin::new(
        Reply::stream()
            .close_delimited()
            .event_with_id("1", "whole")
            .send("data: par")
            .end(),
    );
    for (close_notify, broken) in [(CloseNotify::Missing, true), (CloseNotify::Sent, false)] {
        let (_tls, http) = origin.tls(close_notify);
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
    let origin = Origin::new(
        Reply::status(500)
            .close_delimited()
            .send("oh no")
            .drop_connection(),
    );
    let (_tls, http) = origin.tls(CloseNotify::Missing);
    both(|kind| {
        let fault = kind.build(SseClient::builder(http.clone())).any_fault();
        assert_eq!(fault.status(), Some(500));
        assert_eq!(fault.response().unwrap().body, b"oh no");
    });
}

#[test]
fn a_reconnect_resumes_the_tls_session() {
    let origin = Origin::new(Reply::stream().close_delimited().event("hello").end());
    both(|kind| {
        let (tls, http) = origin.tls(CloseNotify::Sent);
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

/// With async clients, because blocking clients share nothing.
#[test]
fn clients_of_one_http_resume_the_tls_session() {
    let origin = Origin::new(Reply::stream().event("whole").end());
    let (tls, http) = origin.tls(CloseNotify::Sent);
    let resumed = |http: &Http| {
        let mut client = Kind::Async.build(SseClient::builder(http.clone()));
        assert_eq!(client.event().data(), "whole");
        match tls.next_handshake() {
            Handshake::Done { resumed, .. } => resumed,
            Handshake::Failed => panic!("the handshake failed"),
        }
    };
    assert_eq!([(); 3].map(|()| resumed(&http)), [false, true, true]);
    // Another `Http` has its own sessions.
    let other = Http::new(tls.url("/")).root_certificates(origin.authority.pem());
    assert_eq!([(); 2].map(|()| resumed(&other)), [false, true]);
}
