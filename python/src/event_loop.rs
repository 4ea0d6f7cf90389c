//! A call into an asyncio event loop, from any thread.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// `event_loop.call_soon_threadsafe(release, future)`
pub(crate) struct Call {
    pub(crate) event_loop: Py<PyAny>,
    pub(crate) release: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
}

impl Call {
    pub(crate) fn make(self, py: Python<'_>) {
        let arguments = (self.release, self.future);
        let result = self
            .event_loop
            .call_method1(py, "call_soon_threadsafe", arguments);
        match result {
            // The loop is closed, so nothing waits there.
            Err(error) if error.is_instance_of::<PyRuntimeError>(py) => {}
            Err(error) => error.write_unraisable(py, Some(self.event_loop.bind(py))),
            Ok(_) => {}
        }
    }
}
