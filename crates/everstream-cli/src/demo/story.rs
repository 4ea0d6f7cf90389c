//! What the demo tells, and how its two sides know of each other's progress.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by the client, the server's script and the publisher; clones are the same story.
#[derive(Clone)]
pub(super) struct Story {
    inner: Arc<Inner>,
}

struct Inner {
    begin: Instant,
    limit: Duration,
    progress: Mutex<Progress>,
    changed: Condvar,
    unheard: AtomicBool,
}

/// How far the client is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The id of the newest event that it has received.
    pub(super) received: usize,
    /// How many attempts in a row were refused.
    pub(super) refused: usize,
    /// It has ended.
    pub(super) over: bool,
}

impl Story {
    /// Nothing waits for longer than until `limit` after the beginning.
    pub(super) fn begin(limit: Duration) -> Story {
        Story {
            inner: Arc::new(Inner {
                begin: Instant::now(),
                limit,
                progress: Mutex::default(),
                changed: Condvar::new(),
                unheard: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.inner.begin.elapsed()
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.inner.limit.saturating_sub(self.elapsed())
    }

    pub(super) fn server(&self, text: &str) {
        self.tell("server", text);
    }

    pub(super) fn client(&self, text: &str) {
        self.tell("client", text);
    }

    fn tell(&self, who: &str, text: &str) {
        let elapsed = self.elapsed().as_secs_f64();
        self.print(&format!("{elapsed:6.2} s  {who}: {text}"));
    }

    /// A line without a time.
    pub(super) fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = out
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| out.flush());
        if written.is_err() {
            self.inner.unheard.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody reads the story any more.
    pub(super) fn is_unheard(&self) -> bool {
        self.inner.unheard.load(Ordering::Relaxed)
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

    /// Waits until the client is so far. `false`: the time is over, or the client is.
    pub(super) fn wait_until(&self, is: impl Fn(&Progress) -> bool) -> bool {
        let (progress, _) = self
            .inner
            .changed
            .wait_timeout_while(self.progress(), self.left(), |it| !it.over && !is(it))
            .unwrap_or_else(PoisonError::into_inner);
        is(&progress)
    }

    pub(super) fn is_over(&self) -> bool {
        self.progress().over
    }

    /// Waits for `time`. `false`: the client is over before.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let (progress, _) = self
            .inner
            .changed
            .wait_timeout_while(self.progress(), time.min(self.left()), |it| !it.over)
            .unwrap_or_else(PoisonError::into_inner);
        !progress.over
    }
}
