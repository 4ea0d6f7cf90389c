//! The presets for whether to reconnect and when.

use std::time::Duration;

use everstream_core::error_strategy::{
    self, ErrorStrategy, TRANSIENT_STATUSES, Verdict, reconnect,
};
use everstream_core::retry_delay::{
    self, Backoff, BaseDelay, DEFAULT_MAX_DELAY, RetryDelayStrategy, backoff,
};
use everstream_core::{
    ErrorResponse, Failure, FailureKind, Fault, RedirectProblem, Timestamp, TooLarge,
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

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

// Error strategies.

fn response(status: u16) -> Box<ErrorResponse> {
    Box::new(ErrorResponse::new(status))
}

fn status(code: u16) -> Option<Fault> {
    Some(Fault::Status(response(code)))
}

fn after(seconds: u64) -> Timestamp {
    Timestamp::since_start(secs(1000 + seconds))
}

fn apply(strategy: &mut impl ErrorStrategy, fault: &Option<Fault>) -> Verdict {
    strategy.apply(fault.as_ref(), after(0))
}

/// Every kind of fault, and whether the network caused it (rather than a decision of the server).
fn faults() -> Vec<(Option<Fault>, bool)> {
    let too_large = TooLarge { limit: 1 };
    vec![
        (None, true),
        (Some(Fault::Connect("refused".into())), true),
        (Some(Fault::ConnectTimeout(secs(1))), true),
        (Some(Fault::Request("cut".into())), true),
        (Some(Fault::Read("reset".into())), true),
        (Some(Fault::ReadTimeout(secs(1))), true),
        (status(204), false),
        (status(304), false),
        (status(404), false),
        (status(503), false),
        (Some(Fault::ContentType(response(200))), false),
        (
            Some(Fault::Redirect(response(302), RedirectProblem::Scheme)),
            false,
        ),
        (Some(Fault::TooLarge(too_large)), false),
        (Some(Fault::Incomplete), false),
        (Some(Fault::Setup("no token".into())), false),
        (Some(Fault::Source("it failed".into())), false),
    ]
}

#[test]
fn reconnect_retries_network_faults_and_fails_on_server_decisions() {
    for (fault, network) in faults() {
        let due = if network {
            Verdict::Continue
        } else {
            Verdict::Fail
        };
        for _ in 0..100 {
            assert_eq!(apply(&mut reconnect(), &fault), due, "{fault:?}");
        }
    }
}

#[test]
fn wrong_settings_are_final_until_a_connection_succeeds() {
    let now = Timestamp::default();
    let fault = |kind| Fault::Connect(Failure::new(kind, "").into());
    for kind in [FailureKind::Untrusted, FailureKind::ProxyAuthentication] {
        let mut strategy = reconnect();
        assert_eq!(strategy.apply(Some(&fault(kind)), now), Verdict::Fail);
        let redirected = Fault::Request(Box::new(fault(kind)));
        assert_eq!(strategy.apply(Some(&redirected), now), Verdict::Fail);
        strategy.reset();
        assert_eq!(strategy.apply(Some(&fault(kind)), now), Verdict::Continue);
        for retried in [fault(kind), redirected] {
            let warning = retried.retry_warning().unwrap();
            assert!(warning.contains("on the first attempt this would be final"));
        }
    }
    for kind in [
        FailureKind::Refused,
        FailureKind::Resolve,
        FailureKind::Tls,
        FailureKind::Proxy,
        FailureKind::Other,
    ] {
        let verdict = reconnect().apply(Some(&fault(kind)), now);
        assert_eq!(verdict, Verdict::Continue, "{kind:?}");
        assert_eq!(fault(kind).retry_warning(), None);
    }
}

#[test]
fn reconnect_retries_the_configured_statuses() {
    let mut strategy = reconnect()
        .or_on_status(TRANSIENT_STATUSES)
        .or_on_status([418]);
    let transient = [408, 425, 429, 500, 502, 503, 504];
    let of_proxies = [520, 521, 522, 523, 524, 529];
    for code in [418].into_iter().chain(transient).chain(of_proxies) {
        assert_eq!(apply(&mut strategy, &status(code)), Verdict::Continue);
    }
    for code in [
        204, 301, 400, 401, 403, 404, 501, 505, 519, 525, 526, 528, 530,
    ] {
        assert_eq!(apply(&mut strategy, &status(code)), Verdict::Fail);
    }
    // Only for `Fault::Status`, not for other faults with the same status.
    let wrong_type = Some(Fault::ContentType(response(503)));
    assert_eq!(apply(&mut strategy, &wrong_type), Verdict::Fail);
}

#[test]
fn always_fail_and_always_continue_never_change() {
    for (fault, _) in faults() {
        let mut fail = error_strategy::always_fail();
        let mut keep_going = error_strategy::always_continue();
        for _ in 0..3 {
            assert_eq!(apply(&mut fail, &fault), Verdict::Fail);
            assert_eq!(apply(&mut keep_going, &fault), Verdict::Continue);
            fail.reset();
            keep_going.reset();
        }
    }
}

#[test]
fn max_attempts_counts_consecutive_faults_of_any_kind() {
    let mut strategy = error_strategy::continue_with_max_attempts(3);
    for _ in 0..2 {
        for fault in [None, status(503), Some(Fault::Read("reset".into()))] {
            assert_eq!(apply(&mut strategy, &fault), Verdict::Continue);
        }
        for _ in 0..3 {
            assert_eq!(apply(&mut strategy, &None), Verdict::Fail);
        }
        strategy.reset();
    }
    let mut never = error_strategy::continue_with_max_attempts(0);
    assert_eq!(apply(&mut never, &None), Verdict::Fail);
    let mut always = error_strategy::continue_with_max_attempts(u32::MAX);
    assert_eq!(apply(&mut always, &None), Verdict::Continue);
}

#[test]
fn the_time_limit_starts_at_the_first_consecutive_fault() {
    let mut strategy = error_strategy::continue_with_time_limit(secs(60));
    let mut at = |seconds| strategy.apply(None, after(seconds));
    assert_eq!(at(500), Verdict::Continue, "however late the first one is");
    assert_eq!(at(520), Verdict::Continue);
    assert_eq!(at(559), Verdict::Continue);
    assert_eq!(at(560), Verdict::Fail);
    assert_eq!(at(5000), Verdict::Fail);
    strategy.reset();
    assert_eq!(strategy.apply(None, after(6000)), Verdict::Continue);
}

#[test]
fn extreme_time_limits_do_not_panic() {
    let mut none = error_strategy::continue_with_time_limit(Duration::ZERO);
    assert_eq!(none.apply(None, after(0)), Verdict::Fail);
    let mut all = error_strategy::continue_with_time_limit(Duration::MAX);
    for moment in [after(0), Timestamp::since_start(Duration::MAX), after(0)] {
        assert_eq!(all.apply(None, moment), Verdict::Continue);
    }
}

#[test]
fn closures_and_boxes_are_error_strategies() {
    let mut left = 2;
    let closure = error_strategy::from_fn(move |fault| {
        left -= 1;
        match fault {
            Some(fault) if fault.is_timeout() && left >= 0 => Verdict::Continue,
            _ => Verdict::Fail,
        }
    });
    let mut boxed: Box<dyn ErrorStrategy> = Box::new(closure);
    let timeout = Some(Fault::ReadTimeout(secs(1)));
    assert_eq!(apply(&mut boxed, &timeout), Verdict::Continue);
    assert_eq!(apply(&mut boxed, &None), Verdict::Fail);
    assert_eq!(apply(&mut boxed, &timeout), Verdict::Fail);

    let mut boxed: Box<dyn ErrorStrategy> = Box::new(error_strategy::continue_with_max_attempts(1));
    assert_eq!(apply(&mut boxed, &None), Verdict::Continue);
    boxed.reset();
    assert_eq!(apply(&mut boxed, &None), Verdict::Continue);
    assert_eq!(apply(&mut boxed, &None), Verdict::Fail);
}
