//! Forwards the engine's log to the user's `logging.Logger`.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::pending_exception::PendingException;

#[derive(Clone)]
pub(crate) struct Log {
    logger: Option<Arc<Py<PyAny>>>,
    pending: PendingException,
}

impl Log {
    pub(crate) fn new(logger: Option<Py<PyAny>>, pending: PendingException) -> Self {
        Log {
            logger: logger.map(Arc::new),
            pending,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.logger.is_some()
    }

    pub(crate) fn info(&self, line: &str) {
        self.write("info", line);
    }

    pub(crate) fn warning(&self, line: &str) {
        self.write("warning", line);
    }

    fn write(&self, level: &str, line: &str) {
        let Some(logger) = &self.logger else {
            return;
        };
        // The iteration is about to end with an exception.
        if self.pending.is_raised() {
            return;
        }
        let result = Python::try_attach(|py| {
            // Passed as an argument, so that a percent sign in the line isn't taken for a format.
            logger.call_method1(py, level, ("%s", line)).map(|_| ())
        });
        if let Some(Err(error)) = result {
            self.pending.raise(error);
        }
    }
}
