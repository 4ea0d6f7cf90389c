//! Bugs of other clients that no other test covers. `COMPARE.md` lists the others, too.

use std::time::Duration;

use everstream::{Error, Fault, SseClient, retry_delay};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    a_loop_that_returns_errors_continues_after_closed_connections,
    reading_after_an_error_status_reconnects,
    a_drop_after_a_refused_connection_is_followed_by_the_delay,
    a_query_with_repeated_keys_is_sent_unchanged,
);

/// Elsewhere, a loop with `?` ended when the first connection was closed.
fn a_loop_that_returns_errors_continues_after_closed_connections<C: Client>() {
    fn follow<C: Client>(client: &mut C) -> Result<Vec<String>, Error> {
        let mut events = Vec::new();
        while let Some(event) = client.next_event() {
            events.push(event?.into_data());
            if events.len() == 4 {
                break;
            }
        }
        Ok(events)
    }
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").end());
    server.enqueue(Reply::stream().event("b").drop_connection());
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::stream().close_delimited().event("c"));
    server.enqueue(Reply::stream().event("d").stall());
    let mut client = C::quick(server.url("/"));
    assert_eq!(follow(&mut client).unwrap(), ["a", "b", "c", "d"]);
}

/// Elsewhere, this panicked.
fn reading_after_an_error_status_reconnects<C: Client>() {
    let server = Server::start();
    for status in [404, 500, 204] {
        server.enqueue(Reply::status(status));
    }
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    for status in [404, 500, 204] {
        assert_eq!(client.expect_error().status(), Some(status));
    }
    assert_eq!(client.event_data(), "a");
}

/// Elsewhere, this drop and all later ones were followed by an immediate reconnect.
fn a_drop_after_a_refused_connection_is_followed_by_the_delay<C: Client>() {
    let server = Server::start();
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(Duration::from_millis(4))
            .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
            // Every connection resets the backoff.
            .retry_delay_reset_threshold(Duration::ZERO),
    );
    server.stop();
    assert!(matches!(client.expect_fault(), Fault::Connect(_)));
    server.restart().unwrap();
    server.otherwise(Reply::stream().event("a").drop_connection());
    for _ in 0..5 {
        while !client.is_connected() {
            client.next_action().unwrap().unwrap();
        }
        client.expect_event("a");
        client.expect_fault();
        assert_eq!(client.next_retry_delay(), Duration::from_millis(4));
    }
    let requests = server.requests();
    for pair in requests.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(4));
    }
}

/// Elsewhere, the first value was lost.
fn a_query_with_repeated_keys_is_sent_unchanged<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let query = "/feed?topic=a&topic=b&topic=a&x&y=";
    let mut client = C::quick(server.url(query));
    client.event_data();
    client.event_data();
    for request in server.requests() {
        assert_eq!(request.target, query);
    }
}
