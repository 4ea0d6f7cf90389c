//! Delays that the server asks for: rule 6.

use std::time::Duration;

use everstream_core::retry_delay::{self, Backoff};
use everstream_core::{SessionConfig, error_strategy};

use super::script::*;

fn always_continue(config: &mut SessionConfig) {
    config.error_strategy = Box::new(error_strategy::always_continue());
}

#[test]
fn retry_replaces_the_base_even_in_a_block_without_data() {
    for stream in [
        "retry: 5000\n\n",
        "retry: 5000\n",
        "retry:5000\ndata: x\n\n",
    ] {
        let mut script = Script::open(|_| {});
        script.receive(stream);
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(5), "{stream:?}");
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(10), "{stream:?}");
    }
}

#[test]
fn retry_may_shorten_the_base() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(20));
    script.receive("retry: 300\n");
    script.end_and_continue();
    assert_eq!(script.wait(), millis(300));
}

#[test]
fn a_retry_that_is_not_all_digits_is_ignored() {
    for value in ["", "abc", "-1", "1.5", "1e3", "5000ms", "\u{0661}"] {
        let mut script = Script::open(|_| {});
        script.receive(&format!("retry: {value}\n\n"));
        script.end_and_continue();
        assert_eq!(script.wait(), secs(1), "{value:?}");
    }
}

#[test]
fn a_changed_retry_resets_the_backoff() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 2000\n");
    for delay in [2, 4, 8] {
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
    script.receive("retry: 3000\n");
    script.end_and_continue();
    assert_eq!(script.reconnect(), secs(3));
}

#[test]
fn a_second_change_replaces_the_base_without_resetting_the_backoff() {
    let mut script = Script::open(|_| {});
    for (retry, delay) in [
        // From the second value on, the factor keeps growing, whatever the base is.
        ("retry: 2000\n", 2),
        ("retry: 3000\n", 3),
        ("retry: 1000\n", 2),
        ("retry: 2000\n", 8),
        // Never earlier than the server asked for, even beyond the default cap.
        ("retry: 60000\n", 60),
        ("retry: 10000\n", 30),
        ("retry: 3000\n", 30),
    ] {
        script.receive(retry);
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay), "{retry:?}");
    }
}

/// After a connection that lasted, the server may change the delay again.
#[test]
fn a_change_resets_the_backoff_again_after_a_connection_that_lasted() {
    let mut script = Script::open(|_| {});
    for retry in [2, 3, 4] {
        script.end_and_continue();
        script.reconnect();
        script.receive(&format!("retry: {retry}000\n"));
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(retry));
        script.pass(secs(60));
    }
}

/// Otherwise a server that sends `retry:` at each connection and hangs up would disable the backoff.
#[test]
fn a_repeated_retry_does_not_reset_the_backoff() {
    let mut script = Script::open(|_| {});
    for delay in [2, 4, 8, 16, 30, 30] {
        script.receive("retry: 2000\n\nretry: 2000\n\n");
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn different_retries_below_the_minimum_count_as_the_same() {
    let mut script = Script::open(|_| {});
    for delay in [100, 200, 400, 800] {
        script.receive("retry: 0\n\nretry: 7\n\n");
        script.end_and_continue();
        assert_eq!(script.reconnect(), millis(delay));
    }
}

#[test]
fn the_minimum_is_configurable() {
    let mut script = Script::open(|config| config.min_server_retry_delay = Duration::ZERO);
    script.receive("retry: 0\n");
    script.end_and_continue();
    assert_eq!(script.next(), connect());

    let mut script = Script::open(|config| config.min_server_retry_delay = secs(3));
    script.receive("retry: 1000\n");
    script.end_and_continue();
    assert_eq!(script.wait(), secs(3));
}

#[test]
fn retry_is_capped_at_an_hour_by_default() {
    let delay = |configure: fn(&mut SessionConfig), retry: &str| {
        let mut script = Script::open(configure);
        script.receive(&format!("retry: {retry}\n"));
        script.end_and_continue();
        script.wait()
    };
    let hour = secs(3600);
    for retry in [
        "3600000",
        "3600001",
        "999999999999",
        "99999999999999999999999",
    ] {
        assert_eq!(delay(|_| {}, retry), hour, "{retry}");
    }
    assert_eq!(delay(|_| {}, "3599999"), hour - millis(1));
    let minute = |config: &mut SessionConfig| config.max_server_retry_delay = secs(60);
    assert_eq!(delay(minute, "60000"), secs(60));
    assert_eq!(delay(minute, "60001"), secs(60));
    let any = |config: &mut SessionConfig| config.max_server_retry_delay = Duration::MAX;
    assert_eq!(delay(any, "999999999999"), millis(999_999_999_999));
    let floor_above = |config: &mut SessionConfig| {
        config.max_server_retry_delay = secs(2);
        config.min_server_retry_delay = secs(5);
    };
    assert_eq!(
        delay(floor_above, "3000"),
        secs(5),
        "the minimum takes precedence"
    );
}

/// Otherwise all clients would reconnect exactly at the limit.
#[test]
fn jitter_shortens_a_capped_retry() {
    let lost: [fn(&mut Script); 2] = [Script::end_and_continue, Script::end_cleanly];
    for lose in lost {
        let delay = |seed| {
            let mut script = Script::open(|config| {
                config.retry_delay_strategy = Box::new(retry_delay::backoff());
                config.seed = seed;
            });
            script.receive("retry: 999999999999\ndata: x\n\n");
            lose(&mut script);
            script.wait()
        };
        let delays: Vec<_> = (0..300).map(delay).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(*least >= secs(1800) && *least < secs(1850), "{least:?}");
        assert!(*most > secs(3550) && *most <= secs(3600), "{most:?}");
    }
}

#[test]
fn different_retries_above_the_maximum_count_as_the_same() {
    let mut script = Script::open(|config| config.max_server_retry_delay = secs(2));
    for delay in [2, 4, 8] {
        script.receive("retry: 3000\n\nretry: 4000\n\n");
        script.end_and_continue();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn retry_after_is_capped_at_a_day_by_default() {
    let delay = |configure: fn(&mut SessionConfig), asked: Duration| {
        let mut script = Script::new(|config| {
            always_continue(config);
            configure(config);
        });
        script.start();
        assert_eq!(script.next(), connect());
        script.fault(retry_after(asked));
        assert_eq!(script.next(), Lost("status"));
        script.wait()
    };
    let day = secs(24 * 3600);
    assert_eq!(delay(|_| {}, day - secs(1)), day - secs(1));
    assert_eq!(delay(|_| {}, day + secs(1)), day);
    assert_eq!(delay(|_| {}, Duration::MAX), day);
    let minute = |config: &mut SessionConfig| config.max_retry_after = secs(60);
    assert_eq!(delay(minute, day), secs(60));
    let any = |config: &mut SessionConfig| config.max_retry_after = Duration::MAX;
    assert_eq!(delay(any, 1000 * day), 1000 * day);
    let capped = |config: &mut SessionConfig| {
        config.retry_delay_strategy = Box::new(retry_delay::backoff().max_delay(secs(40)));
    };
    assert_eq!(delay(capped, day), secs(40), "the user's cap is shorter");
}

/// The number of connections in an hour if the server sends this at each and hangs up.
fn connections_in_an_hour(said: impl Fn(u32) -> &'static str) -> u32 {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(retry_delay::backoff());
    });
    let over = script.now + secs(3600);
    let mut connections = 1;
    while script.now < over {
        script.receive(said(connections));
        script.end_and_continue();
        script.reconnect();
        connections += 1;
    }
    connections
}

#[test]
fn retry_zero_does_not_cause_a_reconnect_storm() {
    // Nine delays from 100 ms to 25.6 s, and then at least 15 s each.
    let connections = connections_in_an_hour(|_| "retry: 0\n\n");
    assert!(
        connections < 10 + 3600 / 15,
        "{connections} connections in an hour"
    );
}

/// Regression test: a server that alternated between 100 and 101 got 96 connections in 12 s, because
/// each change reset the backoff.
#[test]
fn a_server_that_keeps_changing_retry_does_not_disable_the_backoff() {
    let alternating = |connection: u32| match connection % 2 {
        0 => "retry: 100\n\n",
        _ => "retry: 101\n\n",
    };
    let never_the_same = |connection: u32| match connection % 4 {
        0 => "retry: 0\n\nretry: 400\n\n",
        1 => "retry: 300\n\nretry: 100\n\n",
        2 => "retry: 200\n\nretry: 300\n\n",
        _ => "retry: 100\n\nretry: 200\n\n",
    };
    for said in [alternating as fn(u32) -> &'static str, never_the_same] {
        // As for `retry: 0`, and one more delay because of the single reset.
        let connections = connections_in_an_hour(said);
        assert!(
            connections < 11 + 3600 / 15,
            "{connections} connections in an hour"
        );
    }
}

/// Consecutive delays with jitter, over many seeds.
fn delays(retry: &str, strategy: fn() -> Backoff) -> Vec<Duration> {
    let mut delays = Vec::new();
    for seed in 0..300 {
        let mut script = Script::open(|config| {
            config.retry_delay_strategy = Box::new(strategy());
            config.seed = seed;
        });
        script.receive(retry);
        for _ in 0..8 {
            script.end_and_continue();
            delays.push(script.reconnect());
        }
    }
    delays
}

#[test]
fn jitter_never_reconnects_earlier_than_retry() {
    for asked in [1, 5, 29, 31, 60, 3600] {
        let delays = delays(&format!("retry: {asked}000\n"), retry_delay::backoff);
        let shortest = delays.iter().min().unwrap();
        let longest = delays.iter().max().unwrap();
        assert!(*shortest >= secs(asked), "{shortest:?} of {asked} s");
        assert!(*longest <= secs(asked.max(30)) * 3 / 2, "{longest:?}");
    }
    let wild = delays("retry: 5000\n", || retry_delay::backoff().jitter(1.0));
    assert!(wild.iter().all(|delay| *delay >= secs(5)));
}

#[test]
fn the_users_cap_limits_any_retry() {
    for asked in [1, 3, 60] {
        let delays = delays(&format!("retry: {asked}000\n"), || {
            retry_delay::backoff().max_delay(secs(3))
        });
        assert!(delays.iter().all(|delay| *delay <= secs(3)));
        // Not before the time that the server asked for. If the cap is shorter than that, still spread.
        let least = if asked <= 3 { secs(asked) } else { secs(3) / 2 };
        assert!(delays.iter().all(|delay| *delay >= least));
    }
}

/// Rules 5 and 6 together: the server sent it before the connection was lost.
#[test]
fn a_retry_decoded_after_the_disconnect_applies_to_it() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nretry: 9000\n\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.fault(broken());
    script.pass(secs(2));
    assert_eq!(script.next_n(), [event("b"), Lost("broken"), Wait(secs(7))]);
}

/// A retry line counts at its line end, before the end of its block (WHATWG HTML 9.2.6), but not before
/// that.
#[test]
fn an_unfinished_retry_line_is_ignored() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 5");
    script.end_and_continue();
    assert_eq!(script.wait(), secs(1));
}

#[test]
fn retry_outlasts_its_connection() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 5000\n");
    script.end_and_continue();
    script.reconnect();
    script.pass(secs(100));
    script.end_and_continue();
    assert_eq!(script.wait(), secs(5));
}

#[test]
fn retry_after_is_the_minimum_for_one_wait() {
    let mut script = Script::new(always_continue);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(20)));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.session.next_retry_delay(), secs(20));
    assert_eq!(script.wait(), secs(20));
    assert_eq!(script.next(), connect());
    // The backoff has grown meanwhile, and the 20 s no longer apply.
    script.fault(status(503));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.wait(), secs(2));
}

#[test]
fn retry_after_never_makes_the_wait_shorter() {
    let mut script = Script::new(|config| {
        always_continue(config);
        config.initial_retry_delay = secs(25);
    });
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(1)));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.wait(), secs(25));
}

#[test]
fn retry_after_counts_from_the_response() {
    let mut script = Script::new(always_continue);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(20)));
    script.pass(secs(5));
    assert_eq!(script.next_n(), [Lost("status"), Wait(secs(15))]);
}

#[test]
fn only_the_users_cap_shortens_retry_after() {
    let hour = |strategy: Backoff| {
        let mut script = Script::new(|config| {
            always_continue(config);
            config.retry_delay_strategy = Box::new(strategy.jitter(0.0));
        });
        script.start();
        assert_eq!(script.next(), connect());
        script.fault(retry_after(secs(3600)));
        assert_eq!(script.next(), Lost("status"));
        script.wait()
    };
    assert_eq!(hour(retry_delay::backoff()), secs(3600));
    assert_eq!(hour(retry_delay::backoff().no_max_delay()), secs(3600));
    assert_eq!(hour(retry_delay::backoff().max_delay(secs(40))), secs(40));
    let cap = retry_delay::DEFAULT_MAX_DELAY;
    assert_eq!(hour(retry_delay::backoff().max_delay(cap)), cap);
}
