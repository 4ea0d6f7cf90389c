//! Connecting to fixed addresses and Unix sockets.

use everstream::{AddressFamily, Http, SseClient};
use everstream_testing::{Reply, Server};

use super::client::both;

#[test]
fn a_host_with_a_fixed_address_is_connected_to_at_the_urls_port() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let port = server.addr().port();
    both(|kind| {
        let http = Http::new(format!("http://Feed.invalid:{port}/"))
            .no_proxy()
            .resolve("FEED.invalid", [127, 0, 0, 1]);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
        let request = server.requests().pop().unwrap();
        assert_eq!(
            request.header("host"),
            Some(&*format!("feed.invalid:{port}"))
        );
    });
}

#[test]
fn other_hosts_are_not_affected() {
    both(|kind| {
        let http = Http::new("http://other.invalid/")
            .no_proxy()
            .resolve("feed.invalid", [127, 0, 0, 1]);
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(fault.is_connect(), "{fault:?}");
    });
}

#[test]
fn only_addresses_of_the_configured_family_are_used() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let port = server.addr().port();
    both(|kind| {
        let http = |family| {
            Http::new(format!("http://feed.invalid:{port}/"))
                .no_proxy()
                // Nothing listens on the first address.
                .resolve("feed.invalid", "::1".parse::<std::net::IpAddr>().unwrap())
                .resolve("feed.invalid", [127, 0, 0, 1])
                .address_family(family)
        };
        let mut client = kind.build(SseClient::builder(http(AddressFamily::Ipv4)));
        assert_eq!(client.event().data(), "hello");
        let mut client = kind.build(SseClient::builder(http(AddressFamily::Ipv6)));
        let fault = client.any_fault();
        let message = fault.failure().unwrap().to_string();
        assert!(fault.is_connect() && message.contains("[::1]"), "{message}");
        assert!(!message.contains("127.0.0.1"), "{message}");
    });
}

#[test]
fn listed_hosts_bypass_the_proxy() {
    let (server, proxy) = (Server::start(), Server::start());
    server.otherwise(Reply::stream().event("direct").stall());
    proxy.otherwise(Reply::stream().event("by proxy").stall());
    let port = server.addr().port();
    both(|kind| {
        for (list, expected) in [("a.invalid, .invalid", "direct"), ("b.invalid", "by proxy")] {
            let http = Http::new(format!("http://feed.invalid:{port}/"))
                .proxy(proxy.url(""))
                .no_proxy_for(list)
                .resolve("feed.invalid", [127, 0, 0, 1]);
            assert_eq!(
                kind.build(SseClient::builder(http)).event().data(),
                expected
            );
        }
    });
}

/// The URL parser normalizes names, so settings have to be normalized the same way.
#[test]
fn hosts_are_normalized() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let port = server.addr().port();
    both(|kind| {
        for (in_url, resolved) in [
            ("bücher.invalid", "BÜCHER.invalid"),
            ("xn--bcher-kva.invalid", "bücher.invalid"),
            ("feed.invalid", "feed.invalid."),
            ("feed.invalid.", "feed.invalid"),
            ("fe%65d.invalid", "feed.invalid"),
        ] {
            let http = Http::new(format!("http://{in_url}:{port}/"))
                .no_proxy()
                .resolve(resolved, [127, 0, 0, 1]);
            assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
        }
    });
}

#[test]
fn hosts_that_are_never_looked_up_are_refused() {
    for (host, part) in [
        ("feed.invalid:80", "alone"),
        ("http://feed.invalid/", "alone"),
        ("", "can't be the host"),
        ("a b", "can't be the host"),
        ("*", "contains a *, but wildcards aren't supported here"),
        ("127.0.0.1", "is an IP address, which isn't looked up"),
        ("[::1]", "alone"),
    ] {
        let http = Http::new("http://feed.invalid/").resolve(host, [127, 0, 0, 1]);
        let error = SseClient::new(http).unwrap_err().to_string();
        assert!(error.contains("resolve"), "{error}");
        assert!(error.contains(part), "{host:?}: {error}");
    }
}

// On Linux, all of 127.0.0.0/8 belongs to this machine.
#[cfg(target_os = "linux")]
#[test]
fn the_next_address_of_a_host_is_tried_if_one_refuses() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    both(|kind| {
        let http = Http::new(format!("http://feed.invalid:{}/", server.addr().port()))
            .no_proxy()
            .resolve("feed.invalid", [127, 0, 0, 9])
            .resolve("other.invalid", [127, 0, 0, 9])
            .resolve("feed.invalid", [127, 0, 0, 1]);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
    });
}

#[cfg(unix)]
mod unix_socket {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::thread::JoinHandle;

    use super::*;

    /// Answers one request with `reply`, and returns the request's head.
    fn answer(path: &Path, reply: &Reply) -> JoinHandle<String> {
        let listener = UnixListener::bind(path).unwrap();
        let wire = reply.wire_bytes();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            stream.write_all(&wire).unwrap();
            String::from_utf8(head).unwrap()
        })
    }

    #[test]
    fn streams_over_unix_sockets_work() {
        let folder = tempfile::tempdir().unwrap();
        both(|kind| {
            let path = folder.path().join(format!("{kind:?}.sock"));
            let server = answer(&path, &Reply::stream().event("hello").close_delimited());
            // The proxy isn't reachable, so it must not be used.
            let http = Http::new("http://feed.invalid/events")
                .proxy("http://127.0.0.1:9")
                .unix_socket(path);
            assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
            let head = server.join().unwrap().to_lowercase();
            assert!(head.starts_with("get /events http/1.1\r\n"), "{head}");
            assert!(head.contains("host: feed.invalid\r\n"), "{head}");
        });
    }

    #[test]
    fn a_missing_unix_socket_is_a_connect_fault() {
        let folder = tempfile::tempdir().unwrap();
        both(|kind| {
            let http = Http::new("http://localhost/").unix_socket(folder.path().join("none"));
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert!(fault.is_connect(), "{fault:?}");
        });
    }
}
