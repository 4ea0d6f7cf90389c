//! Redirects: which are followed, and how the request changes. `secrets.rs` tests secrets.

use everstream::{Fault, Http, RedirectProblem};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    every_kind_of_redirect_is_followed,
    a_relative_location_is_resolved,
    a_host_header_stays_with_its_origin,
    the_last_event_id_is_sent_after_redirects,
    each_attempt_begins_at_the_original_url,
    a_loop_ends_with_a_fault,
    a_limit_of_zero_follows_none,
    a_redirect_without_location_is_a_fault,
    a_redirect_to_another_scheme_is_a_fault,
    an_invalid_location_is_a_fault,
    a_post_becomes_a_get_like_in_browsers,
    a_post_stays_a_post_after_307_and_308,
    other_methods_change_only_after_303,
    a_redirect_fault_includes_the_response,
);

fn every_kind_of_redirect_is_followed<C: Client>() {
    for status in [301, 302, 303, 307, 308] {
        let (home, other) = (Server::start(), Server::start());
        home.otherwise(Reply::redirect(status, other.url("/there")));
        other.otherwise(Reply::stream().event("a").stall());
        let mut client = C::quick(home.url("/"));

        assert_eq!(client.expect_start().url, Some(other.url("/there")));
        client.expect_event("a");
        assert_eq!(other.requests()[0].method, "GET", "{status}");
    }
}

fn a_host_header_stays_with_its_origin<C: Client>() {
    let (server, other) = (Server::start(), Server::start());
    server.enqueue(Reply::redirect(307, "/same"));
    server.enqueue(Reply::redirect(307, other.url("/other")));
    other.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(Http::new(server.url("/")).header("host", "virtual.example"));
    client.event_data();
    for request in server.requests() {
        assert_eq!(request.header("host"), Some("virtual.example"));
    }
    let addr = other.addr().to_string();
    assert_eq!(other.requests()[0].header("host"), Some(addr.as_str()));
}

fn a_relative_location_is_resolved<C: Client>() {
    for (location, target) in [
        ("next", "/a/next"),
        ("/next", "/next"),
        ("../next", "/next"),
        ("?x=1", "/a/b?x=1"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
    ] {
        let server = Server::start();
        server.enqueue(Reply::redirect(307, location));
        server.enqueue(Reply::stream().event("a").stall());
        C::quick(server.url("/a/b")).event_data();
        assert_eq!(server.requests()[1].target, target, "{location}");
    }
}

fn the_last_event_id_is_sent_after_redirects<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("7", "a").end());
    server.enqueue(Reply::redirect(302, "/next"));
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::quick(server.url("/"));
    client.event_data();
    client.event_data();
    for request in &server.requests()[1..] {
        assert_eq!(request.header("last-event-id"), Some("7"));
        assert_eq!(request.header("accept"), Some("text/event-stream"));
    }
}

fn each_attempt_begins_at_the_original_url<C: Client>() {
    let server = Server::start();
    server.otherwise_with(|request: &Request| match request.path() {
        "/" => Reply::redirect(308, "/next"),
        _ => Reply::stream().event("a").end(),
    });
    let mut client = C::quick(server.url("/"));
    client.event_data();
    client.event_data();
    let requests = server.requests().into_iter();
    let paths: Vec<_> = requests.map(|request| request.target).collect();
    assert_eq!(paths[..4], ["/", "/next", "/", "/next"]);
}

#[track_caller]
fn expect_problem<C: Client>(http: Http, expected: RedirectProblem) -> Fault {
    let fault = C::quick(http).expect_error();
    match &fault {
        Fault::Redirect(_, problem) => assert_eq!(*problem, expected),
        other => panic!("expected a redirect fault, got {other:?}"),
    }
    fault
}

fn a_loop_ends_with_a_fault<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::redirect(307, "."));
    let http = Http::new(server.url("/a/"));
    expect_problem::<C>(http, RedirectProblem::TooMany(10));
    assert_eq!(server.request_count(), 11);
}

fn a_limit_of_zero_follows_none<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::redirect(307, "/next"));
    let http = Http::new(server.url("/")).redirect_limit(0);
    expect_problem::<C>(http, RedirectProblem::TooMany(0));
    assert_eq!(server.request_count(), 1);
}

fn a_redirect_without_location_is_a_fault<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(302));
    expect_problem::<C>(Http::new(server.url("/")), RedirectProblem::BadLocation);
    assert_eq!(server.request_count(), 1);
}

fn a_redirect_to_another_scheme_is_a_fault<C: Client>() {
    for location in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:,x",
    ] {
        let server = Server::start();
        server.otherwise(Reply::redirect(302, location));
        expect_problem::<C>(Http::new(server.url("/")), RedirectProblem::Scheme);
    }
}

fn an_invalid_location_is_a_fault<C: Client>() {
    for location in [&b"http://[/"[..], b"http://a b/", b"http:///\xff", b"//"] {
        let server = Server::start();
        server.otherwise(Reply::redirect(302, location));
        expect_problem::<C>(Http::new(server.url("/")), RedirectProblem::BadLocation);
    }
}

fn a_redirect_fault_includes_the_response<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::redirect(307, "/next").send("over there"));
    let http = Http::new(server.url("/")).redirect_limit(1);
    let fault = expect_problem::<C>(http, RedirectProblem::TooMany(1));
    let response = fault.response().unwrap();
    assert_eq!(response.url, server.url("/next"));
    assert_eq!(response.headers.get("location"), Some("/next"));
    assert_eq!(response.body, b"over there");
}

/// Returns the request after a redirect with this status, of a request with this method and a body.
fn after_redirect<C: Client>(status: u16, method: &str) -> Request {
    let server = Server::start();
    server.enqueue(Reply::redirect(status, "/next"));
    server.enqueue(Reply::stream().event("a").stall());
    let http = Http::new(server.url("/"))
        .method(method)
        .body("prompt")
        .header("Content-Type", "text/plain")
        .header("Content-Language", "en")
        .header("X-Team", "a");
    C::quick(http).event_data();
    let request = server.requests().remove(1);
    assert_eq!(request.header("x-team"), Some("a"));
    request
}

fn a_post_becomes_a_get_like_in_browsers<C: Client>() {
    for status in [301, 302, 303] {
        let request = after_redirect::<C>(status, "POST");
        assert_eq!(request.method, "GET", "{status}");
        assert!(request.body.is_empty());
        for name in ["content-type", "content-language", "content-length"] {
            assert_eq!(request.header(name), None, "{status}");
        }
    }
}

fn a_post_stays_a_post_after_307_and_308<C: Client>() {
    for status in [307, 308] {
        let request = after_redirect::<C>(status, "POST");
        assert_eq!(request.method, "POST", "{status}");
        assert_eq!(request.body, b"prompt");
        assert_eq!(request.header("content-type"), Some("text/plain"));
    }
}

fn other_methods_change_only_after_303<C: Client>() {
    for status in [301, 302, 307, 308] {
        assert_eq!(after_redirect::<C>(status, "REPORT").method, "REPORT");
    }
    assert_eq!(after_redirect::<C>(303, "REPORT").method, "GET");
}
