//! The request that each attempt of a transport written in Python starts from.

use everstream::RedactedUrl;
use everstream_http::exchange::{self, Config};
use everstream_http::policy::{ContentCoding, CookieJar, HeaderScope, MAX_REDIRECTS};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use url::{Url, form_urlencoded};

use crate::convert::text_or_bytes;
use crate::exchange::Exchange;
use crate::fault::mark_unsent;
use crate::http::{header_value, pairs, query_pairs, sensitive_names, texts_of_pairs};

/// Everything except the unreserved characters (RFC 3986, section 2.3).
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The request of a strategy, checked. Immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Request {
    request: exchange::Request,
    /// The URL as the user passed it.
    #[pyo3(get)]
    url: String,
    query_params: Option<Py<PyAny>>,
    /// Headers that never leave their origin.
    sensitive: Vec<HeaderName>,
    config: Config,
    cookies: Option<CookieJar>,
}

#[pymethods]
impl Request {
    /// Headers replace the defaults of the same name.
    #[new]
    #[pyo3(signature = (
        url, *, method, headers, sensitive_headers, query_params, has_body, follow_redirects,
        codings, any_content_type, cookies
    ))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        url: String,
        method: &str,
        headers: &Bound<'_, PyAny>,
        sensitive_headers: Option<&Bound<'_, PyAny>>,
        query_params: Option<Py<PyAny>>,
        has_body: bool,
        follow_redirects: bool,
        codings: Vec<String>,
        any_content_type: bool,
        cookies: bool,
    ) -> PyResult<Self> {
        let parsed = Url::parse(&url).map_err(|error| bad_url(&url, &error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad_url(&url, "it isn't a URL of http or https"));
        }
        let upper = method.to_ascii_uppercase();
        let method = Method::from_bytes(upper.as_bytes())
            .map_err(|_| PyValueError::new_err(format!("method can't be {method:?}")))?;
        let sensitive = sensitive_names(sensitive_headers)?
            .iter()
            .map(|name| header_name(name))
            .collect::<PyResult<Vec<_>>>()?;
        let mut all = HeaderMap::new();
        all.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        all.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        replace(&mut all, user_headers(headers, &sensitive)?);
        Ok(Request {
            request: exchange::Request {
                method,
                url: parsed,
                headers: all,
                has_body,
            },
            url,
            query_params,
            sensitive,
            config: Config {
                redirect_limit: if follow_redirects { MAX_REDIRECTS } else { 0 },
                header_scope: HeaderScope::All,
                any_content_type,
                codings: supported(&codings),
                // The transports have limits of their own.
                connect_timeout: None,
                read_timeout: None,
            },
            cookies: cookies.then(CookieJar::default),
        })
    }

    /// The method, in capitals.
    #[getter]
    fn method(&self) -> &str {
        self.request.method.as_str()
    }

    /// Whether the request is safe to repeat.
    #[getter]
    fn is_repeatable(&self) -> bool {
        self.request.method.is_safe()
    }

    /// Begins an attempt: the request, or the GET that resumes its stream. Calls `query_params`.
    ///
    /// `client_headers` are the headers of the user's HTTP client. They are sent and withheld like the
    /// request's headers, which take precedence. `fresh_headers` replace the request's headers.
    #[pyo3(signature = (
        last_event_id, *, resume_with_get = false, client_headers = Vec::new(),
        fresh_headers = None
    ))]
    fn exchange(
        &self,
        py: Python<'_>,
        last_event_id: Option<&str>,
        resume_with_get: bool,
        client_headers: Vec<(Vec<u8>, Vec<u8>)>,
        fresh_headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Exchange> {
        let mut request = self.request.clone();
        if let Some(headers) = fresh_headers {
            let fresh = user_headers(headers, &self.sensitive);
            replace(
                &mut request.headers,
                fresh.map_err(|error| mark_unsent(py, error))?,
            );
        }
        self.add_missing(&mut request.headers, client_headers)?;
        if resume_with_get {
            request = request.resumed();
        }
        if let Some(query_params) = &self.query_params {
            let added = add_query(query_params.bind(py), &mut request.url);
            added.map_err(|error| mark_unsent(py, error))?;
        }
        // An id that isn't a valid header value isn't sent, but the client keeps it.
        request.set_last_event_id(last_event_id);
        Ok(Exchange::new(request, self.config, self.cookies.as_ref()))
    }
}

impl Request {
    /// Adds the headers whose names aren't in the request yet.
    fn add_missing(&self, headers: &mut HeaderMap, added: Vec<(Vec<u8>, Vec<u8>)>) -> PyResult<()> {
        let mut missing = HeaderMap::new();
        for (name, value) in added {
            let shown = String::from_utf8_lossy(&name);
            let name = header_name(&shown)?;
            if !headers.contains_key(&name) {
                let mut value = header_value(&shown, &value)?;
                value.set_sensitive(self.sensitive.contains(&name));
                _ = missing.try_append(name, value);
            }
        }
        for (name, value) in &missing {
            _ = headers.try_append(name, value.clone());
        }
        Ok(())
    }
}

fn bad_url(url: &str, problem: &str) -> PyErr {
    let shown = RedactedUrl(url);
    // In the words of the engine's own HTTP.
    let error = everstream::Error::config("url", format!("{shown:?}: {problem}"));
    PyValueError::new_err(error.to_string())
}

fn header_name(name: &str) -> PyResult<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("the name of a header can't be {name:?}")))
}

/// Headers that the user sets, checked.
fn user_headers(headers: &Bound<'_, PyAny>, sensitive: &[HeaderName]) -> PyResult<HeaderMap> {
    let mut all = HeaderMap::new();
    for pair in pairs(Some(headers))? {
        let (name, value) = pair?;
        let bytes = text_or_bytes(&format!("the value of the header {name:?}"), &value)?;
        let mut value = header_value(&name, &bytes)?;
        let name = header_name(&name)?;
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            let problem = format!("the header {name:?} is computed from the body: it can't be set");
            return Err(PyValueError::new_err(problem));
        }
        value.set_sensitive(sensitive.contains(&name));
        _ = all.try_append(name, value);
    }
    Ok(all)
}

/// Headers replace those of the same name.
fn replace(headers: &mut HeaderMap, by: HeaderMap) {
    for name in by.keys() {
        headers.remove(name);
    }
    for (name, value) in &by {
        _ = headers.try_append(name, value.clone());
    }
}

/// The supported content codings: gzip and deflate always, others if their libraries are installed.
fn supported(names: &[String]) -> &'static [ContentCoding] {
    use ContentCoding::{Brotli, Deflate, Gzip, Zstd};
    let has = |coding: ContentCoding| names.iter().any(|name| name == coding.token());
    match (has(Brotli), has(Zstd)) {
        (false, false) => &[Gzip, Deflate],
        (true, false) => &[Gzip, Deflate, Brotli],
        (false, true) => &[Gzip, Deflate, Zstd],
        (true, true) => &[Gzip, Deflate, Brotli, Zstd],
    }
}

/// The URL with these query parameters. An invalid URL is returned unchanged, and reported when it is
/// used.
#[pyfunction]
pub(crate) fn add_params(url: String, params: &Bound<'_, PyAny>) -> PyResult<String> {
    let added = texts_of_pairs(params)?;
    Ok(match Url::parse(&url) {
        Ok(mut parsed) if !added.is_empty() => {
            add_pairs(&added, &mut parsed);
            parsed.into()
        }
        _ => url,
    })
}

/// Adds the result of the function to the query.
fn add_query(query_params: &Bound<'_, PyAny>, url: &mut Url) -> PyResult<()> {
    add_pairs(&query_pairs(query_params)?, url);
    Ok(())
}

/// A name replaces the URL's parameters of that name. The rest of the query isn't changed.
fn add_pairs(added: &[(String, String)], url: &mut Url) {
    if added.is_empty() {
        return;
    }
    let is_replaced = |pair: &str| {
        let own = form_urlencoded::parse(pair.as_bytes()).next();
        own.is_some_and(|(own, _)| added.iter().any(|(name, _)| *name == own))
    };
    let query = url.query().unwrap_or_default();
    let mut parts: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !is_replaced(pair))
        .map(str::to_owned)
        .collect();
    for (name, value) in added {
        let quote = |text| utf8_percent_encode(text, QUOTED);
        parts.push(format!("{}={}", quote(name), quote(value)));
    }
    url.set_query(Some(&parts.join("&")));
}
