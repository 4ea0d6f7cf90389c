//! The settings of both clients.

use everstream::{Builder, Event, LogLevel, Oversize};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::action;
use crate::convert::{duration, idle_timeout};
use crate::fault::ExceptionCache;
use crate::log::Log;
use crate::pending_exception::PendingException;
use crate::{error_strategy, retry_delay};

pub(crate) struct Settings<'py> {
    initial_retry_delay: f64,
    retry_delay_strategy: Bound<'py, PyAny>,
    retry_delay_reset_threshold: f64,
    error_strategy: Bound<'py, PyAny>,
    last_event_id: Option<String>,
    logger: Option<Py<PyAny>>,
    read_timeout: Option<f64>,
    max_event_size: Option<usize>,
    skip_oversize: bool,
    /// The data of the last event, or a function that recognizes it.
    until: Option<Bound<'py, PyAny>>,
    repeat_unsafe: bool,
    resume_with_get: bool,
    dispatch_unfinished: bool,
}

impl<'py> Settings<'py> {
    /// `arguments`: the keyword arguments of either client, which `_native.pyi` lists. Its only callers,
    /// `sse_client.py` and `async_client.py`, pass all of them.
    pub(crate) fn new(arguments: &Bound<'py, PyDict>) -> PyResult<Self> {
        Ok(Settings {
            initial_retry_delay: argument(arguments, "initial_retry_delay")?,
            retry_delay_strategy: argument(arguments, "retry_delay_strategy")?,
            retry_delay_reset_threshold: argument(arguments, "retry_delay_reset_threshold")?,
            error_strategy: argument(arguments, "error_strategy")?,
            last_event_id: argument(arguments, "last_event_id")?,
            logger: argument(arguments, "logger")?,
            read_timeout: argument(arguments, "read_timeout")?,
            max_event_size: argument(arguments, "max_event_size")?,
            skip_oversize: argument(arguments, "skip_oversize")?,
            until: argument(arguments, "until")?,
            repeat_unsafe: argument(arguments, "repeat_unsafe")?,
            resume_with_get: argument(arguments, "resume_with_get")?,
            dispatch_unfinished: argument(arguments, "dispatch_unfinished")?,
        })
    }

    /// `name`: what the source is called in the log.
    pub(crate) fn apply<C>(
        self,
        builder: Builder<C>,
        name: String,
        pending: &PendingException,
        exceptions: &ExceptionCache,
    ) -> PyResult<Builder<C>> {
        let log = Log::new(self.logger, pending.clone());
        let mut builder = builder
            .initial_retry_delay(duration("initial_retry_delay", self.initial_retry_delay)?)
            .retry_delay_reset_threshold(duration(
                "retry_delay_reset_threshold",
                self.retry_delay_reset_threshold,
            )?)
            .retry_delay_strategy(retry_delay::from_python(
                &self.retry_delay_strategy,
                pending,
            ))
            .error_strategy(error_strategy::from_python(
                &self.error_strategy,
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

/// An argument. If it has the wrong type, the exception names it, as for the arguments of a function.
fn argument<'py, T>(arguments: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let py = arguments.py();
    let Some(value) = arguments.get_item(name)? else {
        return Err(PyTypeError::new_err(format!("{name} is missing")));
    };
    value.extract::<T>().map_err(|error| {
        let error = Into::<PyErr>::into(error);
        match error.is_instance_of::<PyTypeError>(py) {
            true => PyTypeError::new_err(format!("argument '{name}': {}", error.value(py))),
            false => error,
        }
    })
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
