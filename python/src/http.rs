//! `ConnectStrategy.http`: the settings of a request.

use std::sync::Arc;

use everstream::{Attempt, BoxError, HttpVersion};
use http::HeaderValue;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString};

use crate::awaited::Awaited;
use crate::convert::{duration, text_or_bytes};
use crate::fault::{from_exception, is_setup_error, mark_unsent};
use crate::pending_exception::PendingException;

/// An HTTP request. Immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Http {
    http: everstream::Http,
    pub(crate) url: String,
    callbacks: Arc<Callbacks>,
}

/// Python functions that are called before every attempt.
struct Callbacks {
    /// Returns pairs, or an awaitable of them.
    fresh_headers: Option<Py<PyAny>>,
    query_params: Option<Py<PyAny>>,
    sensitive: Vec<String>,
    /// The method of the original request; a GET that resumes its stream has another one.
    method: String,
}

#[pymethods]
impl Http {
    /// `connect_timeout`: 0 means no limit, `None` the engine's default. `certificates` are trusted in
    /// addition to the system's, and `identity` is a certificate with its key, all as PEM.
    #[new]
    #[pyo3(signature = (
        url, *, headers, fresh_headers, sensitive_headers, query_params, method, body,
        connect_timeout, any_content_type, cookies, proxy, use_proxy, verify, certificates, identity,
        http2
    ))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        url: String,
        headers: Option<&Bound<'_, PyAny>>,
        fresh_headers: Option<Py<PyAny>>,
        sensitive_headers: Option<&Bound<'_, PyAny>>,
        query_params: Option<Py<PyAny>>,
        method: String,
        body: Option<&Bound<'_, PyAny>>,
        connect_timeout: Option<f64>,
        any_content_type: bool,
        cookies: bool,
        proxy: Option<String>,
        use_proxy: bool,
        verify: bool,
        certificates: Option<Vec<u8>>,
        identity: Option<(Vec<u8>, Vec<u8>)>,
        http2: Option<bool>,
    ) -> PyResult<Self> {
        let mut http = everstream::Http::new(&url)
            .method(&method)
            .any_content_type(any_content_type)
            .cookies(cookies);
        let sensitive = sensitive_names(sensitive_headers)?;
        for pair in pairs(headers)? {
            let (name, value) = pair?;
            let value = text_or_bytes(&format!("the value of the header {name:?}"), &value)?;
            http = match is_among(&sensitive, &name) {
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
        if let Some(proxy) = proxy {
            http = http.proxy(proxy);
        }
        if !use_proxy {
            http = http.no_proxy();
        }
        if !verify {
            http = http.danger_accept_invalid_certs(true);
        }
        if let Some(pem) = certificates {
            http = http.root_certificates(pem);
        }
        if let Some((certificate, key)) = identity {
            http = http.client_certificate(certificate, key);
        }
        match http2 {
            Some(true) => http = http.version(HttpVersion::Http2),
            Some(false) => http = http.version(HttpVersion::Http1),
            None => {}
        }
        Ok(Http {
            http,
            url,
            callbacks: Arc::new(Callbacks {
                fresh_headers,
                query_params,
                sensitive,
                method: method.to_ascii_uppercase(),
            }),
        })
    }

    #[getter]
    fn url(&self) -> &str {
        &self.url
    }
}

impl Http {
    /// The request for one client; exceptions from its callbacks are stored in `pending`.
    pub(crate) fn for_client(&self, pending: &PendingException) -> everstream::Http {
        let callbacks = &self.callbacks;
        if callbacks.query_params.is_none() && callbacks.fresh_headers.is_none() {
            return self.http.clone();
        }
        let (callbacks, pending) = (callbacks.clone(), pending.clone());
        self.http.clone().before_attempt(move |attempt: Attempt| {
            let (callbacks, pending) = (callbacks.clone(), pending.clone());
            async move {
                let prepared = callbacks.prepare(attempt).await;
                prepared.map_err(|error| Python::attach(|py| before_request(py, error, &pending)))
            }
        })
    }
}

impl Callbacks {
    async fn prepare(&self, mut attempt: Attempt) -> PyResult<Attempt> {
        if let Some(fresh_headers) = &self.fresh_headers {
            let called = Python::attach(|py| fresh_headers.call0(py))?;
            let headers = Awaited::of(called)?.await?;
            attempt = Python::attach(|py| self.add_headers(headers.bind(py), attempt))?;
        }
        if let Some(query_params) = &self.query_params {
            attempt = Python::attach(|py| add_query(query_params.bind(py), attempt))?;
        }
        Ok(attempt)
    }

    /// Adds headers that replace all others of the same name.
    fn add_headers(&self, headers: &Bound<'_, PyAny>, mut attempt: Attempt) -> PyResult<Attempt> {
        // A GET that resumes a stream keeps its own `Accept`.
        let resumes = attempt.method() != self.method;
        let mut names: Vec<String> = Vec::new();
        for pair in pairs(Some(headers))? {
            let (name, value) = pair?;
            let bytes = text_or_bytes(&format!("the value of the header {name:?}"), &value)?;
            if resumes && name.eq_ignore_ascii_case("accept") {
                continue;
            }
            let mut value = header_value(&name, &bytes)?;
            value.set_sensitive(is_among(&self.sensitive, &name));
            attempt = match is_among(&names, &name) {
                true => attempt.header(&name, value),
                false => attempt.set_header(&name, value),
            };
            names.push(name);
        }
        Ok(attempt)
    }
}

fn is_among(names: &[String], name: &str) -> bool {
    names.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Doesn't include the value in the error, because it may be a secret.
pub(crate) fn header_value(name: &str, value: &[u8]) -> PyResult<HeaderValue> {
    HeaderValue::from_bytes(value).map_err(|_| {
        PyValueError::new_err(format!(
            "the value of the header {name:?} has control characters"
        ))
    })
}

/// Raises `ValueError` for headers that can't be sent.
#[pyfunction]
pub(crate) fn check_header_values(headers: &Bound<'_, PyAny>) -> PyResult<()> {
    for pair in pairs(Some(headers))? {
        let (name, value) = pair?;
        let value = text_or_bytes(&format!("the value of the header {name:?}"), &value)?;
        header_value(&name, &value)?;
    }
    Ok(())
}

/// The error for an exception from a function that is called before the request.
fn before_request(py: Python<'_>, error: PyErr, pending: &PendingException) -> BoxError {
    let error = mark_unsent(py, error);
    match is_setup_error(py, &error) {
        true => from_exception(error, py).map_or_else(Into::into, Into::into),
        false => pending.cause(py, error),
    }
}

/// Adds the result of the function to the query. A name replaces the URL's parameters of that name.
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

/// The result of the function, as pairs.
pub(crate) fn query_pairs(query_params: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    texts_of_pairs(&query_params.call0()?)
}

/// The query parameters of a mapping or pairs; a list gives a name several values.
pub(crate) fn texts_of_pairs(params: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let mut all = Vec::new();
    for pair in pairs(Some(params).filter(|params| !params.is_none()))? {
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

/// The items of a list or tuple, or a single value.
fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    // Strings and bytes are single values, although they can be iterated.
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Ok(vec![text(value)?]);
    }
    match value.try_iter() {
        Ok(values) => values.map(|value| text(&value?)).collect(),
        Err(_) => Ok(vec![text(value)?]),
    }
}

/// The text of a value: bytes are decoded as UTF-8, other values converted with `str`.
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
