//! What is asked of a stream from outside while a client follows it: a restart, or its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use everstream::Handle;
use everstream::retry_delay::{self, Backoff, BaseDelay, RetryDelayStrategy};

/// Reaches the client of one stream from the outside.
///
/// A restart is an interruption without the wait after it, so that the client that is put to the
/// test reconnects by itself. A wait that is under way already isn't ended by an interruption (in
/// production there is no reason to be at the server sooner); only then the client is replaced by
/// one that goes on where it was.
pub(crate) struct Control {
    state: Mutex<State>,
}

struct State {
    /// Of the present client.
    handle: Option<Handle>,
    /// Asked for, and not yet seen to happen.
    restart: bool,
    closed: bool,
    finished: bool,
    /// Here rather than in a client, to go on growing if that is replaced.
    backoff: Backoff,
    /// What the server set with `retry:`, which a new client doesn't know.
    asked: Option<BaseDelay>,
}

/// Nobody follows the stream any more.
#[derive(Debug)]
pub(crate) struct Finished;

impl Control {
    /// For a stream that has no client yet.
    pub(crate) fn new() -> Arc<Control> {
        Arc::new(Control {
            state: Mutex::new(State {
                handle: None,
                restart: false,
                closed: false,
                finished: false,
                backoff: retry_delay::backoff(),
                asked: None,
            }),
        })
    }

    /// This client follows the stream from now on. `false`: it isn't to be followed any more.
    pub(crate) fn attach(&self, handle: Handle) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.handle = Some(handle);
        true
    }

    /// Drops the connection and makes a new one at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        let mut state = self.lock();
        if state.finished {
            return Err(Finished);
        }
        state.restart = true;
        if let Some(handle) = &state.handle {
            // Under the lock: the delay strategy must see both or neither, or else a fault that
            // comes between would take the restart for itself, and the interruption would hit the
            // connection after it.
            handle.interrupt();
        }
        Ok(())
    }

    /// Ends the stream.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(handle) = &state.handle {
            handle.close();
        }
    }

    /// The client won't be read any more.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
    }

    /// A connection is over: whether a restart was asked for. It has happened then.
    pub(crate) fn take_restart(&self) -> bool {
        std::mem::take(&mut self.lock().restart)
    }

    /// Nothing is left half done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library's back-off, but none before a restart.
pub(crate) struct Delay(pub(crate) Arc<Control>);

impl RetryDelayStrategy for Delay {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        let mut state = self.0.lock();
        if base.from_server {
            state.asked = Some(base);
        }
        if state.restart {
            return Duration::ZERO;
        }
        let base = state.asked.unwrap_or(base);
        state.backoff.apply(base)
    }

    fn reset(&mut self) {
        self.0.lock().backoff.reset();
    }

    fn seed(&mut self, seed: u64) {
        self.0.lock().backoff.seed(seed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_restart_takes_the_delay_away_until_it_has_happened() {
        let control = Control::new();
        let mut delay = Delay(control.clone());
        let base = BaseDelay::from_server(HOUR);
        assert!(delay.apply(base) >= HOUR);
        control.restart().unwrap();
        assert_eq!(delay.apply(base), Duration::ZERO);
        assert!(control.take_restart());
        assert!(delay.apply(base) >= HOUR);
    }

    #[test]
    fn a_client_that_replaces_another_keeps_what_the_server_asked_for() {
        let control = Control::new();
        Delay(control.clone()).apply(BaseDelay::from_server(HOUR));
        let configured = BaseDelay::configured(Duration::ZERO);
        assert!(Delay(control).apply(configured) >= HOUR);
    }

    #[test]
    fn a_stream_that_is_over_is_not_restarted() {
        let control = Control::new();
        control.finish();
        assert!(control.restart().is_err());
    }
}
