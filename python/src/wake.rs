//! How the engine wakes a coroutine that waits.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use pyo3::prelude::*;

use crate::event_loop::Call;
use crate::process::this_thread;
use crate::raised::lock;
use crate::runtime::{self, Shared};

/// Nobody waits.
const OFF: u8 = 0;
/// The engine is polled.
const POLLED: u8 = 1;
/// The coroutine waits, or is about to.
const WAITING: u8 = 2;
/// There is something to do.
const WOKEN: u8 = 3;

/// What a poll for a coroutine comes to.
#[derive(IntoPyObject)]
pub(crate) enum Polled {
    Done(Py<PyAny>),
    /// `None`: wait.
    Pending(Option<bool>),
}

/// Poll again, after others had their turn.
pub(crate) const AGAIN: Polled = Polled::Pending(Some(false));
const WAIT: Polled = Polled::Pending(None);

/// Of one wait of a coroutine.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Wake {
    waker: Arc<Waker>,
    event_loop: Py<PyAny>,
    release: Py<PyAny>,
}

struct Waker {
    state: AtomicU8,
    /// That of the event loop.
    thread: u64,
    runtime: Arc<Shared>,
    call: Mutex<Option<Call>>,
}

#[pymethods]
impl Wake {
    /// `release(future)` ends a wait for the future.
    #[new]
    fn new(py: Python<'_>, event_loop: Py<PyAny>, release: Py<PyAny>) -> PyResult<Self> {
        Ok(Wake {
            waker: Arc::new(Waker {
                state: AtomicU8::new(OFF),
                thread: this_thread(),
                runtime: runtime::shared(py)?,
                call: Mutex::new(None),
            }),
            event_loop,
            release,
        })
    }

    /// What the coroutine is going to wait for, if it has to.
    fn arm(&self, py: Python<'_>, future: Py<PyAny>) {
        self.waker.set(Some(Call {
            event_loop: self.event_loop.clone_ref(py),
            release: self.release.clone_ref(py),
            future,
        }));
    }

    /// The wait is over.
    fn disarm(&self) {
        self.waker.state.store(OFF, Ordering::Release);
        self.waker.set(None);
    }
}

impl Wake {
    /// Polls inside the runtime.
    pub(crate) fn poll<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let waker = self.waker.clone();
        waker.begin_poll();
        let task = Arc::clone(&waker).into();
        let polled = waker
            .runtime
            .inside(|| poll(&mut Context::from_waker(&task)));
        // When the interpreter is about to end nothing will come any more.
        polled.unwrap_or(Poll::Pending)
    }

    /// After a poll that was pending.
    pub(crate) fn pending(&self) -> Polled {
        match self.waker.end_poll() {
            true => WAIT,
            false => AGAIN,
        }
    }
}

impl Waker {
    fn set(&self, call: Option<Call>) {
        // Dropped outside the lock: what a destructor does is its own business.
        let earlier = std::mem::replace(&mut *lock(&self.call), call);
        drop(earlier);
    }

    fn begin_poll(&self) {
        self.state.store(POLLED, Ordering::Release);
    }

    /// Whether the coroutine is to wait: nothing has happened while the engine was polled.
    fn end_poll(&self) -> bool {
        self.state
            .compare_exchange(POLLED, WAITING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl std::task::Wake for Waker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = |state| match state {
            POLLED | WAITING => Some(WOKEN),
            _ => None,
        };
        let earlier = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, woken);
        if earlier != Ok(WAITING) {
            return;
        }
        let Some(call) = lock(&self.call).take() else {
            return;
        };
        if self.thread == this_thread() {
            // From Python code in the event loop's thread.
            Python::try_attach(|py| call.make(py));
        } else {
            self.runtime.call(call);
        }
    }
}
