//! Interrupt and close from another thread, in every phase of a connection, with both clients.
//!
//! `cargo test -p everstream --all-features --test all -- stopping:: --nocapture` prints how long each
//! stop takes.

use std::thread;
use std::time::{Duration, Instant};

use everstream::{Action, Builder, Connection, Error, Fault, Handle, Http, SseClient};
use everstream::{connect_fn, retry_delay};
use everstream_testing::{Gate, Reply, Server};

use crate::support::unresponsive::UnresponsiveListener;
use crate::support::{self, Client, LIMIT, for_both_clients};

for_both_clients!(
    before_start,
    during_a_lookup,
    while_connecting,
    during_the_tls_handshake,
    during_a_hook,
    while_waiting_for_headers,
    within_the_headers,
    while_waiting_for_headers_after_a_redirect,
    while_reading_the_body_of_an_error,
    while_reading,
    while_reading_a_partial_event,
    during_backoff,
    during_backoff_after_a_refused_connection,
    inside_the_users_loop,
    twice,
    both_at_once,
    after_the_client_was_dropped,
    between_reads,
    stopping_one_client_does_not_affect_others,
);

/// How a client is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    Interrupt,
    Close,
}

impl Stop {
    fn call(self, handle: &Handle) {
        match self {
            Stop::Interrupt => handle.interrupt(),
            Stop::Close => handle.close(),
        }
    }
}

/// Settings for a client that doesn't reconnect during a test.
fn slow_retry(http: Http) -> Builder {
    let hour = Duration::from_secs(3600);
    SseClient::builder(http).retry_delay_strategy(retry_delay::from_fn(move |_| hour))
}

/// Reads while another thread stops the client as soon as `reached` returns. The client has already
/// returned all actions that precede the phase.
fn stop<C: Client>(client: &mut C, phase: &str, stop: Stop, reached: impl FnOnce() + Send) {
    let handle = client.handle();
    let stopped_at = thread::scope(|scope| {
        let stopper = scope.spawn(move || {
            reached();
            let now = Instant::now();
            stop.call(&handle);
            now
        });
        match (stop, client.next_action()) {
            (Stop::Interrupt, Some(Ok(Action::End(_)))) | (Stop::Close, None) => {}
            (_, other) => panic!("{stop:?} {phase} gave {other:?}"),
        }
        stopper.join().unwrap()
    });
    let kind = if C::BLOCKING { "blocking" } else { "async" };
    println!("{kind}: {stop:?} {phase}: {:?}", stopped_at.elapsed());
    if stop == Stop::Close {
        assert_closed(client);
    }
}

fn assert_closed<C: Client>(client: &mut C) {
    client.expect_ended();
    assert!(matches!(client.start(), Err(Error::Closed)));
    assert!(client.next_event().is_none());
    assert!(!client.is_connected());
    assert!(client.handle().is_closed());
}

/// Stops a client of a server with this reply, in both ways, once `reached` returns.
fn stop_at_server<C: Client>(
    phase: &str,
    reply: &Reply,
    url: fn(&Server) -> String,
    reached: fn(&Server),
) {
    for how in [Stop::Interrupt, Stop::Close] {
        let server = Server::start();
        server.otherwise(reply.clone());
        let mut client = C::with(slow_retry(Http::new(url(&server))));
        stop(&mut client, phase, how, || reached(&server));
        assert!(
            server.wait_for_open_connections(0, LIMIT),
            "{phase}: the socket stays open"
        );
        assert_eq!(server.accepted_connections(), 1, "{phase}: it reconnected");
    }
}

fn root(server: &Server) -> String {
    server.url("/")
}

fn requested(server: &Server) {
    assert!(server.wait_for_requests(1, LIMIT));
}

fn accepted(server: &Server) {
    assert!(server.wait_for_connections(1, LIMIT));
}

fn before_start<C: Client>() {
    let server = Server::start();
    let mut client = C::with(slow_retry(Http::new(server.url("/"))));
    client.handle().close();
    assert_closed(&mut client);
    assert_eq!(server.accepted_connections(), 0);

    // There is nothing to interrupt yet.
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::with(slow_retry(Http::new(server.url("/"))));
    client.handle().interrupt();
    client.expect_start();
    client.expect_event("a");
}

/// Tests can't make a DNS lookup hang. For the client, a lookup is part of the connecting future, like
/// this hanging attempt.
fn during_a_lookup<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let begun = Gate::new();
        let strategy = connect_fn({
            let begun = begun.clone();
            move |_| {
                begun.open();
                std::future::pending::<Result<Connection, Fault>>()
            }
        });
        let hour = Duration::from_secs(3600);
        let strategy =
            SseClient::builder(strategy).retry_delay_strategy(retry_delay::from_fn(move |_| hour));
        let mut client = C::with(strategy);
        stop(&mut client, "during a lookup", how, || {
            assert!(begun.wait(LIMIT))
        });
    }
}

fn while_connecting<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let unresponsive = UnresponsiveListener::start();
        let begun = Gate::new();
        let http = Http::new(format!("http://{}/", unresponsive.addr)).before_attempt({
            let begun = begun.clone();
            move |attempt| {
                begun.open();
                async { Ok::<_, Fault>(attempt) }
            }
        });
        let mut client = C::with(slow_retry(http));
        // Ensures that the attempt has begun.
        assert!(client.event_within(Duration::from_millis(30)).is_none());
        stop(&mut client, "while connecting", how, || {
            assert!(begun.wait(LIMIT))
        });
    }
}

fn during_the_tls_handshake<C: Client>() {
    fn https(server: &Server) -> String {
        server.url("/").replace("http:", "https:")
    }
    if cfg!(feature = "rustls") {
        let silent = Reply::on_accept().stall();
        stop_at_server::<C>("during the TLS handshake", &silent, https, accepted);
    }
}

fn during_a_hook<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let begun = Gate::new();
        let http = Http::new("http://127.0.0.1:9/").before_attempt({
            let begun = begun.clone();
            move |_| {
                begun.open();
                std::future::pending::<Result<_, Fault>>()
            }
        });
        let mut client = C::with(slow_retry(http));
        stop(&mut client, "during a hook", how, || {
            assert!(begun.wait(LIMIT))
        });
    }
}

fn while_waiting_for_headers<C: Client>() {
    let silent = Reply::raw("").stall();
    stop_at_server::<C>("while waiting for headers", &silent, root, requested);
}

fn within_the_headers<C: Client>() {
    let half = Reply::stream().stall_after(30);
    stop_at_server::<C>("within the headers", &half, root, requested);
}

fn while_waiting_for_headers_after_a_redirect<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let (home, other) = (Server::start(), Server::start());
        home.otherwise(Reply::redirect(307, other.url("/")).header("Connection", "close"));
        other.otherwise(Reply::raw("").stall());
        let mut client = C::with(slow_retry(Http::new(home.url("/"))));
        stop(&mut client, "after a redirect", how, || requested(&other));
        assert!(other.wait_for_open_connections(0, LIMIT));
        assert!(home.wait_for_open_connections(0, LIMIT));
        assert_eq!((home.request_count(), other.request_count()), (1, 1));
    }
}

fn while_reading_the_body_of_an_error<C: Client>() {
    let half = Reply::status(500).content_length(9).send("half").stall();
    stop_at_server::<C>("while reading an error's body", &half, root, requested);
}

/// Stops a client after it has returned the event "a".
fn stop_after_a<C: Client>(phase: &str, reply: &Reply) {
    for how in [Stop::Interrupt, Stop::Close] {
        let server = Server::start();
        let sent = Gate::new();
        server.otherwise(reply.clone().open(&sent).stall());
        let mut client = C::with(slow_retry(Http::new(server.url("/"))));
        client.expect_start();
        client.expect_event("a");
        stop(&mut client, phase, how, || assert!(sent.wait(LIMIT)));
        assert!(
            server.wait_for_open_connections(0, LIMIT),
            "{phase}: the socket stays open"
        );
        assert_eq!(server.accepted_connections(), 1, "{phase}: it reconnected");
    }
}

fn while_reading<C: Client>() {
    stop_after_a::<C>("while reading", &Reply::stream().event("a"));
}

fn while_reading_a_partial_event<C: Client>() {
    let half = Reply::stream().event("a").send("data: half");
    stop_after_a::<C>("within an event", &half);
}

fn during_backoff<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").drop_connection());
        let mut client = C::with(slow_retry(Http::new(server.url("/"))));
        client.expect_start();
        client.expect_event("a");
        client.expect_fault();
        assert!(client.event_within(Duration::from_millis(5)).is_none());
        stop(&mut client, "during backoff", how, || {});
        assert_eq!(server.accepted_connections(), 1);
    }
}

fn during_backoff_after_a_refused_connection<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let server = Server::start();
        server.stop();
        let mut client = C::with(slow_retry(Http::new(server.url("/"))));
        client.expect_fault();
        stop(
            &mut client,
            "during backoff after a refused connection",
            how,
            || {},
        );
    }
}

fn inside_the_users_loop<C: Client>() {
    let server = Server::start();
    let many = "data: a\n\n".repeat(100);
    server.enqueue(Reply::stream().send(many.as_str()).stall());
    server.otherwise(Reply::stream().event("b").stall());
    let quick = || {
        let strategy = retry_delay::from_fn(|_| support::DELAY);
        SseClient::builder(server.url("/")).retry_delay_strategy(strategy)
    };
    let mut client = C::with(quick());
    let handle = client.handle();
    let mut events = 0;
    while let Some(event) = client.next_event() {
        event.unwrap();
        events += 1;
        if events == 3 {
            handle.close();
        }
    }
    assert_eq!(events, 3, "nothing is delivered after close");
    assert_closed(&mut client);
    assert!(server.wait_for_open_connections(0, LIMIT));
    assert_eq!(server.accepted_connections(), 1);

    // After an interrupt, received events are delivered, then the client reconnects.
    server.enqueue(Reply::stream().send(many.as_str()).stall());
    let mut client = C::with(quick());
    let handle = client.handle();
    let mut events = 0;
    while client.event_data() == "a" {
        events += 1;
        if events == 3 {
            handle.interrupt();
        }
    }
    assert_eq!(events, 100);
    assert_eq!(server.accepted_connections(), 3);
}

fn twice<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let hour = Duration::from_secs(3600);
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .retry_delay_strategy(retry_delay::from_fn(move |_| hour)),
    );
    client.expect_start();
    client.expect_event("a");
    let handle = client.handle();
    handle.interrupt();
    handle.interrupt();
    // Two calls before the next read count as one.
    client.expect_clean_end();
    assert!(client.event_within(Duration::from_millis(5)).is_none());
    handle.close();
    handle.close();
    assert_closed(&mut client);
    client.close();
    assert_closed(&mut client);
    assert_eq!(server.accepted_connections(), 1);
}

fn both_at_once<C: Client>() {
    for order in [
        [Stop::Close, Stop::Interrupt],
        [Stop::Interrupt, Stop::Close],
    ] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").stall());
        let mut client = C::with(slow_retry(Http::new(server.url("/"))));
        client.expect_start();
        client.expect_event("a");
        for how in order {
            how.call(&client.handle());
        }
        assert_closed(&mut client);
        assert!(server.wait_for_open_connections(0, LIMIT));
    }
}

fn after_the_client_was_dropped<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "a").stall());
    let mut client = C::with(slow_retry(Http::new(server.url("/"))));
    client.event_data();
    let handle = client.handle();
    drop(client);
    assert!(server.wait_for_open_connections(0, LIMIT));
    handle.interrupt();
    handle.close();
    handle.close();
    assert!(handle.is_closed());
    assert_eq!(handle.last_event_id().as_deref(), Some("1"));
}

fn between_reads<C: Client>() {
    for how in [Stop::Interrupt, Stop::Close] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").stall());
        let mut client = C::with(slow_retry(Http::new(server.url("/"))));
        client.expect_start();
        client.expect_event("a");
        how.call(&client.handle());
        // It takes effect with the next read.
        stop(&mut client, "while nobody reads", how, || {});
        assert!(server.wait_for_open_connections(0, LIMIT));
        assert_eq!(server.accepted_connections(), 1);
    }
}

fn stopping_one_client_does_not_affect_others<C: Client>() {
    let server = Server::start();
    let gate = Gate::new();
    server.otherwise(
        Reply::stream()
            .event("a")
            .wait_for(&gate)
            .event("b")
            .stall(),
    );
    let http = Http::new(server.url("/"));
    let mut closed = C::with(slow_retry(http.clone()));
    let mut other = C::with(slow_retry(http));
    closed.event_data();
    other.event_data();
    closed.handle().close();
    assert_closed(&mut closed);
    assert!(!other.handle().is_closed());
    assert!(server.wait_for_open_connections(1, LIMIT));
    gate.open();
    assert_eq!(other.event_data(), "b");
}
