//! One-shot streams, which end with a sentinel event.

use everstream::{Fault, Http, error_strategy};
use everstream_testing::{Reply, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    the_sentinel_ends_the_iteration_without_an_error,
    a_stream_that_ends_before_the_sentinel_is_incomplete,
    a_connection_that_breaks_before_the_sentinel_is_an_error,
    a_stream_that_reconnects_continues_to_the_sentinel,
    an_explicit_start_repeats_the_request,
    the_sentinel_may_be_any_event,
    nothing_after_the_sentinel_is_delivered,
);

fn post(server: &Server) -> Http {
    Http::new(server.url("/")).method("POST").body("prompt")
}

fn the_sentinel_ends_the_iteration_without_an_error<C: Client>() {
    for http in [post as fn(&Server) -> Http, |server| {
        Http::new(server.url("/"))
    }] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").event("[DONE]").stall());
        let mut client = C::with(quick(http(&server)).until("[DONE]"));

        client.expect_start();
        client.expect_event("a");
        client.expect_ended();
        assert!(!client.is_connected());
        assert!(
            server.wait_for_open_connections(0, LIMIT),
            "the client should close its socket"
        );
        client.expect_ended();
        assert_eq!(server.request_count(), 1);
    }
}

fn a_stream_that_ends_before_the_sentinel_is_incomplete<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let mut client = C::with(quick(post(&server)).until("[DONE]"));
    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_not_repeated(), Fault::Incomplete));
    client.expect_ended();
    assert_eq!(server.request_count(), 1);

    // The same with a GET and a strategy that fails at every end.
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_fail());
    let mut client = C::with(builder.until("[DONE]"));
    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_error(), Fault::Incomplete));
}

fn a_connection_that_breaks_before_the_sentinel_is_an_error<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event("a")
            .send("data: [DONE]\n")
            .drop_connection(),
    );
    let mut client = C::with(quick(post(&server)).until("[DONE]"));
    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_not_repeated(), Fault::Read(_)));
    assert_eq!(server.request_count(), 1);
}

fn a_stream_that_reconnects_continues_to_the_sentinel<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::stream().event("b").event("[DONE]").end());
    let mut client = C::with(quick(server.url("/")).until("[DONE]"));
    assert_eq!(client.event_data(), "a");
    assert_eq!(client.event_data(), "b");
    assert!(client.next_event().is_none());
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 2);
}

fn an_explicit_start_repeats_the_request<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").event("[DONE]").stall());
    let mut client = C::with(quick(post(&server)).until("[DONE]"));
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    client.start().unwrap();
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 2);
}

fn the_sentinel_may_be_any_event<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event("a")
            .event_of_type("stop", "{}")
            .stall(),
    );
    let mut client = C::with(quick(post(&server)).until_fn(|event| event.event() == "stop"));
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
}

fn nothing_after_the_sentinel_is_delivered<C: Client>() {
    let server = Server::start();
    let chunk = "data: a\n\ndata: [DONE]\n\ndata: b\n\n: c\n\n";
    server.otherwise(Reply::stream().send(chunk).stall());
    let mut client = C::with(quick(post(&server)).until("[DONE]"));
    client.expect_start();
    client.expect_event("a");
    client.expect_ended();
    client.expect_ended();
}
