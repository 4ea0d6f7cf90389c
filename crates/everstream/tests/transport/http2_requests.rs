//! HTTP/2: headers that differ from HTTP/1.1, and informational responses.

use std::time::Duration;

use everstream::{Action, Builder, Fault, Http, HttpVersion, SseClient};
use everstream_http::FailureKind;

use super::client::{both, chain, failure};
use super::h2_server::{Exchange, H2Server};
use super::raw_h2;

fn builder(http: Http) -> Builder {
    SseClient::builder(http.version(HttpVersion::Http2)).initial_retry_delay(Duration::ZERO)
}

/// Checks what both clients send if these headers are set.
fn check_request(headers: &[(&str, &str)], check: impl Fn(&Exchange) + Sync) {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut http = Http::new(server.url("/feed?a=b"));
        for (name, value) in headers {
            http = http.header(*name, *value);
        }
        let mut client = kind.build(builder(http));
        std::thread::scope(|scope| {
            let stream = scope.spawn(|| {
                let exchange = server.next();
                check(&exchange);
                exchange.stream()
            });
            client.started();
            stream.join().unwrap();
        });
    });
}

#[test]
fn the_users_host_becomes_the_authority() {
    for host in ["mine.test", "mine.test:8080", "[::1]:80"] {
        check_request(&[("Host", host)], |exchange| {
            let uri = exchange.request.uri();
            assert_eq!(uri.authority().unwrap().as_str(), host);
            assert_eq!(uri.scheme_str(), Some("http"));
            assert_eq!(uri.path_and_query().unwrap().as_str(), "/feed?a=b");
            assert_eq!(exchange.header("host"), None);
        });
    }
}

#[test]
fn without_a_host_header_the_authority_is_from_the_url() {
    check_request(&[], |exchange| {
        let authority = exchange.request.uri().authority().unwrap();
        assert_eq!(authority.host(), "localhost");
        assert!(authority.port().is_some());
        assert_eq!(exchange.header("host"), None);
    });
}

#[test]
fn a_host_header_that_is_not_a_valid_authority_fails() {
    let server = H2Server::cleartext();
    for host in ["", "a b", "user@mine.test", "a/b"] {
        both(|kind| {
            let http = Http::new(server.url("/")).header("Host", host);
            let fault = kind.build(builder(http)).fault().unwrap();
            assert!(matches!(fault, Fault::Connect(_)), "{host:?}: {fault:?}");
            assert_eq!(
                chain(&fault),
                "the Host header can't be the authority of a request over HTTP/2"
            );
        });
    }
    assert_eq!(server.drain(), 0);
}

/// RFC 9113, section 8.2.2.
#[test]
fn connection_headers_are_not_sent() {
    let managed = [
        ("Connection", "keep-alive, x-named"),
        ("Expect", "100-continue"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
        ("Trailer", "x-team"),
        ("Upgrade", "h2c"),
    ];
    // Headers that `Connection` names are sent, because `Connection` isn't.
    let others = [("X-Named", "a"), ("X-Team", "b")];
    check_request(&[&managed[..], &others].concat(), |exchange| {
        for (name, _) in managed {
            assert_eq!(exchange.header(name), None, "{name}");
        }
        for (name, value) in others {
            assert_eq!(exchange.header(name), Some(value), "{name}");
        }
    });
    check_request(&[("TE", "trailers")], |exchange| {
        assert_eq!(exchange.header("te"), None);
    });
    for name in ["Transfer-Encoding", "Content-Length"] {
        let http = Http::new("http://localhost/").header(name, "1");
        let error = builder(http).build().unwrap_err();
        assert!(
            error.to_string().contains("is computed from the body"),
            "{error}"
        );
    }
}

#[test]
fn up_to_64_informational_responses_are_skipped() {
    let url = raw_h2::informational(64);
    both(|kind| {
        let mut client = kind.build(builder(Http::new(&url)));
        assert_eq!(client.event().data(), "x");
    });
    let url = raw_h2::informational(65);
    both(|kind| {
        let mut client = kind.build(builder(Http::new(&url)));
        let fault = client.fault().unwrap();
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        assert_eq!(
            chain(&fault),
            "the server sent more than 64 informational responses"
        );
        assert_eq!(failure(&fault).kind(), FailureKind::Malformed);
        assert!(matches!(
            client.next(),
            Some(Ok(Action::Fault(Fault::Request(_))))
        ));
    });
}
