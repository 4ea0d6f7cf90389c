//! `ConnectStrategy.http`: the settings of a request.

use std::sync::Arc;
use std::time::Duration;

use everstream::{Attempt, HeaderScope};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString};

use crate::convert::{duration, integer, text_or_bytes};
use crate::fault::mark_unsent;
use crate::raised::Raised;

/// A request over HTTP. It is immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Http {
    http: everstream::Http,
    pub(crate) url: String,
    query_params: Option<Arc<Py<PyAny>>>,
    pub(crate) read_timeout: Option<Duration>,
    #[pyo3(get)]
    pub(crate) max_event_size: Option<usize>,
}

#[pymethods]
impl Http {
    /// `connect_timeout` of 0 is none; without it there is the engine's default.
    #[new]
    #[pyo3(signature = (
        url, *, headers, sensitive_headers, query_params, method, body, read_timeout,
        connect_timeout, max_event_size, any_content_type, cookies
    ))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        url: String,
        headers: Option<&Bound<'_, PyAny>>,
        sensitive_headers: Option<&Bound<'_, PyAny>>,
        query_params: Option<Py<PyAny>>,
        method: &str,
        body: Option<&Bound<'_, PyAny>>,
        read_timeout: Option<f64>,
        connect_timeout: Option<f64>,
        max_event_size: Option<&Bound<'_, PyAny>>,
        any_content_type: bool,
        cookies: bool,
    ) -> PyResult<Self> {
        let mut http = everstream::Http::new(&url)
            .method(method)
            .header_scope(HeaderScope::All)
            .any_content_type(any_content_type)
            .cookies(cookies);
        let sensitive = sensitive_names(sensitive_headers)?;
        for pair in pairs(headers)? {
            let (name, value) = pair?;
            let value = text_or_bytes(&format!("the value of the header {name:?}"), &value)?;
            http = match sensitive.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
                true => http.sensitive_header(name, value),
                false => http.header(name, value),
            };
        }
        if let Some(body) = body {
            http = http.body(text_or_bytes("body", body)?);
        }
        if let Some(limit) = connect_timeout {
            let limit = duration("connect_timeout", limit)?;
            http = http.connect_timeout(Some(limit).filter(|limit| !limit.is_zero()));
        }
        let read_timeout = match read_timeout {
            Some(limit) => Some(duration("read_timeout", limit)?).filter(|limit| !limit.is_zero()),
            None => None,
        };
        let max_event_size = max_event_size
            .map(|size| integer("max_event_size", "a number of bytes, 0 or more", size))
            .transpose()?;
        Ok(Http {
            http,
            url,
            query_params: query_params.map(Arc::new),
            read_timeout,
            max_event_size,
        })
    }

    #[getter]
    fn url(&self) -> &str {
        &self.url
    }
}

impl Http {
    /// For a client whose exceptions go there.
    pub(crate) fn for_client(&self, raised: &Raised) -> everstream::Http {
        let Some(query_params) = &self.query_params else {
            return self.http.clone();
        };
        let (query_params, raised) = (query_params.clone(), raised.clone());
        self.http.clone().before_attempt(move |attempt: Attempt| {
            let (query_params, raised) = (query_params.clone(), raised.clone());
            async move {
                Python::attach(|py| {
                    let result = add_query(query_params.bind(py), attempt);
                    result.map_err(|error| raised.cause(py, mark_unsent(py, error)))
                })
            }
        })
    }
}

/// Adds what the function returns: a name takes the place of what the URL had under it.
fn add_query(query_params: &Bound<'_, PyAny>, mut attempt: Attempt) -> PyResult<Attempt> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in query_pairs(query_params)? {
        attempt = match names.contains(&name) {
            true => attempt.query(&name, &value),
            false => attempt.set_query(&name, &value),
        };
        names.push(name);
    }
    Ok(attempt)
}

/// What the function returns: pairs, or a mapping; a list is more than one value.
pub(crate) fn query_pairs(query_params: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let params = query_params.call0()?;
    let mut all = Vec::new();
    for pair in pairs(Some(&params).filter(|params| !params.is_none()))? {
        let (name, value) = pair?;
        for value in texts(&value)? {
            all.push((name.clone(), value));
        }
    }
    Ok(all)
}

/// The setting `sensitive_headers`.
pub(crate) fn sensitive_names(names: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    if names.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(
            "sensitive_headers must be a list of header names, not str",
        ));
    }
    let name = |name: PyResult<Bound<'_, PyAny>>| -> PyResult<String> {
        let name = name?;
        match name.cast::<PyString>() {
            Ok(name) => name.extract(),
            Err(_) => Err(PyTypeError::new_err(format!(
                "sensitive_headers must be a list of header names, not of {}",
                name.get_type().name()?
            ))),
        }
    };
    names.try_iter()?.map(name).collect()
}

/// A value, or all of a list or tuple of values.
fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    // These can be iterated too.
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Ok(vec![text(value)?]);
    }
    match value.try_iter() {
        Ok(values) => values.map(|value| text(&value?)).collect(),
        Err(_) => Ok(vec![text(value)?]),
    }
}

/// Bytes are UTF-8; what isn't text is shown as text.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyBytes>() {
        Ok(bytes) => value
            .py()
            .get_type::<PyString>()
            .call1((bytes, "utf-8"))?
            .extract(),
        Err(_) => value.str()?.extract(),
    }
}

pub(crate) type Pair<'py> = (String, Bound<'py, PyAny>);

/// The pairs of a mapping, or of an iterable of pairs.
pub(crate) fn pairs<'py>(
    from: Option<&Bound<'py, PyAny>>,
) -> PyResult<impl Iterator<Item = PyResult<Pair<'py>>>> {
    let items = match from {
        Some(from) => {
            let items = match from.cast::<PyMapping>() {
                Ok(mapping) => mapping.call_method0("items")?,
                Err(_) => from.clone(),
            };
            Some(items.try_iter()?)
        }
        None => None,
    };
    Ok(items.into_iter().flatten().map(|item| {
        let item = item?;
        let (name, value): (Bound<'_, PyAny>, _) = item.extract().map_err(|_| {
            PyTypeError::new_err("headers and query parameters are pairs of a name and a value")
        })?;
        let Ok(name) = name.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!(
                "the name of a header or query parameter must be str, not {}",
                name.get_type().name()?
            )));
        };
        Ok((name.extract()?, value))
    }))
}
