//! Converts actions to Python objects, and errors to exceptions.

use everstream::{Action, End, Error};
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::action::{Comment, Event};
use crate::convert::headers_to_python;
use crate::fault::{ExceptionCache, class, message, new_error};
use crate::last_error::LastError;

/// The Python object for an action; `None` if only events are wanted and this isn't one.
pub(crate) fn object(
    py: Python<'_>,
    action: Action,
    only_events: bool,
    exceptions: &ExceptionCache,
) -> PyResult<Option<Py<PyAny>>> {
    let object = match action {
        Action::Event(event) => return Event::object(py, event).map(Some),
        _ if only_events => return Ok(None),
        Action::Comment(text) => Comment::object(py, text)?,
        Action::Start(start) => {
            let headers = start.headers.as_ref();
            let headers = headers.map(|it| headers_to_python(py, it)).transpose()?;
            let withheld = PyTuple::new(py, &start.withheld_headers)?;
            let arguments = (headers, start.status, start.url, withheld);
            py.import("everstream.actions")?
                .getattr("Start")?
                .call1(arguments)?
                .unbind()
        }
        Action::Fault(fault) => {
            let error = exceptions.take_or_create(py, &fault)?;
            fault_object(py, Some(error), End::default())?
        }
        Action::End(end) => fault_object(py, None, *end)?,
        _ => return Ok(None),
    };
    Ok(Some(object))
}

fn fault_object(
    py: Python<'_>,
    error: Option<Bound<'_, PyBaseException>>,
    end: End,
) -> PyResult<Py<PyAny>> {
    let class = py.import("everstream.actions")?.getattr("Fault")?;
    let details = PyDict::new(py);
    details.set_item("discarded_bytes", end.discarded_bytes)?;
    details.set_item("ignored_text", end.ignored_text)?;
    details.set_item("not_repeated", end.not_repeated)?;
    Ok(class.call((error,), Some(&details))?.unbind())
}

/// The exception that an iteration or `start()` raises.
pub(crate) fn exception(py: Python<'_>, error: Error, exceptions: &ExceptionCache) -> PyErr {
    let not_repeated = matches!(error, Error::NotRepeated(_));
    match error {
        Error::Fault(fault) | Error::NotRepeated(fault) => {
            match exceptions.take_or_create(py, &fault) {
                Ok(exception) => {
                    if not_repeated {
                        _ = mark_not_repeated(py, &exception);
                    }
                    PyErr::from_value(exception.into_any())
                }
                Err(error) => error,
            }
        }
        Error::Closed => new_error(py, "ClosedError", "the client is closed"),
        Error::Interrupted => new_error(py, "InterruptedStartError", "the start was interrupted"),
        Error::Config { .. } => PyValueError::new_err(message(&error)),
        Error::InsideRuntime => PyRuntimeError::new_err(
            "a client can't be read inside a callback of another client: read it in a separate thread",
        ),
        error => new_error(py, "SSEError", &message(&error)),
    }
}

/// Marks an exception after which the request isn't repeated: with an attribute, which also changes the
/// text of this package's exceptions, and with a note on other exceptions. Fails if the exception can't
/// have attributes.
fn mark_not_repeated(py: Python<'_>, exception: &Bound<'_, PyBaseException>) -> PyResult<()> {
    mark(py, exception, "not_repeated", "NOT_REPEATED")
}

/// Marks an exception that is raised again, because only `start()` sends the request again: like
/// [`mark_not_repeated`].
pub(crate) fn mark_only_start(
    py: Python<'_>,
    exception: &Bound<'_, PyBaseException>,
) -> PyResult<()> {
    if exception.hasattr(ONLY_START)? && exception.getattr(ONLY_START)?.is_truthy()? {
        return Ok(());
    }
    mark(py, exception, ONLY_START, "ONLY_START")
}

/// The attribute of an exception that [`mark_only_start`] has marked.
const ONLY_START: &str = "_only_start";

fn mark(
    py: Python<'_>,
    exception: &Bound<'_, PyBaseException>,
    attribute: &str,
    note: &str,
) -> PyResult<()> {
    exception.setattr(attribute, true)?;
    if !exception.is_instance(&class(py, "SSEError")?)? {
        // Since Python 3.11.
        exception.call_method1("add_note", (class(py, note)?,))?;
    }
    Ok(())
}

/// Adds a fault as the context of the exception that is raised instead of it.
pub(crate) fn add_context(
    py: Python<'_>,
    error: &PyErr,
    fault: Error,
    exceptions: &ExceptionCache,
    last_error: &LastError,
) {
    let context = last_error.exception(py, fault, exceptions);
    if !error.value(py).is(context.value(py)) && error.context(py).is_none() {
        error.set_context(py, Some(context));
    }
}
