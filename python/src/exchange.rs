//! One attempt of a transport written in Python: the transport moves bytes, `everstream_http` decides.

use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use everstream::{Fault, Timestamp};
use everstream_http::exchange::{self, Config, Output};
use everstream_http::policy::{ContentCoding, CookieJar, is_framed};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{duration, headers_to_python};
use crate::fault::{exception, new_error};
use crate::pending_exception::lock;

#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Exchange(Mutex<State>);

struct State {
    exchange: exchange::Exchange,
    began: Instant,
    has_left_origin: bool,
    /// Whether the end of the last response proves that it is complete.
    proves_end: bool,
    /// Kept here because the exchange returns it only once.
    fault: Option<Fault>,
}

impl State {
    fn output(&mut self) -> Option<Output> {
        match self.exchange.poll_output() {
            Output::Failed(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
            output => Some(output),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::since_start(self.began.elapsed())
    }
}

impl Exchange {
    pub(crate) fn new(
        request: exchange::Request,
        config: Config,
        cookies: Option<&CookieJar>,
    ) -> Self {
        let mut exchange = exchange::Exchange::new(request, config, Timestamp::default());
        if let Some(jar) = cookies {
            exchange.use_cookies(jar.clone(), SystemTime::now());
        }
        Exchange(Mutex::new(State {
            exchange,
            began: Instant::now(),
            has_left_origin: false,
            proves_end: false,
            fault: None,
        }))
    }
}

type Pairs<'py> = Vec<(String, Bound<'py, PyBytes>)>;

#[pymethods]
impl Exchange {
    /// The method, URL and headers to send next.
    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> (String, String, Pairs<'py>) {
        let state = lock(&self.0);
        let request = state.exchange.request();
        let headers = request.headers.iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), PyBytes::new(py, value.as_bytes())))
            .collect();
        (request.method.to_string(), request.url.to_string(), headers)
    }

    /// Whether the body is sent with this request.
    #[getter]
    fn has_body(&self) -> bool {
        lock(&self.0).exchange.request().has_body
    }

    /// Whether a redirect was followed.
    #[getter]
    fn is_redirected(&self) -> bool {
        lock(&self.0).exchange.followed() > 0
    }

    /// Whether a redirect led to another origin. Credentials of the first origin are then no longer sent,
    /// even if another redirect leads back to it.
    #[getter]
    fn has_left_origin(&self) -> bool {
        lock(&self.0).has_left_origin
    }

    /// Handles the head of a response; returns `follow`, `stream` or `error`. Without a version, HTTP/1.1
    /// is assumed.
    #[pyo3(signature = (status, headers, version=None))]
    fn handle_head(
        &self,
        status: u16,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        version: Option<(u8, u8)>,
    ) -> PyResult<&'static str> {
        let mut state = lock(&self.0);
        let origin = state.exchange.request().url.origin();
        let now = state.now();
        state.exchange.handle_connected(now);
        let headers = header_map(headers);
        let version = match version {
            Some((1, 0)) => Version::HTTP_10,
            Some((2, _)) => Version::HTTP_2,
            Some((3, _)) => Version::HTTP_3,
            _ => Version::HTTP_11,
        };
        state.proves_end = is_framed(version, &headers);
        state
            .exchange
            .handle_head(status, headers, now, SystemTime::now());
        match state.output() {
            Some(Output::Connect { .. }) => {
                state.has_left_origin |= state.exchange.request().url.origin() != origin;
                Ok("follow")
            }
            Some(Output::Stream(_)) => Ok("stream"),
            Some(Output::ReadError { .. }) => Ok("error"),
            _ => Err(PyValueError::new_err("no response is expected now")),
        }
    }

    /// Whether the end of the body proves that it is complete, given that the transport reports an
    /// error if a framed body is cut off.
    #[getter]
    fn proves_end(&self) -> bool {
        lock(&self.0).proves_end
    }

    /// The coding of the body that follows, if it has to be decoded.
    #[getter]
    fn coding(&self) -> Option<&'static str> {
        match lock(&self.0).output() {
            Some(Output::Stream(coding) | Output::ReadError { coding, .. }) => {
                coding.map(ContentCoding::token)
            }
            _ => None,
        }
    }

    /// How many seconds remain to read the body of an error; `None` if no more of it is needed.
    #[getter]
    fn error_body_time(&self) -> Option<f64> {
        let mut state = lock(&self.0);
        let now = state.now();
        match state.output() {
            Some(Output::ReadError { deadline, .. }) if deadline > now => {
                Some(deadline.saturating_duration_since(now).as_secs_f64())
            }
            _ => None,
        }
    }

    /// Takes decoded bytes of the body of an error. Bytes beyond the limit are dropped.
    fn handle_body(&self, chunk: &[u8]) {
        lock(&self.0).exchange.handle_body(chunk);
    }

    /// The exception for the response, with the part of the body received so far.
    fn error(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let fault = {
            let mut state = lock(&self.0);
            state.exchange.handle_body_end();
            _ = state.output();
            let none = || Fault::Source("there is no error".into());
            state.fault.take().unwrap_or_else(none)
        };
        Ok(exception(py, &fault)?.into_any().unbind())
    }

    /// The exception for a failure of the transport before anything was sent over this connection.
    ///
    /// After a redirect it is a `RequestError`, because the redirecting server received the request.
    fn connect_failure(&self, py: Python<'_>, message: &str, is_timeout: bool) -> Py<PyAny> {
        let name = match (self.is_redirected(), is_timeout) {
            (true, _) => "RequestError",
            (false, true) => "ConnectTimeoutError",
            (false, false) => "ConnectError",
        };
        new_error(py, name, message).into_value(py).into_any()
    }

    /// The exception if no response arrived within the read timeout, in seconds.
    #[allow(clippy::unused_self)] // next to the other failures
    fn response_timeout(&self, py: Python<'_>, read_timeout: f64) -> PyResult<Py<PyAny>> {
        let fault = Fault::ResponseTimeout(duration("read_timeout", read_timeout)?);
        Ok(exception(py, &fault)?.into_any().unbind())
    }

    /// The exception for a failure of the transport after which the server may have the request.
    fn request_failure(&self, py: Python<'_>, message: &str, is_timeout: bool) -> Py<PyAny> {
        let name = match is_timeout {
            true => "ReadTimeoutError",
            false => "RequestError",
        };
        new_error(py, name, message).into_value(py).into_any()
    }

    /// The headers of the stream's response, its status, its URL, and the names of headers that were
    /// not sent there.
    #[allow(clippy::type_complexity)] // a tuple for Python
    fn start<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<u16>, Option<String>, Vec<String>)> {
        let start = lock(&self.0).exchange.start();
        let headers = headers_to_python(py, &start.headers.unwrap_or_default())?;
        Ok((headers, start.status, start.url, start.withheld_headers))
    }
}

/// Builds the header map. Invalid headers are skipped.
fn header_map(headers: Vec<(Vec<u8>, Vec<u8>)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(&name);
        let value = HeaderValue::from_bytes(&value);
        if let (Ok(name), Ok(value)) = (name, value) {
            _ = map.try_append(name, value);
        }
    }
    map
}
