//! Connections through proxies and past them, and faults of proxies.

use std::net::TcpListener;

use everstream::{Error, Fault, Http, SseClient, blocking};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};

use super::certs::{Authority, Validity};
use super::client::{both, chain, failure, in_child};
use super::proxy_server::{Behavior, Proxy};
use super::tls_server::TlsServer;

const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\nno luck";
const AUTHENTICATION_REQUIRED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";

fn streaming() -> Server {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    server
}

/// Returns a URL on which nothing listens: the port has just been freed, and isn't reused soon.
fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn http_requests_are_sent_to_the_proxy() {
    let server = streaming();
    let proxy = Proxy::start(Behavior::ConnectTo(server.addr()));
    both(|kind| {
        let http = Http::new("http://feed.test/events?x=1").proxy(proxy.url());
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let head = proxy.heads().pop().unwrap();
        assert!(
            head.starts_with("GET http://feed.test/events?x=1 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            !head.to_lowercase().contains("proxy-authorization"),
            "{head}"
        );
    });
}

/// Through a proxy, because tests can't use this machine's default ports.
#[test]
fn headers_are_kept_but_secrets_withheld_when_upgraded_to_https() {
    let plain = Server::start();
    plain.otherwise(Reply::redirect(301, "https://feed.test/events").header("Connection", "close"));
    let server = streaming();
    let authority = Authority::new();
    let leaf = authority.server(&["feed.test"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&[]), &server);
    let proxy = Proxy::start(Behavior::ByScheme(plain.addr(), tls.addr()));
    both(|kind| {
        let http = Http::new("http://feed.test/events")
            .root_certificates(authority.pem())
            .header("X-Team", "a")
            .sensitive_header("X-Api-Key", "secret")
            .proxy(proxy.url());
        let mut client = kind.build(SseClient::builder(http));
        let start = client.started();
        assert_eq!(start.url.as_deref(), Some("https://feed.test/events"));
        assert_eq!(start.withheld_headers, ["x-api-key"]);
        assert_eq!(client.event().data(), "hello");
        let first = plain.requests().pop().unwrap();
        assert_eq!(first.header("x-team"), Some("a"));
        assert_eq!(first.header("x-api-key"), Some("secret"));
        let second = server.requests().pop().unwrap();
        assert_eq!(second.header("x-team"), Some("a"));
        assert_eq!(second.header("x-api-key"), None);
        let heads = proxy.heads();
        assert!(
            heads.last().unwrap().starts_with("CONNECT feed.test:443 "),
            "{heads:?}"
        );
    });
}

#[test]
fn https_is_tunneled_and_the_proxy_sees_no_secrets() {
    let server = streaming();
    let authority = Authority::new();
    let leaf = authority.server(&["feed.test"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&[]), &server);
    let proxy = Proxy::start(Behavior::ConnectTo(tls.addr()));
    both(|kind| {
        let http = Http::new("https://feed.test/events")
            .root_certificates(authority.pem())
            .bearer_token("secret")
            .proxy(proxy.url_with_password());
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let head = proxy.heads().pop().unwrap().to_lowercase();
        assert!(
            head.starts_with("connect feed.test:443 http/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("proxy-authorization: basic "), "{head}");
        assert!(!head.contains("bearer"), "{head}");
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("Authorization"), Some("Bearer secret"));
        assert_eq!(request.header("Proxy-Authorization"), None);
    });
}

#[test]
fn the_proxy_password_is_sent_only_to_the_proxy() {
    let server = streaming();
    let proxy = Proxy::start(Behavior::ConnectTo(server.addr()));
    both(|kind| {
        let http = Http::new("http://feed.test/").proxy(proxy.url_with_password());
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let head = proxy.heads().pop().unwrap().to_lowercase();
        // "user:hunter2"
        assert!(
            head.contains("proxy-authorization: basic dxnlcjpodw50zxiy\r\n"),
            "{head}"
        );
    });
}

#[test]
fn an_unreachable_proxy_is_a_connect_fault() {
    both(|kind| {
        for url in ["http://feed.test/", "https://feed.test/"] {
            let http = Http::new(url).proxy(refusing_url());
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
            assert!(chain(&fault).contains("refused"), "{}", chain(&fault));
        }
    });
}

#[test]
fn a_proxy_that_refuses_an_http_request_is_a_status_fault() {
    both(|kind| {
        for (answer, status, message) in [
            (
                BAD_GATEWAY,
                502,
                "http://feed.test/ answered with status 502",
            ),
            (
                AUTHENTICATION_REQUIRED,
                407,
                "the proxy requires credentials for http://feed.test/ (407)",
            ),
        ] {
            let proxy = Proxy::start(Behavior::Answer(answer));
            let http = Http::new("http://feed.test/").proxy(proxy.url_with_password());
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert!(matches!(fault, Fault::Status(_)), "{fault:?}");
            assert_eq!(fault.status(), Some(status));
            assert_eq!(chain(&fault), message);
            assert!(!secret_in(&fault), "{fault:?}");
        }
    });
}

#[test]
fn a_proxy_that_refuses_a_tunnel_is_a_connect_fault_with_the_reason() {
    both(|kind| {
        for (answer, reason, failed) in [
            (BAD_GATEWAY, "refused the tunnel: 502", FailureKind::Proxy),
            (
                AUTHENTICATION_REQUIRED,
                "rejected the credentials (407)",
                FailureKind::ProxyAuthentication,
            ),
            (
                "",
                "closed the connection before answering",
                FailureKind::Proxy,
            ),
            (
                "nonsense\r\n\r\n",
                "didn't answer with HTTP/1.1 or HTTP/1.0",
                FailureKind::Proxy,
            ),
        ] {
            let proxy = Proxy::start(Behavior::Answer(answer));
            let http = Http::new("https://feed.test/").proxy(proxy.url_with_password());
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
            let addr = proxy.addr();
            let expected = format!("the proxy at {addr} {reason}");
            assert_eq!(chain(&fault), expected);
            assert_eq!(failure(&fault).kind(), failed);
            assert!(!secret_in(&fault), "{fault:?}");
        }
    });
}

fn secret_in(error: &impl std::error::Error) -> bool {
    let text = format!("{} {error:?} {error:#?}", chain(error));
    text.contains("hunter2") || text.to_lowercase().contains("dxnlcjpodw50zxiy")
}

#[test]
fn an_invalid_proxy_url_is_an_error_that_names_the_setting_and_hides_the_password() {
    both(|kind| {
        for bad in [
            "http://user:hunter2@",
            "http://user:hunter2@a b/",
            "http://user:hunter2@proxy.test:99999",
            "ftp://user:hunter2@proxy.test",
            "user:hunter2",
        ] {
            let http = Http::new("http://feed.test/").proxy(bad);
            let debug = format!("{http:?}");
            assert!(!debug.contains("hunter2"), "{debug}");
            let error = kind.try_build(SseClient::builder(http)).map(|_| ());
            let Err(error @ Error::Config { .. }) = error else {
                panic!("{bad}: {error:?}");
            };
            let text = error.to_string();
            assert!(text.contains("proxy"), "{text}");
            assert!(!text.ends_with("builder error"), "{text}");
            assert!(!secret_in(&error), "{error:?}");
        }
    });
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let server = streaming();
    let proxy = Proxy::start(Behavior::ConnectTo(server.addr()));
    in_child(
        "proxy::child_follows_feed_test",
        &[("http_proxy", &proxy.url())],
    );
    assert_eq!(proxy.heads().len(), 2, "once for each client");
}

#[test]
#[ignore = "for a child process"]
fn child_follows_feed_test() {
    both(|kind| {
        let mut client = kind.build(SseClient::builder("http://feed.test/"));
        assert_eq!(client.event().data(), "hello");
    });
}

/// Through a tunnel, with a server certificate that SSL_CERT_FILE trusts.
#[test]
fn the_proxy_of_the_environment_is_used_for_https() {
    let server = streaming();
    let authority = Authority::new();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&roots, authority.pem()).unwrap();
    let leaf = authority.server(&["feed.test"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let proxy = Proxy::start(Behavior::ConnectTo(tls.addr()));
    let variables = [
        ("HTTPS_PROXY", &*proxy.url()),
        ("SSL_CERT_FILE", roots.path().to_str().unwrap()),
    ];
    in_child("proxy::child_follows_feed_test_by_https", &variables);
    let heads = proxy.heads();
    assert_eq!(heads.len(), 2, "once for each client");
    for head in heads {
        assert!(head.starts_with("CONNECT feed.test:443 "), "{head}");
    }
}

#[test]
#[ignore = "for a child process"]
fn child_follows_feed_test_by_https() {
    both(|kind| {
        let mut client = kind.build(SseClient::builder("https://feed.test/"));
        assert_eq!(client.event().data(), "hello");
    });
}

#[test]
fn no_proxy_and_an_explicit_proxy_override_the_environment() {
    let server = streaming();
    let proxy = Proxy::start(Behavior::ConnectTo(server.addr()));
    let (dead, url) = (refusing_url(), server.url("/"));
    let variables = [
        ("http_proxy", dead.as_str()),
        ("EVERSTREAM_TEST_URL", &url),
        ("EVERSTREAM_TEST_PROXY", &proxy.url()),
    ];
    in_child("proxy::child_overrides_the_environment", &variables);
    assert_eq!(proxy.heads().len(), 2, "once for each client");
    assert_eq!(server.request_count(), 4);
}

#[test]
#[ignore = "for a child process"]
fn child_overrides_the_environment() {
    let url = std::env::var("EVERSTREAM_TEST_URL").unwrap();
    let proxy = std::env::var("EVERSTREAM_TEST_PROXY").unwrap();
    both(|kind| {
        let default = Http::new(&url);
        let fault = kind.build(SseClient::builder(default)).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        for http in [Http::new(&url).no_proxy(), Http::new(&url).proxy(&proxy)] {
            let mut client = kind.build(SseClient::builder(http));
            assert_eq!(client.event().data(), "hello");
        }
    });
}

#[test]
fn hosts_in_no_proxy_are_connected_to_directly() {
    let server = streaming();
    let (dead, url) = (refusing_url(), server.url("/"));
    let variables = [
        ("http_proxy", dead.as_str()),
        ("no_proxy", "127.0.0.1"),
        ("EVERSTREAM_TEST_URL", &url),
    ];
    in_child("proxy::child_follows_the_url", &variables);
}

#[test]
#[ignore = "for a child process"]
fn child_follows_the_url() {
    let mut client =
        blocking::SseClient::new(std::env::var("EVERSTREAM_TEST_URL").unwrap()).unwrap();
    assert_eq!(client.next_event().unwrap().unwrap().data(), "hello");
}

/// The stream's URL is plain `http`; only the connection to the proxy uses TLS.
#[test]
fn an_https_proxy_is_verified_with_the_systems_certificates() {
    let server = streaming();
    let authority = Authority::new();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&roots, authority.pem()).unwrap();
    let leaf = authority.server(&["localhost"], Validity::Now);
    let proxy = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    for named_by in ["http_proxy", "ALL_PROXY", "EVERSTREAM_TEST_PROXY"] {
        let variables = [
            (named_by, &*proxy.url("/")),
            ("SSL_CERT_FILE", roots.path().to_str().unwrap()),
        ];
        in_child("proxy::child_uses_an_https_proxy", &variables);
    }
}

#[test]
#[ignore = "for a child process"]
fn child_uses_an_https_proxy() {
    both(|kind| {
        let mut http = Http::new("http://feed.test/events");
        if let Ok(proxy) = std::env::var("EVERSTREAM_TEST_PROXY") {
            http = http.proxy(proxy);
        }
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
    });
}
