//! What the engine hands out, as objects and exceptions.

use everstream::{Action, End, Error};
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::action::{Comment, Event};
use crate::convert::headers_to_python;
use crate::fault::{Shown, class, message, new_error};

/// `None`, if only events are wanted and it is none.
pub(crate) fn object(
    py: Python<'_>,
    action: Action,
    only_events: bool,
    shown: &Shown,
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
            let error = shown.hand_out(py, &fault)?;
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

/// What an iteration or a start fails with.
pub(crate) fn exception(py: Python<'_>, error: Error, shown: &Shown) -> PyErr {
    match error {
        Error::Fault(fault) => match shown.hand_out(py, &fault) {
            Ok(exception) => PyErr::from_value(exception.into_any()),
            Err(error) => error,
        },
        Error::NotRepeated(fault) => match shown.hand_out(py, &fault) {
            Ok(exception) => {
                _ = mark_not_repeated(py, &exception);
                PyErr::from_value(exception.into_any())
            }
            Err(error) => error,
        },
        Error::Closed => new_error(py, "ClosedError", "the client is closed"),
        Error::Interrupted => new_error(py, "InterruptedStartError", "the start was interrupted"),
        Error::Config { .. } => PyValueError::new_err(message(&error)),
        Error::InsideRuntime => PyRuntimeError::new_err(
            "a client can't be read inside a callback of another one: take a thread of its own",
        ),
        error => new_error(py, "SSEError", &message(&error)),
    }
}

/// Says why the stream isn't connected again: as an attribute, and in the text of an exception of this
/// package or in a note of another one. One that has no attributes can't say so.
fn mark_not_repeated(py: Python<'_>, exception: &Bound<'_, PyBaseException>) -> PyResult<()> {
    exception.setattr("not_repeated", true)?;
    if !exception.is_instance(&class(py, "SSEError")?)? {
        // Since Python 3.11.
        exception.call_method1("add_note", (class(py, "NOT_REPEATED")?,))?;
    }
    Ok(())
}

/// A fault whose place an exception took.
pub(crate) fn add_context(py: Python<'_>, error: &PyErr, fault: Error, shown: &Shown) {
    let context = exception(py, fault, shown);
    if !error.value(py).is(context.value(py)) && error.context(py).is_none() {
        error.set_context(py, Some(context));
    }
}
