//! Malicious and malformed redirects. `scenarios/redirects.rs` has ordinary redirects, and
//! `scenarios/secrets.rs` tests what happens to secrets.

use std::time::Duration;

use everstream::{Fault, Http, RedirectProblem};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    every_location_is_followed_or_refused,
    loops_of_every_length_end_with_a_fault,
    endless_redirects_between_two_servers_are_limited,
    a_chain_up_to_the_limit_is_followed,
    the_endless_body_of_a_redirect_is_not_read,
    secrets_are_not_sent_to_another_origin_in_any_spelling,
);

/// `Location`, and the path requested after `/a/b?q=1`, or why the redirect is refused.
const LOCATIONS: [(&[u8], Result<&str, RedirectProblem>); 24] = [
    (b"/x", Ok("/x")),
    (b"x", Ok("/a/x")),
    (b"./x", Ok("/a/x")),
    (b"../x", Ok("/x")),
    (b"../../../x", Ok("/x")),
    (b"?y=2", Ok("/a/b?y=2")),
    (b"#z", Ok("/a/b?q=1")),
    (b"", Ok("/a/b?q=1")),
    (b"x#z", Ok("/a/x")),
    (b"  /x  ", Ok("/x")),
    (b"/x y", Ok("/x%20y")),
    (b"\\x", Ok("/x")),
    (b"/\xC3\xA9", Ok("/%C3%A9")),
    (b"/%2e%2e/x", Ok("/x")),
    // Invalid UTF-8, invalid URLs, other protocols.
    (b"/\xE9", Err(RedirectProblem::BadLocation)),
    (b"http://", Err(RedirectProblem::BadLocation)),
    (b"http://[::1", Err(RedirectProblem::BadLocation)),
    (
        b"http://127.0.0.1:99999/",
        Err(RedirectProblem::BadLocation),
    ),
    (b"//", Err(RedirectProblem::BadLocation)),
    (b"ftp://127.0.0.1/", Err(RedirectProblem::Scheme)),
    (b"file:///etc/passwd", Err(RedirectProblem::Scheme)),
    (b"javascript:alert(1)", Err(RedirectProblem::Scheme)),
    (
        b"data:text/event-stream,data:%20a%0A%0A",
        Err(RedirectProblem::Scheme),
    ),
    (b"ws://127.0.0.1/", Err(RedirectProblem::Scheme)),
];

#[track_caller]
fn expect_problem<C: Client>(client: &mut C, expected: RedirectProblem, what: &str) {
    let fault = client.expect_error();
    let Fault::Redirect(_, problem) = &fault else {
        panic!("{what}: {fault:?}");
    };
    assert_eq!(*problem, expected, "{what}");
    let words = match expected {
        RedirectProblem::TooMany(_) => "exceeded the limit of",
        RedirectProblem::BadLocation => "redirects (307) without a usable Location",
        _ => "redirects (307) to something other than HTTP",
    };
    assert!(fault.to_string().contains(words), "{what}: {fault}");
}

fn every_location_is_followed_or_refused<C: Client>() {
    for (location, expected) in LOCATIONS {
        let what = String::from_utf8_lossy(location);
        let server = Server::start();
        server.enqueue(Reply::redirect(307, location));
        server.otherwise(Reply::stream().event("a").stall());
        let mut client = C::quick(server.url("/a/b?q=1"));
        match expected {
            Ok(target) => {
                assert_eq!(client.event_data(), "a");
                assert_eq!(server.requests()[1].target, target, "{what}");
            }
            Err(problem) => {
                expect_problem(&mut client, problem, &what);
                assert_eq!(server.request_count(), 1, "{what}");
            }
        }
    }
}

fn loops_of_every_length_end_with_a_fault<C: Client>() {
    for status in [301, 302, 303, 307, 308] {
        for length in [1, 2, 3, 7] {
            let server = Server::start();
            server.otherwise_with(move |request: &Request| {
                let at: u32 = request.path().trim_start_matches('/').parse().unwrap();
                Reply::redirect(status, format!("/{}", (at + 1) % length))
            });
            let fault = C::quick(server.url("/0")).expect_error();
            let too_many = matches!(fault, Fault::Redirect(_, RedirectProblem::TooMany(10)));
            assert!(too_many, "{status}, {length}: {fault:?}");
            assert_eq!(server.request_count(), 11, "{status}, {length}");
        }
    }
}

fn endless_redirects_between_two_servers_are_limited<C: Client>() {
    let (one, other) = (Server::start(), Server::start());
    one.otherwise(Reply::redirect(307, other.url("/")));
    other.otherwise(Reply::redirect(307, one.url("/")));
    let mut client = C::quick(one.url("/"));
    expect_problem(&mut client, RedirectProblem::TooMany(10), "ping-pong");
    assert_eq!(one.request_count() + other.request_count(), 11);
}

fn a_chain_up_to_the_limit_is_followed<C: Client>() {
    let server = Server::start();
    for number in 0..10 {
        server.enqueue(Reply::redirect(307, format!("/{number}")));
    }
    server.otherwise(Reply::stream().event("a").stall());
    assert_eq!(C::quick(server.url("/")).event_data(), "a");
    assert_eq!(server.request_count(), 11);
}

fn the_endless_body_of_a_redirect_is_not_read<C: Client>() {
    let server = Server::start();
    let endless = Reply::redirect(307, "/x").chunked();
    server.enqueue(endless.send_forever(vec![b'x'; 1 << 16]));
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    assert_eq!(client.event_data(), "a");
    // The next read closes its connection, and only the stream's remains.
    let brief = Duration::from_millis(10);
    while !server.wait_for_open_connections(1, brief) {
        assert!(client.event_within(brief).is_none());
    }
}

/// Checks standard credentials, headers marked as sensitive, and others.
fn secrets_are_not_sent_to_another_origin_in_any_spelling<C: Client>() {
    let other = Server::start();
    let port = other.addr().port();
    for location in [
        format!("http://127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("HTTP://LOCALHOST:{port}/"),
        format!("http:\\\\127.0.0.1:{port}\\"),
        format!("http://0x7f000001:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://user:password@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/#@home"),
    ] {
        let home = Server::start();
        home.otherwise(Reply::redirect(307, location.clone()));
        other.otherwise(Reply::stream().event("a").stall());
        let http = Http::new(home.url("/"))
            .bearer_token("hidden")
            .header("Cookie", "hidden")
            .header("Proxy-Authorization", "hidden")
            .sensitive_header("X-Api-Key", "hidden")
            .header("X-Team", "a");
        let mut client = C::quick(http);
        assert_eq!(client.event_data(), "a", "{location}");
        let request = other.requests().pop().unwrap();
        for (name, value) in &request.headers {
            let value = String::from_utf8_lossy(value);
            assert!(!value.contains("hidden"), "{location}: {name}");
        }
        assert_eq!(request.header("x-team"), None, "{location}");
        assert_eq!(home.requests()[0].header("x-api-key"), Some("hidden"));
    }
}
