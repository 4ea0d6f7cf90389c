//! How long the session waits, and from when: rules 4, 5 and 13.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
use everstream_core::{Fault, Output, Start, Timestamp, error_strategy};

use super::script::*;

#[test]
fn refused_connections_back_off_up_to_the_cap() {
    let mut script = Script::new(|_| {});
    script.start();
    for delay in [0, 1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(script.wait(), secs(delay));
        assert_eq!(script.next(), connect());
        script.fault(refused());
        assert_eq!(script.next(), Lost("refused"));
    }
}

#[test]
fn a_server_that_accepts_and_hangs_up_is_retried_with_backoff() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4, 8, 16, 30] {
        assert_eq!(script.receive("data: x\n\n"), [event("x")]);
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn a_connection_that_lasts_for_the_threshold_resets_the_backoff() {
    for (lasted, next) in [
        (secs(60), secs(1)),
        (secs(60) - Duration::from_nanos(1), secs(4)),
    ] {
        let mut script = Script::open(|_| {});
        script.end_and_continue();
        script.reconnect();
        script.end_and_continue();
        script.reconnect();
        script.pass(lasted);
        script.end_and_continue();
        assert_eq!(script.wait(), next, "after {lasted:?}");
    }
}

#[test]
fn a_threshold_of_zero_resets_the_delay_at_every_connection() {
    let mut script = Script::open(|config| config.retry_delay_reset_threshold = Duration::ZERO);
    for _ in 0..3 {
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(1));
    }
    // But not at a failed attempt.
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script.fault(refused());
    assert_eq!(script.next_n(), [Lost("refused"), Wait(secs(2))]);
}

/// Otherwise a busy consumer would make a server that hangs up look stable.
#[test]
fn a_connection_lasts_until_the_disconnect_not_until_it_is_reported() {
    let mut script = Script::open(|_| {});
    script.end_and_continue();
    script.reconnect();
    script.bytes("data: x\n\n");
    script.end();
    script.pass(secs(100));
    assert_eq!(script.next_n(), [event("x"), Lost("end")]);
    assert_eq!(script.session.next_retry_delay(), secs(2));
}

#[test]
fn the_delay_counts_from_the_disconnect_so_that_a_slow_consumer_does_not_wait_twice() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.end();
    script.pass(millis(400));
    assert_eq!(script.next(), event("b"));
    script.pass(millis(500));
    assert_eq!(script.next_n(), [Lost("end"), Wait(millis(100))]);
    assert_eq!(script.session.next_retry_delay(), secs(1));

    let mut script = Script::open(|_| {});
    script.fault(broken());
    script.pass(secs(3));
    assert_eq!(script.next_n(), [Lost("broken"), connect()]);
}

#[test]
fn only_the_first_of_several_faults_of_a_connection_counts() {
    let mut script = Script::open(|_| {});
    script.fault(broken());
    script.pass(millis(500));
    script.end();
    script.fault(Fault::ReadTimeout(secs(1)));
    assert_eq!(script.next_n(), [Lost("broken"), Wait(millis(500))]);
}

#[test]
fn next_retry_delay_is_zero_at_first_and_then_the_upcoming_wait() {
    let mut script = Script::new(|_| {});
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    script.start();
    script.connect();
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    for delay in [1, 2, 4] {
        script.end_and_continue();
        assert_eq!(script.session.next_retry_delay(), secs(delay));
        assert_eq!(script.reconnect(), secs(delay));
        assert_eq!(script.session.next_retry_delay(), secs(delay));
    }
}

#[test]
fn next_retry_delay_is_set_after_a_failure() {
    let mut script =
        Script::open(|config| config.error_strategy = Box::new(error_strategy::always_fail()));
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert_eq!(script.session.next_retry_delay(), secs(1));
}

#[test]
fn the_initial_delay_may_be_zero() {
    let mut script = Script::open(|config| config.initial_retry_delay = Duration::ZERO);
    for _ in 0..10 {
        script.end();
        assert_eq!(script.next_n(), [Lost("end"), connect()]);
        script
            .session
            .handle_connected(Start::default(), script.now);
        assert_eq!(script.next(), Started(1));
    }
}

#[test]
fn a_base_above_30_seconds_does_not_grow() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(123));
    for _ in 0..3 {
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(123));
    }
    for initial in [29, 30] {
        let mut script = Script::open(|config| config.initial_retry_delay = secs(initial));
        for delay in [initial, 30, 30] {
            script.end_and_continue();
            assert_eq!(script.reconnect(), secs(delay));
        }
    }
}

#[test]
fn an_explicit_cap_overrides_a_longer_base() {
    for cap in [secs(5), retry_delay::DEFAULT_MAX_DELAY] {
        let mut script = Script::open(|config| {
            config.initial_retry_delay = secs(123);
            config.retry_delay_strategy =
                Box::new(retry_delay::backoff().jitter(0.0).max_delay(cap));
        });
        script.end_and_continue();
        assert_eq!(script.wait(), cap);
    }
}

#[test]
fn jitter_shortens_a_base_above_30_seconds() {
    for seed in 0..100 {
        let mut script = Script::open(|config| {
            config.initial_retry_delay = secs(123);
            config.retry_delay_strategy = Box::new(retry_delay::backoff());
            config.seed = seed;
        });
        script.end_and_continue();
        assert!((millis(61_500)..=secs(123)).contains(&script.wait()));
    }
}

/// Delays that grow by one second, and a log of the calls.
#[derive(Clone, Default)]
struct Linear {
    faults: u64,
    resets: Arc<Mutex<u64>>,
    seeds: Arc<Mutex<Vec<u64>>>,
}

impl RetryDelayStrategy for Linear {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        self.faults += 1;
        base.delay + secs(self.faults)
    }

    fn reset(&mut self) {
        self.faults = 0;
        *self.resets.lock().unwrap() += 1;
    }

    fn seed(&mut self, seed: u64) {
        self.seeds.lock().unwrap().push(seed);
    }
}

#[test]
fn a_custom_strategy_keeps_state_until_a_connection_lasts() {
    let linear = Linear::default();
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(linear.clone());
        config.seed = 99;
    });
    for delay in [2, 3, 4] {
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
    assert_eq!(*linear.resets.lock().unwrap(), 0);
    script.pass(secs(60));
    script.end_and_continue();
    assert_eq!(*linear.resets.lock().unwrap(), 1);
    assert_eq!(script.reconnect(), secs(2));
    assert_eq!(*linear.seeds.lock().unwrap(), [99], "offered once");
}

#[test]
fn a_strategy_may_be_a_closure() {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(retry_delay::from_fn(|base| base.delay * 7));
    });
    for _ in 0..2 {
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(7));
    }
}

#[test]
fn different_seeds_give_different_first_delays() {
    let delay = |seed| {
        let mut script = Script::open(|config| {
            config.retry_delay_strategy = Box::new(retry_delay::backoff());
            config.seed = seed;
        });
        script.end_and_continue();
        script.wait()
    };
    let mut delays: Vec<Duration> = (0..100).map(delay).collect();
    assert_eq!(delay(5), delays[5]);
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 100);
    assert!(delays[0] >= millis(500) && delays[99] <= secs(1));
}

#[test]
fn maximal_durations_and_timestamps_do_not_panic() {
    let mut script = Script::new(|config| {
        config.initial_retry_delay = Duration::MAX;
        config.min_server_retry_delay = Duration::MAX;
        config.retry_delay_reset_threshold = Duration::MAX;
        config.read_timeout = Some(Duration::MAX);
        config.retry_delay_strategy = Box::new(retry_delay::backoff().no_max_delay());
        config.error_strategy = Box::new(error_strategy::always_continue());
    });
    script.start();
    script.connect();
    script.bytes("retry: 99999999999999999999\n\ndata: x\n\n");
    assert_eq!(script.next(), event("x"));
    script.end_and_continue();
    let end_of_time = Timestamp::since_start(Duration::MAX);
    assert!(matches!(
        script.session.poll_output(script.now),
        Output::Wait { until } if until == end_of_time
    ));
    script.now = end_of_time;
    script.connect();
    script.session.handle_timeout(script.now);
    assert!(matches!(script.next(), ReadWithin(_)));
    script.session.handle_timeout(script.now);
    assert_eq!(script.next(), Lost("read timeout"));
    assert_eq!(script.next(), connect());
    script.fault(retry_after(Duration::MAX));
    assert_eq!(script.next_n(), [Lost("status"), connect()]);
}

/// Clock readings of different tasks may arrive out of order.
#[test]
fn time_going_backwards_does_no_harm() {
    let mut script = Script::open(|config| config.read_timeout = Some(secs(10)));
    let later = script.now;
    script.now = Timestamp::default();
    script.bytes("data: x\n\n");
    assert_eq!(script.next(), event("x"));
    script.end();
    script.now = later;
    assert_eq!(script.next_n(), [Lost("end"), connect()]);
}
