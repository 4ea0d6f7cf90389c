//! The settings of both clients.

use everstream::{Builder, Event, LogLevel, Oversize};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::action;
use crate::convert::{duration, idle_timeout};
use crate::fault::ExceptionCache;
use crate::log::Log;
use crate::pending_exception::PendingException;
use crate::{error_strategy, retry_delay};

pub(crate) struct Settings<'a, 'py> {
    pub(crate) initial_retry_delay: f64,
    pub(crate) retry_delay_strategy: &'a Bound<'py, PyAny>,
    pub(crate) retry_delay_reset_threshold: f64,
    pub(crate) error_strategy: &'a Bound<'py, PyAny>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) read_timeout: Option<f64>,
    pub(crate) max_event_size: Option<usize>,
    pub(crate) skip_oversize: bool,
    /// The data of the last event, or a function that recognizes it.
    pub(crate) until: Option<Bound<'py, PyAny>>,
    pub(crate) repeat_unsafe: bool,
    pub(crate) resume_with_get: bool,
    pub(crate) dispatch_unfinished: bool,
}

impl Settings<'_, '_> {
    pub(crate) fn apply<C>(
        self,
        builder: Builder<C>,
        name: String,
        pending: &PendingException,
        exceptions: &ExceptionCache,
        log: Log,
    ) -> PyResult<Builder<C>> {
        let mut builder = builder
            .initial_retry_delay(duration("initial_retry_delay", self.initial_retry_delay)?)
            .retry_delay_reset_threshold(duration(
                "retry_delay_reset_threshold",
                self.retry_delay_reset_threshold,
            )?)
            .retry_delay_strategy(retry_delay::from_python(self.retry_delay_strategy, pending))
            .error_strategy(error_strategy::from_python(
                self.error_strategy,
                pending,
                exceptions,
            ))
            .read_timeout(idle_timeout(self.read_timeout)?)
            .repeat_unsafe(self.repeat_unsafe)
            .resume_with_get(self.resume_with_get)
            .dispatch_unfinished(self.dispatch_unfinished);
        if log.is_on() {
            builder = builder.on_log(name, move |level, line| match level {
                LogLevel::Info => log.info(&line),
                LogLevel::Warn => log.warning(&line),
            });
        }
        if self.skip_oversize {
            builder = builder.oversize(Oversize::Skip);
        }
        if let Some(until) = self.until {
            builder = match until.cast::<PyString>() {
                Ok(data) => builder.until(data.to_str()?),
                Err(_) => builder.until_fn(is_last(until.unbind(), pending.clone())),
            };
        }
        if let Some(bytes) = self.max_event_size {
            builder = builder.max_event_size(bytes);
        }
        if let Some(id) = self.last_event_id {
            builder = builder.last_event_id(id);
        }
        Ok(builder)
    }
}

/// Calls a Python function. If it raises an exception, the event doesn't count as the last one, and is
/// delivered after the exception.
fn is_last(function: Py<PyAny>, pending: PendingException) -> impl FnMut(&Event) -> bool {
    move |event| {
        let answer = Python::attach(|py| {
            let event = action::Event::object(py, event.clone())?;
            function.call1(py, (event,))?.is_truthy(py)
        });
        answer.unwrap_or_else(|error| {
            pending.raise(error);
            false
        })
    }
}
