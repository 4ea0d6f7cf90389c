//! The delay after an end whose framing proves completeness: rule 5, for servers that expect polling.

use std::time::Duration;

use everstream_core::retry_delay::{self, RetryDelayStrategy, backoff};
use everstream_core::{Ending, Oversize, SessionConfig};

use super::resets::Counting;
use super::script::*;

/// The delays after clean ends of these bodies, one after the other.
fn polls(
    configure: impl FnOnce(&mut SessionConfig),
    bodies: impl IntoIterator<Item = String>,
) -> Vec<Duration> {
    let mut script = Script::open(configure);
    let bodies = bodies.into_iter();
    bodies.map(|body| script.poll(&body)).collect()
}

/// Bodies that each have a new id.
fn new_ids(rest: &str) -> impl Iterator<Item = String> {
    (0..6).map(move |number| format!("id: {number}\n{rest}"))
}

fn same(body: &str) -> impl Iterator<Item = String> {
    std::iter::repeat_n(body.to_owned(), 6)
}

fn base(delay: Duration) -> impl FnOnce(&mut SessionConfig) {
    move |config| config.initial_retry_delay = delay
}

#[test]
fn with_a_new_id_the_delay_is_retry() {
    for retry in [0, 200, 1000, 5000, 40_000] {
        let bodies = new_ids("data: x\n\n").map(|body| format!("retry: {retry}\n{body}"));
        let delay = millis(retry.max(100));
        assert_eq!(polls(|_| {}, bodies), [delay; 6]);
    }
}

#[test]
fn with_a_new_id_and_no_retry_the_delay_is_3_seconds_or_a_longer_base() {
    for (initial, delay) in [(0, 3), (1, 3), (3, 3), (5, 5), (123, 123)] {
        let delays = polls(base(secs(initial)), new_ids("data: x\n\n"));
        assert_eq!(delays, [secs(delay); 6], "base {initial} s");
    }
}

#[test]
fn without_a_new_id_the_delay_grows_to_1_second_or_a_longer_retry() {
    for (retry, delays) in [
        (0, [100, 200, 400, 800, 1000, 1000]),
        (100, [100, 200, 400, 800, 1000, 1000]),
        (300, [300, 600, 1000, 1000, 1000, 1000]),
        (1000, [1000; 6]),
        (5000, [5000; 6]),
        (40_000, [40_000; 6]),
    ] {
        for id in ["", "id: 7\n"] {
            // With the preset id, even the first body has no new id.
            let mut script = Script::open(|config| config.last_event_id = Some("7".into()));
            let body = format!("retry: {retry}\n{id}data: x\n\n");
            for delay in delays {
                assert_eq!(script.poll(&body), millis(delay), "{body:?}");
            }
        }
    }
}

#[test]
fn without_a_new_id_and_retry_the_delay_grows_to_3_seconds_or_a_longer_base() {
    for (initial, delays) in [
        (1, [1, 2, 3, 3, 3, 3]),
        (2, [2, 3, 3, 3, 3, 3]),
        (3, [3; 6]),
        (5, [5; 6]),
        (123, [123; 6]),
    ] {
        for body in ["data: x\n\n", ":\n", "id\n\n"] {
            let seen = polls(base(secs(initial)), same(body));
            assert_eq!(seen, delays.map(secs), "base {initial} s, {body:?}");
        }
    }
}

#[test]
fn jitter_lengthens_the_delay_after_a_clean_end_and_never_shortens_it() {
    type Bodies = fn(usize) -> String;
    let cases: [(Bodies, u64); 4] = [
        (|number| format!("id: {number}\n\n"), 3000),
        (|number| format!("retry: 200\nid: {number}\n\n"), 200),
        (|_| "data: x\n\n".into(), 3000),
        (|_| "retry: 100\ndata: x\n\n".into(), 1000),
    ];
    for (jitter, body) in [0.5, 0.1]
        .into_iter()
        .flat_map(|jitter| cases.map(|body| (jitter, body)))
    {
        let (body, delay) = body;
        let mut last = Vec::new();
        for seed in 0..300 {
            let configure = |config: &mut SessionConfig| {
                config.retry_delay_strategy = Box::new(backoff().jitter(jitter));
                config.seed = seed;
            };
            last.extend(polls(configure, (0..6).map(body)).pop());
        }
        let (least, most) = (*last.iter().min().unwrap(), *last.iter().max().unwrap());
        let (low, room) = (millis(delay), millis(delay).mul_f64(jitter));
        assert!(least >= low && least <= low + room / 20, "{least:?}");
        assert!(most <= low + room && most >= low + room - room / 20);
    }
}

#[test]
fn a_block_with_only_an_id_counts_as_a_new_id() {
    assert_eq!(polls(|_| {}, new_ids("\n")), [secs(3); 6]);
}

#[test]
fn a_repeated_id_is_not_a_new_id() {
    let preset = |config: &mut SessionConfig| config.last_event_id = Some("7".into());
    let bodies = || same("id: 7\ndata: x\n\n");
    assert_eq!(polls(preset, bodies()), [1, 2, 3, 3, 3, 3].map(secs));
    // Without a preset id, the first body has a new id.
    assert_eq!(polls(|_| {}, bodies()), [3, 1, 2, 3, 3, 3].map(secs));
    // An id that changes and changes back is not new either.
    let bodies = same("id: 8\ndata: x\n\nid: 7\ndata: y\n\n");
    assert_eq!(polls(preset, bodies), [1, 2, 3, 3, 3, 3].map(secs));
}

#[test]
fn clearing_the_id_counts_as_a_new_id_once() {
    let preset = |config: &mut SessionConfig| config.last_event_id = Some("7".into());
    let delays = polls(preset, same("id\ndata: x\n\n"));
    assert_eq!(delays, [3, 1, 2, 3, 3, 3].map(secs));
}

/// The server never sees them, so it starts where it started before.
#[test]
fn unsendable_ids_are_not_new_ids() {
    let bodies = (0..6).map(|number| format!("id: {number}\u{1}\ndata: x\n\n"));
    assert_eq!(polls(|_| {}, bodies), [1, 2, 3, 3, 3, 3].map(secs));
    // But replacing a sendable id by an unsendable one is a change.
    let preset = |config: &mut SessionConfig| config.last_event_id = Some("7".into());
    let delays = polls(preset, same("id: \u{1}\ndata: x\n\n"));
    assert_eq!(delays, [3, 1, 2, 3, 3, 3].map(secs));
}

#[test]
fn the_id_of_a_skipped_event_counts_as_a_new_id() {
    let small = |config: &mut SessionConfig| {
        config.max_event_size = 20;
        config.oversize = Oversize::Skip;
    };
    let large = format!("data: {}\n\n", "x".repeat(50));
    assert_eq!(polls(small, new_ids(&large)), [secs(3); 6]);
    // Without an id nothing was delivered.
    assert_eq!(polls(small, same(&large)), [1, 2, 4, 8, 16, 30].map(secs));
}

#[test]
fn events_decoded_after_the_end_count() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\nid: 7\ndata: b\n\n");
    assert_eq!(script.next(), event("a"));
    script.session.handle_end(Ending::Complete, script.now);
    script.pass(millis(500));
    assert_eq!(
        script.next_n(),
        [event("b"), Lost("end"), Wait(millis(2500))]
    );
}

#[test]
fn an_empty_response_backs_off_even_after_a_clean_end() {
    for body in ["", "foo: bar\n\n", "data: half", "id: half\n"] {
        let delays = polls(|_| {}, same(body));
        assert_eq!(delays, [1, 2, 4, 8, 16, 30].map(secs), "{body:?}");
    }
    let delays = polls(|_| {}, same("retry: 1000\n\n"));
    assert_eq!(delays, [1, 2, 4, 8, 16, 30].map(secs));
}

#[test]
fn unproven_ends_faults_and_interrupts_back_off() {
    let lost: [fn(&mut Script); 3] = [
        Script::end_and_continue,
        |script| {
            script.fault(broken());
            assert_eq!(script.next(), Lost("broken"));
        },
        |script| {
            script.interrupt();
            assert_eq!(script.next(), Lost("end"));
        },
    ];
    for lose in lost {
        let mut script = Script::open(|_| {});
        for (number, delay) in [1, 2, 4, 8, 16, 30].into_iter().enumerate() {
            script.receive(&format!("id: {number}\ndata: x\n\n"));
            lose(&mut script);
            assert_eq!(script.reconnect(), secs(delay));
        }
    }
}

#[test]
fn an_oversize_event_is_a_fault_even_if_the_body_is_complete() {
    let mut script = Script::open(|config| {
        config.max_event_size = 20;
        config.error_strategy = Box::new(everstream_core::error_strategy::always_continue());
    });
    for (number, delay) in [1, 2, 4, 8].into_iter().enumerate() {
        script.bytes(&format!(
            "id: {number}\ndata: x\n\ndata: {}",
            "x".repeat(50)
        ));
        script.session.handle_end(Ending::Complete, script.now);
        assert_eq!(script.next_n(), [event("x"), Lost("too large")]);
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn a_clean_end_reported_after_another_end_is_ignored() {
    let mut script = Script::open(|_| {});
    for delay in [1, 2, 4, 8] {
        script.bytes("data: x\n\n");
        script.end();
        script.session.handle_end(Ending::Complete, script.now);
        assert_eq!(script.next_n(), [event("x"), Lost("end")]);
        script.session.handle_end(Ending::Complete, script.now);
        assert_eq!(script.reconnect(), secs(delay));
    }
}

#[test]
fn a_refusal_after_hours_of_polling_continues_from_the_poll_limit() {
    for (body, delays) in [
        // Without a new id: the limit is 1 s with `retry:`, and 3 s without.
        ("retry: 100\ndata: x\n\n", [1000, 2000, 4000, 8000]),
        ("data: x\n\n", [3000, 6000, 12_000, 24_000]),
        ("retry: 5000\ndata: x\n\n", [5000, 10_000, 20_000, 30_000]),
    ] {
        let mut script = Script::open(|_| {});
        for _ in 0..2000 {
            script.poll(body);
        }
        script.end_and_continue();
        for delay in delays {
            assert_eq!(script.session.next_retry_delay(), millis(delay), "{body:?}");
            script.refuse();
        }
    }
    // With a new id nothing has grown.
    let mut script = Script::open(|_| {});
    for number in 0..2000 {
        script.poll(&format!("id: {number}\nretry: 100\ndata: x\n\n"));
    }
    script.end_and_continue();
    for delay in [100, 200, 400, 800, 1600] {
        assert_eq!(script.session.next_retry_delay(), millis(delay));
        script.refuse();
    }
}

#[test]
fn a_clean_end_does_not_reset_the_backoff() {
    for new_id in [true, false] {
        let mut script = Script::open(|_| {});
        script.end_and_continue();
        for _ in 0..4 {
            script.refuse();
        }
        // 16 s was the last delay.
        assert_eq!(script.session.next_retry_delay(), secs(16));
        script.connect();
        for number in 0..5 {
            let id = if new_id { number } else { 0 };
            let limit = secs(3);
            let delay = script.poll(&format!("id: {id}\ndata: x\n\n"));
            assert_eq!(delay, limit);
        }
        script.end_and_continue();
        assert_eq!(script.wait(), secs(30), "a new id: {new_id}");
    }
}

/// Explicit settings are obeyed as they are.
#[test]
fn an_explicit_cap_multiplier_or_threshold_disables_clean_end_delays() {
    let cap = retry_delay::DEFAULT_MAX_DELAY;
    for (strategy, delays) in [
        (backoff().max_delay(cap), [1, 2, 4, 8, 16, 30]),
        (backoff().max_delay(secs(5)), [1, 2, 4, 5, 5, 5]),
        (backoff().no_max_delay(), [1, 2, 4, 8, 16, 32]),
        (backoff().multiplier(2.0), [1, 2, 4, 8, 16, 30]),
        (backoff().multiplier(1.0), [1; 6]),
    ] {
        let configure = |config: &mut SessionConfig| {
            config.retry_delay_strategy = Box::new(strategy.clone().jitter(0.0));
        };
        let expected = delays.map(secs);
        assert_eq!(polls(configure, new_ids("data: x\n\n")), expected);
        assert_eq!(polls(configure, same("data: x\n\n")), expected);
    }
    for threshold in [secs(59), secs(61)] {
        let configure = |config: &mut SessionConfig| {
            config.retry_delay_reset_threshold = threshold;
        };
        let delays = polls(configure, new_ids("data: x\n\n"));
        assert_eq!(delays, [1, 2, 4, 8, 16, 30].map(secs));
    }
}

#[test]
fn a_custom_strategy_decides_the_delay_after_a_clean_end() {
    let boxed: Box<dyn RetryDelayStrategy> = Box::new(Counting::default());
    let configure = |config: &mut SessionConfig| config.retry_delay_strategy = boxed;
    let delays = polls(configure, new_ids("data: x\n\n"));
    assert_eq!(delays, [2, 3, 4, 5, 6, 7].map(secs));
}

/// As with a proxy that ends long responses with a last chunk.
#[test]
fn after_a_reset_the_delay_grows_from_the_base_again() {
    let mut script = Script::open(|_| {});
    for body in [":\n", "data: x\n\n"] {
        for _ in 0..3 {
            script.receive(body);
            script.pass(secs(50));
            script.end_cleanly();
            assert_eq!(script.reconnect(), secs(1), "{body:?}");
        }
    }
}

#[test]
fn a_changed_retry_resets_the_backoff_once_between_clean_ends() {
    let mut script = Script::open(|_| {});
    for (retry, delay) in [
        (100, 100),
        (100, 200),
        (100, 400),
        (101, 101),
        (101, 202),
        (100, 400),
        (101, 808),
    ] {
        let body = format!("retry: {retry}\ndata: x\n\n");
        assert_eq!(script.poll(&body), millis(delay));
    }
}
