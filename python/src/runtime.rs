//! The runtime behind what doesn't block the caller's thread in the engine itself: one for the
//! process, made when it is first needed.
//!
//! For the asyncio client its threads serve sockets, and one at a time wakes event loops.

use std::sync::{Arc, Mutex, RwLock};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::event_loop::Call;
use crate::process::{Process, handles_signals};
use crate::raised::lock;

/// Sockets and TLS: what is parsed is parsed in the thread of the event loop.
const WORKERS: usize = 2;
/// For look-ups of names.
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
    /// Taken at the end.
    runtime: Mutex<Option<Runtime>>,
    process: Process,
    calls: Mutex<Calls>,
    /// Held by whoever calls Python; false at the end.
    open: RwLock<bool>,
}

#[derive(Default)]
struct Calls {
    waiting: Vec<Call>,
    /// A task is about to make them.
    under_way: bool,
}

pub(crate) fn handle() -> PyResult<Handle> {
    Python::attach(|py| Ok(shared(py)?.handle().clone()))
}

/// The runtime, and how to call Python from it.
pub(crate) fn shared(py: Python<'_>) -> PyResult<Arc<Shared>> {
    // Nothing under this lock lets others run, so that a fork can't happen meanwhile.
    let mut place = lock(&SHARED);
    match &*place {
        Place::Filled(shared) if !shared.process.is_gone() => return Ok(shared.clone()),
        // In the child of a fork its threads don't exist: nothing can end them.
        Place::Filled(shared) => std::mem::forget(shared.clone()),
        Place::Empty => {}
        // Only threads are left that nobody waits for: they'll come to a stop wherever they are.
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

/// Before the interpreter ends no other thread may be about to enter it.
#[pyfunction]
fn shutdown(py: Python<'_>) {
    let shared = {
        let mut place = lock(&SHARED);
        let Place::Filled(shared) = &*place else {
            return;
        };
        if shared.process.is_gone() {
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

    /// Does something inside the runtime, unless that is about to be gone.
    pub(crate) fn inside<T>(&self, function: impl FnOnce() -> T) -> Option<T> {
        // It isn't waited for: who waits for the interpreter may hold it.
        let open = self.open.try_read().ok().filter(|open| **open)?;
        let _entered = self.handle.enter();
        let result = function();
        drop(open);
        Some(result)
    }

    /// Has a call made, soon and in another thread.
    ///
    /// However many there are, one thread waits for the interpreter, and the other serves sockets.
    pub(crate) fn call(self: &Arc<Self>, call: Call) {
        let mut calls = lock(&self.calls);
        calls.waiting.push(call);
        if !std::mem::replace(&mut calls.under_way, true) {
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
                    calls.under_way = !calls.waiting.is_empty();
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
