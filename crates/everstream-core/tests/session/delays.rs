//! How long it waits, and from when on: rules 4, 5 and 13.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
use everstream_core::{Fault, Output, Start, Timestamp, error_strategy};

use super::script::*;

#[test]
fn refused_connections_meet_growing_delays_up_to_the_cap() {
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
fn a_server_that_accepts_and_hangs_up_meets_growing_delays() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4, 8, 16, 30] {
        assert_eq!(script.receive("data: x\n\n"), [event("x")]);
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn the_delay_starts_anew_after_a_connection_that_lasted_for_the_threshold() {
    for (lasted, next) in [
        (secs(60), secs(1)),
        (secs(60) - Duration::from_nanos(1), secs(4)),
    ] {
        let mut script = Script::open(|_| {});
        script.end_and_go_on();
        script.reconnect();
        script.end_and_go_on();
        script.reconnect();
        script.pass(lasted);
        script.end_and_go_on();
        assert_eq!(script.wait(), next, "after {lasted:?}");
    }
}

#[test]
fn a_threshold_of_zero_resets_the_delay_at_every_connection() {
    let mut script = Script::open(|config| config.retry_delay_reset_threshold = Duration::ZERO);
    for _ in 0..3 {
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(1));
    }
    // But not at an attempt that didn't become one.
    script.end_and_go_on();
    script.wait();
    assert_eq!(script.next(), connect());
    script.fault(refused());
    assert_eq!(script.next_n(), [Lost("refused"), Wait(secs(2))]);
}

/// Or else a busy consumer would make a server that hangs up look like a steady one.
#[test]
fn a_connection_lasts_until_it_is_lost_not_until_the_user_hears_of_it() {
    let mut script = Script::open(|_| {});
    script.end_and_go_on();
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
fn the_next_delay_is_zero_at_first_and_then_what_will_be_waited() {
    let mut script = Script::new(|_| {});
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    script.start();
    script.connect();
    assert_eq!(script.session.next_retry_delay(), Duration::ZERO);
    for delay in [1, 2, 4] {
        script.end_and_go_on();
        assert_eq!(script.session.next_retry_delay(), secs(delay));
        assert_eq!(script.reconnect(), secs(delay));
        assert_eq!(script.session.next_retry_delay(), secs(delay));
    }
}

#[test]
fn the_next_delay_is_known_after_a_failure_too() {
    let mut script =
        Script::open(|config| config.error_strategy = Box::new(error_strategy::always_fail()));
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    assert_eq!(script.session.next_retry_delay(), secs(1));
}

#[test]
fn a_delay_that_the_user_sets_may_be_zero() {
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
fn a_base_of_the_users_beyond_30_seconds_is_kept_and_does_not_grow() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(123));
    for _ in 0..3 {
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(123));
    }
    for initial in [29, 30] {
        let mut script = Script::open(|config| config.initial_retry_delay = secs(initial));
        for delay in [initial, 30, 30] {
            script.end_and_go_on();
            assert_eq!(script.reconnect(), secs(delay));
        }
    }
}

#[test]
fn an_explicit_cap_does_not_yield_to_a_longer_base() {
    for cap in [secs(5), retry_delay::DEFAULT_MAX_DELAY] {
        let mut script = Script::open(|config| {
            config.initial_retry_delay = secs(123);
            config.retry_delay_strategy =
                Box::new(retry_delay::backoff().jitter(0.0).max_delay(cap));
        });
        script.end_and_go_on();
        assert_eq!(script.wait(), cap);
    }
}

#[test]
fn jitter_shortens_a_base_of_the_users_beyond_30_seconds_as_any_other() {
    for seed in 0..100 {
        let mut script = Script::open(|config| {
            config.initial_retry_delay = secs(123);
            config.retry_delay_strategy = Box::new(retry_delay::backoff());
            config.seed = seed;
        });
        script.end_and_go_on();
        assert!((millis(61_500)..=secs(123)).contains(&script.wait()));
    }
}

/// Arithmetic, with a log.
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
fn a_strategy_of_the_users_keeps_state_until_a_connection_lasted() {
    let linear = Linear::default();
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(linear.clone());
        config.seed = 99;
    });
    for delay in [2, 3, 4] {
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
    assert_eq!(*linear.resets.lock().unwrap(), 0);
    script.pass(secs(60));
    script.end_and_go_on();
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
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(7));
    }
}

#[test]
fn sessions_with_different_seeds_wait_differently_from_the_first_delay_on() {
    let delay = |seed| {
        let mut script = Script::open(|config| {
            config.retry_delay_strategy = Box::new(retry_delay::backoff());
            config.seed = seed;
        });
        script.end_and_go_on();
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
fn the_largest_durations_and_the_last_moment_never_panic() {
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
    script.end_and_go_on();
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
    assert_eq!(script.next(), Lost("silence"));
    assert_eq!(script.next(), connect());
    script.fault(retry_after(Duration::MAX));
    assert_eq!(script.next_n(), [Lost("status"), connect()]);
}

/// A driver's clock may be read before another's that was used first.
#[test]
fn time_that_goes_back_does_no_harm() {
    let mut script = Script::open(|config| config.read_timeout = Some(secs(10)));
    let later = script.now;
    script.now = Timestamp::default();
    script.bytes("data: x\n\n");
    assert_eq!(script.next(), event("x"));
    script.end();
    script.now = later;
    assert_eq!(script.next_n(), [Lost("end"), connect()]);
}
