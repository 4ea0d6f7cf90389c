//! The error that ended a stream, for later loops.
//!
//! Once a request that isn't safe to repeat has failed, the engine has nothing more to deliver. A new loop
//! then raises the error again: an empty loop would look like a complete answer.

use std::sync::Mutex;

use everstream::Error;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::delivery::{exception, mark_only_start};
use crate::fault::ExceptionCache;
use crate::pending_exception::lock;

/// The last fault that was raised, until something is delivered after it.
#[derive(Default)]
pub(crate) struct LastError(Mutex<Option<Py<PyBaseException>>>);

impl LastError {
    /// The exception for an error of the engine. Remembers that of a fault.
    pub(crate) fn exception(
        &self,
        py: Python<'_>,
        error: Error,
        exceptions: &ExceptionCache,
    ) -> PyErr {
        let is_fault = error.fault().is_some();
        let raised = exception(py, error, exceptions);
        if is_fault {
            self.set(Some(raised.value(py).clone().unbind()));
        }
        raised
    }

    /// The connection has delivered something.
    pub(crate) fn clear(&self) {
        self.set(None);
    }

    /// The stream has ended. Fails with the last error if nothing was delivered after it.
    pub(crate) fn check(&self, py: Python<'_>) -> PyResult<()> {
        let last = lock(&self.0).as_ref().map(|error| error.clone_ref(py));
        match last {
            Some(error) => {
                let error = error.into_bound(py);
                _ = mark_only_start(py, &error);
                Err(PyErr::from_value(error.into_any()))
            }
            None => Ok(()),
        }
    }

    /// For the garbage collector: the exception's traceback may refer to the client.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(last) => visit.call(&*last),
            Err(_) => Ok(()),
        }
    }

    fn set(&self, error: Option<Py<PyBaseException>>) {
        // Dropped outside the lock, because the destructor may run Python code.
        let earlier = std::mem::replace(&mut *lock(&self.0), error);
        drop(earlier);
    }
}
