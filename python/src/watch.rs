//! The read timeout for a custom source that blocks the thread that reads it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::pending_exception::lock;
use crate::runtime;

/// Closes a connection when its reader has waited longer than the read timeout.
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    pub(crate) limit: Duration,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    /// When the current read began.
    since: Option<Instant>,
    has_fired: bool,
}

impl Watch {
    pub(crate) fn new(
        py: Python<'_>,
        limit: Duration,
        close: impl FnOnce(Python<'_>) + Send + 'static,
    ) -> PyResult<Self> {
        let runtime = runtime::shared(py)?;
        let state = Arc::new(Mutex::new(State::default()));
        let task = runtime.handle().spawn({
            let (state, runtime) = (state.clone(), runtime.clone());
            async move {
                loop {
                    // If no read is in progress, one that begins now has at least this long.
                    let mut left = limit;
                    {
                        let mut state = lock(&state);
                        if let Some(since) = state.since {
                            left = limit.saturating_sub(since.elapsed());
                            state.has_fired = left.is_zero();
                        }
                    }
                    if left.is_zero() {
                        break;
                    }
                    tokio::time::sleep(left).await;
                }
                // On a blocking thread, because it waits for the GIL.
                _ = tokio::task::spawn_blocking(move || runtime.with_python(close)).await;
            }
        });
        Ok(Watch {
            state,
            limit,
            task: task.abort_handle(),
        })
    }

    /// A read begins.
    pub(crate) fn begin(&self) {
        lock(&self.state).since = Some(Instant::now());
    }

    /// A read has ended. Returns whether it took too long.
    pub(crate) fn end(&self) -> bool {
        let mut state = lock(&self.state);
        state.since = None;
        state.has_fired
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
