//! Delays that the server asks for: rule 6.

use std::time::Duration;

use everstream_core::retry_delay::{self, Backoff};
use everstream_core::{SessionConfig, error_strategy};

use super::script::*;

fn patient(config: &mut SessionConfig) {
    config.error_strategy = Box::new(error_strategy::always_continue());
}

#[test]
fn retry_replaces_the_base_also_in_a_block_without_data() {
    for stream in [
        "retry: 5000\n\n",
        "retry: 5000\n",
        "retry:5000\ndata: x\n\n",
    ] {
        let mut script = Script::open(|_| {});
        script.receive(stream);
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(5), "{stream:?}");
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(10), "{stream:?}");
    }
}

#[test]
fn retry_may_make_the_base_shorter_than_the_user_did() {
    let mut script = Script::open(|config| config.initial_retry_delay = secs(20));
    script.receive("retry: 300\n");
    script.end_and_go_on();
    assert_eq!(script.wait(), millis(300));
}

#[test]
fn what_is_not_made_of_digits_is_no_retry() {
    for value in ["", "abc", "-1", "1.5", "1e3", "5000ms", "\u{0661}"] {
        let mut script = Script::open(|_| {});
        script.receive(&format!("retry: {value}\n\n"));
        script.end_and_go_on();
        assert_eq!(script.wait(), secs(1), "{value:?}");
    }
}

#[test]
fn a_changed_retry_restarts_the_delay() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 2000\n");
    for delay in [2, 4, 8] {
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
    script.receive("retry: 3000\n");
    script.end_and_go_on();
    assert_eq!(script.reconnect(), secs(3));
}

#[test]
fn a_second_change_is_the_base_of_the_next_delay_and_does_not_restart_it() {
    let mut script = Script::open(|_| {});
    for (retry, delay) in [
        // What grows from the second value on is the factor, whatever the base is.
        ("retry: 2000\n", 2),
        ("retry: 3000\n", 3),
        ("retry: 1000\n", 2),
        ("retry: 2000\n", 8),
        // Never earlier than asked for, and the default cap yields to that.
        ("retry: 60000\n", 60),
        ("retry: 10000\n", 30),
        ("retry: 3000\n", 30),
    ] {
        script.receive(retry);
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay), "{retry:?}");
    }
}

/// A server may announce another delay each time that it was of use in between.
#[test]
fn a_change_restarts_the_delay_again_after_a_connection_that_lasted() {
    let mut script = Script::open(|_| {});
    for retry in [2, 3, 4] {
        script.end_and_go_on();
        script.reconnect();
        script.receive(&format!("retry: {retry}000\n"));
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(retry));
        script.pass(secs(60));
    }
}

/// Or else a server that says it at each connection and hangs up would switch the back-off off.
#[test]
fn a_repeated_retry_does_not_restart_the_delay() {
    let mut script = Script::open(|_| {});
    for delay in [2, 4, 8, 16, 30, 30] {
        script.receive("retry: 2000\n\nretry: 2000\n\n");
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn two_values_below_the_floor_are_one_value() {
    let mut script = Script::open(|_| {});
    for delay in [100, 200, 400, 800] {
        script.receive("retry: 0\n\nretry: 7\n\n");
        script.end_and_go_on();
        assert_eq!(script.reconnect(), millis(delay));
    }
}

#[test]
fn the_floor_can_be_moved() {
    let mut script = Script::open(|config| config.min_server_retry_delay = Duration::ZERO);
    script.receive("retry: 0\n");
    script.end_and_go_on();
    assert_eq!(script.next(), connect());

    let mut script = Script::open(|config| config.min_server_retry_delay = secs(3));
    script.receive("retry: 1000\n");
    script.end_and_go_on();
    assert_eq!(script.wait(), secs(3));
}

#[test]
fn a_retry_beyond_an_hour_is_an_hour_unless_the_user_says_otherwise() {
    let delay = |configure: fn(&mut SessionConfig), retry: &str| {
        let mut script = Script::open(configure);
        script.receive(&format!("retry: {retry}\n"));
        script.end_and_go_on();
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
    assert_eq!(delay(floor_above, "3000"), secs(5), "the floor wins");
}

/// And not all clients at the moment that the limit makes of it.
#[test]
fn jitter_shortens_a_retry_that_is_limited() {
    let lost: [fn(&mut Script); 2] = [Script::end_and_go_on, Script::end_cleanly];
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
fn two_values_above_the_ceiling_are_one_value() {
    let mut script = Script::open(|config| config.max_server_retry_delay = secs(2));
    for delay in [2, 4, 8] {
        script.receive("retry: 3000\n\nretry: 4000\n\n");
        script.end_and_go_on();
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn a_retry_after_beyond_a_day_is_a_day_unless_the_user_says_otherwise() {
    let delay = |configure: fn(&mut SessionConfig), asked: Duration| {
        let mut script = Script::new(|config| {
            patient(config);
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
    assert_eq!(
        delay(capped, day),
        secs(40),
        "a cap of the user's is shorter"
    );
}

/// How many connections a server gets in an hour that says this at each, and hangs up.
fn connections_in_an_hour(said: impl Fn(u32) -> &'static str) -> u32 {
    let mut script = Script::open(|config| {
        config.retry_delay_strategy = Box::new(retry_delay::backoff());
    });
    let over = script.now + secs(3600);
    let mut connections = 1;
    while script.now < over {
        script.receive(said(connections));
        script.end_and_go_on();
        script.reconnect();
        connections += 1;
    }
    connections
}

#[test]
fn retry_zero_is_no_storm() {
    // Nine delays from 100 ms to 25.6 s, and then at least 15 s each.
    let connections = connections_in_an_hour(|_| "retry: 0\n\n");
    assert!(
        connections < 10 + 3600 / 15,
        "{connections} connections in an hour"
    );
}

/// A server that said 100 and 101 in turns got 96 connections in 12 s: each change started the
/// delays anew.
#[test]
fn a_server_that_changes_its_mind_each_time_meets_growing_delays() {
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
        // As for `retry: 0`, and one delay more from the one restart.
        let connections = connections_in_an_hour(said);
        assert!(
            connections < 11 + 3600 / 15,
            "{connections} connections in an hour"
        );
    }
}

/// Every delay in a row of these, with jitter, over many seeds.
fn delays(retry: &str, strategy: fn() -> Backoff) -> Vec<Duration> {
    let mut delays = Vec::new();
    for seed in 0..300 {
        let mut script = Script::open(|config| {
            config.retry_delay_strategy = Box::new(strategy());
            config.seed = seed;
        });
        script.receive(retry);
        for _ in 0..8 {
            script.end_and_go_on();
            delays.push(script.reconnect());
        }
    }
    delays
}

#[test]
fn jitter_never_asks_a_server_earlier_than_it_said() {
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
fn the_users_own_cap_holds_whatever_the_server_asks_for() {
    for asked in [1, 3, 60] {
        let delays = delays(&format!("retry: {asked}000\n"), || {
            retry_delay::backoff().max_delay(secs(3))
        });
        assert!(delays.iter().all(|delay| *delay <= secs(3)));
        // Not before it asked; and where the cap forbids to wait for that, still not all at once.
        let least = if asked <= 3 { secs(asked) } else { secs(3) / 2 };
        assert!(delays.iter().all(|delay| *delay >= least));
    }
}

/// Rule 5 and 6 together: it was said before the connection was lost.
#[test]
fn a_retry_that_is_decoded_after_the_disconnect_counts_for_it() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nretry: 9000\n\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.fault(broken());
    script.pass(secs(2));
    assert_eq!(script.next_n(), [event("b"), Lost("broken"), Wait(secs(7))]);
}

/// A retry line is valid at its line end, without waiting for the block's (WHATWG HTML 9.2.6); half
/// a line isn't.
#[test]
fn half_a_retry_line_is_none() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 5");
    script.end_and_go_on();
    assert_eq!(script.wait(), secs(1));
}

#[test]
fn retry_outlasts_its_connection() {
    let mut script = Script::open(|_| {});
    script.receive("retry: 5000\n");
    script.end_and_go_on();
    script.reconnect();
    script.pass(secs(100));
    script.end_and_go_on();
    assert_eq!(script.wait(), secs(5));
}

#[test]
fn retry_after_is_the_least_for_one_wait() {
    let mut script = Script::new(patient);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(20)));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.session.next_retry_delay(), secs(20));
    assert_eq!(script.wait(), secs(20));
    assert_eq!(script.next(), connect());
    // The back-off went on meanwhile, and nothing of the 20 s is left.
    script.fault(status(503));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.wait(), secs(2));
}

#[test]
fn retry_after_never_makes_the_wait_shorter() {
    let mut script = Script::new(|config| {
        patient(config);
        config.initial_retry_delay = secs(25);
    });
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(1)));
    assert_eq!(script.next(), Lost("status"));
    assert_eq!(script.wait(), secs(25));
}

#[test]
fn retry_after_counts_from_the_answer() {
    let mut script = Script::new(patient);
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(retry_after(secs(20)));
    script.pass(secs(5));
    assert_eq!(script.next_n(), [Lost("status"), Wait(secs(15))]);
}

#[test]
fn only_a_cap_of_the_users_own_shortens_retry_after() {
    let hour = |strategy: Backoff| {
        let mut script = Script::new(|config| {
            patient(config);
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
