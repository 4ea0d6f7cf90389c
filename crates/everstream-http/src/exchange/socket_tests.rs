use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use everstream_core::{Fault, Timestamp};

use super::*;
use crate::exchange::{Config, Output, Request};

const LIMIT: Duration = Duration::from_secs(5);

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_start(Duration::from_secs(seconds))
}

fn connecting(limit: Option<Duration>) -> Exchange {
    let config = Config {
        connect_timeout: limit,
        read_timeout: limit,
        ..Config::default()
    };
    let request = Request::event_stream("http://example.com:8000/feed".parse().unwrap());
    Exchange::new(request, config, at(0))
}

/// Receives these bytes at the given time, then a timeout of the socket.
fn receive(exchange: &mut Exchange, response: &mut ResponseReader, bytes: &[u8], seconds: u64) {
    if !bytes.is_empty() {
        response.receive(Ok(bytes));
    }
    response.receive(Err(ErrorKind::WouldBlock.into()));
    exchange.handle_response(response, at(seconds), SystemTime::UNIX_EPOCH);
}

fn fault(mut exchange: Exchange) -> Fault {
    match exchange.poll_output() {
        Output::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connect_error_names_the_server() {
    let mut exchange = connecting(None);
    exchange.handle_connect_error(&ErrorKind::ConnectionRefused.into(), at(0));
    let fault = fault(exchange);
    assert!(fault.is_connect());
    assert_eq!(fault.to_string(), "connection refused by example.com:8000");
}

#[test]
fn a_connect_timeout_is_ignored_until_the_deadline() {
    for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
        let mut exchange = connecting(Some(LIMIT));
        exchange.handle_connect_error(&kind.into(), at(4));
        assert!(matches!(exchange.poll_output(), Output::Connect { .. }));
        exchange.handle_connect_error(&kind.into(), at(5));
        assert!(matches!(fault(exchange), Fault::ConnectTimeout(LIMIT)));
    }
}

/// The operating system has its own timeout; otherwise the caller would retry forever.
#[test]
fn a_connect_timeout_without_a_deadline_is_an_error() {
    let mut exchange = connecting(None);
    exchange.handle_connect_error(&ErrorKind::TimedOut.into(), at(0));
    assert!(matches!(fault(exchange), Fault::Connect(_)));
}

#[test]
fn a_response_times_out_at_the_deadline() {
    let mut exchange = connecting(Some(LIMIT));
    exchange.handle_connected(at(1));
    let mut response = ResponseReader::default();
    receive(&mut exchange, &mut response, b"HTTP/1.1 200 OK\r\n", 5);
    assert!(matches!(exchange.poll_output(), Output::Receive { .. }));
    receive(&mut exchange, &mut response, b"", 6);
    assert!(matches!(fault(exchange), Fault::ResponseTimeout(LIMIT)));
}

#[test]
fn a_redirect_is_followed_without_reading_its_body() {
    let mut exchange = connecting(None);
    exchange.handle_connected(at(0));
    let mut response = ResponseReader::default();
    receive(
        &mut exchange,
        &mut response,
        b"HTTP/1.1 302 Found\r\nLoc",
        0,
    );
    assert!(matches!(exchange.poll_output(), Output::Receive { .. }));
    receive(&mut exchange, &mut response, b"ation: /b\r\n\r\nmoved", 0);
    assert!(matches!(exchange.poll_output(), Output::Connect { .. }));
    assert_eq!(exchange.request().url.path(), "/b");
}

#[test]
fn the_body_of_an_error_is_kept_whether_it_ends_breaks_or_stalls() {
    let unauthorized = b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\n";
    for (body, last) in [
        (&b"who?"[..], None),
        (b"who", Some(Ok(&b""[..]))),
        (b"who", Some(Err(ErrorKind::ConnectionReset.into()))),
        (b"who", Some(Err(ErrorKind::TimedOut.into()))),
    ] {
        let mut exchange = connecting(None);
        exchange.handle_connected(at(0));
        let mut response = ResponseReader::default();
        receive(&mut exchange, &mut response, unauthorized, 0);
        receive(&mut exchange, &mut response, body, 1);
        if let Some(last) = last {
            assert!(matches!(exchange.poll_output(), Output::ReadError { .. }));
            response.receive(last);
            exchange.handle_response(&mut response, at(2), SystemTime::UNIX_EPOCH);
        }
        assert_eq!(fault(exchange).response().unwrap().body, body);
    }
}

#[test]
fn a_connection_that_ends_before_the_head_is_a_failed_request() {
    for (end, problem) in [
        (
            Ok(&b""[..]),
            "the server closed the connection before responding",
        ),
        (
            Err(ErrorKind::ConnectionReset.into()),
            "the server reset the connection before responding",
        ),
    ] {
        let mut exchange = connecting(None);
        exchange.handle_connected(at(0));
        let mut response = ResponseReader::default();
        response.receive(end);
        exchange.handle_response(&mut response, at(0), SystemTime::UNIX_EPOCH);
        let fault = fault(exchange);
        assert!(matches!(fault, Fault::Request(_)));
        assert_eq!(fault.to_string(), problem);
    }
}
