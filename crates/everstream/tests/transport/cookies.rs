//! Cookies over HTTP/2, over TLS and with a custom reqwest client.

use std::time::Duration;

use everstream::{Action, Http, HttpVersion, SseClient};

use super::certs::{Authority, Validity};
use super::client::{Client, both};
use super::h2_server::H2Server;

/// Returns the data of the next event, skipping other actions.
fn next_data(client: &mut Client) -> String {
    loop {
        match client.next() {
            Some(Ok(Action::Event(event))) => return event.into_data(),
            Some(Ok(_)) => {}
            other => panic!("expected an event, got {other:?}"),
        }
    }
}

#[test]
fn sticky_sessions_survive_redirects_and_reconnects_over_http2() {
    let server = H2Server::cleartext();
    both(|kind| {
        let http = Http::new(server.url("/feed"))
            .version(HttpVersion::Http2)
            .cookies(true);
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        std::thread::scope(|scope| {
            let streams = scope.spawn(|| {
                let first = server.next();
                assert_eq!(first.header("cookie"), None);
                first.set_cookie(307, ("location", "/moved"), "node=7; Path=/");
                let redirected = server.next();
                assert_eq!(redirected.header("cookie"), Some("node=7"));
                redirected.set_cookie(200, ("content-type", "text/event-stream"), "n=8; Path=/");
                let reconnected = server.next();
                assert_eq!(reconnected.header("cookie"), Some("node=7; n=8"));
                let mut stream = reconnected.stream();
                stream.send("data: a\n\n");
                stream
            });
            assert_eq!(next_data(&mut client), "a");
            streams.join().unwrap();
        });
    });
}

#[test]
fn secure_cookies_are_sent_over_tls() {
    let authority = Authority::new();
    let leaf = authority.server(&["sticky.test"], Validity::Now);
    let server = H2Server::tls(leaf.config(&["h2"]));
    let url = server.url("/feed").replace("localhost", "sticky.test");
    both(|kind| {
        let http = Http::new(&url)
            .version(HttpVersion::Http2)
            .root_certificates(authority.pem())
            .resolve("sticky.test", [127, 0, 0, 1])
            .no_proxy()
            .cookies(true);
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        std::thread::scope(|scope| {
            let streams = scope.spawn(|| {
                let content_type = ("content-type", "text/event-stream");
                server
                    .next()
                    .set_cookie(200, content_type, "node=7; Secure");
                let reconnected = server.next();
                assert_eq!(reconnected.header("cookie"), Some("node=7"));
                let mut stream = reconnected.stream();
                stream.send("data: a\n\n");
                stream
            });
            assert_eq!(next_data(&mut client), "a");
            streams.join().unwrap();
        });
    });
}

#[cfg(feature = "reqwest")]
mod custom_client {
    use everstream_testing::{Reply, Server};
    use reqwest::redirect::Policy;

    use super::*;
    use crate::support::reqwest_client;

    #[test]
    fn stored_cookies_are_sent_with_a_custom_client() {
        both(|kind| {
            let server = Server::start();
            let redirect = Reply::redirect(307, "/moved");
            server.enqueue(redirect.header("Set-Cookie", "node=7; Path=/"));
            server.enqueue(Reply::stream().event("a").end());
            server.otherwise(Reply::stream().event("b").stall());
            let custom = reqwest_client::builder().redirect(Policy::none());
            let http = Http::new(server.url("/feed"))
                .client(custom.build().unwrap())
                .cookies(true);
            let mut client =
                kind.build(SseClient::builder(http).initial_retry_delay(Duration::ZERO));
            assert_eq!(next_data(&mut client), "a");
            assert_eq!(next_data(&mut client), "b");
            let requests = server.requests();
            let cookies: Vec<_> = requests
                .iter()
                .map(|request| request.header("cookie"))
                .collect();
            assert_eq!(cookies, [None, Some("node=7"), Some("node=7")]);
        });
    }

    #[test]
    fn redirects_followed_by_reqwest_store_no_cookie_for_the_wrong_host() {
        both(|kind| {
            let (home, other) = (Server::start(), Server::start());
            home.otherwise(Reply::redirect(307, other.url("/there")));
            let cookie = Reply::stream().header("Set-Cookie", "there=secret; Path=/");
            other.otherwise(cookie.event("a").end());
            let http = Http::new(home.url("/feed"))
                .client(reqwest_client::builder().build().unwrap())
                .cookies(true);
            let mut client =
                kind.build(SseClient::builder(http).initial_retry_delay(Duration::ZERO));
            assert_eq!(next_data(&mut client), "a");
            assert_eq!(next_data(&mut client), "a");
            for request in home.requests() {
                assert_eq!(request.header("cookie"), None);
            }
        });
    }
}
