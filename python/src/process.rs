//! Which thread handles signals, and whether the process was forked.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

static FORKS: AtomicU32 = AtomicU32::new(0);
/// The thread in which Python runs signal handlers; 0 if unknown.
static MAIN_THREAD: AtomicU64 = AtomicU64::new(0);
static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    if main.eq(threading.call_method0("get_ident")?)? {
        MAIN_THREAD.store(this_thread(), Ordering::Relaxed);
    }
    call_in_child(py, wrap_pyfunction!(after_fork, module)?)
}

/// Registers a function to be called in every forked child, after those registered before it.
pub(crate) fn call_in_child(py: Python<'_>, function: Bound<'_, PyCFunction>) -> PyResult<()> {
    // Missing on systems without fork.
    if let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? {
        let options = PyDict::new(py);
        options.set_item("after_in_child", function)?;
        register.call((), Some(&options))?;
    }
    Ok(())
}

#[pyfunction]
fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    // The thread that forked is the child's only thread, and so its main thread.
    MAIN_THREAD.store(this_thread(), Ordering::Relaxed);
}

/// A number unique to this thread.
pub(crate) fn this_thread() -> u64 {
    THREAD.with(|own| {
        if own.get() == 0 {
            own.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
        }
        own.get()
    })
}

/// Whether a wait in this thread must check for signals regularly.
pub(crate) fn handles_signals() -> bool {
    let main = MAIN_THREAD.load(Ordering::Relaxed);
    main == 0 || main == this_thread()
}

/// The process in which an object was created.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    forks: u32,
}

impl Process {
    pub(crate) fn current() -> Self {
        Process {
            forks: FORKS.load(Ordering::Relaxed),
        }
    }

    /// Whether the current process is a fork of that one.
    #[inline]
    pub(crate) fn is_forked(self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }

    /// Fails in a forked child, which shares sockets and pollers with its parent but lacks its threads.
    #[inline]
    pub(crate) fn check(self, what: &str) -> PyResult<()> {
        if self.is_forked() {
            return Err(PyRuntimeError::new_err(format!(
                "this {what} was made before os.fork() and can't be used in the child process: \
                 make a new one here"
            )));
        }
        Ok(())
    }
}
