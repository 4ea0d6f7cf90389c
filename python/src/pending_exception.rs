//! Carries exceptions from Python code that the engine called to the caller of the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use everstream::BoxError;
use pyo3::exceptions::{PyException, PyRuntimeError, PyStopAsyncIteration, PyStopIteration};
use pyo3::prelude::*;

/// Holds an exception that the engine can't return as a fault: one from a strategy or a closer, or one
/// that isn't an `Exception`, such as `KeyboardInterrupt`.
#[derive(Clone, Default)]
pub(crate) struct PendingException(Arc<Mutex<Option<PyErr>>>);

impl PendingException {
    /// Stores the first exception, to be raised. Later ones are only reported as unraisable.
    pub(crate) fn raise(&self, error: PyErr) {
        let error = match Python::try_attach(|py| wrap_stop_iteration(py, error.clone_ref(py))) {
            Some(error) => error,
            None => error,
        };
        let later = {
            let mut pending = lock(&self.0);
            match &*pending {
                None => {
                    *pending = Some(error);
                    return;
                }
                Some(_) => error,
            }
        };
        Python::try_attach(|py| later.write_unraisable(py, None));
    }

    pub(crate) fn is_raised(&self) -> bool {
        lock(&self.0).is_some()
    }

    pub(crate) fn take(&self) -> Option<PyErr> {
        lock(&self.0).take()
    }

    /// The exception as the cause of a fault. One that isn't an `Exception` is stored to be raised instead,
    /// because the error strategy must not decide about it.
    pub(crate) fn cause(&self, py: Python<'_>, error: PyErr) -> BoxError {
        if error.is_instance_of::<PyException>(py) {
            return wrap_stop_iteration(py, error).into();
        }
        let name = error.get_type(py).to_string();
        self.raise(error);
        name.into()
    }
}

/// Turns `StopIteration` and `StopAsyncIteration` from a callback into a `RuntimeError`, as generators
/// do (PEP 479): they would silently end the iteration.
pub(crate) fn wrap_stop_iteration(py: Python<'_>, error: PyErr) -> PyErr {
    let name = if error.is_instance_of::<PyStopIteration>(py) {
        "StopIteration"
    } else if error.is_instance_of::<PyStopAsyncIteration>(py) {
        "StopAsyncIteration"
    } else {
        return error;
    };
    let wrapped = PyRuntimeError::new_err(format!("a callback of the client raised {name}"));
    wrapped.set_cause(py, Some(error));
    wrapped
}

/// Locks a mutex even if it is poisoned: no code leaves the data inconsistent while it holds the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
