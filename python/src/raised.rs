//! Exceptions on their way from Python code that the engine called to whoever called the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use everstream::BoxError;
use pyo3::exceptions::{PyException, PyRuntimeError, PyStopAsyncIteration, PyStopIteration};
use pyo3::prelude::*;

/// Where exceptions wait that the engine has no place for: those of strategies and closers, and
/// those that aren't an `Exception`, such as `KeyboardInterrupt`.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// The first one is raised; what follows from it, or comes on top, is only reported.
    pub(crate) fn raise(&self, error: PyErr) {
        let error = match Python::try_attach(|py| no_end(py, error.clone_ref(py))) {
            Some(error) => error,
            None => error,
        };
        let earlier = {
            let mut raised = lock(&self.0);
            match &*raised {
                None => {
                    *raised = Some(error);
                    return;
                }
                Some(_) => error,
            }
        };
        Python::try_attach(|py| earlier.write_unraisable(py, None));
    }

    pub(crate) fn is_raised(&self) -> bool {
        lock(&self.0).is_some()
    }

    pub(crate) fn take(&self) -> Option<PyErr> {
        lock(&self.0).take()
    }

    /// As the cause of a fault. What isn't an `Exception` doesn't go by the error strategy.
    pub(crate) fn cause(&self, py: Python<'_>, error: PyErr) -> BoxError {
        if error.is_instance_of::<PyException>(py) {
            return no_end(py, error).into();
        }
        let name = error.get_type(py).to_string();
        self.raise(error);
        name.into()
    }
}

/// An exception of a callback as it may leave an iteration, whose end some would be: these become a
/// `RuntimeError`, as a generator's do (PEP 479).
pub(crate) fn no_end(py: Python<'_>, error: PyErr) -> PyErr {
    let name = if error.is_instance_of::<PyStopIteration>(py) {
        "StopIteration"
    } else if error.is_instance_of::<PyStopAsyncIteration>(py) {
        "StopAsyncIteration"
    } else {
        return error;
    };
    let told = PyRuntimeError::new_err(format!("a callback of the client raised {name}"));
    told.set_cause(py, Some(error));
    told
}

/// Nothing is left half done under these locks, so a panic elsewhere doesn't matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
