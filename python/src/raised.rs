//! Exceptions on their way from Python code that the engine called to whoever called the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use everstream::BoxError;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// Where exceptions wait that the engine has no place for: those of strategies and closers, and
/// those that aren't an `Exception`, such as `KeyboardInterrupt`.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// The first one is raised; what follows from it, or comes on top, is only reported.
    pub(crate) fn raise(&self, error: PyErr) {
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
            return error.into();
        }
        let name = error.get_type(py).to_string();
        self.raise(error);
        name.into()
    }
}

/// Nothing is left half done under these locks, so a panic elsewhere doesn't matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
