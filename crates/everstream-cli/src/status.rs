//! The status line: the last line of a terminal, redrawn in place.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::output::{beginning, output_is_pipe};
use crate::terminal::{self, colors, dumb_terminal, width};

/// The minimum time between two drawings if something has changed.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// The time between two drawings if nothing has changed, for the clock.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// The rate is measured over this time.
const RATE_WINDOW: Duration = Duration::from_secs(5);

pub(crate) struct Status {
    begin: Instant,
    events: u64,
    connections: u64,
    state: State,
    changed: bool,
    drawn: Option<Instant>,
    /// When this number of events was reached.
    samples: VecDeque<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    Waiting { until: Instant },
}

impl Status {
    /// `None` if there is no terminal for it, or if it could mix with the lines of a program that
    /// reads the output.
    pub(crate) fn new(quiet: bool) -> Option<Status> {
        let shown = !quiet && io::stderr().is_terminal() && !dumb_terminal() && !output_is_pipe();
        shown.then(|| Status::begin(Instant::now()))
    }

    fn begin(now: Instant) -> Status {
        Status {
            begin: now,
            events: 0,
            connections: 0,
            state: State::Connecting,
            changed: true,
            drawn: None,
            samples: VecDeque::from([(now, 0)]),
        }
    }

    pub(crate) fn event(&mut self) {
        self.events += 1;
        self.changed = true;
    }

    pub(crate) fn connected(&mut self) {
        self.connections += 1;
        self.state = State::Connected;
        self.changed = true;
    }

    pub(crate) fn lost(&mut self, delay: Duration) {
        let now = Instant::now();
        let until = now.checked_add(delay).unwrap_or(now);
        self.state = State::Waiting { until };
        self.changed = true;
    }

    /// When it should be redrawn.
    pub(crate) fn due(&self) -> Instant {
        match self.drawn {
            None => self.begin,
            Some(drawn) => {
                drawn
                    + if self.changed {
                        MIN_INTERVAL
                    } else {
                        MAX_INTERVAL
                    }
            }
        }
    }

    /// Draws it, if it is due. `silence` is the time since the last byte, and `no_response` whether there
    /// is a connection without a response.
    pub(crate) fn draw(&mut self, silence: Option<Duration>, no_response: bool) {
        let now = Instant::now();
        if now < self.due() {
            return;
        }
        self.drawn = Some(now);
        self.changed = false;
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW)
        {
            self.samples.pop_front();
        }
        let text = self.text(now, silence, no_response);
        self.samples.push_back((now, self.events));
        // The last column stays free: some terminals wrap when it is written.
        let columns = width(io::stderr()).unwrap_or(80).saturating_sub(1);
        let text = beginning(&text, columns);
        if colors(true) {
            terminal::show_status(&format!("\x1b[2m{text}\x1b[0m"));
        } else {
            terminal::show_status(text);
        }
    }

    fn text(&self, now: Instant, silence: Option<Duration>, no_response: bool) -> String {
        let plural = if self.events == 1 { "" } else { "s" };
        let mut text = format!(
            "{}  {} event{plural}  {}/s",
            clock(now.duration_since(self.begin)),
            self.events,
            self.rate(now),
        );
        match self.connections.saturating_sub(1) {
            0 => {}
            1 => text += "  1 reconnect",
            more => _ = write!(text, "  {more} reconnects"),
        }
        _ = match self.state {
            _ if no_response => write!(text, "  connected, no response yet"),
            State::Connecting => write!(text, "  connecting"),
            State::Connected => {
                let silent = silence.unwrap_or_default().as_secs();
                write!(text, "  silent for {silent} s")
            }
            State::Waiting { until } => match until.saturating_duration_since(now) {
                Duration::ZERO => write!(text, "  reconnecting"),
                left => write!(
                    text,
                    "  no connection, retrying in {} s",
                    left.as_secs() + 1
                ),
            },
        };
        text
    }

    fn rate(&self, now: Instant) -> String {
        let Some((since, events)) = self.samples.front() else {
            return "0".into();
        };
        let seconds = now.duration_since(*since).as_secs_f64().max(0.25);
        let rate = (self.events - events) as f64 / seconds;
        if rate < 9.95 {
            format!("{rate:.1}")
        } else {
            format!("{rate:.0}")
        }
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_shows_state_and_counters() {
        let now = Instant::now();
        let mut status = Status::begin(now);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(
            status.text(now, None, false),
            "0:00  0 events  0.0/s  connecting"
        );
        assert!(
            status
                .text(now, None, true)
                .ends_with("connected, no response yet")
        );
        status.connections = 1;
        status.state = State::Connected;
        status.events = 25;
        assert_eq!(
            status.text(after(5), Some(Duration::from_millis(3900)), false),
            "0:05  25 events  5.0/s  silent for 3 s"
        );
        status.connections = 3;
        status.state = State::Waiting { until: after(3700) };
        assert_eq!(
            status.text(after(3695), None, false),
            "1:01:35  25 events  0.0/s  2 reconnects  no connection, retrying in 6 s"
        );
        assert!(
            status
                .text(after(3700), None, false)
                .ends_with("reconnecting")
        );
    }

    #[test]
    fn it_is_drawn_at_most_four_times_a_second() {
        let now = Instant::now();
        let mut status = Status::begin(now);
        assert_eq!(status.due(), now);
        status.drawn = Some(now);
        status.changed = false;
        assert_eq!(status.due(), now + Duration::from_secs(1));
        status.event();
        assert_eq!(status.due(), now + Duration::from_millis(250));
    }
}
