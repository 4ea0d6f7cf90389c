//! What the server does at each connection, and how many it can get by that.

use everstream::{Builder, error_strategy};

/// What a connection, by its number from 0, comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Refused,
    /// It accepts, and closes without an answer.
    HangUp,
    /// A whole stream of these bytes, which ends in an orderly way.
    Stream(String),
    /// 503, with `Retry-After: 0` or without.
    Unavailable {
        retry_after: bool,
    },
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) answer: fn(usize) -> Answer,
    /// Where the default would stop: `error_strategy::always_continue()`.
    pub(crate) always_continue: bool,
    /// The most connections in the first minute.
    pub(crate) most: fn() -> usize,
}

impl Scenario {
    pub(crate) fn settings(&self, builder: Builder) -> Builder {
        match self.always_continue {
            true => builder.error_strategy(error_strategy::always_continue()),
            false => builder,
        }
    }
}

/// In any later minute: the delays have reached 30 s, of which half may be left off.
pub(crate) const MOST_LATER: usize = 4;

/// Connections in a minute if every delay is as short as it can be: seconds that double from the base
/// up to 30, and anew after the connections of these numbers. Half may be left off, but not of what a
/// server asked for.
fn most(base: f64, anew: &[usize], asked: bool) -> usize {
    let (mut connections, mut time, mut full) = (0, 0.0, 0.0);
    while time < 60.0 {
        full = match anew.contains(&connections) {
            true => base,
            false => f64::min(full * 2.0, 30.0),
        };
        connections += 1;
        time += f64::max(full / 2.0, if asked { base } else { 0.0 });
    }
    connections
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

pub(crate) const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "refuses",
        answer: |_| Answer::Refused,
        always_continue: false,
        most: by_default,
    },
    Scenario {
        name: "accepts, then closes",
        answer: |_| Answer::HangUp,
        always_continue: false,
        most: by_default,
    },
    Scenario {
        name: "200, and nothing",
        answer: |_| Answer::Stream(String::new()),
        always_continue: false,
        most: by_default,
    },
    Scenario {
        name: "200, one event, the end",
        answer: |_| Answer::Stream("data: x\n\n".into()),
        always_continue: false,
        most: by_default,
    },
    Scenario {
        name: "200, `retry: 0`",
        answer: |_| Answer::Stream("retry: 0\n\n".into()),
        always_continue: false,
        most: at_the_floor,
    },
    Scenario {
        name: "200, `retry: 100` and `retry: 101` in turns",
        answer: |number| Answer::Stream(format!("retry: {}\n\n", 100 + number % 2)),
        always_continue: false,
        most: anew_once,
    },
    Scenario {
        name: "200, another `retry:` each time",
        answer: |number| Answer::Stream(format!("retry: {}\n\n", 100 + number)),
        always_continue: false,
        most: anew_once,
    },
    Scenario {
        name: "200, `retry: 100`, and `retry: 101` from the ninth on",
        answer: |number| {
            Answer::Stream(format!("retry: {}\n\n", 100 + usize::from(number >= LATE)))
        },
        always_continue: false,
        most: anew_late,
    },
    Scenario {
        name: "503",
        answer: |_| Answer::Unavailable { retry_after: false },
        always_continue: false,
        most: || 1,
    },
    Scenario {
        name: "503, with `always_continue`",
        answer: |_| Answer::Unavailable { retry_after: false },
        always_continue: true,
        most: by_default,
    },
    Scenario {
        name: "503, `Retry-After: 0`, with `always_continue`",
        answer: |_| Answer::Unavailable { retry_after: true },
        always_continue: true,
        most: by_default,
    },
];
