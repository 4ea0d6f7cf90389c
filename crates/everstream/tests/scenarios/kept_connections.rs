//! A connection that HTTP kept for the next request, and that the server has closed by then.
//!
//! Where there can't be HTTP/2, none is kept. A client of the user's own does it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use everstream::{Builder, Fault, Http, IntoConnectStrategy, error_strategy};
use everstream_testing::{Reply, Request, Server};

use crate::support::reqwest_client;
use crate::support::{Async, Client, for_both_clients, quick, run};

for_both_clients!(
    a_redirect_is_followed_though_its_connection_closes_unannounced,
    a_redirect_is_followed_if_its_connection_dies_of_the_next_request,
    a_second_failure_is_a_fault,
    a_new_connection_that_is_closed_is_a_fault,
    an_answer_that_is_no_http_is_a_fault,
    a_prompt_is_not_sent_again_after_a_redirect,
    a_prompt_follows_a_redirect_over_a_new_connection,
);

/// The first fault is an error.
fn strict(connect: impl IntoConnectStrategy) -> Builder {
    quick(connect).error_strategy(error_strategy::always_fail())
}

/// With connections that are kept.
fn pooled(server: &Server) -> Http {
    let client = reqwest_client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    Http::new(server.url("/")).client(client.build().unwrap())
}

fn hang_up() -> Reply {
    Reply::raw("").drop_connection()
}

fn event() -> Reply {
    Reply::stream().event("a").stall()
}

/// The connection of each request.
fn connections(server: &Server) -> Vec<usize> {
    let requests = server.requests();
    let first = requests[0].connection;
    requests.iter().map(|it| it.connection - first).collect()
}

/// The server closes each connection after a redirect, and doesn't say so; each a little later, so
/// that some meet the next request on its way.
fn a_redirect_is_followed_though_its_connection_closes_unannounced<C: Client>() {
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
        // Until the client goes.
        _ = socket.read(&mut [0]);
    }
}

/// Answers the first request so, hangs up on any other that comes over the same connection, and
/// streams over new ones. The client doesn't always wait until a connection can be used again.
fn dies_of_a_second_request(first: Reply, death: Reply) -> Server {
    let server = Server::start();
    let kept = OnceLock::new();
    server.otherwise_with(move |request: &Request| {
        let is_first = kept.get().is_none();
        match kept.get_or_init(|| request.connection) {
            _ if is_first => first.clone(),
            kept if *kept == request.connection => death.clone(),
            _ => event(),
        }
    });
    server
}

fn a_redirect_is_followed_if_its_connection_dies_of_the_next_request<C: Client>() {
    for death in [hang_up(), Reply::raw("").reset()] {
        for _ in 0..3 {
            let server = dies_of_a_second_request(Reply::redirect(302, "/next"), death.clone());
            C::with(strict(pooled(&server))).event_data();
            let requests = server.requests();
            let (first, next) = (&requests[1], requests.last().unwrap());
            assert_eq!(
                (&next.target, &next.headers),
                (&first.target, &first.headers)
            );
        }
    }
}

/// In the async client: the blocking one keeps no connection over the end of a response.
#[test]
fn a_reconnect_goes_on_if_its_connection_dies_of_the_next_request() {
    run(reconnect);
}

fn reconnect() {
    for _ in 0..3 {
        let first = Reply::stream().event_with_id("7", "a").end();
        let server = dies_of_a_second_request(first, hang_up());
        let mut client = Async::quick(pooled(&server));
        client.event_data();
        client.expect_clean_end();
        client.expect_start();
        client.expect_event("a");
        for request in &server.requests()[1..] {
            assert_eq!(request.header("last-event-id"), Some("7"));
        }
    }
}

/// Clones of an `Http` share its connections, in the async client.
#[test]
fn a_connection_that_another_client_left_may_die_too() {
    run(after_another);
}

fn after_another() {
    for _ in 0..3 {
        let server = dies_of_a_second_request(Reply::stream().event("first").end(), hang_up());
        let http = pooled(&server);
        let mut first = Async::quick(http.clone());
        first.expect_start();
        first.expect_event("first");
        first.expect_clean_end();
        let mut second = Async::with(strict(http.clone()));
        assert_eq!(second.event_data(), "a");
    }
}

fn a_second_failure_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(hang_up());
    let fault = C::with(strict(pooled(&server))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    let connections = connections(&server);
    assert!(
        connections == [0, 0, 1] || connections == [0, 1],
        "{connections:?}"
    );
}

fn a_new_connection_that_is_closed_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next").header("connection", "close"));
    server.otherwise(hang_up());
    let fault = C::with(strict(pooled(&server))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
}

fn an_answer_that_is_no_http_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(Reply::raw("no HTTP\r\n\r\n").drop_connection());
    let fault = C::with(strict(pooled(&server))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(server.request_count(), 2);
}

fn prompt(server: &Server) -> Http {
    pooled(server).method("POST").body("prompt")
}

fn a_prompt_is_not_sent_again_after_a_redirect<C: Client>() {
    for _ in 0..3 {
        let server = Server::start();
        server.enqueue(Reply::redirect(307, "/next"));
        server.otherwise(hang_up());
        let patient = quick(prompt(&server)).error_strategy(error_strategy::always_continue());
        let fault = C::with(patient).expect_error();
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        assert_eq!(server.request_count(), 2);
    }
}

#[test]
fn a_prompt_is_not_sent_again_at_a_reconnect() {
    run(reconnect_with_a_prompt);
}

fn reconnect_with_a_prompt() {
    for _ in 0..3 {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id("7", "a").end());
        server.otherwise(hang_up());
        let mut client = Async::quick(prompt(&server));
        client.event_data();
        client.expect_clean_end();
        let fault = client.expect_fault();
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        assert_eq!(server.request_count(), 2);
    }
}

fn a_prompt_follows_a_redirect_over_a_new_connection<C: Client>() {
    for _ in 0..3 {
        let server = dies_of_a_second_request(Reply::redirect(307, "/next"), hang_up());
        let http = Http::new(server.url("/")).method("POST").body("prompt");
        C::with(strict(http)).event_data();
        assert_eq!(connections(&server), [0, 1]);
    }
}
