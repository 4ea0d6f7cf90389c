//! The scriptable server of `everstream.testing`.

use everstream_testing::Portion;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{duration, text_or_bytes};
use crate::process::Process;

/// The reply of the test server to a request. Immutable: methods return a new one.
///
/// It has a head, then steps in order, then an ending. Without an ending, ``end()`` follows.
#[pyclass(frozen, module = "everstream.testing")]
pub(crate) struct Reply(Scripted);

type Scripted = everstream_testing::Reply;

impl Reply {
    fn then(&self, change: impl FnOnce(Scripted) -> Scripted) -> Self {
        Reply(change(self.0.clone()))
    }
}

fn status_code(status: u16) -> PyResult<u16> {
    match status {
        100..=999 => Ok(status),
        _ => Err(PyValueError::new_err(format!(
            "status must be from 100 to 999, not {status}"
        ))),
    }
}

#[pymethods]
impl Reply {
    /// An event stream: status 200, chunked.
    #[staticmethod]
    fn stream() -> Self {
        Reply(Scripted::stream())
    }

    /// A response with this status. The data sent is its body, with a ``Content-Length``.
    #[staticmethod]
    fn status(status: u16) -> PyResult<Self> {
        Ok(Reply(Scripted::status(status_code(status)?)))
    }

    /// A redirect to another URL.
    #[staticmethod]
    fn redirect(status: u16, location: String) -> PyResult<Self> {
        Ok(Reply(Scripted::redirect(status_code(status)?, location)))
    }

    /// Only these bytes, without a head, after which the connection is closed.
    #[staticmethod]
    fn raw(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Reply(Scripted::raw(text_or_bytes("data", data)?)))
    }

    /// Like ``raw``, but begins when the connection is accepted, without reading a request.
    #[staticmethod]
    fn on_accept() -> Self {
        Reply(Scripted::on_accept())
    }

    /// Sets another status, as in ``Reply.stream().with_status(201)``.
    fn with_status(&self, status: u16) -> PyResult<Self> {
        let status = status_code(status)?;
        Ok(self.then(|it| it.with_status(status)))
    }

    /// Sets a header, replacing any of the same name.
    fn header(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let value = text_or_bytes("value", value)?;
        Ok(self.then(|it| it.header(name, value)))
    }

    /// Adds a header, even if there is one of the same name.
    fn append_header(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let value = text_or_bytes("value", value)?;
        Ok(self.then(|it| it.append_header(name, value)))
    }

    /// Removes a header.
    fn without_header(&self, name: &str) -> Self {
        self.then(|it| it.without_header(name))
    }

    /// Frames the body in chunks, one for each step that sends data.
    fn chunked(&self) -> Self {
        self.then(Scripted::chunked)
    }

    /// Promises a body of this many bytes, however many are sent.
    fn content_length(&self, length: u64) -> Self {
        self.then(|it| it.content_length(length))
    }

    /// Sends the body without a length: it ends with the connection.
    fn close_delimited(&self) -> Self {
        self.then(Scripted::close_delimited)
    }

    /// Delays the head until the gate is open.
    fn head_after(&self, gate: &Gate) -> Self {
        self.then(|it| it.head_after(&gate.0))
    }

    /// Delays the head by this many seconds.
    fn head_delayed(&self, seconds: f64) -> PyResult<Self> {
        let seconds = duration("seconds", seconds)?;
        Ok(self.then(|it| it.head_delayed(seconds)))
    }

    /// Sends these bytes.
    fn send(&self, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = text_or_bytes("data", data)?;
        Ok(self.then(|it| it.send(data)))
    }

    /// Sends these bytes again and again.
    fn send_forever(&self, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = text_or_bytes("data", data)?;
        Ok(self.then(|it| it.send_forever(data)))
    }

    /// Sends an event. ``event`` and ``id`` can't have line ends; ``send`` takes anything.
    #[pyo3(signature = (data, *, event=None, id=None))]
    fn event(&self, data: &str, event: Option<&str>, id: Option<&str>) -> PyResult<Self> {
        let mut text = String::new();
        for (field, value) in [("event", event), ("id", id)] {
            if let Some(value) = value {
                if value.contains(['\r', '\n']) {
                    return Err(PyValueError::new_err(format!(
                        "{field} must not have line ends; send() sends anything"
                    )));
                }
                text.push_str(&format!("{field}: {value}\n"));
            }
        }
        for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
            text.push_str(&format!("data: {line}\n"));
        }
        text.push('\n');
        Ok(self.then(|it| it.send(text)))
    }

    /// Sends a comment.
    fn comment(&self, text: &str) -> Self {
        self.then(|it| it.comment(text))
    }

    /// Asks the client to reconnect after this many milliseconds.
    fn retry(&self, milliseconds: u64) -> Self {
        self.then(|it| it.retry(milliseconds))
    }

    /// Streams a feed's events after the request's ``Last-Event-ID``, then those pushed later.
    ///
    /// With ``take``, only that many events; with ``and_half``, also the first half of the next.
    #[pyo3(signature = (feed, *, take=None, and_half=false))]
    fn resume(&self, feed: &Feed, take: Option<usize>, and_half: bool) -> Self {
        self.then(|it| it.resume(feed.portion(take, and_half)))
    }

    /// Like ``resume``, but from the first event, ignoring ``Last-Event-ID``.
    #[pyo3(signature = (feed, *, take=None, and_half=false))]
    fn replay(&self, feed: &Feed, take: Option<usize>, and_half: bool) -> Self {
        self.then(|it| it.replay(feed.portion(take, and_half)))
    }

    /// Waits this many seconds before the next step.
    fn pause(&self, seconds: f64) -> PyResult<Self> {
        let seconds = duration("seconds", seconds)?;
        Ok(self.then(|it| it.pause(seconds)))
    }

    /// Waits before the next step until the gate is open.
    fn wait_for(&self, gate: &Gate) -> Self {
        self.then(|it| it.wait_for(&gate.0))
    }

    /// Opens a gate, to signal that the reply has reached this step.
    fn open(&self, gate: &Gate) -> Self {
        self.then(|it| it.open(&gate.0))
    }

    /// Splits everything that is sent into pieces of this many bytes.
    fn in_pieces(&self, bytes: usize) -> Self {
        self.then(|it| it.in_pieces(bytes))
    }

    /// Ends the response cleanly. This is the default.
    fn end(&self) -> Self {
        self.then(Scripted::end)
    }

    /// Closes the connection without ending the response.
    fn drop_connection(&self) -> Self {
        self.then(Scripted::drop_connection)
    }

    /// Resets the connection.
    fn reset(&self) -> Self {
        self.then(Scripted::reset)
    }

    /// Closes only the sending side of the connection.
    fn half_close(&self) -> Self {
        self.then(Scripted::half_close)
    }

    /// Stops sending, but keeps the connection open.
    fn stall(&self) -> Self {
        self.then(Scripted::stall)
    }

    /// Closes the connection after this many bytes of the response, including its head.
    fn cut_after(&self, bytes: usize) -> Self {
        self.then(|it| it.cut_after(bytes))
    }

    /// Resets the connection after this many bytes of the response, including its head.
    fn reset_after(&self, bytes: usize) -> Self {
        self.then(|it| it.reset_after(bytes))
    }

    /// Stops sending after this many bytes of the response, including its head.
    fn stall_after(&self, bytes: usize) -> Self {
        self.then(|it| it.stall_after(bytes))
    }
}

/// A gate that one side waits for and the other side opens, once and for good.
#[pyclass(frozen, module = "everstream.testing")]
pub(crate) struct Gate(everstream_testing::Gate);

#[pymethods]
impl Gate {
    #[new]
    fn new() -> Self {
        Gate(everstream_testing::Gate::new())
    }

    /// Opens the gate: all current and future waits end.
    fn open(&self) {
        self.0.open();
    }

    /// Whether the gate has been opened.
    #[getter]
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Waits until the gate is open, at most this many seconds. Returns whether it is open.
    #[pyo3(signature = (timeout=10.0))]
    fn wait(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let limit = duration("timeout", timeout)?;
        Ok(py.detach(|| self.0.wait(limit)))
    }
}

/// A growing log of events with the ids ``1``, ``2``, ``3`` and so on.
///
/// :meth:`Reply.resume` streams the events after the client's ``Last-Event-ID``.
#[pyclass(frozen, module = "everstream.testing")]
pub(crate) struct Feed(everstream_testing::Feed);

impl Feed {
    fn portion(&self, take: Option<usize>, and_half: bool) -> Portion {
        let portion = match take {
            Some(events) => self.0.take(events),
            None => Portion::from(&self.0),
        };
        match and_half {
            true => portion.and_half(),
            false => portion,
        }
    }
}

#[pymethods]
impl Feed {
    #[new]
    fn new() -> Self {
        Feed(everstream_testing::Feed::new())
    }

    /// Appends an event and returns its id. Does nothing after ``close``.
    #[pyo3(signature = (data, *, event=None))]
    fn push(&self, data: &str, event: Option<&str>) -> usize {
        match event {
            Some(event) => self.0.push_event(event, data),
            None => self.0.push(data),
        }
    }

    /// Completes the feed: a reply that has sent all of it continues with its next step.
    fn close(&self) {
        self.0.close();
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// The server behind `SSEServer`.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Server {
    /// `None` only during drop.
    server: Option<everstream_testing::Server>,
    process: Process,
}

/// Method, target, headers, body.
type Request<'py> = (String, String, Vec<(String, String)>, Bound<'py, PyBytes>);

#[pymethods]
impl Server {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Server {
            server: Some(everstream_testing::Server::try_start()?),
            process: Process::current(),
        })
    }

    fn url(&self, path: &str) -> PyResult<String> {
        Ok(self.server()?.url(path))
    }

    fn enqueue(&self, reply: &Reply) -> PyResult<()> {
        self.server()?.enqueue(reply.0.clone());
        Ok(())
    }

    fn otherwise(&self, reply: &Reply) -> PyResult<()> {
        self.server()?.otherwise(reply.0.clone());
        Ok(())
    }

    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Vec<Request<'py>>> {
        let requests = self.server()?.requests().into_iter();
        Ok(requests
            .map(|request| {
                let headers = request.headers.into_iter();
                let headers = headers
                    .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
                    .collect();
                let body = PyBytes::new(py, &request.body);
                (request.method, request.target, headers, body)
            })
            .collect())
    }

    #[getter]
    fn port(&self) -> PyResult<u16> {
        Ok(self.server()?.addr().port())
    }

    #[getter]
    fn queued_replies(&self) -> PyResult<usize> {
        Ok(self.server()?.queued_replies())
    }

    #[getter]
    fn refused_requests(&self) -> PyResult<usize> {
        Ok(self.server()?.refused_requests())
    }

    #[getter]
    fn request_count(&self) -> PyResult<usize> {
        Ok(self.server()?.request_count())
    }

    #[getter]
    fn open_connections(&self) -> PyResult<usize> {
        Ok(self.server()?.open_connections())
    }

    #[getter]
    fn accepted_connections(&self) -> PyResult<usize> {
        Ok(self.server()?.accepted_connections())
    }

    fn wait_for_requests(&self, py: Python<'_>, count: usize, seconds: f64) -> PyResult<bool> {
        let (server, limit) = (self.server()?, duration("timeout", seconds)?);
        Ok(py.detach(|| server.wait_for_requests(count, limit)))
    }

    fn wait_for_connections(&self, py: Python<'_>, count: usize, seconds: f64) -> PyResult<bool> {
        let (server, limit) = (self.server()?, duration("timeout", seconds)?);
        Ok(py.detach(|| server.wait_for_connections(count, limit)))
    }

    fn wait_for_open_connections(
        &self,
        py: Python<'_>,
        count: usize,
        seconds: f64,
    ) -> PyResult<bool> {
        let (server, limit) = (self.server()?, duration("timeout", seconds)?);
        Ok(py.detach(|| server.wait_for_open_connections(count, limit)))
    }

    fn drop_connections(&self) -> PyResult<()> {
        self.server()?.drop_connections();
        Ok(())
    }

    fn reset_connections(&self) -> PyResult<()> {
        self.server()?.reset_connections();
        Ok(())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        // In a forked child, the server belongs to the parent process.
        if !self.process.is_forked() {
            let server = self.server()?;
            py.detach(|| server.stop());
        }
        Ok(())
    }

    fn restart(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server()?;
        Ok(py.detach(|| server.restart())?)
    }
}

impl Server {
    fn server(&self) -> PyResult<&everstream_testing::Server> {
        self.process.check("server")?;
        let gone = || PyRuntimeError::new_err("the server has been stopped");
        self.server.as_ref().ok_or_else(gone)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its threads exist only in the process that started it, so dropping it here would wait forever.
        if self.process.is_forked() {
            std::mem::forget(self.server.take());
        }
    }
}
