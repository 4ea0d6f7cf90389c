//! Every status, with and without `Retry-After` in every form.

use std::time::Duration;

use everstream::{
    Action, Builder, Error, Fault, Http, RedirectProblem, SseClient, error_strategy, retry_delay,
};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    what_the_default_strategy_makes_of_every_status,
    always_continue_waits_as_long_as_it_is_asked_to,
    transient_statuses_are_tried_again_on_demand,
);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Made {
    /// With the right content type it is a stream, and `Retry-After` says nothing.
    Stream,
    /// Final, with `Fault::Status`.
    Status,
    /// Final, with `Fault::Redirect`: there is no `Location`. With one, see `redirects.rs`.
    Redirect,
}

const STATUSES: [(u16, Made); 23] = [
    (200, Made::Stream),
    (201, Made::Stream),
    (204, Made::Status),
    (205, Made::Stream),
    (206, Made::Stream),
    (300, Made::Status),
    (301, Made::Redirect),
    (302, Made::Redirect),
    (303, Made::Redirect),
    (304, Made::Status),
    (307, Made::Redirect),
    (308, Made::Redirect),
    (400, Made::Status),
    (401, Made::Status),
    (403, Made::Status),
    (404, Made::Status),
    (408, Made::Status),
    (410, Made::Status),
    (429, Made::Status),
    (500, Made::Status),
    (502, Made::Status),
    (503, Made::Status),
    (504, Made::Status),
];

/// What the strategy says without being asked: the default without its random part.
const BASE: Duration = Duration::from_secs(1);

/// The default of `max_retry_after`.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `Retry-After`, and how long is waited if the user sets no limit. A date in the far future isn't compared exactly.
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

/// The default but for its random part; and nobody needs certificates, which take long to read.
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

fn what_the_default_strategy_makes_of_every_status<C: Client>() {
    for (status, made) in STATUSES {
        let server = Server::start();
        for (retry_after, delay) in RETRY_AFTER {
            let what = format!("{status} with {retry_after:?}");
            server.otherwise(answer(status, retry_after));
            let mut client = C::with(default(&server));
            let before = server.request_count();
            let first = client.next_action();
            if made == Made::Stream {
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
            match made {
                Made::Redirect => assert!(
                    matches!(fault, Fault::Redirect(_, RedirectProblem::BadLocation)),
                    "{what}: {fault:?}"
                ),
                _ => assert!(matches!(fault, Fault::Status(_)), "{what}: {fault:?}"),
            }
            assert_eq!(fault.status(), Some(status), "{what}");
            assert!(fault.to_string().contains(&status.to_string()), "{fault}");
            // For who starts it again. By default it is a day at most.
            let delay = delay.map_or(DAY, |delay| delay.min(DAY));
            assert_delay(client.next_retry_delay(), Some(delay), &what);
            assert_eq!(server.request_count(), before + 1, "{what}");
        }
    }
}

fn always_continue_waits_as_long_as_it_is_asked_to<C: Client>() {
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

fn transient_statuses_are_tried_again_on_demand<C: Client>() {
    let strategy = error_strategy::reconnect().or_on_status(error_strategy::TRANSIENT_STATUSES);
    for (status, made) in STATUSES {
        if made == Made::Stream {
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
