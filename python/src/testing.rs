//! `everstream.testing`: the scriptable server, for tests in Python.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{duration, text_or_bytes};
use crate::process::Process;

/// What the server answers a request with. It is immutable: each method returns a new one.
#[pyclass(frozen, module = "everstream.testing")]
pub(crate) struct Reply(everstream_testing::Reply);

#[pymethods]
impl Reply {
    /// An event stream: status 200, chunked.
    #[staticmethod]
    fn stream() -> Self {
        Reply(everstream_testing::Reply::stream())
    }

    /// A response with this status and no body.
    #[staticmethod]
    fn status(status: u16) -> Self {
        Reply(everstream_testing::Reply::status(status))
    }

    /// A redirect to another URL.
    #[staticmethod]
    fn redirect(status: u16, location: String) -> Self {
        Reply(everstream_testing::Reply::redirect(status, location))
    }

    /// Nothing but what is sent, from the moment at which a connection is accepted.
    #[staticmethod]
    fn on_accept() -> Self {
        Reply(everstream_testing::Reply::on_accept())
    }

    /// Replaces a header.
    fn header(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let value = text_or_bytes("value", value)?;
        Ok(Reply(self.0.clone().header(name, value)))
    }

    /// Sends these bytes.
    fn send(&self, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = text_or_bytes("data", data)?;
        Ok(Reply(self.0.clone().send(data)))
    }

    /// Sends these bytes again and again.
    fn send_forever(&self, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = text_or_bytes("data", data)?;
        Ok(Reply(self.0.clone().send_forever(data)))
    }

    /// Sends an event.
    #[pyo3(signature = (data, *, event=None, id=None))]
    fn event(&self, data: &str, event: Option<&str>, id: Option<&str>) -> Self {
        let mut text = String::new();
        for (field, value) in [("event", event), ("id", id)] {
            if let Some(value) = value {
                text.push_str(&format!("{field}: {value}\n"));
            }
        }
        for line in data.split('\n') {
            text.push_str(&format!("data: {line}\n"));
        }
        text.push('\n');
        Reply(self.0.clone().send(text))
    }

    /// Sends a comment.
    fn comment(&self, text: &str) -> Self {
        Reply(self.0.clone().comment(text))
    }

    /// Asks the client to reconnect after this many milliseconds.
    fn retry(&self, milliseconds: u64) -> Self {
        Reply(self.0.clone().retry(milliseconds))
    }

    /// Waits before the next step.
    fn pause(&self, seconds: f64) -> PyResult<Self> {
        Ok(Reply(self.0.clone().pause(duration("seconds", seconds)?)))
    }

    /// Waits before the head.
    fn head_delayed(&self, seconds: f64) -> PyResult<Self> {
        let seconds = duration("seconds", seconds)?;
        Ok(Reply(self.0.clone().head_delayed(seconds)))
    }

    /// Ends the response in an orderly way. This is the default.
    fn end(&self) -> Self {
        Reply(self.0.clone().end())
    }

    /// Closes the connection without ending the response.
    fn drop_connection(&self) -> Self {
        Reply(self.0.clone().drop_connection())
    }

    /// Resets the connection.
    fn reset(&self) -> Self {
        Reply(self.0.clone().reset())
    }

    /// Goes silent and keeps the connection.
    fn stall(&self) -> Self {
        Reply(self.0.clone().stall())
    }
}

/// The server behind `SSEServer`.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Server {
    /// `None` only while it is dropped.
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

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        // The one in the parent isn't this process's to stop.
        if !self.process.is_gone() {
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
        let gone = || PyRuntimeError::new_err("the server is gone");
        self.server.as_ref().ok_or_else(gone)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its threads are in the process that it was started in: here nothing can end them.
        if self.process.is_gone() {
            std::mem::forget(self.server.take());
        }
    }
}
