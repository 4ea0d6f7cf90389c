//! The lines of the engine's log go to the user's `logging.Logger`.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::raised::Raised;

#[derive(Clone)]
pub(crate) struct Log {
    logger: Option<Arc<Py<PyAny>>>,
    raised: Raised,
}

impl Log {
    pub(crate) fn new(logger: Option<Py<PyAny>>, raised: Raised) -> Self {
        Log {
            logger: logger.map(Arc::new),
            raised,
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
        // The iteration is about to end with that.
        if self.raised.is_raised() {
            return;
        }
        let result = Python::try_attach(|py| {
            // As an argument: a percent sign in it is none of a format's.
            logger.call_method1(py, level, ("%s", line)).map(|_| ())
        });
        if let Some(Err(error)) = result {
            self.raised.raise(error);
        }
    }
}
