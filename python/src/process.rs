//! The process and its threads: which one handles signals, and whether there was a fork.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

static FORKS: AtomicU32 = AtomicU32::new(0);
/// The thread in which Python runs signal handlers; 0 if it isn't known.
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

/// Has the child of every fork call this function. Several run in the order they were given in.
pub(crate) fn call_in_child(py: Python<'_>, function: Bound<'_, PyCFunction>) -> PyResult<()> {
    // There is none where there is no fork.
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
    // The thread that forked is the only one, and so the main one.
    MAIN_THREAD.store(this_thread(), Ordering::Relaxed);
}

/// A number that no other thread has.
pub(crate) fn this_thread() -> u64 {
    THREAD.with(|own| {
        if own.get() == 0 {
            own.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
        }
        own.get()
    })
}

/// Whether a wait must look for signals now and then.
pub(crate) fn handles_signals() -> bool {
    let main = MAIN_THREAD.load(Ordering::Relaxed);
    main == 0 || main == this_thread()
}

/// The process that something was made in.
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

    /// Whether this is another one: a fork of it.
    #[inline]
    pub(crate) fn is_gone(self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }

    /// Sockets and pollers are shared over a fork, threads are not there any more.
    #[inline]
    pub(crate) fn check(self, what: &str) -> PyResult<()> {
        if self.is_gone() {
            return Err(PyRuntimeError::new_err(format!(
                "this {what} was made before os.fork() and can't be used in the child process: \
                 make a new one here"
            )));
        }
        Ok(())
    }
}
