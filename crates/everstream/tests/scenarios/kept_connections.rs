//! A connection that HTTP kept for the next request, and that the server has closed by then.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use everstream::{Builder, Fault, Http, IntoConnectStrategy, error_strategy};
use everstream_testing::{Reply, Server};

use crate::support::{Async, Client, for_both_clients, quick, run};

for_both_clients!(
    a_redirect_is_followed_though_its_connection_closes_unannounced,
    a_redirect_is_followed_if_its_connection_dies_of_the_next_request,
    a_second_failure_is_a_fault,
    a_new_connection_that_is_closed_is_a_fault,
    an_answer_that_is_no_http_is_a_fault,
    a_prompt_is_not_sent_again_after_a_redirect,
);

/// The first fault is an error.
fn strict(connect: impl IntoConnectStrategy) -> Builder {
    quick(connect).error_strategy(error_strategy::always_fail())
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

/// What a server does that closes each connection after a redirect, and doesn't say so.
fn a_redirect_is_followed_though_its_connection_closes_unannounced<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut streams = Vec::new();
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            let mut request = String::new();
            while let Some(Ok(line)) = lines.next() {
                if line.is_empty() {
                    break;
                }
                request.push_str(&line);
            }
            let answer = if request.starts_with("GET / ") {
                "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"
            };
            _ = socket.write_all(answer.as_bytes());
            if !answer.contains("302") {
                streams.push(socket);
            }
        }
    });
    for _ in 0..100 {
        C::with(strict(url.clone())).event_data();
    }
}

fn a_redirect_is_followed_if_its_connection_dies_of_the_next_request<C: Client>() {
    for death in [hang_up(), Reply::raw("").reset()] {
        let server = Server::start();
        server.enqueue(Reply::redirect(302, "/next"));
        server.enqueue(death);
        server.enqueue(event());
        C::with(strict(server.url("/"))).event_data();
        assert_eq!(connections(&server), [0, 0, 1]);
        let [_, dead, next] = &server.requests()[..] else {
            panic!("three requests were expected");
        };
        assert_eq!((&next.target, &next.headers), (&dead.target, &dead.headers));
    }
}

/// In the async client: the blocking one keeps no connection over the end of a response.
#[test]
fn a_reconnect_goes_on_if_its_connection_dies_of_the_next_request() {
    run(reconnect);
}

fn reconnect() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("7", "a").end());
    server.enqueue(hang_up());
    server.enqueue(event());
    let mut client = Async::quick(server.url("/"));
    client.event_data();
    client.expect_clean_end();
    client.expect_start();
    client.expect_event("a");
    assert_eq!(connections(&server), [0, 0, 1]);
    assert_eq!(server.requests()[2].header("last-event-id"), Some("7"));
}

fn a_second_failure_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(hang_up());
    let fault = C::with(strict(server.url("/"))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 0, 1]);
}

fn a_new_connection_that_is_closed_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next").header("connection", "close"));
    server.otherwise(hang_up());
    let fault = C::with(strict(server.url("/"))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 1]);
}

fn an_answer_that_is_no_http_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(302, "/next"));
    server.otherwise(Reply::raw("no HTTP\r\n\r\n").drop_connection());
    let fault = C::with(strict(server.url("/"))).expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 0]);
}

fn prompt(server: &Server) -> Http {
    Http::new(server.url("/")).method("POST").body("prompt")
}

fn a_prompt_is_not_sent_again_after_a_redirect<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/next"));
    server.otherwise(hang_up());
    let patient = quick(prompt(&server)).error_strategy(error_strategy::always_continue());
    let mut client = C::with(patient);
    let fault = client.expect_error();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 0]);
}

#[test]
fn a_prompt_is_not_sent_again_at_a_reconnect() {
    run(reconnect_with_a_prompt);
}

fn reconnect_with_a_prompt() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("7", "a").end());
    server.otherwise(hang_up());
    let mut client = Async::quick(prompt(&server));
    client.event_data();
    client.expect_clean_end();
    let fault = client.expect_fault();
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(connections(&server), [0, 0]);
}
