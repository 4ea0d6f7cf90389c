//! What the server does at each connection, and how many it can get by that.

use std::time::Duration;

use everstream::{Builder, error_strategy};

/// What a connection, by its number from 0, comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Refused,
    /// It accepts, and closes without an answer.
    HangUp,
    Stream(Body),
    /// 503, with `Retry-After: 0` or without.
    Unavailable {
        retry_after: bool,
    },
}

/// A stream of these bytes, which ends after this time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) bytes: String,
    pub(crate) lasts: Duration,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// With a last chunk.
    Clean,
    /// With the connection, which proves nothing.
    Closed,
    /// In the middle.
    Broken,
}

/// It ends cleanly, at once.
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
    /// Where the default would stop: `error_strategy::always_continue()`.
    pub(crate) always_continue: bool,
    /// The most connections in the first minute.
    pub(crate) most: fn() -> usize,
    /// The most connections in any later minute.
    pub(crate) most_later: usize,
    /// The least: a server that is polled gets its polls, and no server is given up.
    pub(crate) least_later: usize,
}

impl Scenario {
    /// The server decides how often it is asked.
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

/// Unless the server is polled: the delays have reached 30 s, of which half may be left off.
const MOST_LATER: usize = 4;

/// Polled without `retry:`: every 3 s to 4.5 s. tokio's timer counts whole milliseconds, up.
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
    panic!("they end within the minute");
}

/// Connections in a minute if every delay is as short as it can be: seconds that double from the base
/// up to 30, and anew after the connections of these numbers. Half may be left off, but not of what a
/// server asked for.
fn most(base: f64, anew: &[usize], asked: bool) -> usize {
    let mut full = 0.0;
    in_a_minute((0..).map(|connection| {
        full = match anew.contains(&connection) {
            true => base,
            false => f64::min(full * 2.0, 30.0),
        };
        f64::max(full / 2.0, if asked { base } else { 0.0 })
    }))
}

/// Connections in a minute that end cleanly without a new id, but for the first: delays that double
/// from the base up to a limit, of which nothing is left off.
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

/// A changed value starts the delays anew once.
fn anew_once() -> usize {
    most(0.1, &[0, 1], true)
}

/// The moment for it that is best for who wants many connections.
const LATE: usize = 8;

fn anew_late() -> usize {
    most(0.1, &[0, LATE], true)
}

pub(crate) const SCENARIOS: [Scenario; 22] = [
    Scenario {
        name: "refuses",
        answer: |_| Answer::Refused,
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "accepts, then closes",
        answer: |_| Answer::HangUp,
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, and nothing",
        answer: |_| clean(""),
        always_continue: false,
        most: by_default,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, one event, the end of the connection",
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
        name: "200, `retry: 100` and `retry: 101` in turns",
        answer: |number| clean(format!("retry: {}\n\n", 100 + number % 2)),
        always_continue: false,
        most: anew_once,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, another `retry:` each time",
        answer: |number| clean(format!("retry: {}\n\n", 100 + number)),
        always_continue: false,
        most: anew_once,
        most_later: MOST_LATER,
        least_later: 1,
    },
    Scenario {
        name: "200, `retry: 100`, and `retry: 101` from the ninth on",
        answer: |number| clean(format!("retry: {}\n\n", 100 + usize::from(number >= LATE))),
        always_continue: false,
        most: anew_late,
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
