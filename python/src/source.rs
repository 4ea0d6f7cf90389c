//! Custom sources: a `ConnectionClient` written in Python, and its `ConnectionResult`.
//!
//! Their methods and iterators are called in the reading thread, inside the engine's waits. The thread
//! that stops the connection closes the result, which should unblock a pending read.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use everstream::{
    BoxError, ConnectFuture, ConnectRequest, Connection, ConnectionClient, Ending, Fault, Start,
};
use futures_core::Stream;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyMemoryView};

use crate::convert::{headers_from_python, status as status_from_python};
use crate::direct::Direct;
use crate::fault::{from_base_exception, from_exception};
use crate::http_client::HttpStream;
use crate::pending_exception::{PendingException, lock};
use crate::watch::Watch;

/// A `ConnectionClient` written in Python.
pub(crate) struct Source {
    client: Py<PyAny>,
    opened: Mutex<Option<Arc<Opened>>>,
    closed: AtomicBool,
    /// How many times it was interrupted.
    interruptions: AtomicUsize,
    repeatable: bool,
    can_resume_with_get: bool,
    pending: PendingException,
}

/// An open connection.
struct Opened {
    result: Py<PyAny>,
    closed: AtomicBool,
}

impl Opened {
    /// Calls `ConnectionResult.close()`, once.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.result.call_method0(py, "close")?;
        }
        Ok(())
    }

    /// Whether the engine or the program has closed it.
    fn is_closed(&self, py: Python<'_>) -> bool {
        self.closed.load(Ordering::Acquire) || self.has_flag(py, "_closed")
    }

    /// Whether the end of the stream proves that it is complete. After `close` it doesn't.
    fn ending(&self) -> Ending {
        let is_complete =
            Python::try_attach(|py| self.has_flag(py, "_proves_end") && !self.is_closed(py));
        match is_complete {
            Some(true) => Ending::Complete,
            _ => Ending::Unproven,
        }
    }

    /// A flag of the result; only a `ConnectionResult` of this package has it.
    fn has_flag(&self, py: Python<'_>, name: &str) -> bool {
        let said = self.result.bind(py).getattr_opt(name);
        let said = said.and_then(|said| said.map_or(Ok(false), |said| said.is_truthy()));
        said.unwrap_or_default()
    }
}

impl Source {
    pub(crate) fn new(
        client: &Bound<'_, PyAny>,
        pending: &PendingException,
    ) -> PyResult<Arc<Self>> {
        let flag = |name, default| match client.getattr_opt(name)? {
            Some(said) => said.is_truthy(),
            None => Ok(default),
        };
        Ok(Arc::new(Source {
            client: client.clone().unbind(),
            opened: Mutex::new(None),
            closed: AtomicBool::new(false),
            interruptions: AtomicUsize::new(0),
            repeatable: flag("is_repeatable", true)?,
            can_resume_with_get: flag("can_resume_with_get", false)?,
            pending: pending.clone(),
        }))
    }

    /// Must be called before the engine is interrupted, so that only attempts begun earlier are stopped.
    pub(crate) fn about_to_interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::AcqRel);
    }

    /// Closes the connection or stops the running attempt, in this thread.
    pub(crate) fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        let result = self.close_opened(py);
        if self.client.bind(py).hasattr("interrupt")? {
            self.client.call_method0(py, "interrupt")?;
        }
        result
    }

    fn close_opened(&self, py: Python<'_>) -> PyResult<()> {
        let opened = lock(&self.opened).take();
        match opened {
            Some(opened) => opened.close(py),
            None => Ok(()),
        }
    }

    /// Closes the connection and the client, in this thread.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<()> {
        let result = self.close_opened(py);
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.client.call_method0(py, "close")?;
        }
        result
    }

    fn connect(&self, py: Python<'_>, request: ConnectRequest) -> Result<Connection, Fault> {
        self.open(py, request).map_err(|error| {
            if error.is_instance_of::<PyException>(py) {
                from_exception(error, py).unwrap_or_else(|error| Fault::Source(error.into()))
            } else {
                from_base_exception(py, error, &self.pending)
            }
        })
    }

    fn open(&self, py: Python<'_>, request: ConnectRequest) -> PyResult<Connection> {
        let method = match request.resume_with_get {
            true => "resume_with_get",
            false => "connect",
        };
        let read_timeout = request.read_timeout;
        let arguments = (request.last_event_id,);
        let result = self.client.call_method1(py, method, arguments)?;
        if !result.bind(py).hasattr("stream")? {
            return Err(PyTypeError::new_err(format!(
                "ConnectionClient.{method} must return a ConnectionResult, not {}",
                result.bind(py).get_type().name()?
            )));
        }
        let opened = Arc::new(Opened {
            result: result.clone_ref(py),
            closed: AtomicBool::new(false),
        });
        // From here on the result gets closed, even if one of its attributes is wrong.
        let closer = {
            let (opened, pending) = (opened.clone(), self.pending.clone());
            move || {
                // If the interpreter has ended, there is nothing left to close.
                if let Some(Err(error)) = Python::try_attach(|py| opened.close(py)) {
                    pending.raise(error);
                }
            }
        };
        let (chunks, start) = match Self::parts(result.bind(py)) {
            Ok(parts) => parts,
            Err(error) => {
                if let Err(on_top) = opened.close(py) {
                    on_top.write_unraisable(py, None);
                }
                return Err(error);
            }
        };
        *lock(&self.opened) = Some(opened.clone());
        let connection = match chunks {
            Bytes::Direct(direct) => {
                let (closer, ending) = (direct.closer.clone(), direct.connection.ending());
                Connection::from_stream(direct).with_ending_fn(move || match closer.is_closed() {
                    true => Ending::Unproven,
                    false => ending,
                })
            }
            Bytes::Python(iterator) => {
                let watch = match read_timeout {
                    Some(limit) => {
                        let (opened, pending) = (opened.clone(), self.pending.clone());
                        let close = move |py: Python<'_>| {
                            if let Err(error) = opened.close(py) {
                                pending.raise(error);
                            }
                        };
                        Some(Watch::new(py, limit, close)?)
                    }
                    None => None,
                };
                Connection::from_stream(Chunks {
                    iterator,
                    opened: opened.clone(),
                    watch,
                    pending: self.pending.clone(),
                })
                .with_ending_fn(move || opened.ending())
            }
        };
        Ok(connection.with_start(start).with_closer(closer))
    }

    /// The chunks, and the head of the response.
    fn parts(result: &Bound<'_, PyAny>) -> PyResult<(Bytes, Start)> {
        let part = |name| -> PyResult<_> {
            let part = result.getattr_opt(name)?;
            Ok(part.filter(|part| !part.is_none()))
        };
        let stream = result.getattr("stream")?;
        let own = stream.cast::<HttpStream>().ok();
        let chunks = match own.and_then(|stream| stream.get().take()) {
            Some(direct) => Bytes::Direct(direct),
            None => Bytes::Python(stream.try_iter()?.unbind()),
        };
        let mut start = Start::default();
        let headers = part("headers")?;
        start.headers = headers.as_ref().map(headers_from_python).transpose()?;
        let status = part("status")?;
        start.status = status.as_ref().map(status_from_python).transpose()?;
        start.url = part("url")?.map(|url| url.extract()).transpose()?;
        if let Some(names) = part("withheld_headers")? {
            start.withheld_headers = names.extract()?;
        }
        Ok((chunks, start))
    }
}

/// The bytes to read: the engine's own connection if no Python code reads it, otherwise an iterator.
enum Bytes {
    Direct(Direct),
    Python(Py<PyIterator>),
}

/// Implements the engine's `ConnectionClient` for a source.
pub(crate) struct SourceClient(pub(crate) Arc<Source>);

impl ConnectionClient for SourceClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let source = self.0.clone();
        let interruptions = source.interruptions.load(Ordering::Acquire);
        Box::pin(async move {
            let stopped = || {
                source.closed.load(Ordering::Acquire)
                    || source.interruptions.load(Ordering::Acquire) != interruptions
            };
            let result = Python::attach(|py| {
                // Another thread may have interrupted while this one waited for the GIL, and found no
                // attempt to stop.
                match stopped() {
                    true => None,
                    false => Some(source.connect(py, request)),
                }
            });
            match result {
                Some(Ok(connection)) => Ok(connection),
                Some(Err(fault)) if !stopped() => Err(fault),
                // The error is a consequence of the stop. The engine handles the stop itself.
                _ => std::future::pending().await,
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        self.0.repeatable
    }

    fn can_resume_with_get(&self) -> bool {
        self.0.can_resume_with_get
    }

    fn close(&mut self) {
        let source = &self.0;
        if let Some(Err(error)) = Python::try_attach(|py| source.close(py)) {
            source.pending.raise(error);
        }
    }
}

/// The bytes that a Python iterator yields.
struct Chunks {
    iterator: Py<PyIterator>,
    opened: Arc<Opened>,
    /// Enforces the read timeout, if there is one.
    watch: Option<Watch>,
    pending: PendingException,
}

impl Stream for Chunks {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(watch) = &self.watch {
            watch.begin();
        }
        let item = Python::attach(|py| match self.next(py) {
            Ok(chunk) => chunk.map(Ok),
            // Raised because the connection was closed.
            Err(error) if self.opened.is_closed(py) && error.is_instance_of::<PyException>(py) => {
                None
            }
            Err(error) => Some(Err(self.pending.cause(py, error))),
        });
        let late = self.watch.as_ref().filter(|watch| watch.end());
        Poll::Ready(match (item, late) {
            (None, Some(watch)) => Some(Err(Fault::ReadTimeout(watch.limit).into())),
            (item, _) => item,
        })
    }
}

impl Chunks {
    fn next(&self, py: Python<'_>) -> PyResult<Option<Vec<u8>>> {
        // An iterator that isn't written in Python might never check for signals.
        py.check_signals()?;
        let Some(chunk) = self.iterator.bind(py).clone().next().transpose()? else {
            return Ok(None);
        };
        bytes_from_python(&chunk).map(Some)
    }
}

pub(crate) fn bytes_from_python(chunk: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = chunk.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    let bytes = PyMemoryView::from(chunk)
        .map_err(|error| {
            let name = chunk.get_type().name();
            let name = name.map_or_else(|_| "?".to_owned(), |name| name.to_string());
            let problem = PyTypeError::new_err(format!(
                "the stream of a ConnectionResult must yield bytes, not {name}"
            ));
            problem.set_cause(chunk.py(), Some(error));
            problem
        })?
        .call_method0("tobytes")?
        .cast_into::<PyBytes>()?;
    Ok(bytes.as_bytes().to_vec())
}
