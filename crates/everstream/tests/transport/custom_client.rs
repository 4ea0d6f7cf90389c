//! Custom `reqwest::Client`s.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use everstream::{Action, Fault, Http, SseClient};
use everstream_testing::{Reply, Server};
use h2::Reason;
use reqwest::redirect::Policy;

use super::LIMIT;
use super::certs::{Authority, Validity};
use super::client::{both, chain};
use super::h2_server::{H2Server, Stream};
use super::tls_server::TlsServer;
use crate::support::reqwest_client;

/// Longer than a busy machine takes to connect and to answer.
const SHORT: Duration = Duration::from_millis(1500);

#[test]
fn a_custom_client_keeps_its_settings() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    both(|kind| {
        let custom = reqwest_client::builder_that_trusts(authority.store())
            .user_agent("mine")
            .redirect(Policy::none())
            .build()
            .unwrap();
        let http = Http::new(tls.url("/")).header("X-Team", "a").client(custom);
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("User-Agent"), Some("mine"));
        assert_eq!(request.header("X-Team"), Some("a"));
        assert_eq!(request.header("Accept"), Some("text/event-stream"));
    });
}

#[test]
fn everstream_follows_redirects_for_a_custom_client_without_a_policy() {
    let target = Server::start();
    target.otherwise(Reply::stream().event("hello").stall());
    let server = Server::start();
    server.otherwise(Reply::redirect(307, target.url("/moved")));
    both(|kind| {
        let custom = reqwest_client::builder()
            .redirect(Policy::none())
            .build()
            .unwrap();
        let http = Http::new(server.url("/"))
            .sensitive_header("X-Api-Key", "secret")
            .client(custom);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
        assert_eq!(target.requests().pop().unwrap().header("X-Api-Key"), None);
    });
}

#[test]
fn the_connect_timeout_of_a_custom_client_is_a_connect_fault() {
    // The backlog accepts connections, but nothing is sent.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    both(|kind| {
        let custom = reqwest_client::builder()
            .connect_timeout(SHORT)
            .build()
            .unwrap();
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let fault = kind
            .build(SseClient::builder(Http::new(url).client(custom)))
            .any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        assert_eq!(chain(&fault), "operation timed out");
    });
}

#[test]
fn the_total_timeout_of_a_custom_client_is_a_fault_and_the_client_reconnects() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    both(|kind| {
        let custom = reqwest_client::builder().timeout(SHORT).build().unwrap();
        let http = Http::new(server.url("/")).client(custom);
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        assert_eq!(client.event().data(), "hello");
        let fault = client.fault();
        assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
        assert_eq!(client.event().data(), "hello");
    });
    assert!(server.wait_for_requests(4, LIMIT));
}

/// hyper hides such a reset and reports the end of the body.
#[test]
fn a_reset_stream_of_a_custom_client_is_not_complete() {
    let server = H2Server::cleartext();
    let reset: fn(Stream) = |stream| stream.reset(Reason::NO_ERROR);
    let ends = [(reset, 0), (Stream::end, 1)];
    both(|kind| {
        for (end, dispatched) in ends {
            let custom = reqwest_client::builder()
                .http2_prior_knowledge()
                .build()
                .unwrap();
            let http = Http::new(server.url("/")).client(custom);
            let builder = SseClient::builder(http).dispatch_unfinished(true);
            let mut client = kind.build(builder);
            let stream = thread::scope(|scope| {
                let stream = scope.spawn(|| {
                    let mut stream = server.next().stream();
                    stream.send("data: a\n\ndata: b\n");
                    stream
                });
                // A reset would overtake the event.
                assert_eq!(client.event().data(), "a");
                stream.join().unwrap()
            });
            end(stream);
            let mut events = 0;
            let end = loop {
                match client.next() {
                    Some(Ok(Action::Event(_))) => events += 1,
                    Some(Ok(Action::End(end))) => break end,
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(events, dispatched);
            assert_eq!(end.discarded_bytes, 8 * (1 - dispatched));
        }
    });
}
