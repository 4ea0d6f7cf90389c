//! Values between Python and Rust.

use std::time::{Duration, SystemTime};

use everstream::{Headers, RedactedUrl};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyType};

/// A duration from a number of seconds. Infinity means no limit.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "{name} must be a number of seconds, 0 or more, not {seconds}"
        )));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// The setting `read_timeout`; 0 means no timeout.
pub(crate) fn idle_timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let limit = seconds.map(|seconds| duration("read_timeout", seconds));
    Ok(limit.transpose()?.filter(|limit| !limit.is_zero()))
}

/// A whole number. Out of range, it raises `ValueError` like other wrong values, not `OverflowError`.
pub(crate) fn integer<'py, T>(name: &str, range: &str, value: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    value.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(format!("{name} must be {range}, not {value}")),
            false => error,
        }
    })
}

/// A status code.
pub(crate) fn status(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    integer("a status", "from 0 to 65535", value)
}

/// Text as UTF-8, or bytes as they are.
pub(crate) fn text_or_bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    Err(PyTypeError::new_err(format!(
        "{name} must be str or bytes, not {}",
        value.get_type().name()?
    )))
}

/// An `everstream.Headers`.
pub(crate) fn headers_to_python<'py>(
    py: Python<'py>,
    headers: &Headers,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let pairs = PyList::new(py, headers.iter())?;
    CLASS
        .import(py, "everstream._headers", "Headers")?
        .call1((pairs,))
}

/// Headers from any mapping; values that aren't text are converted with `str`.
pub(crate) fn headers_from_python(mapping: &Bound<'_, PyAny>) -> PyResult<Headers> {
    let items = match mapping.getattr_opt("multi_items")? {
        Some(items) => items.call0()?,
        None => mapping.call_method0("items")?,
    };
    let mut pairs = Vec::new();
    for item in items.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        pairs.push((name.str()?.to_string(), value.str()?.to_string()));
    }
    Ok(pairs.into_iter().collect())
}

/// A URL without its user info, query and fragment, which may hold secrets.
#[pyfunction]
pub(crate) fn redact_url(url: &str) -> String {
    RedactedUrl(url).to_string()
}

/// The value of a `Retry-After` header in seconds; `None` if it is invalid.
#[pyfunction]
pub(crate) fn parse_retry_after(value: &str) -> Option<f64> {
    let wait = everstream::parse_retry_after(value, SystemTime::now())?;
    Some(wait.as_secs_f64())
}
