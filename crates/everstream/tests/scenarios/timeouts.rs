//! Timeouts, and what resets them.

use std::thread;
use std::time::{Duration, Instant};

use everstream::{Error, Fault, Http, SseClient, error_strategy};
use everstream_testing::{Gate, Reply, Server};

use crate::support::{Async, Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    a_read_timeout_is_a_named_fault_and_the_client_reconnects,
    comments_and_partial_events_reset_the_read_timeout,
    a_busy_consumer_sees_no_read_timeout,
    a_busy_consumer_sees_no_read_timeout_after_a_cancelled_read,
    reads_in_short_slices_time_out,
    reads_in_short_slices_with_work_in_between_time_out,
    a_stall_before_the_headers_is_a_response_timeout,
    a_stall_in_the_headers_is_a_response_timeout,
    without_a_read_timeout_idle_streams_stay_open,
    an_unanswered_tls_handshake_is_a_connect_timeout,
);

/// Longer than a busy machine takes from the request to the response.
const SHORT: Duration = Duration::from_secs(1);

#[track_caller]
fn assert_read_timeout(fault: &Fault) {
    assert!(
        matches!(fault, Fault::ReadTimeout(limit) if *limit == SHORT),
        "{fault:?}"
    );
    assert!(fault.is_timeout() && !fault.is_connect());
}

#[track_caller]
fn assert_response_timeout(fault: &Fault) {
    assert!(
        matches!(fault, Fault::ResponseTimeout(limit) if *limit == SHORT),
        "{fault:?}"
    );
    assert!(fault.is_timeout() && !fault.is_connect());
    assert_eq!(fault.to_string(), "no response within 1 s (read_timeout)");
}

fn a_read_timeout_is_a_named_fault_and_the_client_reconnects<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").stall());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::with(quick(server.url("/")).read_timeout(SHORT));
    // The last byte arrives later than this.
    let began = Instant::now();
    client.expect_start();
    client.expect_event("a");
    assert_read_timeout(&client.expect_fault());
    assert!(began.elapsed() >= SHORT, "after {:?}", began.elapsed());
    client.expect_start();
    client.expect_event("b");
    assert_eq!(server.requests()[1].header("last-event-id"), Some("1"));

    let builder = quick(server.url("/")).read_timeout(SHORT);
    let mut client = C::with(builder.error_strategy(error_strategy::always_fail()));
    server.enqueue(Reply::stream().event("a").stall());
    client.event_data();
    match client.last_error() {
        error @ Error::Fault(Fault::ReadTimeout(_)) => assert!(error.is_timeout()),
        other => panic!("{other:?}"),
    }
}

fn comments_and_partial_events_reset_the_read_timeout<C: Client>() {
    let server = Server::start();
    // In total this takes twice the timeout, but no pause is longer than an eighth of it.
    let limit = Duration::from_secs(2);
    let beat = limit / 8;
    let mut reply = Reply::stream();
    for _ in 0..8 {
        reply = reply.send(":\n").pause(beat).send("data: x\n").pause(beat);
    }
    server.otherwise(reply.send("\n").stall());
    let mut client = C::with(quick(server.url("/")).read_timeout(limit));
    assert_eq!(client.event_data(), ["x"; 8].join("\n"));
    assert_eq!(server.request_count(), 1);
}

fn a_busy_consumer_sees_no_read_timeout<C: Client>() {
    busy_consumers::<C>(|_| {});
}

fn a_busy_consumer_sees_no_read_timeout_after_a_cancelled_read<C: Client>() {
    // It begins to wait, so that the timeout is running.
    busy_consumers::<C>(|client| assert!(client.event_within(Duration::ZERO).is_none()));
}

/// Many at the same time, because a wrong choice between data and timeout may be made only now and then.
fn busy_consumers<C: Client>(before: fn(&mut C)) {
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| busy_consumer(before));
        }
    });
}

fn busy_consumer<C: Client>(before: fn(&mut C)) {
    let server = Server::start();
    let (busy, sent) = (Gate::new(), Gate::new());
    server.enqueue(
        Reply::stream()
            .event("a")
            .wait_for(&busy)
            .event("b")
            .open(&sent)
            .stall(),
    );
    let limit = SHORT * 2;
    let mut client = C::with(quick(server.url("/")).read_timeout(limit));
    client.expect_start();
    client.expect_event("a");
    before(&mut client);
    let began = Instant::now();
    busy.open();
    // The bytes wait in the kernel, while the consumer is busy for longer than the timeout.
    assert!(sent.wait(LIMIT));
    while let Some(left) = (limit * 3 / 2).checked_sub(began.elapsed()) {
        thread::sleep(left);
    }
    client.expect_event("b");
}

fn reads_in_short_slices_time_out<C: Client>() {
    for slice in [Duration::from_millis(1), SHORT / 3] {
        let server = Server::start();
        server.enqueue(Reply::stream().event("a").stall());
        server.enqueue(Reply::stream().event("b").stall());
        let mut client = C::with(quick(server.url("/")).read_timeout(SHORT));
        client.event_data();
        // Each read is shorter than the timeout, but the idle time isn't.
        let event = loop {
            if let Some(event) = client.event_within(slice) {
                break event.unwrap().unwrap();
            }
        };
        assert_eq!(event.data(), "b");
    }
}

fn reads_in_short_slices_with_work_in_between_time_out<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let builder = quick(server.url("/")).read_timeout(SHORT);
    let mut client = C::with(builder.error_strategy(error_strategy::always_fail()));
    client.event_data();
    for _ in 0..20 {
        thread::sleep(SHORT * 3 / 2);
        match client.event_within(Duration::from_millis(1)) {
            None => {}
            Some(Some(Err(Error::Fault(fault)))) => return assert_read_timeout(&fault),
            Some(other) => panic!("{other:?}"),
        }
    }
    panic!("no read timeout");
}

fn a_stall_before_the_headers_is_a_response_timeout<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::raw("").stall());
    server.enqueue(Reply::on_accept().stall());
    server.enqueue(Reply::stream().event("a").stall());
    let http = Http::new(server.url("/")).connect_timeout(LIMIT);
    let mut client = C::with(quick(http).read_timeout(SHORT));
    assert_response_timeout(&client.expect_fault());
    assert_response_timeout(&client.expect_fault());
    client.expect_start();
    client.expect_event("a");
}

fn a_stall_in_the_headers_is_a_response_timeout<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().stall_after(30));
    server.enqueue(Reply::stream().event("a").stall());
    let http = Http::new(server.url("/")).connect_timeout(LIMIT);
    let mut client = C::with(quick(http).read_timeout(SHORT));
    assert_response_timeout(&client.expect_fault());
    client.expect_start();
}

fn without_a_read_timeout_idle_streams_stay_open<C: Client>() {
    let server = Server::start();
    let gate = Gate::new();
    server.otherwise(
        Reply::stream()
            .event("a")
            .wait_for(&gate)
            .event("b")
            .stall(),
    );
    let builder = quick(server.url("/"))
        .read_timeout(SHORT)
        .read_timeout(None);
    let mut client = C::with(builder);
    client.event_data();
    assert!(client.event_within(SHORT * 3 / 2).is_none());
    gate.open();
    assert_eq!(client.event_data(), "b");
    assert_eq!(server.request_count(), 1);
}

fn an_unanswered_tls_handshake_is_a_connect_timeout<C: Client>() {
    // The server accepts the connection, but never answers the TLS handshake.
    let server = Server::start();
    server.otherwise(Reply::on_accept().stall());
    let url = server.url("/").replace("http:", "https:");
    let http = Http::new(url).connect_timeout(SHORT);
    let strategy = error_strategy::always_fail();
    let mut client = C::with(SseClient::builder(http).error_strategy(strategy));
    let fault = client.expect_error();
    if cfg!(any(feature = "rustls", feature = "native-tls")) {
        assert!(
            matches!(fault, Fault::ConnectTimeout(limit) if limit == SHORT),
            "{fault:?}"
        );
        assert!(fault.is_timeout() && fault.is_connect());
    }
}

#[test]
fn the_async_client_reports_its_silence() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = Async::quick(server.url("/"));
    assert_eq!(client.0.silence(), None);
    client.event_data();
    let (first, begin) = (client.0.silence().unwrap(), Instant::now());
    while client.0.silence().unwrap() <= first {
        assert!(begin.elapsed() < LIMIT);
    }
    client.close();
    assert_eq!(client.0.silence(), None);
}

#[test]
fn silence_counts_from_the_last_byte_even_of_a_partial_event() {
    const LONG: Duration = Duration::from_millis(200);
    let (server, more) = (Server::start(), Gate::new());
    server.otherwise(
        Reply::stream()
            .event("a")
            .wait_for(&more)
            .send("data: b")
            .stall(),
    );
    let mut client = everstream::blocking::SseClient::new(server.url("/")).unwrap();
    assert_eq!(client.silence(), None);
    assert_eq!(client.next_event().unwrap().unwrap().data(), "a");
    let begin = Instant::now();
    while client.silence().unwrap() < LONG {
        assert!(begin.elapsed() < LIMIT);
        let next = client.next_action_timeout(LONG).unwrap();
        assert!(matches!(next, everstream::blocking::Next::TimedOut));
    }
    more.open();
    while client.silence().unwrap() >= LONG {
        assert!(begin.elapsed() < LIMIT);
        _ = client.next_action_timeout(Duration::from_millis(10));
    }
    client.close();
    assert_eq!(client.silence(), None);
}
