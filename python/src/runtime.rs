//! The process's Tokio runtime, created on first use.
//!
//! The blocking client on the engine's own HTTP doesn't need it. For the asyncio client, its threads
//! serve sockets, and one at a time wakes event loops.

use std::sync::{Arc, Mutex, RwLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::event_loop::Call;
use crate::pending_exception::lock;
use crate::process::{Process, handles_signals};

/// Few, because they only serve sockets and TLS. Streams are parsed in the thread of the event loop.
const WORKERS: usize = 2;
/// For DNS lookups.
const BLOCKING_THREADS: usize = 16;

static SHARED: Mutex<Place> = Mutex::new(Place::Empty);

enum Place {
    Empty,
    Filled(Arc<Shared>),
    /// The interpreter is about to end.
    Gone(Arc<Shared>),
}

pub(crate) struct Shared {
    handle: Handle,
    /// `None` after the interpreter has begun to end.
    runtime: Mutex<Option<Runtime>>,
    process: Process,
    calls: Mutex<Calls>,
    /// Locked for reading while Python is called; `false` once the interpreter has begun to end.
    open: RwLock<bool>,
}

#[derive(Default)]
struct Calls {
    waiting: Vec<Call>,
    /// Whether a task that makes the calls has been spawned.
    is_scheduled: bool,
}

pub(crate) fn handle() -> PyResult<Handle> {
    Python::attach(|py| Ok(shared(py)?.handle().clone()))
}

/// The runtime, and how to call Python from it.
pub(crate) fn shared(py: Python<'_>) -> PyResult<Arc<Shared>> {
    // No code under this lock releases the GIL, so that no fork can happen meanwhile.
    let mut place = lock(&SHARED);
    match &*place {
        Place::Filled(shared) if !shared.process.is_forked() => return Ok(shared.clone()),
        // Its threads don't exist in a forked child, so dropping it would wait for them forever.
        Place::Filled(shared) => std::mem::forget(shared.clone()),
        Place::Empty => {}
        // Only daemon threads are left, which end with the process.
        Place::Gone(shared) if !handles_signals() => return Ok(shared.clone()),
        Place::Gone(_) => {
            return Err(PyRuntimeError::new_err("the interpreter is about to end"));
        }
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("everstream")
        .enable_all()
        .build()?;
    let shared = Arc::new(Shared {
        handle: runtime.handle().clone(),
        runtime: Mutex::new(Some(runtime)),
        process: Process::current(),
        calls: Mutex::default(),
        open: RwLock::new(true),
    });
    let first = matches!(*place, Place::Empty);
    *place = Place::Filled(shared.clone());
    drop(place);
    if first {
        let shutdown = pyo3::wrap_pyfunction!(shutdown, py)?;
        py.import("atexit")?.call_method1("register", (shutdown,))?;
    }
    Ok(shared)
}

/// Makes sure that no other thread calls Python when the interpreter ends.
#[pyfunction]
fn shutdown(py: Python<'_>) {
    let shared = {
        let mut place = lock(&SHARED);
        let Place::Filled(shared) = &*place else {
            return;
        };
        if shared.process.is_forked() {
            return;
        }
        let shared = shared.clone();
        *place = Place::Gone(shared.clone());
        shared
    };
    py.detach(|| {
        match shared.open.write() {
            Ok(mut open) => *open = false,
            Err(poisoned) => *poisoned.into_inner() = false,
        }
        if let Some(runtime) = lock(&shared.runtime).take() {
            runtime.shutdown_background();
        }
    });
}

impl Shared {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Calls a function inside the runtime, unless the interpreter has begun to end.
    pub(crate) fn inside<T>(&self, function: impl FnOnce() -> T) -> Option<T> {
        // Doesn't wait for the lock: a thread that holds it may be waiting for the GIL.
        let open = self.open.try_read().ok().filter(|open| **open)?;
        let _entered = self.handle.enter();
        let result = function();
        drop(open);
        Some(result)
    }

    /// Schedules a call to be made soon, in another thread.
    ///
    /// Only one thread at a time waits for the GIL, so that the other one serves sockets.
    pub(crate) fn call(self: &Arc<Self>, call: Call) {
        let mut calls = lock(&self.calls);
        calls.waiting.push(call);
        if !std::mem::replace(&mut calls.is_scheduled, true) {
            let shared = self.clone();
            self.handle.spawn(async move { shared.make_calls() });
        }
    }

    /// Calls Python, unless the interpreter is about to end.
    pub(crate) fn with_python(&self, function: impl FnOnce(Python<'_>)) {
        let Ok(open) = self.open.read() else {
            return;
        };
        if *open {
            Python::try_attach(function);
        }
    }

    fn make_calls(&self) {
        self.with_python(|py| {
            loop {
                let waiting = {
                    let mut calls = lock(&self.calls);
                    calls.is_scheduled = !calls.waiting.is_empty();
                    std::mem::take(&mut calls.waiting)
                };
                if waiting.is_empty() {
                    return;
                }
                for call in waiting {
                    call.make(py);
                }
            }
        });
    }
}
