//! The engine's HTTP as a `ConnectionClient`, for strategies that wrap it.
//!
//! A client that uses `ConnectStrategy.http` directly doesn't need this module.

use std::future::Future;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{Connection, Fault, Headers};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::convert::{headers_to_python, idle_timeout};
use crate::direct::{Closer, Direct, Readers};
use crate::fault::exception;
use crate::http::Http;
use crate::http_connector::{HttpConnector, closed};
use crate::pending_exception::lock;
use crate::process::{Process, handles_signals};
use crate::runtime;

/// How often a wait in the main thread checks for signals.
const SLICE: Duration = Duration::from_millis(100);

#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct HttpClient {
    connector: HttpConnector,
    connecting: Running,
}

#[pymethods]
impl HttpClient {
    #[new]
    fn new(http: &Http) -> PyResult<Self> {
        Ok(HttpClient {
            connector: HttpConnector::new(http, |client| client)?,
            connecting: Running::default(),
        })
    }

    #[getter]
    fn is_repeatable(&self) -> bool {
        self.connector.is_repeatable
    }

    #[pyo3(signature = (last_event_id, *, resume_with_get = false, read_timeout = None))]
    fn connect(
        &self,
        py: Python<'_>,
        last_event_id: Option<String>,
        resume_with_get: bool,
        read_timeout: Option<f64>,
    ) -> PyResult<HttpStream> {
        let connector = &self.connector;
        let read_timeout = idle_timeout(read_timeout)?;
        let connecting = connector.connect(py, last_event_id, resume_with_get, read_timeout)?;
        let runtime = runtime::handle()?;
        let result = self.connecting.begin(&runtime, connecting).wait(py)?;
        if let Some(error) = connector.pending.take() {
            return Err(error);
        }
        match result {
            Some(Ok(connection)) => Ok(HttpStream::new(connection, runtime)),
            Some(Err(fault)) => Err(PyErr::from_value(exception(py, &fault)?.into_any())),
            None => Err(closed(py)),
        }
    }

    fn close(&self) {
        if self.connector.close() {
            self.connecting.abort();
        }
    }
}

/// An iterator over the chunks of a connection.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct HttpStream {
    start: everstream::Start,
    /// `None` after `close`.
    connection: Arc<tokio::sync::Mutex<Option<Connection>>>,
    /// A read whose wait ended with an exception, such as `KeyboardInterrupt`; the next call continues it.
    reading: Mutex<Option<Pending<Option<Chunk>>>>,
    running: Running,
    runtime: Handle,
    process: Process,
    reader: Readers,
    /// Closes the connection while the engine reads it.
    closer: Closer,
}

type Chunk = Result<Vec<u8>, Fault>;

impl HttpStream {
    fn new(connection: Connection, runtime: Handle) -> Self {
        HttpStream {
            start: connection.start().clone(),
            connection: Arc::new(tokio::sync::Mutex::new(Some(connection))),
            reading: Mutex::new(None),
            running: Running::default(),
            runtime,
            process: Process::current(),
            reader: Readers::default(),
            closer: Closer::default(),
        }
    }

    /// Hands the connection to the engine, unless Python code has begun to read it.
    pub(crate) fn take(&self) -> Option<Direct> {
        if self.process.is_forked() || !self.reader.claim_for_engine() {
            return None;
        }
        Some(Direct {
            connection: self.connection.try_lock().ok()?.take()?,
            closer: self.closer.clone(),
        })
    }

    fn read(&self) -> Pending<Option<Chunk>> {
        let connection = self.connection.clone();
        self.running.begin(&self.runtime, async move {
            let mut connection = connection.lock().await;
            let chunk = connection.as_mut()?.next_chunk().await;
            Some(chunk?.map(|bytes| bytes.as_ref().to_vec()))
        })
    }
}

#[pymethods]
impl HttpStream {
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.start.headers {
            Some(headers) => headers_to_python(py, headers),
            None => headers_to_python(py, &Headers::default()),
        }
    }

    #[getter]
    fn status(&self) -> Option<u16> {
        self.start.status
    }

    #[getter]
    fn url(&self) -> Option<&str> {
        self.start.url.as_deref()
    }

    #[getter]
    fn withheld_headers(&self) -> Vec<String> {
        self.start.withheld_headers.clone()
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.process.check("connection")?;
        if self.closer.is_closed() {
            return Ok(None);
        }
        self.reader.claim_for_python()?;
        let pending = lock(&self.reading).take();
        let pending = pending.unwrap_or_else(|| self.read());
        let chunk = match pending.wait(py) {
            Ok(chunk) => chunk.flatten(),
            Err(error) => {
                *lock(&self.reading) = Some(pending);
                return Err(error);
            }
        };
        match chunk {
            Some(Ok(bytes)) => Ok(Some(PyBytes::new(py, &bytes))),
            Some(Err(fault)) => {
                self.close();
                Err(PyErr::from_value(exception(py, &fault)?.into_any()))
            }
            None => {
                self.close();
                Ok(None)
            }
        }
    }

    fn close(&self) {
        if self.process.is_forked() {
            return;
        }
        self.closer.close();
        self.running.abort();
        let connection = self.connection.clone();
        // Dropped inside the runtime, once the aborted read has released the lock.
        self.runtime
            .spawn(async move { connection.lock().await.take() });
    }
}

impl Drop for HttpStream {
    fn drop(&mut self) {
        self.close();
    }
}

/// A task that a thread waits for, and that another thread can end.
#[derive(Default)]
struct Running(Mutex<Option<AbortHandle>>);

impl Running {
    fn begin<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Pending<T> {
        let (done, result) = mpsc::channel();
        let task = runtime.spawn(async move {
            // Fails if the receiver has been dropped.
            _ = done.send(work.await);
        });
        *lock(&self.0) = Some(task.abort_handle());
        Pending(Mutex::new(result))
    }

    fn abort(&self) {
        if let Some(task) = lock(&self.0).take() {
            task.abort();
        }
    }
}

/// The future result of a task.
struct Pending<T>(Mutex<Receiver<T>>);

impl<T: Send> Pending<T> {
    /// Waits for the result. `None`: the task was aborted. An error comes from a signal handler; the task
    /// continues then.
    fn wait(&self, py: Python<'_>) -> PyResult<Option<T>> {
        let sliced = handles_signals();
        loop {
            let result = py.detach(|| {
                let receiver = lock(&self.0);
                match sliced {
                    true => receiver.recv_timeout(SLICE),
                    false => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                }
            });
            match result {
                Ok(result) => return Ok(Some(result)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            }
        }
    }
}
