//! Error strategies.

use std::time::Duration;

use everstream::error_strategy::{self, ErrorStrategy, Verdict};
use everstream::{Error, Fault, SseClient, Timestamp, retry_delay};
use everstream_testing::{Reply, Server};

use crate::support::{Client, DELAY, for_both_clients, quick};

for_both_clients!(
    always_fail_stops_at_a_fault_and_reading_again_reconnects,
    always_fail_stops_at_a_clean_end,
    the_delay_also_applies_after_an_error,
    always_continue_survives_every_status,
    max_attempts_counts_consecutive_faults,
    max_attempts_resets_after_a_connection,
    a_time_limit_of_zero_stops_immediately,
    a_closure_sees_every_fault,
    a_custom_strategy_keeps_its_state_until_reset,
    an_oversize_event_is_a_named_fault,
    an_oversize_event_can_be_skipped,
);

fn always_fail_stops_at_a_fault_and_reading_again_reconnects<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::status(500));
    server.enqueue(Reply::stream().event("b").stall());
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_fail());
    let mut client = C::with(builder);

    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_error(), Fault::Read(_)));
    assert!(!client.is_connected());
    assert_eq!(client.next_retry_delay(), DELAY);
    assert_eq!(client.expect_error().status(), Some(500));
    client.expect_start();
    client.expect_event("b");
    assert_eq!(server.requests()[2].header("last-event-id"), Some("1"));
}

fn always_fail_stops_at_a_clean_end<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_fail());
    let mut client = C::with(builder);

    for connections in 1..=2 {
        client.expect_start();
        client.expect_event("a");
        client.expect_clean_end();
        client.expect_ended();
        assert_eq!(server.request_count(), connections);
    }
}

fn the_delay_also_applies_after_an_error<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::status(500));
    server.enqueue(Reply::stream().event("b").stall());
    let delay = Duration::from_millis(150);
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .retry_delay_strategy(retry_delay::from_fn(move |_| delay)),
    );
    client.expect_error();
    client.event_data();
    let requests = server.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= delay, "reconnected after {waited:?}");
}

fn always_continue_survives_every_status<C: Client>() {
    let server = Server::start();
    let replies = [
        Reply::status(204),
        Reply::status(404),
        Reply::status(302),
        Reply::status(200),
        Reply::stream().header("Content-Encoding", "x"),
    ];
    for reply in replies.clone() {
        server.enqueue(reply);
    }
    server.enqueue(Reply::stream().event("a").stall());
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_continue());
    let mut client = C::with(builder);
    for _ in replies {
        client.expect_fault();
    }
    client.expect_start();
    client.expect_event("a");
}

fn max_attempts_counts_consecutive_faults<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let strategy = error_strategy::continue_with_max_attempts(3);
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
    for _ in 0..3 {
        client.expect_fault();
    }
    client.expect_error();
    assert_eq!(server.request_count(), 4);
}

fn max_attempts_resets_after_a_connection<C: Client>() {
    let server = Server::start();
    for _ in 0..3 {
        server.enqueue(Reply::status(503));
        server.enqueue(Reply::stream().event("a").drop_connection());
    }
    server.otherwise(Reply::status(503));
    let strategy = error_strategy::continue_with_max_attempts(2);
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
    for _ in 0..3 {
        assert_eq!(client.event_data(), "a");
    }
    // The drop and the first 503 are allowed; the second 503 is the third fault.
    client.expect_fault();
    client.expect_fault();
    assert_eq!(client.expect_error().status(), Some(503));
}

fn a_time_limit_of_zero_stops_immediately<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let strategy = error_strategy::continue_with_time_limit(Duration::ZERO);
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
    client.expect_error();
    let strategy = error_strategy::continue_with_time_limit(Duration::from_secs(3600));
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
    client.expect_fault();
    client.expect_fault();
}

fn a_closure_sees_every_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().end());
    server.enqueue(Reply::status(404));
    let strategy = error_strategy::from_fn(|fault| match fault.and_then(Fault::status) {
        Some(404) => Verdict::Fail,
        _ => Verdict::Continue,
    });
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
    assert_eq!(client.expect_fault().status(), Some(503));
    client.expect_start();
    client.expect_clean_end();
    assert_eq!(client.expect_error().status(), Some(404));
}

/// Alternates between Continue and Fail, starting with Continue after a reset.
#[derive(Default)]
struct Alternating(u32);

impl ErrorStrategy for Alternating {
    fn apply(&mut self, _: Option<&Fault>, _: Timestamp) -> Verdict {
        self.0 += 1;
        match self.0 % 2 {
            1 => Verdict::Continue,
            _ => Verdict::Fail,
        }
    }
    fn reset(&mut self) {
        self.0 = 0;
    }
}

fn a_custom_strategy_keeps_its_state_until_reset<C: Client>() {
    let server = Server::start();
    for _ in 0..3 {
        server.enqueue(Reply::status(500));
    }
    server.enqueue(Reply::stream().drop_connection());
    server.otherwise(Reply::status(500));
    let mut client = C::with(quick(server.url("/")).error_strategy(Alternating::default()));
    client.expect_fault();
    client.expect_error();
    client.expect_fault();
    client.expect_start();
    client.expect_fault();
    client.expect_error();
}

fn an_oversize_event_is_a_named_fault<C: Client>() {
    let server = Server::start();
    let large = "x".repeat(2000);
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "a")
            .event(&large)
            .event("b")
            .stall(),
    );
    let mut client = C::with(quick(server.url("/")).max_event_size(1000));
    assert_eq!(client.event_data(), "a");
    let error = client.last_error();
    assert!(
        matches!(error, Error::Fault(Fault::TooLarge(_))),
        "{error:?}"
    );
    assert_eq!(server.request_count(), 1);
}

fn an_oversize_event_can_be_skipped<C: Client>() {
    let server = Server::start();
    let large = "x".repeat(2000);
    server.otherwise(Reply::stream().event("a").event(&large).event("b").stall());
    let builder = quick(server.url("/")).max_event_size(1000);
    let mut client = C::with(builder.oversize(everstream::Oversize::Skip));
    assert_eq!(client.event_data(), "a");
    assert_eq!(client.event_data(), "b");
    assert_eq!(server.request_count(), 1);
}
