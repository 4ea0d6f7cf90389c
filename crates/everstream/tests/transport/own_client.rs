//! Clients of reqwest that the program brings itself.

use std::net::TcpListener;
use std::time::Duration;

use everstream::{Fault, Http, SseClient};
use everstream_testing::{Reply, Server};
use reqwest::redirect::Policy;

use super::LIMIT;
use super::certs::{Authority, Validity};
use super::client::{both, chain};
use super::tls_server::TlsServer;
use crate::support::reqwest_client;

/// Long enough for the two ends of one machine, and soon over.
const SOON: Duration = Duration::from_millis(600);

#[test]
fn a_client_of_ones_own_brings_its_settings() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let authority = Authority::new();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    both(|kind| {
        let own = reqwest_client::builder_that_trusts(authority.store())
            .user_agent("mine")
            .redirect(Policy::none())
            .build()
            .unwrap();
        let http = Http::new(tls.url("/")).header("X-Team", "a").client(own);
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("User-Agent"), Some("mine"));
        assert_eq!(request.header("X-Team"), Some("a"));
        assert_eq!(request.header("Accept"), Some("text/event-stream"));
    });
}

#[test]
fn a_client_of_ones_own_without_a_policy_has_its_redirects_followed_safely() {
    let target = Server::start();
    target.otherwise(Reply::stream().event("hello").stall());
    let server = Server::start();
    server.otherwise(Reply::redirect(307, target.url("/moved")));
    both(|kind| {
        let own = reqwest_client::builder()
            .redirect(Policy::none())
            .build()
            .unwrap();
        let http = Http::new(server.url("/"))
            .sensitive_header("X-Api-Key", "secret")
            .client(own);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
        assert_eq!(target.requests().pop().unwrap().header("X-Api-Key"), None);
    });
}

#[test]
fn the_connect_timeout_of_a_client_of_ones_own_is_a_connect_fault() {
    // Accepts by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    both(|kind| {
        let own = reqwest_client::builder()
            .connect_timeout(SOON)
            .build()
            .unwrap();
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let fault = kind
            .build(SseClient::builder(Http::new(url).client(own)))
            .any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        assert_eq!(chain(&fault), "operation timed out");
    });
}

#[test]
fn the_total_timeout_of_a_client_of_ones_own_is_a_fault_and_not_the_end() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    both(|kind| {
        let own = reqwest_client::builder().timeout(SOON).build().unwrap();
        let http = Http::new(server.url("/")).client(own);
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        assert_eq!(client.event().data(), "hello");
        let fault = client.fault();
        assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
        assert_eq!(client.event().data(), "hello");
    });
    assert!(server.wait_for_requests(4, LIMIT));
}
