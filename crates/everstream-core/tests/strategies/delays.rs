//! When to reconnect.

use std::time::Duration;

use everstream_core::retry_delay::{
    self, Backoff, BaseDelay, DEFAULT_MAX_DELAY, RetryDelayStrategy, backoff,
};

use super::secs;

fn configured(delay: Duration) -> BaseDelay {
    BaseDelay::configured(delay)
}

fn consecutive<const N: usize>(
    strategy: &mut impl RetryDelayStrategy,
    base: BaseDelay,
) -> [Duration; N] {
    [(); N].map(|()| strategy.apply(base))
}

#[test]
fn the_delay_starts_at_the_base_and_doubles_up_to_thirty_seconds() {
    let mut strategy = backoff().jitter(0.0);
    let delays = consecutive(&mut strategy, configured(secs(1)));
    assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30, 30].map(secs));
}

#[test]
fn a_reset_restores_the_base_delay() {
    let mut strategy = backoff().jitter(0.0);
    consecutive::<5>(&mut strategy, configured(secs(1)));
    strategy.reset();
    assert_eq!(
        consecutive(&mut strategy, configured(secs(1))),
        [1, 2, 4].map(secs)
    );
}

#[test]
fn a_custom_multiplier_and_cap_are_used() {
    let mut strategy = backoff().jitter(0.0).multiplier(3.0).max_delay(secs(20));
    let delays = consecutive(&mut strategy, configured(secs(1)));
    assert_eq!(delays, [1, 3, 9, 20, 20].map(secs));
    let mut strategy = backoff().jitter(0.0).max_delay(Duration::ZERO);
    assert_eq!(
        consecutive(&mut strategy, configured(secs(1))),
        [Duration::ZERO; 3]
    );
}

#[test]
fn without_a_cap_the_delay_doubles_up_to_the_longest_duration() {
    let mut strategy = backoff().jitter(0.0).no_max_delay();
    let delays = consecutive::<2000>(&mut strategy, configured(secs(1)));
    assert_eq!(delays[10], secs(1024));
    assert!(delays.is_sorted());
    assert_eq!(delays[1999], Duration::MAX);
}

/// The example in the reference: a jitter of 0.25 turns 1000 into a value in [750, 1000].
#[test]
fn jitter_is_subtracted_from_the_capped_delay() {
    for jitter in [0.25, 0.5, 1.0] {
        let (mut shortest, mut longest) = ([Duration::MAX; 7], [Duration::ZERO; 7]);
        for seed in 0..1000 {
            let mut strategy = backoff().jitter(jitter).with_seed(seed);
            let delays = consecutive::<7>(&mut strategy, configured(secs(1)));
            for (number, delay) in delays.into_iter().enumerate() {
                shortest[number] = shortest[number].min(delay);
                longest[number] = longest[number].max(delay);
            }
        }
        for (number, full) in [1, 2, 4, 8, 16, 30, 30].map(secs).into_iter().enumerate() {
            let least = full.mul_f64(1.0 - jitter);
            // A thousand draws come within 1 % of both ends.
            let near = full.mul_f64(jitter / 100.0);
            assert!(shortest[number] >= least && shortest[number] <= least + near);
            assert!(longest[number] <= full && longest[number] + near >= full);
        }
    }
}

#[test]
fn the_default_jitter_is_half_and_applies_to_the_first_delay() {
    let first = |seed| backoff().with_seed(seed).apply(configured(secs(1)));
    let delays: Vec<Duration> = (0..1000).map(first).collect();
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(500) && *least < Duration::from_millis(510));
    assert!(*most <= secs(1) && *most > Duration::from_millis(990));
}

/// The clients of a restarting server must not all reconnect at the same moment.
#[test]
fn delays_of_a_thousand_seeds_are_spread_evenly() {
    type Seed = fn(u64) -> u64;
    let seeds: [(&str, Seed); 4] = [
        ("in a row", |number| number),
        ("far apart", |number| number << 54),
        ("from the top", |number| u64::MAX - number),
        ("even", |number| number * 1000),
    ];
    for (what, seed) in seeds {
        // The first and the fifth delay, in ten equal buckets.
        for draw in [0, 4] {
            let mut parts = [0; 10];
            for number in 0..1000 {
                let mut strategy = backoff().jitter(1.0).multiplier(1.0);
                strategy.seed(seed(number));
                let delays = consecutive::<5>(&mut strategy, configured(secs(1)));
                let part = delays[draw].as_millis() / 100;
                parts[usize::try_from(part).unwrap().min(9)] += 1;
            }
            assert!(
                parts.iter().all(|part| (60..=140).contains(part)),
                "seeds {what}, draw {draw}: {parts:?}"
            );
        }
    }
}

#[test]
fn a_seed_that_the_user_chose_is_not_replaced() {
    let mut strategy = backoff().with_seed(1);
    strategy.seed(2);
    let mut same = backoff().with_seed(1);
    let base = configured(secs(1));
    assert_eq!(
        consecutive::<3>(&mut strategy, base),
        consecutive::<3>(&mut same, base)
    );
}

#[test]
fn a_reset_does_not_repeat_the_random_numbers() {
    let mut strategy = backoff();
    let first = strategy.apply(configured(secs(1)));
    strategy.reset();
    assert_ne!(strategy.apply(configured(secs(1))), first);
}

#[test]
fn jitter_lengthens_a_server_delay_and_never_shortens_it() {
    for seed in 0..1000 {
        let mut strategy = backoff().with_seed(seed);
        for asked in [1, 20, 30, 100, 7 * 24 * 3600].map(secs) {
            strategy.reset();
            for delay in consecutive::<7>(&mut strategy, BaseDelay::from_server(asked)) {
                assert!(delay >= asked && delay <= asked.max(DEFAULT_MAX_DELAY) * 3 / 2);
            }
        }
    }
}

/// Once the delays have reached the cap, the clients must still not reconnect at the same moment.
#[test]
fn delays_at_the_cap_are_jittered() {
    for strategy in [backoff(), backoff().max_delay(secs(30))] {
        for base in [configured(secs(1)), BaseDelay::from_server(secs(1))] {
            let mut last: Vec<Duration> = (0..100)
                .map(|seed| consecutive::<9>(&mut strategy.clone().with_seed(seed), base)[8])
                .collect();
            last.sort();
            assert!(last[0] >= secs(15) && last[99] <= secs(30), "{last:?}");
            assert!(last[99] - last[0] > secs(12), "{last:?}");
        }
    }
}

#[test]
fn the_users_cap_overrides_the_server_but_the_default_cap_does_not() {
    let asked = BaseDelay::from_server(secs(100));
    assert!(backoff().apply(asked) >= secs(100));
    assert!(backoff().no_max_delay().apply(asked) >= secs(100));
    for cap in [5, 30] {
        let delay = backoff().max_delay(secs(cap)).apply(asked);
        assert!((secs(cap) / 2..=secs(cap)).contains(&delay), "{delay:?}");
    }
    let users_cap = |strategy: Backoff| strategy.cap();
    assert_eq!(users_cap(backoff()), None);
    assert_eq!(users_cap(backoff().no_max_delay()), None);
    assert_eq!(users_cap(backoff().max_delay(secs(5))), Some(secs(5)));
}

#[test]
fn extreme_arguments_neither_panic_nor_exceed_the_cap() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        -0.0,
        0.0,
        0.5,
        1.0,
        2.0,
        f64::MAX,
        f64::MIN_POSITIVE,
    ];
    let delays = [
        Duration::ZERO,
        Duration::from_nanos(1),
        secs(1),
        secs(u64::MAX),
        Duration::MAX,
    ];
    for multiplier in odd {
        for jitter in odd {
            for cap in [
                None,
                Some(Duration::ZERO),
                Some(secs(5)),
                Some(Duration::MAX),
            ] {
                for delay in delays {
                    for base in [BaseDelay::configured(delay), BaseDelay::from_server(delay)] {
                        let strategy = backoff().multiplier(multiplier).jitter(jitter);
                        let mut strategy = match cap {
                            Some(cap) => strategy.max_delay(cap),
                            None => strategy.no_max_delay(),
                        };
                        for delay in consecutive::<20>(&mut strategy, base) {
                            assert!(cap.is_none_or(|cap| delay <= cap));
                        }
                        for id_changed in [false, true, false] {
                            let delay = strategy.apply_after_clean_end(base, id_changed);
                            assert!(cap.is_none_or(|cap| delay <= cap));
                            let mut strategy = backoff().jitter(jitter);
                            for _ in 0..20 {
                                let delay = strategy.apply_after_clean_end(base, id_changed);
                                assert!(delay >= base.delay);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn invalid_arguments_are_clamped_as_documented() {
    let base = configured(secs(4));
    for multiplier in [f64::NAN, -2.0, 0.0, 0.5, f64::NEG_INFINITY] {
        let mut strategy = backoff().jitter(0.0).multiplier(multiplier);
        assert_eq!(
            consecutive(&mut strategy, base),
            [secs(4); 3],
            "{multiplier}"
        );
    }
    for jitter in [f64::NAN, -1.0, f64::NEG_INFINITY] {
        assert_eq!(backoff().jitter(jitter).apply(base), secs(4), "{jitter}");
    }
    let mut whole = backoff().jitter(1.0).with_seed(3);
    let mut more = backoff().jitter(f64::INFINITY).with_seed(3);
    assert_eq!(
        consecutive::<5>(&mut whole, base),
        consecutive::<5>(&mut more, base)
    );
}

#[test]
fn a_base_of_zero_stays_zero() {
    let mut strategy = backoff().no_max_delay().multiplier(f64::INFINITY);
    let base = configured(Duration::ZERO);
    assert_eq!(consecutive(&mut strategy, base), [Duration::ZERO; 5]);
}

#[test]
fn closures_and_boxes_are_retry_delay_strategies() {
    let mut calls = 0;
    let closure = retry_delay::from_fn(move |base| {
        calls += 1;
        base.delay * calls
    });
    let mut boxed: Box<dyn RetryDelayStrategy> = Box::new(closure);
    assert_eq!(
        consecutive(&mut boxed, configured(secs(2))),
        [2, 4, 6].map(secs)
    );
    let mut boxed: Box<dyn RetryDelayStrategy> = Box::new(backoff().jitter(0.0).max_delay(secs(3)));
    assert_eq!(
        consecutive(&mut boxed, configured(secs(2))),
        [2, 3].map(secs)
    );
    boxed.reset();
    assert_eq!(boxed.apply(configured(secs(2))), secs(2));
    assert_eq!(boxed.cap(), Some(secs(3)));
    assert!(!boxed.resets_after_delivery());
    assert_eq!(
        boxed.apply_after_clean_end(configured(secs(2)), true),
        secs(3)
    );

    let mut boxed: Box<dyn RetryDelayStrategy> = Box::new(backoff().jitter(0.0));
    assert!(boxed.resets_after_delivery());
    assert_eq!(
        boxed.apply_after_clean_end(configured(secs(2)), true),
        secs(3)
    );
    assert_eq!(
        boxed.apply_after_clean_end(configured(secs(2)), false),
        secs(2)
    );
    assert_eq!(
        boxed.apply(configured(secs(2))),
        secs(3),
        "grown to the limit"
    );
}

#[test]
fn custom_strategies_get_default_clean_end_methods() {
    let mut strategy = retry_delay::from_fn(|base| base.delay * 7);
    assert!(!strategy.resets_after_delivery());
    for id_changed in [true, false] {
        let delay = strategy.apply_after_clean_end(configured(secs(1)), id_changed);
        assert_eq!(delay, secs(7));
    }
}
