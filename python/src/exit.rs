//! Stops threads that read custom sources before the interpreter ends.
//!
//! CPython before 3.14 ends a daemon thread by unwinding it when it next takes the GIL. If the engine
//! has called Python code there, the unwinding reaches the engine, and PyO3 aborts the process. To
//! prevent that, these clients are closed while the interpreter still runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use everstream::Handle;
use pyo3::prelude::*;

use crate::pending_exception::lock;
use crate::process::{Process, call_in_child};
use crate::source::Source;

/// How long the exit waits for a reader that its source doesn't wake.
const LIMIT: Duration = Duration::from_secs(1);

/// The clients with a custom source.
static CLIENTS: Mutex<Vec<(Weak<Source>, Handle, Process)>> = Mutex::new(Vec::new());
/// How many threads are reading one of them.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let close = wrap_pyfunction!(close_sources, module)?;
    py.import("atexit")?.call_method1("register", (close,))?;
    call_in_child(py, wrap_pyfunction!(after_fork, module)?)
}

/// Registers a client to be closed when the interpreter ends.
pub(crate) fn watch(source: &Arc<Source>, handle: Handle) {
    let mut clients = lock(&CLIENTS);
    clients.retain(|(source, ..)| source.strong_count() > 0);
    clients.push((Arc::downgrade(source), handle, Process::current()));
}

/// A forked child has only the thread that forked.
#[pyfunction]
fn after_fork() {
    INSIDE.store(0, Ordering::Release);
}

/// Exists while a thread is inside the engine, which may call Python.
pub(crate) struct Inside(Process);

impl Inside {
    pub(crate) fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::AcqRel);
        Inside(Process::current())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if !self.0.is_forked() {
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
        let Some(source) = source.upgrade().filter(|_| !process.is_forked()) else {
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
