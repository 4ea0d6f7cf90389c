//! What the server does at each connection, and the bounds on how many connections it gets.

use std::time::Duration;

use everstream::{Builder, error_strategy};

/// What the server does with a connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Refused,
    /// Accepts, and closes without a response.
    HangUp,
    Stream(Body),
    /// 503, with `Retry-After: 0` or without.
    Unavailable {
        retry_after: bool,
    },
}

/// A stream with these bytes that ends after this time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) bytes: String,
    pub(crate) lasts: Duration,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// With a final chunk.
    Clean,
    /// By closing the connection, which doesn't prove that the response is complete.
    Closed,
    /// Within a chunk.
    Broken,
}

/// A stream that ends cleanly and immediately.
fn clean(bytes: impl Into<String>) -> Answer {
    lasting(bytes, 0, End::Clean)
}

fn lasting(bytes: impl Into<String>, millis: u64, end: End) -> Answer {
    Answer::Stream(Body {
        bytes: bytes.into(),
        lasts: Duration::from_millis(millis),
        end,
    })
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) answer: fn(usize) -> Answer,
    /// Uses `error_strategy::always_continue()`, where the default strategy would give up.
    pub(crate) always_continue: bool,
    /// The most connections in the first minute.
    pub(crate) most: fn() -> usize,
    /// The most connections in any later minute.
    pub(crate) most_later: usize,
    /// The fewest connections in any later minute: polls don't stop, and the client doesn't give up.
    pub(crate) least_later: usize,
}

impl Scenario {
    /// Whether the server decides how often it is polled.
    pub(crate) fn is_polled(&self) -> bool {
        self.most_later > MOST_LATER
    }

    pub(crate) fn settings(&self, builder: Builder) -> Builder {
        match self.always_continue {
            true => builder.error_strategy(error_strategy::always_continue()),
            false => builder,
        }
    }
}

/// If the server isn't polled: the delays have reached 30 s, which jitter shortens by up to half.
const MOST_LATER: usize = 4;

/// Polled without `retry:`: every 3 s to 4.5 s. tokio's timer rounds up to whole milliseconds.
const MOST_POLLS: usize = 20;
const LEAST_POLLS: usize = 13;

/// Polled with `retry:` of up to 1 s, and without a new id: every 1 s to 1.5 s.
const MOST_UNCHANGED_POLLS: usize = 60;
const LEAST_UNCHANGED_POLLS: usize = 39;

/// Polled with `retry: 100` or less, and with a new id each time: every 100 ms to 150 ms.
const MOST_POLLS_AT_THE_FLOOR: usize = 600;
const LEAST_POLLS_AT_THE_FLOOR: usize = 397;

/// Connections in a minute if every delay is as short as it can be.
fn in_a_minute(delays: impl IntoIterator<Item = f64>) -> usize {
    let mut time = 0.0;
    let mut connections = 0;
    for delay in delays {
        connections += 1;
        time += delay;
        if time >= 60.0 {
            return connections;
        }
    }
    panic!("the delays end within the minute");
}

/// Connections in a minute if every delay is as short as it can be: the delay in seconds doubles from the
/// base up to 30, and restarts at the base after the connections in `resets`. Jitter shortens it by up to
/// half, but not below a base that the server asked for.
fn most(base: f64, resets: &[usize], asked: bool) -> usize {
    let mut full = 0.0;
    in_a_minute((0..).map(|connection| {
        full = match resets.contains(&connection) {
            true => base,
            false => f64::min(full * 2.0, 30.0),
        };
        f64::max(full / 2.0, if asked { base } else { 0.0 })
    }))
}

/// Connections in a minute that end cleanly, all but the first without a new id: the delay doubles from the
/// base up to a limit, and jitter doesn't shorten it.
fn most_unchanged(base: f64, after_new_id: f64, limit: f64) -> usize {
    let grown = (0..).map(|number| f64::min(base * 2f64.powi(number), limit));
    in_a_minute([after_new_id].into_iter().chain(grown))
}

fn by_default() -> usize {
    most(1.0, &[0], false)
}

fn at_the_floor() -> usize {
    most(0.1, &[0], true)
}

/// A changed value resets the delays once.
fn reset_once() -> usize {
    most(0.1, &[0, 1], true)
}

/// The connection after which a reset causes the most connections.
const LATE: usize = 8;

fn reset_late() -> usize {
    most(0.1, &[0, LATE], true)
}

pub(crate) const SCENARIOS: [Scenario; 22] = [
    Scenario {
        name: "refuses it",
        answer: |_| Answer::Refused,
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "accepts it, then closes",
        answer: |_| Answer::HangUp,
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, an empty body",
        answer: |_| clean(""),
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, one event, then closes without a proven end",
        answer: |_| lasting("data: x\n\n", 0, End::Closed),
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, `retry: 0`",
        answer: |_| clean("retry: 0\n\n"),
        always_continue: false,
        most: at_the_floor,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, alternately `retry: 100` and `retry: 101`",
        answer: |number| clean(format!("retry: {}\n\n", 100 + number % 2)),
        always_continue: false,
        most: reset_once,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, a different `retry:` each time",
        answer: |number| clean(format!("retry: {}\n\n", 100 + number)),
        always_continue: false,
        most: reset_once,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, `retry: 100`, from the ninth connection `retry: 101`",
        answer: |number| clean(format!("retry: {}\n\n", 100 + usize::from(number >= LATE))),
        always_continue: false,
        most: reset_late,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "503",
        answer: |_| Answer::Unavailable { retry_after: false },
        always_continue: false,
        most: || 1,
        most_later: 0,
        least_later: 0,
    },
    Scenario {
        name: "503, with `always_continue`",
        answer: |_| Answer::Unavailable { retry_after: false },
        always_continue: true,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "503, `Retry-After: 0`, with `always_continue`",
        answer: |_| Answer::Unavailable { retry_after: true },
        always_continue: true,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, `retry: 100`, one event, breaks after 0.6 s",
        answer: |_| lasting("retry: 100\ndata: x\n\n", 600, End::Broken),
        always_continue: false,
        most: at_the_floor,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, one event, breaks after 6 s",
        answer: |_| lasting("data: x\n\n", 6000, End::Broken),
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, one event, a proxy cuts after 50 s",
        answer: |_| lasting("data: x\n\n", 50_000, End::Closed),
        always_continue: false,
        most: || 2,
        most_later: 2,
        least_later: 1,
    },
    Scenario {
        name: "200, one event with the same id, a clean end",
        answer: |_| clean("id: 7\ndata: x\n\n"),
        always_continue: false,
        most: || most_unchanged(1.0, 3.0, 3.0),
        most_later: MOST_POLLS,
        least_later: LEAST_POLLS,
    },
    Scenario {
        name: "200, one event with a new id, a clean end",
        answer: |number| clean(format!("id: {number}\ndata: x\n\n")),
        always_continue: false,
        most: || MOST_POLLS,
        most_later: MOST_POLLS,
        least_later: LEAST_POLLS,
    },
    Scenario {
        name: "200, `retry: 0`, one event with the same id, a clean end",
        answer: |_| clean("retry: 0\nid: 7\ndata: x\n\n"),
        always_continue: false,
        most: || most_unchanged(0.1, 0.1, 1.0),
        most_later: MOST_UNCHANGED_POLLS,
        least_later: LEAST_UNCHANGED_POLLS,
    },
    Scenario {
        name: "200, `retry: 0`, one event with a new id, a clean end",
        answer: |number| clean(format!("retry: 0\nid: {number}\ndata: x\n\n")),
        always_continue: false,
        most: || MOST_POLLS_AT_THE_FLOOR,
        most_later: MOST_POLLS_AT_THE_FLOOR,
        least_later: LEAST_POLLS_AT_THE_FLOOR,
    },
    Scenario {
        name: "200, `retry: 100`, one event with the same id, a clean end",
        answer: |_| clean("retry: 100\nid: 7\ndata: x\n\n"),
        always_continue: false,
        most: || most_unchanged(0.1, 0.1, 1.0),
        most_later: MOST_UNCHANGED_POLLS,
        least_later: LEAST_UNCHANGED_POLLS,
    },
    Scenario {
        name: "200, `retry: 100`, one event with a new id, a clean end",
        answer: |number| clean(format!("retry: 100\nid: {number}\ndata: x\n\n")),
        always_continue: false,
        most: || MOST_POLLS_AT_THE_FLOOR,
        most_later: MOST_POLLS_AT_THE_FLOOR,
        least_later: LEAST_POLLS_AT_THE_FLOOR,
    },
    Scenario {
        name: "200, `retry: 1000`, one event with the same id, a clean end",
        answer: |_| clean("retry: 1000\nid: 7\ndata: x\n\n"),
        always_continue: false,
        most: || MOST_UNCHANGED_POLLS,
        most_later: MOST_UNCHANGED_POLLS,
        least_later: LEAST_UNCHANGED_POLLS,
    },
    Scenario {
        name: "200, `retry: 1000`, one event with a new id, a clean end",
        answer: |number| clean(format!("retry: 1000\nid: {number}\ndata: x\n\n")),
        always_continue: false,
        most: || MOST_UNCHANGED_POLLS,
        most_later: MOST_UNCHANGED_POLLS,
        least_later: LEAST_UNCHANGED_POLLS,
    },
];
