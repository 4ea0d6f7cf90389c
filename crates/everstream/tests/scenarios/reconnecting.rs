//! Connections that end in all possible ways, and the reconnects that follow.

use std::time::Duration;

use everstream::{Fault, error_strategy, retry_delay};
use everstream_testing::{Gate, Reply, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    reconnects_after_a_dropped_connection,
    reconnects_after_a_clean_end,
    an_unfinished_event_is_discarded_when_the_connection_drops,
    an_unfinished_event_is_discarded_at_a_clean_end,
    reconnects_after_a_reset,
    reconnects_after_a_drop_before_the_response,
    reconnects_after_refused_connections,
    reconnects_after_a_server_restart,
    reconnects_after_an_interrupt,
    reconnects_after_an_interrupt_during_backoff,
    reconnects_after_a_503_if_the_strategy_allows_it,
    a_503_is_final_by_default,
    an_error_status_after_a_good_connection_is_final,
    blocks_without_data_keep_the_connection,
    every_connection_may_begin_with_a_byte_order_mark,
    invalid_utf8_keeps_the_connection,
    a_start_reports_the_number_of_attempts,
    a_response_shorter_than_its_length_is_a_fault,
);

fn reconnects_after_a_dropped_connection<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.expect_start().attempt, 1);
    client.expect_event("a");
    assert!(matches!(client.expect_fault(), Fault::Read(_)));
    assert!(!client.is_connected());
    assert_eq!(client.expect_start().attempt, 1);
    client.expect_event("b");
    assert!(client.is_connected());
}

fn reconnects_after_a_clean_end<C: Client>() {
    let server = Server::start();
    for framed in [
        Reply::stream().event("chunked").end(),
        Reply::stream().close_delimited().event("to the end").end(),
        Reply::stream().content_length(14).send("data: length\n\n"),
    ] {
        server.enqueue(framed);
    }
    server.enqueue(Reply::stream().stall());
    let mut client = C::quick(server.url("/"));

    for data in ["chunked", "to the end", "length"] {
        client.expect_start();
        client.expect_event(data);
        client.expect_clean_end();
    }
    client.expect_start();
}

fn an_unfinished_event_is_discarded_when_the_connection_drops<C: Client>() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .send("id: 9\nevent: x\ndata: half")
            .drop_connection(),
    );
    server.enqueue(Reply::stream().send("\n\ndata: whole\n\n").stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_fault();
    client.expect_start();
    let event = client.expect_event("whole");
    assert_eq!((event.event(), event.last_event_id()), ("message", None));
    assert_eq!(server.requests()[1].header("last-event-id"), None);
}

fn an_unfinished_event_is_discarded_at_a_clean_end<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().send("id: 9\ndata: half\n").end());
    server.enqueue(Reply::stream().send("\ndata: whole\n\n").stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_clean_end();
    client.expect_start();
    client.expect_event("whole");
    assert_eq!(server.requests()[1].header("last-event-id"), None);
}

fn reconnects_after_a_reset<C: Client>() {
    let server = Server::start();
    let seen = Gate::new();
    server.enqueue(Reply::stream().event("a").wait_for(&seen).reset());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_event("a");
    seen.open();
    assert!(matches!(client.expect_fault(), Fault::Read(_)));
    client.expect_start();
    client.expect_event("b");
}

fn reconnects_after_a_drop_before_the_response<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::raw("").drop_connection());
    server.enqueue(Reply::raw("").reset());
    server.enqueue(Reply::raw("HTTP/1.1 2").drop_connection());
    server.enqueue(Reply::raw("this isn't HTTP\r\n\r\n").drop_connection());
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));

    for attempt in 1..=5 {
        let fault = client.expect_fault();
        assert!(matches!(fault, Fault::Request(_)), "{attempt}: {fault:?}");
    }
    assert_eq!(client.expect_start().attempt, 6);
    client.expect_event("a");
}

fn reconnects_after_refused_connections<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    server.stop();
    let mut client = C::quick(server.url("/"));

    for _ in 0..3 {
        let fault = client.expect_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        assert!(fault.is_connect() && !fault.is_timeout());
    }
    server.restart().unwrap();
    assert_eq!(client.event_data(), "a");
}

fn reconnects_after_a_server_restart<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").stall());
    server.enqueue(Reply::stream().event_with_id("2", "b").stall());
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.event_data(), "a");
    server.restart().unwrap();
    assert_eq!(client.event_data(), "b");
    assert_eq!(server.requests()[1].header("last-event-id"), Some("1"));
}

fn reconnects_after_an_interrupt<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").stall());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_event("a");
    client.interrupt();
    assert!(!client.is_connected());
    assert!(server.wait_for_open_connections(0, LIMIT));
    client.expect_clean_end();
    client.expect_start();
    client.expect_event("b");
    assert_eq!(server.requests()[1].header("last-event-id"), Some("1"));
}

fn reconnects_after_a_503_if_the_strategy_allows_it<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::status(503).send("busy"));
    server.enqueue(Reply::stream().event("a").stall());
    let strategy = error_strategy::reconnect().or_on_status([503]);
    let mut client = C::with(quick(server.url("/")).error_strategy(strategy));

    let fault = client.expect_fault();
    assert!(matches!(fault, Fault::Status(_)));
    assert_eq!(fault.status(), Some(503));
    assert_eq!(client.expect_start().attempt, 2);
    client.expect_event("a");
}

fn a_503_is_final_by_default<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.expect_error().status(), Some(503));
    assert_eq!(server.request_count(), 1);
}

fn an_error_status_after_a_good_connection_is_final<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.enqueue(Reply::status(404));
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.event_data(), "a");
    assert_eq!(client.last_error().status(), Some(404));
    assert_eq!(server.request_count(), 2);
}

fn blocks_without_data_keep_the_connection<C: Client>() {
    let server = Server::start();
    let blocks = "retry: abc\n\nevent:\n\nevent: x\n\nid: a\0b\n\ncomment: no\n\ndata\n\n: yes\n";
    server.otherwise(Reply::stream().send(blocks).event("a").stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_event("");
    let comment = client.expect_action();
    assert!(
        matches!(&comment, everstream::Action::Comment(text) if text == " yes" || text == "yes"),
        "{comment:?}"
    );
    client.expect_event("a");
    assert_eq!(server.request_count(), 1);
}

fn every_connection_may_begin_with_a_byte_order_mark<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().send("\u{feff}data: a\n\n").end());
    server.enqueue(
        Reply::stream()
            .send_each([b"\xef", b"\xbb", b"\xbf"])
            .event("b")
            .stall(),
    );
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.event_data(), "a");
    assert_eq!(client.event_data(), "b");
}

fn invalid_utf8_keeps_the_connection<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().send(b"data: a\xffb\n\n").event("c").stall());
    let mut client = C::quick(server.url("/"));

    assert_eq!(client.event_data(), "a\u{fffd}b");
    assert_eq!(client.event_data(), "c");
    assert_eq!(server.request_count(), 1);
}

fn a_start_reports_the_number_of_attempts<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::stream().end());
    server.enqueue(Reply::stream().stall());
    let mut client = C::quick(server.url("/"));

    client.expect_fault();
    client.expect_fault();
    assert_eq!(client.expect_start().attempt, 3);
    client.expect_clean_end();
    assert_eq!(client.expect_start().attempt, 1);
}

fn a_response_shorter_than_its_length_is_a_fault<C: Client>() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .content_length(1000)
            .event("a")
            .drop_connection(),
    );
    server.enqueue(Reply::stream().stall());
    let mut client = C::quick(server.url("/"));

    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_fault(), Fault::Read(_)));
    client.expect_start();
}

fn reconnects_after_an_interrupt_during_backoff<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::stream().event("a").stall());
    // So long that it can't pass meanwhile.
    let delay = Duration::from_secs(2);
    let strategy = retry_delay::from_fn(move |_| delay);
    let mut client = C::with(quick(server.url("/")).retry_delay_strategy(strategy));

    client.expect_fault();
    assert!(client.event_within(Duration::from_millis(5)).is_none());
    client.interrupt();
    client.expect_clean_end();
    client.expect_start();
    client.expect_event("a");
}
