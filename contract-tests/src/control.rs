//! External control of a stream while a client follows it: restart and close.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use everstream::Handle;
use everstream::retry_delay::{self, Backoff, BaseDelay, RetryDelayStrategy};

/// Controls the client of one stream.
///
/// A restart interrupts the client and skips the following delay, so that the client under test
/// reconnects by itself. An interrupt doesn't shorten a delay that has already begun (in production there
/// is no reason to reconnect earlier). Only in that case the client is replaced by a new one that
/// resumes the stream.
pub(crate) struct Control {
    state: Mutex<State>,
}

struct State {
    /// The handle of the current client.
    handle: Option<Handle>,
    /// A restart was requested and hasn't happened yet.
    restart: bool,
    closed: bool,
    finished: bool,
    /// Here rather than in the client, so that the backoff survives when the client is replaced.
    backoff: Backoff,
    /// The server's `retry:`, which a new client doesn't know.
    asked: Option<BaseDelay>,
}

/// The stream is no longer followed.
#[derive(Debug)]
pub(crate) struct Finished;

impl Control {
    /// Creates the control of a stream that has no client yet.
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

    /// Sets the current client. `false`: the stream was closed.
    pub(crate) fn attach(&self, handle: Handle) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.handle = Some(handle);
        true
    }

    /// Drops the connection and reconnects at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        let mut state = self.lock();
        if state.finished {
            return Err(Finished);
        }
        state.restart = true;
        if let Some(handle) = &state.handle {
            // Under the lock: the delay strategy must see both or neither. Otherwise a fault in
            // between would consume the restart, and the interrupt would hit the next connection.
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

    /// The client is no longer read.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
    }

    /// A connection has ended. Returns whether a restart was requested, and clears the request.
    pub(crate) fn take_restart(&self) -> bool {
        std::mem::take(&mut self.lock().restart)
    }

    /// The state is always consistent, even if a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The default backoff, except that there is no delay before a restart.
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
    fn a_pending_restart_skips_the_delay() {
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
    fn the_server_delay_survives_when_the_client_is_replaced() {
        let control = Control::new();
        Delay(control.clone()).apply(BaseDelay::from_server(HOUR));
        let configured = BaseDelay::configured(Duration::ZERO);
        assert!(Delay(control).apply(configured) >= HOUR);
    }

    #[test]
    fn a_finished_stream_cannot_be_restarted() {
        let control = Control::new();
        control.finish();
        assert!(control.restart().is_err());
    }
}
