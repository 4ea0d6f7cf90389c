//! Messages and the status of a relay: text and a line on a terminal, JSON otherwise.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use everstream::Action;
use everstream_relay::{Monitor, Notice, Role, Snapshot};
use serde::Serialize;

use crate::explain;
use crate::output::{beginning, rfc3339};
use crate::report;
use crate::terminal::{self, dumb_terminal, width};
use crate::waiting::Waiting;

/// The time from one status line to the next.
const DRAWN: Duration = Duration::from_millis(250);

/// The time from one status in JSON to the next, unless the role changes.
const WRITTEN: Duration = Duration::from_secs(10);

/// The rate is that of the last seconds.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Clones show the same relay.
#[derive(Clone)]
pub(super) struct Show(Arc<Mutex<Shown>>);

struct Shown {
    /// Standard output gets a line of JSON for each message and status.
    json: bool,
    /// Standard error gets messages as text.
    text: bool,
    /// It is a terminal that can show a status line.
    line: bool,
    begin: Instant,
    /// How many were stored at these times.
    samples: VecDeque<(Instant, u64)>,
    /// The role, and when it was written.
    written: Option<(Role, Instant)>,
    connections: u64,
    waiting: Waiting,
}

/// A line of JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Message {
        time: String,
        message: &'a str,
    },
    Status {
        time: String,
        role: String,
        position: u64,
        last_id: Option<&'a str>,
        received: u64,
        stored: u64,
        per_second: f64,
        waiting: usize,
        lag_seconds: Option<f64>,
        last_event: Option<String>,
        conflicts: u64,
        unknown_outcomes: u64,
        skipped_replays: u64,
        rejected: u64,
        gaps: u64,
        log_available: bool,
    },
}

impl Show {
    /// `waiting` follows the feed's attempts.
    pub(super) fn new(waiting: Waiting) -> Show {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let now = Instant::now();
        Show(Arc::new(Mutex::new(Shown {
            json: !stdout,
            text: stdout || stderr,
            line: stderr && !dumb_terminal(),
            begin: now,
            samples: VecDeque::from([(now, 0)]),
            written: None,
            connections: 0,
            waiting,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_notice(&self) -> impl FnMut(&Notice) + Send + 'static {
        let show = self.clone();
        move |notice| show.lock().message(&notice.to_string())
    }

    pub(super) fn on_feed(&self) -> impl FnMut(&Action) + Send + 'static {
        let show = self.clone();
        move |action| {
            let mut shown = show.lock();
            shown.waiting.take(action);
            match action {
                Action::Start(start) => {
                    shown.connections += 1;
                    // The id is the log's, which is told.
                    let text = explain::started(start, shown.connections, None);
                    shown.message(&text);
                }
                Action::Fault(fault) => {
                    let text = format!("feed: {}; reconnecting", report::chain(fault));
                    shown.message(&text);
                }
                Action::End(_) => shown.message("feed: the server ended the connection"),
                _ => {}
            }
        }
    }

    pub(super) fn connections(&self) -> u64 {
        self.lock().connections
    }

    /// Shows the status until it is dropped.
    pub(super) async fn keep(&self, mut monitor: Monitor) -> Infallible {
        loop {
            // The clock and the rate change by themselves.
            _ = tokio::time::timeout(4 * DRAWN, monitor.changed()).await;
            self.lock().hanging();
            self.lock().status(&monitor.snapshot(), false);
            tokio::time::sleep(DRAWN).await;
        }
    }

    /// The last status.
    pub(super) fn end(&self, snapshot: &Snapshot) {
        terminal::erase_status();
        let mut shown = self.lock();
        shown.line = false;
        shown.status(snapshot, true);
        let plural = if snapshot.stored == 1 { "" } else { "s" };
        let mut text = format!("ended after {} event{plural} stored", snapshot.stored);
        // Otherwise it may never have been reached.
        if snapshot.available {
            text += &format!("; the log ends with {}", snapshot.tail);
        }
        shown.message(&text);
    }
}

impl Shown {
    fn message(&mut self, message: &str) {
        if self.text {
            report::info(message);
        }
        let time = rfc3339(SystemTime::now());
        self.write(&Line::Message { time, message });
    }

    /// Reports where an attempt hangs.
    fn hanging(&mut self) {
        if let Some(text) = self.waiting.text(None) {
            self.message(&format!("feed: {text}"));
        }
    }

    /// A relay whose output nobody reads continues.
    fn write(&self, line: &Line<'_>) {
        if let Some(mut text) = serde_json::to_string(line).ok().filter(|_| self.json) {
            text.push('\n');
            _ = io::stdout().lock().write_all(text.as_bytes());
        }
    }

    fn status(&mut self, snapshot: &Snapshot, last: bool) {
        let now = Instant::now();
        while (self.samples.get(1)).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, snapshot.stored));
        if self.line {
            let text = self.text(snapshot, now);
            let columns = width(io::stderr()).unwrap_or(80).saturating_sub(1);
            terminal::show_status(beginning(&text, columns));
        }
        let due = self
            .written
            .is_none_or(|(role, at)| role != snapshot.role || now.duration_since(at) >= WRITTEN);
        if due || last {
            self.written = Some((snapshot.role, now));
            self.write(&Line::Status {
                time: rfc3339(SystemTime::now()),
                role: snapshot.role.to_string(),
                position: snapshot.tail.pos,
                last_id: snapshot.tail.id.as_deref(),
                received: snapshot.received,
                stored: snapshot.stored,
                per_second: (self.rate(now) * 10.0).round() / 10.0,
                waiting: snapshot.waiting,
                lag_seconds: snapshot.lag.map(|lag| lag.as_secs_f64()),
                last_event: snapshot.last_event.map(rfc3339),
                conflicts: snapshot.conflicts,
                unknown_outcomes: snapshot.unknown,
                skipped_replays: snapshot.skipped,
                rejected: snapshot.rejected,
                gaps: snapshot.gaps,
                log_available: snapshot.available,
            });
        }
    }

    fn text(&self, snapshot: &Snapshot, now: Instant) -> String {
        let seconds = now.duration_since(self.begin).as_secs();
        let mut text = format!(
            "{}:{:02}  {}  {} stored  {:.0}/s  lag {}",
            seconds / 60,
            seconds % 60,
            snapshot.role,
            snapshot.stored,
            self.rate(now),
            explain::seconds(snapshot.lag.unwrap_or_default()),
        );
        if !snapshot.available {
            text += "  the log isn't available";
        }
        text
    }

    /// Records per second.
    fn rate(&self, now: Instant) -> f64 {
        let (Some((since, before)), Some((_, stored))) =
            (self.samples.front(), self.samples.back())
        else {
            return 0.0;
        };
        (stored - before) as f64 / now.duration_since(*since).as_secs_f64().max(0.25)
    }
}
