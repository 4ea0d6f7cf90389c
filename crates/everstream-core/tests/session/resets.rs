//! Which connections reset the backoff: rule 4.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy, backoff};
use everstream_core::{Oversize, SessionConfig};

use super::script::*;

const ALMOST_25: Duration = Duration::from_millis(24_999);

/// The delay after a connection that lasted for `lasted`, delivered `delivered` and was ended by `lose`.
/// The two delays before it are 1 s and 2 s, so this one is 1 s if the connection reset the backoff, and
/// 4 s if not.
fn delay_after(
    configure: impl FnOnce(&mut SessionConfig),
    lasted: Duration,
    delivered: &str,
    lose: fn(&mut Script),
) -> Duration {
    let mut script = Script::open(configure);
    for _ in 0..2 {
        script.end_and_continue();
        script.reconnect();
    }
    script.receive(delivered);
    script.pass(lasted);
    lose(&mut script);
    script.session.next_retry_delay()
}

fn lose(script: &mut Script) {
    script.fault(broken());
    assert_eq!(script.next(), Lost("broken"));
}

#[test]
fn a_connection_of_25_seconds_that_delivered_something_resets_the_backoff() {
    for delivered in ["data: x\n\n", "id: 7\n\n", "id\n\n", ":\n"] {
        for (lasted, delay) in [
            (secs(25), secs(1)),
            (secs(59), secs(1)),
            (ALMOST_25, secs(4)),
        ] {
            let next = delay_after(|_| {}, lasted, delivered, lose);
            assert_eq!(next, delay, "{delivered:?}, {lasted:?}");
        }
    }
}

#[test]
fn a_connection_that_delivered_nothing_resets_the_backoff_only_at_the_threshold() {
    for delivered in [
        "",
        "retry: 1000\n\n",
        "data: half",
        "id: half\n",
        "foo: bar\n\n",
    ] {
        for (lasted, delay) in [
            (secs(25), secs(4)),
            (millis(59_999), secs(4)),
            (secs(60), secs(1)),
        ] {
            // `retry: 1000` keeps the base at 1 s, and the change to it is at the first connection.
            let configure = |config: &mut SessionConfig| config.min_server_retry_delay = secs(1);
            let mut script = Script::open(configure);
            script.receive("retry: 1000\n\n");
            for _ in 0..2 {
                script.end_and_continue();
                script.reconnect();
            }
            script.receive(delivered);
            script.pass(lasted);
            script.end_and_continue();
            assert_eq!(script.wait(), delay, "{delivered:?}, {lasted:?}");
        }
    }
}

#[test]
fn a_delivering_connection_resets_the_backoff_however_it_ends() {
    let lost: [fn(&mut Script); 4] = [
        lose,
        Script::end_and_continue,
        Script::interrupt,
        |script| {
            assert_eq!(script.next(), ReadWithin(Duration::ZERO));
            script.session.handle_timeout(script.now);
            assert_eq!(script.next(), Lost("read timeout"));
        },
    ];
    for (number, lose) in lost.into_iter().enumerate() {
        let configure = |config: &mut SessionConfig| config.read_timeout = Some(secs(20));
        let delay = delay_after(configure, secs(25), "data: x\n\n", lose);
        assert_eq!(delay, secs(1), "{number}");
        let delay = delay_after(configure, ALMOST_25, "data: x\n\n", lose);
        assert_eq!(delay, secs(4), "{number}");
    }
}

#[test]
fn events_decoded_after_the_disconnect_count_as_delivered() {
    let mut script = Script::open(|_| {});
    for _ in 0..2 {
        script.end_and_continue();
        script.reconnect();
    }
    script.pass(secs(25));
    script.bytes("data: x\n\n");
    script.fault(broken());
    assert_eq!(script.next_n(), [event("x"), Lost("broken"), Wait(secs(1))]);
}

#[test]
fn a_skipped_event_counts_as_delivered_only_if_it_has_an_id() {
    let small = |config: &mut SessionConfig| {
        config.max_event_size = 20;
        config.oversize = Oversize::Skip;
    };
    let large = format!("data: {}\n", "x".repeat(50));
    for (id, delay) in [("", secs(4)), ("id: 7\n", secs(1))] {
        let delivered = format!("{id}{large}\n");
        assert_eq!(delay_after(small, secs(25), &delivered, lose), delay);
    }
}

#[test]
fn a_long_attempt_is_not_a_connection() {
    let mut script = Script::open(|_| {});
    script.receive("data: x\n\n");
    script.end_and_continue();
    script.wait();
    for delay in [2, 4, 8] {
        assert_eq!(script.next(), connect());
        script.pass(secs(100));
        script.fault(refused());
        assert_eq!(script.next_n(), [Lost("refused"), Wait(secs(delay))]);
        script.pass(secs(delay));
    }
}

#[test]
fn a_custom_threshold_disables_the_25_second_reset() {
    for threshold in [secs(59), millis(60_001), secs(61)] {
        let configure = |config: &mut SessionConfig| config.retry_delay_reset_threshold = threshold;
        for (lasted, delay) in [(secs(25), 4), (threshold - millis(1), 4), (threshold, 1)] {
            let next = delay_after(configure, lasted, "data: x\n\n", lose);
            assert_eq!(next, secs(delay), "{threshold:?}, {lasted:?}");
        }
    }
    let same = |config: &mut SessionConfig| config.retry_delay_reset_threshold = secs(60);
    assert_eq!(delay_after(same, secs(25), "data: x\n\n", lose), secs(1));
}

#[test]
fn a_custom_cap_or_multiplier_disables_the_25_second_reset() {
    for (strategy, delay) in [
        (backoff().max_delay(retry_delay::DEFAULT_MAX_DELAY), 4),
        (backoff().no_max_delay(), 4),
        (backoff().multiplier(2.0), 4),
        (backoff().with_seed(3), 1),
    ] {
        let strategy = strategy.jitter(0.0);
        for (lasted, delay) in [(secs(25), delay), (secs(60), 1)] {
            let configure = |config: &mut SessionConfig| {
                config.retry_delay_strategy = Box::new(strategy.clone());
            };
            let next = delay_after(configure, lasted, "data: x\n\n", lose);
            assert_eq!(next, secs(delay), "{strategy:?}, {lasted:?}");
        }
    }
}

/// Counts its calls, and waits one second longer each time.
#[derive(Clone, Default)]
pub(super) struct Counting(pub(super) Arc<Mutex<Calls>>);

#[derive(Debug, Default, PartialEq)]
pub(super) struct Calls {
    pub(super) delays: u64,
    pub(super) resets: u64,
}

impl RetryDelayStrategy for Counting {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        let mut asked = self.0.lock().unwrap();
        asked.delays += 1;
        base.delay + secs(asked.delays)
    }

    fn reset(&mut self) {
        self.0.lock().unwrap().resets += 1;
    }
}

#[test]
fn a_custom_strategy_is_reset_by_the_threshold_only() {
    for (lasted, resets) in [(secs(25), 0), (millis(59_999), 0), (secs(60), 1)] {
        let counting = Counting::default();
        let configure = |config: &mut SessionConfig| {
            config.retry_delay_strategy = Box::new(counting.clone());
        };
        delay_after(configure, lasted, "data: x\n\n", lose);
        let asked = Calls { delays: 3, resets };
        assert_eq!(*counting.0.lock().unwrap(), asked, "{lasted:?}");
    }
}

/// After a reset, a changed `retry:` may reset the backoff again.
#[test]
fn a_changed_retry_resets_the_backoff_again_after_25_seconds_of_delivery() {
    let mut script = Script::open(|_| {});
    for retry in [2, 3, 4] {
        script.end_and_continue();
        script.reconnect();
        script.receive(&format!("data: x\nretry: {retry}000\n\n"));
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(retry));
        script.receive(":\n");
        script.pass(secs(25));
    }
}
