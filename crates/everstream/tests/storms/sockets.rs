//! Both clients over real sockets wait as long as the paused clock says. Their delays are written
//! down and not waited for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::retry_delay::{self, Backoff, BaseDelay, RetryDelayStrategy};
use everstream::{Action, SseClient};
use everstream_testing::{Reply, Server};

use super::paused;
use super::scenarios::{Answer, Body, End, SCENARIOS};
use crate::support::{Client, DELAY, for_both_clients};

for_both_clients!(
    both_clients_wait_as_long_as_the_table_says,
    no_two_clients_wait_alike,
);

struct Hurried(Backoff, Arc<Mutex<Vec<Duration>>>);

impl RetryDelayStrategy for Hurried {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        self.1.lock().unwrap().push(self.0.apply(base));
        DELAY
    }

    fn apply_after_clean_end(&mut self, base: BaseDelay, id_changed: bool) -> Duration {
        let delay = self.0.apply_after_clean_end(base, id_changed);
        self.1.lock().unwrap().push(delay);
        DELAY
    }

    fn resets_after_delivery(&self) -> bool {
        self.0.resets_after_delivery()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

fn both_clients_wait_as_long_as_the_table_says<C: Client>() {
    const SEED: u64 = 7;
    /// Some servers get thousands of connections.
    const MOST: usize = 60;
    for scenario in &SCENARIOS {
        let lasts = match (scenario.answer)(0) {
            Answer::Stream(body) => body.lasts,
            _ => Duration::ZERO,
        };
        // How long a shorter connection lasts makes no difference to its delay, and this test doesn't
        // wait for a longer one.
        if lasts >= Duration::from_secs(25) {
            continue;
        }
        let times = paused::connections(scenario, SEED);
        let pairs = times.windows(2).take(MOST);
        let expected: Vec<_> = pairs.map(|pair| pair[1] - pair[0] - lasts).collect();

        let server = Server::start();
        let mut number = 0;
        while number <= expected.len() {
            server.enqueue(match (scenario.answer)(number) {
                Answer::Refused | Answer::HangUp => Reply::on_accept().drop_connection(),
                Answer::Stream(Body { bytes, end, .. }) => match end {
                    End::Clean => Reply::stream().send(bytes).end(),
                    End::Closed => Reply::stream().close_delimited().send(bytes).end(),
                    End::Broken => Reply::stream().send(bytes).drop_connection(),
                },
                Answer::Unavailable { retry_after: false } => Reply::status(503),
                Answer::Unavailable { retry_after: true } => {
                    Reply::status(503).header("Retry-After", "0")
                }
            });
            number += 1;
        }
        if (scenario.answer)(0) == Answer::Refused {
            server.stop();
        }
        let delays = Arc::new(Mutex::new(Vec::new()));
        let strategy = Hurried(retry_delay::backoff().with_seed(SEED), delays.clone());
        let builder = SseClient::builder(server.url("/")).retry_delay_strategy(strategy);
        let mut client = C::with(scenario.settings(builder));
        while delays.lock().unwrap().len() < expected.len() {
            assert!(
                matches!(client.next_action(), Some(Ok(_))),
                "{}",
                scenario.name
            );
        }
        let delays = delays.lock().unwrap().clone();
        for (delay, expected) in delays.iter().zip(&expected) {
            // tokio's timer counts whole milliseconds.
            let off = expected.abs_diff(*delay);
            assert!(
                off <= Duration::from_millis(2),
                "{}: {delays:?}",
                scenario.name
            );
        }
        if expected.is_empty() {
            // The default stops.
            assert!(
                matches!(client.next_action(), Some(Err(_))),
                "{}",
                scenario.name
            );
        }
    }
}

/// Seeds as in real use.
fn no_two_clients_wait_alike<C: Client>() {
    let server = Server::start();
    server.stop();
    let mut delays = Vec::new();
    for _ in 0..30 {
        let mut client = C::with(SseClient::builder(server.url("/")));
        let first = client.next_action();
        assert!(matches!(first, Some(Ok(Action::Fault(_)))), "{first:?}");
        delays.push(client.next_retry_delay());
    }
    delays.sort();
    assert!(delays[0] >= Duration::from_millis(500) && delays[29] <= Duration::from_secs(1));
    delays.dedup();
    assert!(delays.len() >= 29, "{delays:?}");
}
