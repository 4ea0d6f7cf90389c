//! Each request has its own connection, and no connection is reused. So a request can't be sent on a
//! connection that the server is about to close, and nothing is sent twice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use everstream::{Builder, Fault, Http, IntoConnectStrategy, error_strategy};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    a_redirect_is_followed_although_its_connection_closes_unannounced,
    a_redirect_opens_its_own_connection,
    a_reconnect_opens_its_own_connection,
    clients_of_one_http_open_their_own_connections,
    a_finished_connection_is_closed_by_the_client,
    a_connection_closed_after_a_redirect_is_a_fault,
    a_response_that_is_not_http_is_a_fault,
    a_prompt_is_not_resent_after_a_redirect,
    a_prompt_is_not_resent_within_one_attempt,
    a_prompt_follows_a_redirect_over_a_new_connection,
);

/// Every fault is an error.
fn strict(connect: impl IntoConnectStrategy) -> Builder {
    quick(connect).error_strategy(error_strategy::always_fail())
}

fn hang_up() -> Reply {
    Reply::raw("").drop_connection()
}

/// Returns the number of the connection of each request, counted from 0.
fn connections(server: &Server) -> Vec<usize> {
    let requests = server.requests();
    let first = requests[0].connection;
    requests
        .iter()
        .map(|request| request.connection - first)
        .collect()
}

/// The server closes each connection after a redirect without announcing it, each a little later, so that
/// on a reused connection some closes would cross the next request.
fn a_redirect_is_followed_although_its_connection_closes_unannounced<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            thread::spawn(move || answer(&socket.unwrap(), number as u64));
        }
    });
    for _ in 0..100 {
        C::with(strict(url.clone())).event_data();
    }
}

fn answer(mut socket: &TcpStream, number: u64) {
    let lines = BufReader::new(socket).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    if head.first().is_some_and(|line| line.starts_with("GET / ")) {
        let moved = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n";
        _ = socket.write_all(moved.as_bytes());
        thread::sleep(Duration::from_micros(10 * (number % 50)));
    } else {
        let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n";
        _ = socket.write_all(stream.as_bytes());
        // Wait until the client closes.
        _ = socket.read(&mut [0]);
    }
}

/// Starts a server with three redirects, then a stream, that keeps all connections open.
fn redirecting() -> Server {
    let server = Server::start();
    server.otherwise_with(|request: &Request| match request.path() {
        "/" => Reply::redirect(302, "/1"),
        "/1" => Reply::redirect(303, "/2"),
        "/2" => Reply::redirect(307, "/3"),
        _ => Reply::stream().event_with_id("7", "a").end(),
    });
    server
}

fn a_redirect_opens_its_own_connection<C: Client>() {
    let server = redirecting();
    C::with(strict(server.url("/"))).event_data();
    assert_eq!(connections(&server), [0, 1, 2, 3]);
    assert_eq!(server.accepted_connections(), 4);
    let requests = server.requests();
    for request in &requests[1..] {
        assert_eq!(request.headers, requests[0].headers);
    }
}

fn a_reconnect_opens_its_own_connection<C: Client>() {
    let server = redirecting();
    let mut client = C::quick(server.url("/3"));
    for _ in 0..5 {
        client.expect_start();
        client.expect_event("a");
        client.expect_clean_end();
    }
    assert_eq!(connections(&server), [0, 1, 2, 3, 4]);
    assert_eq!(server.accepted_connections(), 5);
    for request in &server.requests()[1..] {
        assert_eq!(request.header("last-event-id"), Some("7"));
    }
}

fn clients_of_one_http_open_their_own_connections<C: Client>() {
    let server = redirecting();
    let http = Http::new(server.url("/3"));
    for _ in 0..3 {
        let mut client = C::quick(http.clone());
        client.expect_start();
        client.expect_event("a");
        client.expect_clean_end();
    }
    assert_eq!(connections(&server), [0, 1, 2]);
    assert_eq!(server.accepted_connections(), 3);
}

/// The client closes it, immediately; the server would keep it open.
fn a_finished_connection_is_closed_by_the_client<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(302, other.url("/")));
    other.otherwise(Reply::stream().event("a").stall());
    let mut client = C::with(strict(home.url("/")));
    client.expect_start();
    client.expect_event("a");
    assert!(home.wait_for_open_connections(0, LIMIT));
    assert!(other.wait_for_open_connections(1, LIMIT));
}

fn a_connection_closed_after_a_redirect_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(hang_up());
    let fault = C::with(strict(server.url("/"))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
}

fn a_response_that_is_not_http_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(Reply::raw("no HTTP\r\n\r\n").drop_connection());
    let fault = C::with(strict(server.url("/"))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
}

fn prompt(server: &Server) -> Http {
    Http::new(server.url("/")).method("POST").body("prompt")
}

fn a_prompt_is_not_resent_after_a_redirect<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/next"));
    server.otherwise(hang_up());
    let patient = quick(prompt(&server)).error_strategy(error_strategy::always_continue());
    let fault = C::with(patient).expect_not_repeated();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
    assert_eq!(server.accepted_connections(), 2);
}

fn a_prompt_is_not_resent_within_one_attempt<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("7", "a").end());
    server.otherwise(hang_up());
    // Not within an attempt: the user gets a fault first.
    let mut client = C::with(quick(prompt(&server)).repeat_unsafe(true));
    client.event_data();
    client.expect_clean_end();
    let fault = client.expect_fault();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
    assert_eq!(server.accepted_connections(), 2);
}

fn a_prompt_follows_a_redirect_over_a_new_connection<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/next"));
    server.otherwise(Reply::stream().event("a").stall());
    C::with(strict(prompt(&server))).event_data();
    assert_eq!(connections(&server), [0, 1]);
    for request in server.requests() {
        assert_eq!((&*request.method, &*request.body), ("POST", &b"prompt"[..]));
    }
}

/// With a custom `reqwest::Client` that pools connections.
#[cfg(feature = "reqwest")]
mod custom_client {
    use super::*;
    use crate::support::reqwest_client;

    for_both_clients!(
        a_redirect_is_followed,
        a_failed_request_is_not_resent,
        a_failed_prompt_is_not_resent,
    );

    fn pooled(server: &Server) -> Http {
        let client = reqwest_client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        Http::new(server.url("/")).client(client.build().unwrap())
    }

    fn a_redirect_is_followed<C: Client>() {
        let server = redirecting();
        C::with(strict(pooled(&server))).event_data();
        assert_eq!(server.request_count(), 4);
        let requests = server.requests();
        for request in &requests[1..] {
            assert_eq!(request.headers, requests[0].headers);
        }
    }

    /// Whether the connection is reused or new.
    fn a_failed_request_is_not_resent<C: Client>() {
        for end in [hang_up(), Reply::raw("").reset()] {
            let server = Server::start();
            server.enqueue(Reply::redirect(302, "/next"));
            server.otherwise(end);
            let fault = C::with(strict(pooled(&server))).expect_error();
            assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
            assert_eq!(server.request_count(), 2);
        }
    }

    fn a_failed_prompt_is_not_resent<C: Client>() {
        let server = Server::start();
        server.enqueue(Reply::redirect(307, "/next"));
        server.otherwise(hang_up());
        let http = pooled(&server).method("POST").body("prompt");
        let patient = quick(http).error_strategy(error_strategy::always_continue());
        let fault = C::with(patient).expect_not_repeated();
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        assert_eq!(server.request_count(), 2);
    }
}
