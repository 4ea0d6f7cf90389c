//! The end of the interpreter while another thread reads a source written in Python.
//!
//! CPython before 3.14 ends a daemon thread where it next wants the interpreter, by unwinding it. In
//! Python code that the engine has called, that unwinds through the engine, and PyO3 aborts the
//! process when it comes to the call. So these readers are sent home before the interpreter ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use everstream::Handle;
use pyo3::prelude::*;

use crate::process::{Process, call_in_child};
use crate::raised::lock;
use crate::source::Source;

/// How long the exit waits for readers whose source doesn't wake them.
const LIMIT: Duration = Duration::from_secs(1);

/// The clients with a source in Python.
static CLIENTS: Mutex<Vec<(Weak<Source>, Handle, Process)>> = Mutex::new(Vec::new());
/// How many threads read one.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let close = wrap_pyfunction!(close_sources, module)?;
    py.import("atexit")?.call_method1("register", (close,))?;
    call_in_child(py, wrap_pyfunction!(after_fork, module)?)
}

/// At the exit, this client is closed.
pub(crate) fn watch(source: &Arc<Source>, handle: Handle) {
    let mut clients = lock(&CLIENTS);
    clients.retain(|(source, ..)| source.strong_count() > 0);
    clients.push((Arc::downgrade(source), handle, Process::current()));
}

/// The child of a fork has no other thread.
#[pyfunction]
fn after_fork() {
    INSIDE.store(0, Ordering::Release);
}

/// A thread is in the engine, which may call Python, until this is dropped.
pub(crate) struct Inside(Process);

impl Inside {
    pub(crate) fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::AcqRel);
        Inside(Process::current())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if !self.0.is_gone() {
            INSIDE.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[pyfunction]
fn close_sources(py: Python<'_>) {
    if INSIDE.load(Ordering::Acquire) == 0 {
        return;
    }
    let clients = std::mem::take(&mut *lock(&CLIENTS));
    for (source, handle, process) in clients {
        let Some(source) = source.upgrade().filter(|_| !process.is_gone()) else {
            continue;
        };
        handle.close();
        if let Err(error) = source.close(py) {
            error.write_unraisable(py, None);
        }
    }
    py.detach(|| {
        let began = Instant::now();
        while INSIDE.load(Ordering::Acquire) > 0 && began.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(1));
        }
    });
}
