//! Faults that other clients had, where no other test of ours tells their story. All of them
//! are listed in `docs/reliability/peers.md`.

use std::time::Duration;

use everstream::{Error, Fault, SseClient, retry_delay};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    a_loop_that_returns_errors_goes_on_over_closed_connections,
    reading_on_after_a_status_connects_again,
    a_drop_after_a_refused_connection_is_waited_for,
    a_query_with_the_same_key_twice_is_sent_as_it_is,
);

/// A loop with `?` ended at the first connection that was closed.
fn a_loop_that_returns_errors_goes_on_over_closed_connections<C: Client>() {
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

/// It was a panic.
fn reading_on_after_a_status_connects_again<C: Client>() {
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

/// It was followed by a connection at once, and so was every drop from then on.
fn a_drop_after_a_refused_connection_is_waited_for<C: Client>() {
    let server = Server::start();
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(Duration::from_millis(4))
            .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
            // Every connection has lasted, so that each drop is as the first.
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

/// The first was lost.
fn a_query_with_the_same_key_twice_is_sent_as_it_is<C: Client>() {
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
