//! How long the client waits: what the server asks for, what the user allows, and growing delays for
//! failing servers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::retry_delay::{self, BaseDelay, RetryDelayStrategy};
use everstream::{Builder, SseClient, error_strategy};
use everstream_testing::{Reply, Server};

use crate::support::{Client, DELAY, for_both_clients, quick};

for_both_clients!(
    the_delay_is_zero_before_the_first_fault,
    delays_grow_if_the_server_accepts_and_closes,
    delays_grow_for_empty_streams,
    a_long_connection_resets_the_backoff,
    retry_sets_the_base_delay,
    retry_zero_is_raised_to_the_minimum,
    a_repeated_retry_does_not_disable_the_backoff,
    retry_after_in_seconds_is_honored,
    retry_after_applies_to_one_wait,
    retry_after_as_a_date_is_honored,
    an_invalid_retry_after_is_ignored,
    a_huge_retry_after_does_not_overflow,
    retry_after_is_at_most_a_day_by_default,
    retry_after_is_capped_by_the_user,
    retry_is_at_most_an_hour_by_default,
    a_polled_server_is_polled_at_its_interval,
    a_polled_server_without_retry_is_polled_after_3_seconds,
    a_close_delimited_response_is_not_polled,
    an_interrupt_publishes_the_next_delay_immediately,
);

/// Returns a strategy with short delays, and the base delays it gets.
fn recording() -> (
    impl RetryDelayStrategy + 'static,
    Arc<Mutex<Vec<BaseDelay>>>,
) {
    let bases = Arc::new(Mutex::new(Vec::new()));
    let strategy = retry_delay::from_fn({
        let bases = bases.clone();
        move |base| {
            bases.lock().unwrap().push(base);
            DELAY
        }
    });
    (strategy, bases)
}

/// Returns a client with delays of 1, 2, 4 ms and so on.
fn growing<C: Client>(server: &Server) -> C {
    C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(DELAY)
            .retry_delay_strategy(retry_delay::backoff().jitter(0.0)),
    )
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn the_delay_is_zero_before_the_first_fault<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    assert_eq!(client.next_retry_delay(), Duration::ZERO);
    client.event_data();
    assert_eq!(client.next_retry_delay(), Duration::ZERO);
    client.interrupt();
    client.expect_clean_end();
    assert_eq!(client.next_retry_delay(), DELAY);
}

fn delays_grow_if_the_server_accepts_and_closes<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::on_accept().drop_connection());
    let mut client = growing::<C>(&server);
    for expected in [1, 2, 4, 8] {
        client.expect_fault();
        assert_eq!(client.next_retry_delay(), millis(expected));
    }
}

fn delays_grow_for_empty_streams<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().end());
    let mut client = growing::<C>(&server);
    for expected in [1, 2, 4, 8] {
        client.expect_start();
        client.expect_clean_end();
        assert_eq!(client.next_retry_delay(), millis(expected));
    }
}

fn a_long_connection_resets_the_backoff<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().end());
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(DELAY)
            .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
            // Every connection resets the backoff.
            .retry_delay_reset_threshold(Duration::ZERO),
    );
    for _ in 0..3 {
        client.expect_start();
        client.expect_clean_end();
        assert_eq!(client.next_retry_delay(), DELAY);
    }
}

fn retry_sets_the_base_delay<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().end());
    server.enqueue(Reply::stream().send("retry: 250\ndata: a\n\n").end());
    server.enqueue(Reply::stream().send("retry: 700\n\n").end());
    server.enqueue(
        Reply::stream()
            .send("retry: 1s\n\nretry: -5\n\nretry: \u{661}\n\n")
            .end(),
    );
    server.enqueue(Reply::stream().stall());
    let (strategy, bases) = recording();
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(millis(40))
            .retry_delay_strategy(strategy),
    );

    let mut ends = 0;
    while ends < 4 {
        if let everstream::Action::End(_) = client.expect_action() {
            ends += 1;
        }
    }
    let expected = [
        BaseDelay::configured(millis(40)),
        BaseDelay::from_server(millis(250)),
        BaseDelay::from_server(millis(700)),
        BaseDelay::from_server(millis(700)),
    ];
    assert_eq!(*bases.lock().unwrap(), expected);
}

fn retry_zero_is_raised_to_the_minimum<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().retry(0).end());
    let (strategy, bases) = recording();
    let mut client = C::with(quick(server.url("/")).retry_delay_strategy(strategy));
    client.expect_start();
    client.expect_clean_end();
    assert_eq!(
        *bases.lock().unwrap(),
        [BaseDelay::from_server(millis(100))]
    );
}

fn a_repeated_retry_does_not_disable_the_backoff<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().retry(2).end());
    server.enqueue(Reply::stream().retry(2).end());
    server.enqueue(Reply::stream().retry(3).end());
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .min_server_retry_delay(Duration::ZERO)
            .retry_delay_strategy(retry_delay::backoff().jitter(0.0)),
    );
    for expected in [2, 4, 3] {
        client.expect_start();
        client.expect_clean_end();
        assert_eq!(client.next_retry_delay(), millis(expected));
    }
}

/// Returns a client that got a 503 with `Retry-After`, and allows any `Retry-After`.
fn told_to_wait<C: Client>(server: &Server, retry_after: &str) -> C {
    told_to_wait_within(server, retry_after, Duration::MAX)
}

fn told_to_wait_within<C: Client>(server: &Server, retry_after: &str, most: Duration) -> C {
    server.enqueue(Reply::status(503).header("Retry-After", retry_after));
    let strategy = error_strategy::reconnect().or_on_status([503]);
    let builder = quick(server.url("/")).max_retry_after(most);
    let mut client = C::with(builder.error_strategy(strategy));
    assert_eq!(client.expect_fault().status(), Some(503));
    client
}

fn retry_after_in_seconds_is_honored<C: Client>() {
    let server = Server::start();
    let client = told_to_wait::<C>(&server, "7");
    assert_eq!(client.next_retry_delay(), Duration::from_secs(7));
    let client = told_to_wait::<C>(&server, "0");
    assert_eq!(client.next_retry_delay(), DELAY);
}

fn retry_after_applies_to_one_wait<C: Client>() {
    let server = Server::start();
    let mut client = told_to_wait::<C>(&server, "1");
    server.enqueue(Reply::stream().end());
    client.expect_start();
    let waited = server.requests()[1].at - server.requests()[0].at;
    assert!(
        waited >= Duration::from_secs(1),
        "reconnected after {waited:?}"
    );
    client.expect_clean_end();
    assert_eq!(client.next_retry_delay(), DELAY);
}

fn retry_after_as_a_date_is_honored<C: Client>() {
    let server = Server::start();
    let client = told_to_wait::<C>(&server, "Fri, 31 Dec 2100 23:59:59 GMT");
    assert!(client.next_retry_delay() > Duration::from_secs(365 * 86400));
    let client = told_to_wait::<C>(&server, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(client.next_retry_delay(), DELAY, "it has passed");
}

fn an_invalid_retry_after_is_ignored<C: Client>() {
    let server = Server::start();
    for invalid in ["soon", "-7", "+7", "7.5", "7 s", "", "0x7"] {
        let client = told_to_wait::<C>(&server, invalid);
        assert_eq!(client.next_retry_delay(), DELAY, "{invalid:?}");
    }
}

fn a_huge_retry_after_does_not_overflow<C: Client>() {
    let server = Server::start();
    let mut client = told_to_wait::<C>(&server, "99999999999999999999999");
    assert!(client.next_retry_delay() > Duration::from_secs(1 << 40));
    assert!(client.event_within(DELAY).is_none());
    client.close();
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 1);
}

fn retry_after_is_at_most_a_day_by_default<C: Client>() {
    let server = Server::start();
    for (value, delay) in [
        ("86399", 86_399),
        ("86401", 86_400),
        ("99999999999", 86_400),
    ] {
        server.enqueue(Reply::status(503).header("Retry-After", value));
        let strategy = error_strategy::reconnect().or_on_status([503]);
        let mut client = C::with(quick(server.url("/")).error_strategy(strategy));
        client.expect_fault();
        assert_eq!(
            client.next_retry_delay(),
            Duration::from_secs(delay),
            "{value}"
        );
    }
    let client = told_to_wait_within::<C>(&server, "7", Duration::from_secs(5));
    assert_eq!(client.next_retry_delay(), Duration::from_secs(5));
}

fn retry_after_is_capped_by_the_user<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::status(429).header("Retry-After", "3600"));
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::with(
        SseClient::builder(server.url("/"))
            .initial_retry_delay(DELAY)
            .retry_delay_strategy(retry_delay::backoff().max_delay(millis(5)))
            .error_strategy(error_strategy::reconnect().or_on_status([429])),
    );
    client.expect_fault();
    assert_eq!(client.next_retry_delay(), millis(5));
    assert_eq!(client.event_data(), "a");
}

fn retry_is_at_most_an_hour_by_default<C: Client>() {
    let server = Server::start();
    let delay = |retry: u64, configure: fn(Builder) -> Builder| {
        server.enqueue(Reply::stream().retry(retry).reset());
        let mut client = C::with(configure(SseClient::builder(server.url("/"))));
        client.expect_start();
        client.expect_fault();
        client.next_retry_delay()
    };
    let hour = Duration::from_secs(3600);
    let limited = delay(999_999_999_999, |builder| builder);
    assert!((hour / 2..=hour).contains(&limited), "{limited:?}");
    let limited = delay(60_000, |builder| {
        builder.max_server_retry_delay(Duration::from_secs(10))
    });
    assert!(
        (millis(5000)..=millis(10_000)).contains(&limited),
        "{limited:?}"
    );
    let obeyed = delay(999_999_999_999, |builder| {
        builder.max_server_retry_delay(Duration::MAX)
    });
    assert!(obeyed >= millis(999_999_999_999), "{obeyed:?}");
}

/// Every response ends cleanly, with a new event.
fn a_polled_server_is_polled_at_its_interval<C: Client>() {
    let server = Server::start();
    let mut client = C::with(SseClient::builder(server.url("/")));
    for id in ["1", "2", "3", "4"] {
        server.enqueue(Reply::stream().retry(200).event_with_id(id, "x").end());
        client.expect_start();
        client.expect_event("x");
        client.expect_clean_end();
        let delay = client.next_retry_delay();
        assert!((millis(200)..=millis(300)).contains(&delay), "{delay:?}");
    }
    let requests = server.requests();
    let sent = requests
        .iter()
        .map(|request| request.header("last-event-id"));
    assert!(sent.eq([None, Some("1"), Some("2"), Some("3")]));
}

fn a_polled_server_without_retry_is_polled_after_3_seconds<C: Client>() {
    let server = Server::start();
    let whole: [fn() -> Reply; 2] = [
        || Reply::stream().event_with_id("1", "x").end(),
        || {
            let body = "id: 1\ndata: x\n\n";
            Reply::stream()
                .content_length(body.len() as u64)
                .send(body)
                .end()
        },
    ];
    for whole in whole {
        server.enqueue(whole());
        let mut client = C::with(SseClient::builder(server.url("/")));
        client.expect_start();
        client.expect_event("x");
        client.expect_clean_end();
        let delay = client.next_retry_delay();
        assert!((millis(3000)..=millis(4500)).contains(&delay), "{delay:?}");
    }
}

fn a_close_delimited_response_is_not_polled<C: Client>() {
    let server = Server::start();
    let reply = Reply::stream().close_delimited();
    server.enqueue(reply.event_with_id("1", "x").end());
    let mut client = C::with(SseClient::builder(server.url("/")));
    client.expect_start();
    client.expect_event("x");
    client.expect_clean_end();
    let delay = client.next_retry_delay();
    assert!((millis(500)..=millis(1000)).contains(&delay), "{delay:?}");
}

/// Even before the next read.
fn an_interrupt_publishes_the_next_delay_immediately<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = growing::<C>(&server);
    let handle = client.handle();
    for delay in [1, 2, 4] {
        client.expect_start();
        client.expect_event("a");
        client.interrupt();
        assert_eq!(client.next_retry_delay(), millis(delay));
        assert_eq!(handle.next_retry_delay(), millis(delay));
        client.expect_clean_end();
        assert_eq!(client.next_retry_delay(), millis(delay));
    }
}
