//! Cookies are stored, sent back to their server, and sent to no other.

use everstream::{Fault, Http, error_strategy};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_sticky_session_survives_a_reconnect,
    a_sticky_session_survives_a_redirect_and_an_error,
    without_the_setting_no_cookie_is_sent,
    clones_and_later_clients_share_cookies,
    the_users_cookies_take_precedence,
    cookies_never_reach_another_host,
    cookies_never_appear_in_messages,
);

/// Starts a server that, like a load balancer, names a node in a cookie.
fn sticky() -> Server {
    let server = Server::start();
    let first = Reply::stream().header("Set-Cookie", "node=7; Path=/");
    server.enqueue(first.event("a").end());
    server.otherwise(Reply::stream().event("b").end());
    server
}

fn http(server: &Server) -> Http {
    Http::new(server.url("/feed")).cookies(true)
}

fn cookies(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    let cookie = |request: &Request| request.header("cookie").map(str::to_owned);
    requests.iter().map(cookie).collect()
}

fn a_sticky_session_survives_a_reconnect<C: Client>() {
    let server = sticky();
    let mut client = C::quick(http(&server));
    for event in ["a", "b", "b"] {
        assert_eq!(client.event_data(), event);
    }
    let node = Some("node=7".to_owned());
    assert_eq!(cookies(&server)[..3], [None, node.clone(), node]);
}

fn a_sticky_session_survives_a_redirect_and_an_error<C: Client>() {
    let server = Server::start();
    let redirect = Reply::redirect(307, "/moved");
    server.enqueue(redirect.header("Set-Cookie", "node=7; Path=/"));
    server.enqueue(Reply::status(503).header("Set-Cookie", "busy=1; Path=/"));
    server.otherwise(Reply::stream().event("a").stall());
    let builder = quick(http(&server)).error_strategy(error_strategy::always_continue());
    let mut client = C::with(builder);
    assert_eq!(client.event_data(), "a");
    let expected = [
        None,
        Some("node=7".to_owned()),
        Some("node=7; busy=1".to_owned()),
    ];
    assert_eq!(cookies(&server)[..3], expected);
}

fn without_the_setting_no_cookie_is_sent<C: Client>() {
    let server = sticky();
    let mut client = C::quick(http(&server).cookies(false));
    for event in ["a", "b"] {
        assert_eq!(client.event_data(), event);
    }
    assert_eq!(cookies(&server)[..2], [None, None]);
}

fn clones_and_later_clients_share_cookies<C: Client>() {
    let server = sticky();
    let http = http(&server);
    let clone = http.clone().set_url(server.url("/other")).header("x", "y");
    assert_eq!(C::quick(http).event_data(), "a");
    let seen = server.request_count();
    assert_eq!(C::quick(clone).event_data(), "b");
    let requests = server.requests();
    let other = requests[seen..]
        .iter()
        .find(|request| request.path() == "/other");
    assert_eq!(other.unwrap().header("cookie"), Some("node=7"));
}

fn the_users_cookies_take_precedence<C: Client>() {
    let server = Server::start();
    let first = Reply::stream().header("Set-Cookie", "mine=theirs");
    server.enqueue(first.append_header("Set-Cookie", "node=7").event("a").end());
    server.otherwise(Reply::stream().event("b").stall());
    let mut client = C::quick(http(&server).header("Cookie", "mine=1"));
    client.event_data();
    client.event_data();
    let expected = ["mine=1", "mine=1; node=7"].map(|cookie| Some(cookie.to_owned()));
    assert_eq!(cookies(&server)[..2], expected);
}

/// Uses two names of one machine, because cookies ignore the port.
fn cookies_never_reach_another_host<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    let away = other.url("/").replace("127.0.0.1", "other.test");
    let back = home.url("/back").replace("127.0.0.1", "home.test");
    let redirect = Reply::redirect(307, away.as_str());
    home.enqueue(redirect.header("Set-Cookie", "home=secret; Path=/"));
    other.enqueue(Reply::redirect(307, back.as_str()).header("Set-Cookie", "other=1; Path=/"));
    home.enqueue(Reply::stream().event("a").end());
    home.enqueue(Reply::redirect(307, away.as_str()));
    other.enqueue(Reply::stream().event("b").end());
    let url = home.url("/").replace("127.0.0.1", "home.test");
    let http = Http::new(url)
        .resolve("home.test", [127, 0, 0, 1])
        .resolve("other.test", [127, 0, 0, 1])
        .no_proxy()
        .cookies(true);
    let mut client = C::quick(http);
    assert_eq!(client.event_data(), "a");
    assert_eq!(client.event_data(), "b");
    let secret = Some("home=secret".to_owned());
    assert_eq!(cookies(&home)[..3], [None, secret.clone(), secret]);
    assert_eq!(cookies(&other), [None, Some("other=1".to_owned())]);
}

fn cookies_never_appear_in_messages<C: Client>() {
    let server = Server::start();
    let teapot = Reply::status(418).header("Set-Cookie", "node=hidden");
    server.enqueue(Reply::redirect(307, "/").header("Set-Cookie", "a=hidden; Path=/"));
    server.otherwise(teapot);
    let http = http(&server);
    let fault = C::quick(http.clone()).expect_error();
    assert!(matches!(fault, Fault::Status(_)), "{fault:?}");
    assert_eq!(cookies(&server)[1].as_deref(), Some("a=hidden"));
    for shown in [format!("{fault} {fault:?}"), format!("{http:?}")] {
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
