//! Converts faults to exceptions, and exceptions to faults.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use everstream::{ErrorResponse, Failure, FailureKind, Fault, RedirectProblem};
use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyModule, PyTuple, PyType};

use crate::convert::{headers_from_python, headers_to_python};
use crate::pending_exception::{PendingException, lock, wrap_stop_iteration};

/// A class of `everstream.errors`, or another name in it.
pub(crate) fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    ERRORS
        .get_or_try_init(py, || py.import("everstream.errors").map(Bound::unbind))?
        .bind(py)
        .getattr(name)
}

/// An exception of `everstream.errors` with a message.
pub(crate) fn new_error(py: Python<'_>, name: &str, message: &str) -> PyErr {
    match class(py, name).and_then(|class| class.call1((message,))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// An error and its causes in one line. Each error is expected to describe only its own level.
pub(crate) fn message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        // Some errors already include the text of their cause.
        if !text.ends_with(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
        cause = error.source();
    }
    text
}

/// Remembers the exception that a strategy written in Python was given for a fault, so that the same
/// object is raised or yielded afterwards.
#[derive(Clone, Default)]
pub(crate) struct ExceptionCache(Arc<Mutex<Last>>);

type Last = Option<(Identity, Py<PyBaseException>)>;

/// Faults with the same identity are the same fault, or indistinguishable.
#[derive(PartialEq)]
enum Identity {
    /// The address of the fault's content on the heap, which doesn't change when the fault is moved.
    Address(usize),
    Text(String),
}

impl Identity {
    fn of(fault: &Fault) -> Self {
        let address = match fault {
            Fault::Connect(error)
            | Fault::Request(error)
            | Fault::Read(error)
            | Fault::Setup(error)
            | Fault::Source(error) => std::ptr::from_ref(&**error).cast::<()>(),
            _ => match fault.response() {
                Some(response) => std::ptr::from_ref(response).cast(),
                None => return Identity::Text(fault.to_string()),
            },
        };
        Identity::Address(address.addr())
    }
}

impl ExceptionCache {
    /// Creates the exception that a strategy is given, and remembers it.
    pub(crate) fn create_for_strategy<'py>(
        &self,
        py: Python<'py>,
        fault: &Fault,
    ) -> PyResult<Bound<'py, PyBaseException>> {
        let exception = exception(py, fault)?;
        let entry = (Identity::of(fault), exception.clone().unbind());
        // Dropped outside the lock, because the destructor may run Python code.
        let earlier = lock(&self.0).replace(entry);
        drop(earlier);
        Ok(exception)
    }

    /// The exception for the user: the remembered one, or a new one.
    pub(crate) fn take_or_create<'py>(
        &self,
        py: Python<'py>,
        fault: &Fault,
    ) -> PyResult<Bound<'py, PyBaseException>> {
        let cached = lock(&self.0).take();
        match cached {
            Some((identity, exception)) if identity == Identity::of(fault) => {
                Ok(exception.into_bound(py))
            }
            _ => exception(py, fault),
        }
    }
}

/// The original exception if Python code raised it, otherwise one of `everstream.errors`.
pub(crate) fn exception<'py>(
    py: Python<'py>,
    fault: &Fault,
) -> PyResult<Bound<'py, PyBaseException>> {
    if let Some(own) = python_cause(fault) {
        // Includes the traceback, which older Python versions store separately.
        return Ok(own.clone_ref(py).into_value(py).into_bound(py));
    }
    let text = message(fault);
    let exception = match fault {
        Fault::Connect(_) => class(py, "ConnectError")?.call1((text,)),
        Fault::ConnectTimeout(_) => class(py, "ConnectTimeoutError")?.call1((text,)),
        Fault::Request(_) => class(py, "RequestError")?.call1((text,)),
        Fault::Read(_) => class(py, "ReadError")?.call1((text,)),
        Fault::ResponseTimeout(_) | Fault::ReadTimeout(_) => {
            class(py, "ReadTimeoutError")?.call1((text,))
        }
        Fault::TooLarge(_) => class(py, "EventTooLargeError")?.call1((text,)),
        Fault::Incomplete => class(py, "IncompleteStreamError")?.call1((text,)),
        Fault::Status(response) => of_response(py, "HTTPStatusError", None, response, text),
        Fault::ContentType(response) => {
            let value = response.headers.get("content-type").unwrap_or_default();
            of_response(py, "HTTPContentTypeError", Some(value), response, text)
        }
        Fault::ContentEncoding(response) => {
            let value = response.headers.get("content-encoding").unwrap_or_default();
            of_response(py, "HTTPContentEncodingError", Some(value), response, text)
        }
        Fault::Redirect(response, _) => of_response(py, "HTTPRedirectError", None, response, text),
        _ => class(py, "SSEError")?.call1((text,)),
    }?;
    let exception = match reason(fault) {
        Some(reason) => refined(py, exception, reason)?,
        None => exception,
    };
    if fault.failure().is_some_and(Failure::needs_other_settings) {
        exception.setattr(NEEDS_OTHER_SETTINGS, true)?;
    }
    match errno(fault) {
        Some(errno) if exception.is_instance_of::<PyOSError>() => {
            exception.setattr("errno", errno)?;
        }
        _ => {}
    }
    Ok(exception.cast_into()?)
}

/// Why there is no response, as one of the reasons that `_originals.py` knows.
fn reason(fault: &Fault) -> Option<&'static str> {
    match fault.failure()?.kind() {
        FailureKind::Resolve => Some("resolve"),
        FailureKind::Untrusted | FailureKind::Tls => Some("tls"),
        FailureKind::ProxyAuthentication | FailureKind::Proxy => Some("proxy"),
        FailureKind::Reset => Some("reset"),
        _ => None,
    }
}

/// For programs written for launchdarkly-eventsource: the exception that it raises for this reason.
fn refined<'py>(
    py: Python<'py>,
    exception: Bound<'py, PyAny>,
    reason: &str,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("everstream._originals")?
        .getattr("refined")?
        .call1((exception, reason))
}

/// `value`: what the exception is about, if it isn't the status.
fn of_response<'py>(
    py: Python<'py>,
    name: &str,
    value: Option<&str>,
    response: &ErrorResponse,
    text: String,
) -> PyResult<Bound<'py, PyAny>> {
    let options = PyDict::new(py);
    options.set_item("url", &response.url)?;
    options.set_item("body", PyBytes::new(py, &response.body))?;
    options.set_item("message", text)?;
    let headers = headers_to_python(py, &response.headers)?;
    let class = class(py, name)?;
    let exception = match value {
        None => class.call((response.status, headers), Some(&options)),
        Some(value) => {
            options.set_item("status", response.status)?;
            class.call((value, headers), Some(&options))
        }
    }?;
    if !response.withheld_headers.is_empty() {
        let names = PyTuple::new(py, &response.withheld_headers)?;
        exception.setattr("_withheld_headers", names)?;
    }
    Ok(exception)
}

/// The exception from Python code that caused the fault.
fn python_cause(fault: &Fault) -> Option<&PyErr> {
    match fault {
        Fault::Connect(error)
        | Fault::Request(error)
        | Fault::Read(error)
        | Fault::Setup(error)
        | Fault::Source(error) => error.downcast_ref(),
        _ => fault.response()?.cause.as_deref()?.downcast_ref(),
    }
}

/// The system's error number, if there is one.
fn errno(fault: &Fault) -> Option<i32> {
    if let Some(failure) = fault.failure() {
        return failure.os_error();
    }
    let mut cause = fault.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if let Some(number) = io.and_then(std::io::Error::raw_os_error) {
            return Some(number);
        }
        cause = error.source();
    }
    None
}

/// The fault for an exception that a custom `connect` raised.
///
/// The class of this package's exceptions determines the fault. For every other exception it is
/// unknown how far the request got, so the server may have received it. [`is_final`] tells which of
/// them retrying can't fix.
pub(crate) fn from_exception(error: PyErr, py: Python<'_>) -> PyResult<Fault> {
    let error = wrap_stop_iteration(py, error);
    let value = error.value(py).clone();
    if value.is_instance(&class(py, "HTTPStatusError")?)? {
        return Ok(Fault::Status(response(&value, error)?));
    }
    if value.is_instance(&class(py, "HTTPContentTypeError")?)? {
        return Ok(Fault::ContentType(response(&value, error)?));
    }
    if value.is_instance(&class(py, "HTTPContentEncodingError")?)? {
        return Ok(Fault::ContentEncoding(response(&value, error)?));
    }
    if value.is_instance(&class(py, "HTTPRedirectError")?)? {
        let response = response(&value, error)?;
        return Ok(Fault::Redirect(response, RedirectProblem::BadLocation));
    }
    if is_setup_error(py, &error) {
        let is_final = match value.getattr("__cause__")?.cast::<PyBaseException>() {
            Ok(cause) => is_mistake(cause)?,
            Err(_) => true,
        };
        return Ok(match is_final {
            true => Fault::Setup(error.into()),
            false => Fault::Connect(error.into()),
        });
    }
    // A connect timeout becomes `Fault::Connect`, and a read timeout `Fault::Request`: the faults for
    // timeouts can't carry the exception, which must be delivered unchanged.
    if value.is_instance(&class(py, "ConnectError")?)? {
        return Ok(Fault::Connect(error.into()));
    }
    if value.is_instance(&class(py, "ReadError")?)? {
        return Ok(Fault::Read(error.into()));
    }
    if value.hasattr(UNSENT)? {
        return Ok(match is_mistake(&value)? {
            true => Fault::Setup(error.into()),
            false => Fault::Connect(error.into()),
        });
    }
    Ok(Fault::Request(error.into()))
}

/// Whether the user's function for `headers` or `auth` raised an exception, so no request was sent.
pub(crate) fn is_setup_error(py: Python<'_>, error: &PyErr) -> bool {
    let class = class(py, "RequestSetupError");
    class.is_ok_and(|class| error.value(py).is_instance(&class).unwrap_or(false))
}

/// The attribute that marks an exception raised before anything was sent.
const UNSENT: &str = "_everstream_unsent";

/// The fault for an exception that isn't an `Exception`, such as `KeyboardInterrupt`. The exception
/// itself is raised later.
pub(crate) fn from_base_exception(
    py: Python<'_>,
    error: PyErr,
    pending: &PendingException,
) -> Fault {
    let is_unsent = error.value(py).hasattr(UNSENT).unwrap_or_default();
    let cause = pending.cause(py, error);
    match is_unsent {
        true => Fault::Setup(cause),
        false => Fault::Source(cause),
    }
}

/// Marks an exception from the user's code that was raised before anything was sent.
pub(crate) fn mark_unsent(py: Python<'_>, error: PyErr) -> PyErr {
    // If the exception can't have attributes, the request counts as sent.
    _ = error.value(py).setattr(UNSENT, true);
    error
}

/// The attribute that marks an exception for which [`Failure::needs_other_settings`] holds: one made here,
/// or in `_disconnect.py` for another HTTP library.
const NEEDS_OTHER_SETTINGS: &str = "_everstream_needs_other_settings";

/// Whether retrying can't help until someone changes the settings, according to the exception behind the
/// fault. For the engine's own failures the engine knows it.
pub(crate) fn needs_other_settings(fault: &Fault) -> bool {
    let (Fault::Connect(error) | Fault::Request(error)) = fault else {
        return false;
    };
    let Some(error) = error.downcast_ref::<PyErr>() else {
        return false;
    };
    Python::attach(|py| {
        let mark = error.value(py).getattr(NEEDS_OTHER_SETTINGS);
        mark.is_ok_and(|mark| mark.is_truthy().unwrap_or(false))
    })
}

/// Removes the mark after a connection has succeeded with these settings.
pub(crate) fn clear_needs_other_settings(exception: &Bound<'_, PyBaseException>) -> PyResult<()> {
    match exception.hasattr(NEEDS_OTHER_SETTINGS)? {
        true => exception.setattr(NEEDS_OTHER_SETTINGS, false),
        false => Ok(()),
    }
}

/// Whether retrying can't fix the exception behind a `Fault::Request`: it is a programming error, or
/// one of this package's exceptions that no retry can fix.
pub(crate) fn is_final(fault: &Fault) -> bool {
    let Fault::Request(error) = fault else {
        return false;
    };
    let Some(error) = error.downcast_ref::<PyErr>() else {
        return false;
    };
    Python::attach(|py| is_mistake(error.value(py)).unwrap_or(true))
}

/// Python's built-in exceptions count as programming errors, except `OSError`. Exceptions that a
/// library defines don't, except this package's own.
fn is_mistake(value: &Bound<'_, PyBaseException>) -> PyResult<bool> {
    if value.is_instance_of::<PyOSError>() {
        return Ok(false);
    }
    let py = value.py();
    Ok(value.is_instance(&class(py, "SSEError")?)? || is_builtin(&value.get_type())?)
}

fn response(exception: &Bound<'_, PyBaseException>, cause: PyErr) -> PyResult<Box<ErrorResponse>> {
    let status = exception.getattr("status")?.extract().unwrap_or_default();
    let mut response = Box::new(ErrorResponse::new(status));
    if let Some(url) = exception.getattr("url")?.extract()? {
        response.url = url;
    }
    let headers = exception.getattr("headers")?;
    if !headers.is_none() {
        response.headers = headers_from_python(&headers)?;
    }
    response.retry_after = response
        .headers
        .get("retry-after")
        .and_then(|value| everstream::parse_retry_after(value, SystemTime::now()));
    response.withheld_headers = exception.getattr("withheld_headers")?.extract()?;
    response.cause = Some(Arc::new(cause));
    Ok(response)
}

fn is_builtin(class: &Bound<'_, PyType>) -> PyResult<bool> {
    class.getattr("__module__")?.eq("builtins")
}
