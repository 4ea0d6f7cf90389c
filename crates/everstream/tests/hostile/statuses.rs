//! Every status, with and without every form of `Retry-After`.

use std::time::Duration;

use everstream::{
    Action, Builder, Error, Fault, Http, RedirectProblem, SseClient, error_strategy, retry_delay,
};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    the_default_strategy_handles_every_status,
    always_continue_honors_retry_after,
    transient_statuses_are_retried_if_configured,
);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    /// A stream, given the right content type; `Retry-After` has no effect.
    Stream,
    /// Final, with `Fault::Status`.
    Status,
    /// Final, with `Fault::Redirect`, because there is no `Location`. `redirects.rs` has those with one.
    Redirect,
}

const STATUSES: [(u16, Outcome); 23] = [
    (200, Outcome::Stream),
    (201, Outcome::Stream),
    (204, Outcome::Status),
    (205, Outcome::Stream),
    (206, Outcome::Stream),
    (300, Outcome::Status),
    (301, Outcome::Redirect),
    (302, Outcome::Redirect),
    (303, Outcome::Redirect),
    (304, Outcome::Status),
    (307, Outcome::Redirect),
    (308, Outcome::Redirect),
    (400, Outcome::Status),
    (401, Outcome::Status),
    (403, Outcome::Status),
    (404, Outcome::Status),
    (408, Outcome::Status),
    (410, Outcome::Status),
    (429, Outcome::Status),
    (500, Outcome::Status),
    (502, Outcome::Status),
    (503, Outcome::Status),
    (504, Outcome::Status),
];

/// The default delay without jitter.
const BASE: Duration = Duration::from_secs(1);

/// The default of `max_retry_after`.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `Retry-After`, and the delay if the user sets no limit. `None`: a date in the far future, for which the
/// delay isn't compared exactly.
const RETRY_AFTER: [(Option<&str>, Option<Duration>); 16] = [
    (None, Some(BASE)),
    (Some("7"), Some(Duration::from_secs(7))),
    (Some(" 7 "), Some(Duration::from_secs(7))),
    (Some("007"), Some(Duration::from_secs(7))),
    (Some("0"), Some(BASE)),
    (Some("Fri, 31 Dec 2100 23:59:59 GMT"), None),
    (Some("Friday, 31-Dec-60 23:59:59 GMT"), None),
    (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(BASE)),
    (Some("Sun, 99 Nov 1994 08:49:37 GMT"), Some(BASE)),
    (Some("soon"), Some(BASE)),
    (Some(""), Some(BASE)),
    (Some("-7"), Some(BASE)),
    (Some("7.5"), Some(BASE)),
    (Some("7, 8"), Some(BASE)),
    (
        Some("18446744073709551615"),
        Some(Duration::from_secs(u64::MAX)),
    ),
    (
        Some("99999999999999999999999"),
        Some(Duration::from_secs(u64::MAX)),
    ),
];

fn answer(status: u16, retry_after: Option<&str>) -> Reply {
    let reply = Reply::stream().with_status(status).event("a");
    match retry_after {
        Some(value) => reply.header("Retry-After", value),
        None => reply,
    }
}

/// Default settings, without jitter, and without reading the system's certificates, which is slow.
fn default(server: &Server) -> Builder {
    let http = Http::new(server.url("/"));
    #[cfg(feature = "__tls")]
    let http = http.danger_accept_invalid_certs(true);
    SseClient::builder(http).retry_delay_strategy(retry_delay::backoff().jitter(0.0))
}

#[track_caller]
fn assert_delay(delay: Duration, expected: Option<Duration>, what: &str) {
    match expected {
        Some(expected) => assert_eq!(delay, expected, "{what}"),
        None => assert!(
            delay > Duration::from_secs(30 * 365 * 86400),
            "{what}: {delay:?}"
        ),
    }
}

fn the_default_strategy_handles_every_status<C: Client>() {
    for (status, outcome) in STATUSES {
        let server = Server::start();
        for (retry_after, delay) in RETRY_AFTER {
            let what = format!("{status} with {retry_after:?}");
            server.otherwise(answer(status, retry_after));
            let mut client = C::with(default(&server));
            let before = server.request_count();
            let first = client.next_action();
            if outcome == Outcome::Stream {
                assert!(
                    matches!(first, Some(Ok(Action::Start(_)))),
                    "{what}: {first:?}"
                );
                client.expect_event("a");
                client.expect_clean_end();
                assert_delay(client.next_retry_delay(), Some(BASE), &what);
                continue;
            }
            let Some(Err(Error::Fault(fault))) = first else {
                panic!("{what}: {first:?}");
            };
            match outcome {
                Outcome::Redirect => assert!(
                    matches!(fault, Fault::Redirect(_, RedirectProblem::BadLocation)),
                    "{what}: {fault:?}"
                ),
                _ => assert!(matches!(fault, Fault::Status(_)), "{what}: {fault:?}"),
            }
            assert_eq!(fault.status(), Some(status), "{what}");
            assert!(fault.to_string().contains(&status.to_string()), "{fault}");
            // The delay for a restart, at most a day by default.
            let delay = delay.map_or(DAY, |delay| delay.min(DAY));
            assert_delay(client.next_retry_delay(), Some(delay), &what);
            assert_eq!(server.request_count(), before + 1, "{what}");
        }
    }
}

fn always_continue_honors_retry_after<C: Client>() {
    for status in [204, 304, 307, 404, 429, 503] {
        let server = Server::start();
        for (retry_after, delay) in RETRY_AFTER {
            server.otherwise(answer(status, retry_after));
            let builder = default(&server).error_strategy(error_strategy::always_continue());
            let mut client = C::with(builder.max_retry_after(Duration::MAX));
            assert_eq!(client.expect_fault().status(), Some(status));
            let what = format!("{status} with {retry_after:?}");
            assert_delay(client.next_retry_delay(), delay, &what);
        }
    }
}

fn transient_statuses_are_retried_if_configured<C: Client>() {
    let strategy = error_strategy::reconnect().or_on_status(error_strategy::TRANSIENT_STATUSES);
    for (status, outcome) in STATUSES {
        if outcome == Outcome::Stream {
            continue;
        }
        let server = Server::start();
        server.otherwise(Reply::status(status));
        let builder = SseClient::builder(server.url("/")).error_strategy(strategy.clone());
        match C::with(builder).next_action() {
            Some(Ok(Action::Fault(_))) => {
                assert!([408, 429, 500, 502, 503, 504].contains(&status), "{status}");
            }
            Some(Err(_)) => assert!(
                ![408, 429, 500, 502, 503, 504].contains(&status),
                "{status}"
            ),
            other => panic!("{status}: {other:?}"),
        }
    }
}
