//! How the engine wakes a coroutine that waits.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use pyo3::prelude::*;

use crate::event_loop::Call;
use crate::pending_exception::lock;
use crate::process::this_thread;
use crate::runtime::{self, Shared};

/// No coroutine waits.
const OFF: u8 = 0;
/// The engine is being polled.
const POLLED: u8 = 1;
/// The coroutine is waiting, or is about to.
const WAITING: u8 = 2;
/// The engine has something to do.
const WOKEN: u8 = 3;

/// The result of a poll for a coroutine.
#[derive(IntoPyObject)]
pub(crate) enum Polled {
    Done(Py<PyAny>),
    /// `None`: wait.
    Pending(Option<bool>),
}

/// Poll again, after other tasks have run.
pub(crate) const AGAIN: Polled = Polled::Pending(Some(false));
const WAIT: Polled = Polled::Pending(None);

/// Wakes a coroutine during one of its waits.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Wake {
    waker: Arc<Waker>,
    event_loop: Py<PyAny>,
    release: Py<PyAny>,
}

struct Waker {
    state: AtomicU8,
    /// The thread of the event loop.
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

    /// Sets the future that the coroutine will wait for if it has to.
    fn arm(&self, py: Python<'_>, future: Py<PyAny>) {
        self.waker.set(Some(Call {
            event_loop: self.event_loop.clone_ref(py),
            release: self.release.clone_ref(py),
            future,
        }));
    }

    /// The wait has ended.
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
        // If the interpreter is about to end, nothing more will be received.
        polled.unwrap_or(Poll::Pending)
    }

    /// The result of a poll that returned `Pending`.
    pub(crate) fn pending(&self) -> Polled {
        match self.waker.end_poll() {
            true => WAIT,
            false => AGAIN,
        }
    }
}

impl Waker {
    fn set(&self, call: Option<Call>) {
        // Dropped outside the lock, because the destructor may run Python code.
        let earlier = std::mem::replace(&mut *lock(&self.call), call);
        drop(earlier);
    }

    fn begin_poll(&self) {
        self.state.store(POLLED, Ordering::Release);
    }

    /// Whether the coroutine has to wait, because nothing happened while the engine was polled.
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
            // Woken by Python code in the thread of the event loop.
            Python::try_attach(|py| call.make(py));
        } else {
            self.runtime.call(call);
        }
    }
}
