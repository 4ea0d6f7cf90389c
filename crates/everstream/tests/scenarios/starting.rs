//! `start()`, and the inactive client before it.

use everstream::{Action, Error, error_strategy};
use everstream_testing::{Reply, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    nothing_connects_before_the_first_read,
    start_connects_and_the_start_is_the_first_action,
    start_returns_the_error,
    start_retries_if_the_strategy_says_so,
    start_while_connected_does_nothing,
    start_reconnects_after_an_error,
    start_after_close_is_an_error,
    an_interrupted_start_returns_interrupted,
    a_closed_start_returns_closed,
    a_client_closed_before_start_never_connects,
    an_interrupt_before_start_has_no_effect,
    an_interrupt_after_start_is_reported_after_the_start,
    start_after_an_interrupt_reconnects,
    start_after_an_interrupt_loses_no_received_events,
    repeated_starts_without_reads_keep_only_the_newest_actions,
);

fn nothing_connects_before_the_first_read<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    assert!(!client.is_connected());
    _ = client.handle();
    _ = client.last_event_id();
    assert_eq!(server.accepted_connections(), 0);
    client.event_data();
    assert_eq!(server.accepted_connections(), 1);
}

fn start_connects_and_the_start_is_the_first_action<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    assert!(client.is_connected());
    assert_eq!(server.request_count(), 1);
    match client.first_of_all() {
        Some(Ok(Action::Start(start))) => assert_eq!(start.attempt, 1),
        other => panic!("{other:?}"),
    }
    client.expect_event("a");
    assert_eq!(server.request_count(), 1);
}

fn start_returns_the_error<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let mut client = C::quick(server.url("/"));
    assert_eq!(client.start().unwrap_err().status(), Some(404));
    assert!(!client.is_connected());
    assert_eq!(server.request_count(), 1);

    server.stop();
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_fail());
    assert!(C::with(builder).start().unwrap_err().is_connect());
}

fn start_retries_if_the_strategy_says_so<C: Client>() {
    let server = Server::start();
    for _ in 0..20 {
        server.enqueue(Reply::on_accept().drop_connection());
    }
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    // Of consecutive faults, only the last is kept.
    let mut faults = 0;
    let start = loop {
        match client.expect_action() {
            Action::Fault(_) => faults += 1,
            Action::Start(start) => break start,
            other => panic!("{other:?}"),
        }
    };
    assert!(faults <= 1, "{faults}");
    assert_eq!(start.attempt, 21);
    client.expect_event("a");
}

fn start_while_connected_does_nothing<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    client.start().unwrap();
    client.expect_start();
    client.start().unwrap();
    client.expect_event("a");
    assert_eq!(server.request_count(), 1);
}

fn start_reconnects_after_an_error<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    assert!(client.start().is_err());
    client.start().unwrap();
    client.expect_start();
    client.expect_event("a");
}

fn start_after_close_is_an_error<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    client.close();
    assert!(matches!(client.start(), Err(Error::Closed)));
    client.expect_ended();
    assert!(matches!(client.start(), Err(Error::Closed)));
    assert!(server.wait_for_open_connections(0, LIMIT));
    assert_eq!(server.request_count(), 1);
}

/// Calls `stop` as soon as the server has the request that `start` sent.
fn stopped_start<C: Client>(stop: fn(&everstream::Handle)) -> Result<(), Error> {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let builder = quick(server.url("/")).error_strategy(error_strategy::always_fail());
    let mut client = C::with(builder);
    let handle = client.handle();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(server.wait_for_requests(1, LIMIT));
            stop(&handle);
        });
        client.start()
    });
    assert_eq!(server.request_count(), 1);
    result
}

fn an_interrupted_start_returns_interrupted<C: Client>() {
    let result = stopped_start::<C>(everstream::Handle::interrupt);
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
}

fn a_closed_start_returns_closed<C: Client>() {
    let result = stopped_start::<C>(everstream::Handle::close);
    assert!(matches!(result, Err(Error::Closed)), "{result:?}");
}

fn a_client_closed_before_start_never_connects<C: Client>() {
    let server = Server::start();
    let mut client = C::quick(server.url("/"));
    client.close();
    client.close();
    client.expect_ended();
    client.interrupt();
    client.expect_ended();
    assert!(matches!(client.start(), Err(Error::Closed)));
    assert_eq!(server.accepted_connections(), 0);
}

fn an_interrupt_before_start_has_no_effect<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.interrupt();
    client.handle().interrupt();
    client.expect_start();
    client.expect_event("a");
    assert_eq!(server.request_count(), 1);
}

fn an_interrupt_after_start_is_reported_after_the_start<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().stall());
    let mut client = C::quick(server.url("/"));
    client.start().unwrap();
    client.handle().interrupt();
    client.expect_start();
    match client.expect_action() {
        Action::End(_) => {}
        other => panic!("{other:?}"),
    }
    client.expect_start();
    assert_eq!(server.request_count(), 2);
}

fn start_after_an_interrupt_reconnects<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let fail = || quick(server.url("/")).error_strategy(error_strategy::always_fail());
    for by_handle in [false, true] {
        let mut client = C::with(fail());
        client.expect_start();
        client.expect_event("a");
        match by_handle {
            true => client.handle().interrupt(),
            false => client.interrupt(),
        }
        client.start().unwrap();
        match client.expect_action() {
            Action::End(_) => {}
            other => panic!("{other:?}"),
        }
        client.expect_start();
        client.expect_event("a");
    }
    assert_eq!(server.request_count(), 4);
}

fn start_after_an_interrupt_loses_no_received_events<C: Client>() {
    let ids = 1..=200;
    let events: String = ids
        .clone()
        .map(|id| format!("id: {id}\ndata: {id}\n\n"))
        .collect();
    for by_handle in [false, true] {
        let server = Server::start();
        server.enqueue(Reply::stream().send(events.clone()).stall());
        server.otherwise(Reply::stream().stall());
        let mut client = C::quick(server.url("/"));
        client.expect_start();
        client.expect_event("1");
        match by_handle {
            true => client.handle().interrupt(),
            false => client.interrupt(),
        }
        client.start().unwrap();
        // Events received before the interrupt are delivered before the end.
        for id in ids.clone().skip(1) {
            assert_eq!(client.last_event_id(), Some((id - 1).to_string()));
            assert_eq!(client.handle().last_event_id(), Some((id - 1).to_string()));
            client.expect_event(&id.to_string());
        }
        client.expect_clean_end();
        client.expect_start();
        assert_eq!(client.last_event_id().as_deref(), Some("200"));
    }
}

fn repeated_starts_without_reads_keep_only_the_newest_actions<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    for _ in 0..100 {
        client.start().unwrap();
        client.interrupt();
    }
    let mut kept = 0;
    while !matches!(client.expect_action(), Action::Event(_)) {
        kept += 1;
    }
    // The 64 that are kept, the last interrupt, and the start after it.
    assert_eq!(kept, 66);
    assert_eq!(server.request_count(), 101);
}
