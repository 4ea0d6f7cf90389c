//! What the demo prints, and how its two sides see each other's progress.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::terminal::colors;

/// How long the demo may stand still. Far more than any step takes on a slow machine; only a hang
/// gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a line is about, which is its color on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// What the server does to the client.
    Trouble,
    /// What the client sees of that.
    Fault,
    Recovery,
}

impl Tone {
    fn color(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Trouble => "\x1b[31m",
            Tone::Fault => "\x1b[33m",
            Tone::Recovery => "\x1b[32m",
        }
    }
}

/// Shared by the client, the server's script and the publisher; clones are the same story.
#[derive(Clone)]
pub(super) struct Story {
    inner: Arc<Inner>,
}

struct Inner {
    begin: Instant,
    colors: bool,
    progress: Mutex<Progress>,
    changed: Condvar,
    reader_gone: AtomicBool,
}

/// How far the demo has got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// The id of the newest event that the client has received.
    pub(super) received: usize,
    /// How many attempts in a row were refused.
    pub(super) refused: usize,
    /// One of the two sides has ended.
    pub(super) over: bool,
    /// The newest event that a line says has been received.
    reported: usize,
    /// When an event was last received, or the server did something.
    last_step: Instant,
}

impl Story {
    pub(super) fn begin() -> Story {
        let begin = Instant::now();
        Story {
            inner: Arc::new(Inner {
                begin,
                colors: colors(io::stdout().is_terminal()),
                progress: Mutex::new(Progress {
                    received: 0,
                    refused: 0,
                    over: false,
                    reported: 0,
                    last_step: begin,
                }),
                changed: Condvar::new(),
                reader_gone: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.inner.begin.elapsed()
    }

    /// How much longer the demo may stand still; zero if it hangs.
    pub(super) fn patience(&self) -> Duration {
        PATIENCE.saturating_sub(self.progress().last_step.elapsed())
    }

    pub(super) fn server(&self, tone: Tone, text: &str) {
        self.progress().last_step = Instant::now();
        self.line("server", tone, text);
    }

    pub(super) fn client(&self, tone: Tone, text: &str) {
        self.line("client", tone, text);
    }

    /// Takes note of the newest event that the client has received.
    pub(super) fn receive(&self, newest: usize) {
        self.update(|progress| {
            progress.received = newest;
            progress.last_step = Instant::now();
        });
    }

    /// Reports the events that have been received since the last such line, if there are any.
    pub(super) fn report_received(&self) {
        let mut progress = self.progress();
        let (first, last) = (progress.reported + 1, progress.received);
        if last > first {
            let text = format!("received events {first} to {last}");
            self.line("client", Tone::Plain, &text);
        } else if last == first {
            self.line("client", Tone::Plain, &format!("received event {last}"));
        }
        progress.reported = last;
    }

    fn line(&self, who: &str, tone: Tone, text: &str) {
        let time = format!("{:6.2} s", self.elapsed().as_secs_f64());
        let time = self.painted("\x1b[2m", &time);
        let said = self.painted(tone.color(), &format!("{who}: {text}"));
        self.print(&format!("{time}  {said}"));
    }

    /// The verdict at the end, in bold.
    pub(super) fn verdict(&self, is_good: bool, text: &str) {
        let color = if is_good { "\x1b[1;32m" } else { "\x1b[1;31m" };
        self.print(&format!("\n{}", self.painted(color, text)));
    }

    /// The text in this color, on a terminal that shows colors.
    pub(super) fn painted(&self, color: &str, text: &str) -> String {
        match self.inner.colors && !color.is_empty() {
            true => format!("{color}{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    /// A line without a time.
    pub(super) fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = out
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| out.flush());
        if written.is_err() {
            self.inner.reader_gone.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody reads the output any more, as in `| head -1`.
    pub(super) fn output_is_closed(&self) -> bool {
        self.inner.reader_gone.load(Ordering::Relaxed)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.inner
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.inner.changed.notify_all();
    }

    /// Waits until the client has got this far. `false`: the demo has ended before that.
    pub(super) fn wait_until(&self, is: impl Fn(&Progress) -> bool) -> bool {
        let progress = self
            .inner
            .changed
            .wait_while(self.progress(), |it| !it.over && !is(it))
            .unwrap_or_else(PoisonError::into_inner);
        is(&progress)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.progress().over
    }

    /// Waits for `time`. `false`: the demo has ended before that.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let (progress, _) = self
            .inner
            .changed
            .wait_timeout_while(self.progress(), time, |it| !it.over)
            .unwrap_or_else(PoisonError::into_inner);
        !progress.over
    }
}
