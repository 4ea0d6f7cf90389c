//! Over real sockets, both clients choose the same delays as on the paused clock. The delays are recorded
//! rather than waited for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::retry_delay::{self, Backoff, BaseDelay, RetryDelayStrategy};
use everstream::{Action, SseClient};
use everstream_testing::{Reply, Server};

use super::paused;
use super::scenarios::{Answer, Body, End, SCENARIOS};
use crate::support::{Client, DELAY, for_both_clients};

for_both_clients!(
    delays_over_sockets_match_the_paused_clock,
    clients_choose_different_delays,
);

/// Records the delays of a backoff, and returns short ones.
struct Recording(Backoff, Arc<Mutex<Vec<Duration>>>);

impl RetryDelayStrategy for Recording {
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

fn delays_over_sockets_match_the_paused_clock<C: Client>() {
    const SEED: u64 = 7;
    /// Some servers get thousands of connections.
    const MOST: usize = 60;
    for scenario in &SCENARIOS {
        let lasts = match (scenario.answer)(0) {
            Answer::Stream(body) => body.lasts,
            _ => Duration::ZERO,
        };
        // The duration of shorter connections doesn't affect the delay. Longer ones would take too
        // long here.
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
        let strategy = Recording(retry_delay::backoff().with_seed(SEED), delays.clone());
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
            // tokio's timer rounds to whole milliseconds.
            let difference = expected.abs_diff(*delay);
            assert!(
                difference <= Duration::from_millis(2),
                "{}: {delays:?}",
                scenario.name
            );
        }
        if expected.is_empty() {
            // The default strategy gives up.
            assert!(
                matches!(client.next_action(), Some(Err(_))),
                "{}",
                scenario.name
            );
        }
    }
}

/// With random seeds, as in real use.
fn clients_choose_different_delays<C: Client>() {
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
