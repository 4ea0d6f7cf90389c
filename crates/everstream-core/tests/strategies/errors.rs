//! Whether to reconnect.

use std::time::Duration;

use everstream_core::error_strategy::{
    self, ErrorStrategy, TRANSIENT_STATUSES, Verdict, reconnect,
};
use everstream_core::{
    ErrorResponse, Failure, FailureKind, Fault, RedirectProblem, Timestamp, TooLarge,
};

use super::secs;

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
        (Some(Fault::ResponseTimeout(secs(1))), true),
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
