//! The engine's HTTP as an `AsyncConnectionClient`, for strategies that wrap it.
//!
//! A client that uses `AsyncConnectStrategy.http` directly doesn't need this module.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use everstream::{ConnectFuture, Connection, Ending, Fault, Start};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{headers_to_python, idle_timeout};
use crate::direct::Readers;
use crate::fault::exception;
use crate::http::Http;
use crate::http_connector::{HttpConnector, closed};
use crate::pending_exception::{PendingException, lock};
use crate::process::Process;
use crate::read_ahead::ReadAhead;
use crate::wake::{Polled, Wake};

#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct AsyncHttpClient {
    connector: HttpConnector,
    /// The attempt that was begun last.
    connecting: Mutex<Option<Arc<SharedConnection>>>,
}

#[pymethods]
impl AsyncHttpClient {
    #[new]
    fn new(http: &Http) -> PyResult<Self> {
        Ok(AsyncHttpClient {
            connector: HttpConnector::new(http, |client| Box::new(ReadAhead(client)))?,
            connecting: Mutex::new(None),
        })
    }

    #[getter]
    fn is_repeatable(&self) -> bool {
        self.connector.is_repeatable
    }

    /// Begins a connection. It makes progress only while it is polled.
    #[pyo3(signature = (last_event_id, *, resume_with_get = false, read_timeout = None))]
    fn connect(
        &self,
        py: Python<'_>,
        last_event_id: Option<String>,
        resume_with_get: bool,
        read_timeout: Option<f64>,
    ) -> PyResult<AsyncHttpStream> {
        let connector = &self.connector;
        let read_timeout = idle_timeout(read_timeout)?;
        let connecting = connector.connect(py, last_event_id, resume_with_get, read_timeout)?;
        let shared = Arc::new(SharedConnection(Mutex::new(State {
            work: Some(Work::Connecting(connecting)),
            ..State::default()
        })));
        // The earlier attempt is dropped outside the lock.
        let _earlier = lock(&self.connecting).replace(shared.clone());
        Ok(AsyncHttpStream {
            shared,
            pending: connector.pending.clone(),
            process: connector.process,
            reader: Readers::default(),
        })
    }

    fn close(&self) {
        if !self.connector.close() {
            return;
        }
        let connecting = lock(&self.connecting).take();
        // A connection that is open already belongs to its owner.
        if let Some(shared) = connecting.filter(|shared| !shared.is_open()) {
            shared.close();
        }
    }
}

/// A connection, or an attempt at one. Any thread can close it: nothing is called while the lock is
/// held, and `work` is taken out while it is polled.
pub(crate) struct SharedConnection(Mutex<State>);

#[derive(Default)]
struct State {
    work: Option<Work>,
    /// The head of the response, once it has been received.
    response: Option<Start>,
    is_polled: bool,
    is_closed: bool,
    waker: Option<Waker>,
}

enum Work {
    Connecting(ConnectFuture),
    Open(Connection),
}

impl SharedConnection {
    fn is_open(&self) -> bool {
        lock(&self.0).response.is_some()
    }

    /// Whether the end of the connection will prove that the stream is complete.
    pub(crate) fn ending(&self) -> Ending {
        match &lock(&self.0).work {
            Some(Work::Open(connection)) => connection.ending(),
            _ => Ending::Unproven,
        }
    }

    pub(crate) fn close(&self) {
        let (work, waker) = {
            let mut state = lock(&self.0);
            state.is_closed = true;
            (state.work.take(), state.waker.take())
        };
        drop(work);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// `None`: the connection is closed, or has ended.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Work, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        let work = {
            let mut state = lock(&self.0);
            state.waker = Some(cx.waker().clone());
            state.work.take()
        };
        let Some(mut work) = work else {
            return Poll::Ready(None);
        };
        let polled = poll(&mut work, cx);
        let mut state = lock(&self.0);
        if state.is_closed {
            drop(state);
            drop(work);
            return Poll::Ready(None);
        }
        if let (None, Work::Open(connection)) = (&state.response, &work) {
            state.response = Some(connection.start().clone());
        }
        state.work = Some(work);
        polled.map(Some)
    }
}

impl SharedConnection {
    /// The next chunk. Must be called inside the runtime. `None`: the connection is closed, or has ended.
    pub(crate) fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, Fault>>> {
        let polled = self.poll(cx, |work, cx| {
            let Work::Open(connection) = work else {
                return Poll::Ready(None);
            };
            let next = pin!(connection.next_chunk()).poll(cx);
            next.map(|chunk| chunk.map(|chunk| chunk.map(|bytes| bytes.as_ref().to_vec())))
        });
        polled.map(Option::flatten)
    }
}

/// A connection to await, and then an asynchronous iterator over its chunks.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct AsyncHttpStream {
    shared: Arc<SharedConnection>,
    pending: PendingException,
    process: Process,
    reader: Readers,
}

#[pymethods]
impl AsyncHttpStream {
    fn begin(&self) -> PyResult<()> {
        self.process.check("connection")?;
        match std::mem::replace(&mut lock(&self.shared.0).is_polled, true) {
            false => Ok(()),
            true => Err(PyRuntimeError::new_err(
                "the connection is already being read: only one reader at a time is allowed",
            )),
        }
    }

    fn end(&self) {
        lock(&self.shared.0).is_polled = false;
    }

    /// `True`: connected. `None`: wait. `False`: let other tasks run, then poll again.
    fn poll_connect(&self, py: Python<'_>, wake: &Bound<'_, Wake>) -> PyResult<Polled> {
        let polled = wake.get().poll(|cx| {
            self.shared.poll(cx, |work, cx| {
                let Work::Connecting(connecting) = work else {
                    return Poll::Ready(Ok(()));
                };
                connecting.as_mut().poll(cx).map_ok(|connection| {
                    *work = Work::Open(connection);
                })
            })
        });
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        match polled {
            Poll::Ready(Some(Ok(()))) => Ok(Polled::Pending(Some(true))),
            Poll::Ready(Some(Err(fault))) => Err(self.failed(py, &fault)),
            Poll::Ready(None) => Err(closed(py)),
            Poll::Pending => Ok(wake.get().pending()),
        }
    }

    /// The next chunk. `None` and `False` as for `poll_connect`.
    fn poll_next(&self, py: Python<'_>, wake: &Bound<'_, Wake>) -> PyResult<Polled> {
        self.reader.claim_for_python()?;
        let polled = wake.get().poll(|cx| self.shared.poll_chunk(cx));
        match polled {
            Poll::Ready(Some(Ok(bytes))) => {
                Ok(Polled::Done(PyBytes::new(py, &bytes).into_any().unbind()))
            }
            Poll::Ready(Some(Err(fault))) => Err(self.failed(py, &fault)),
            Poll::Ready(None) => {
                self.shared.close();
                Err(PyStopAsyncIteration::new_err(()))
            }
            Poll::Pending => Ok(wake.get().pending()),
        }
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let headers = {
            let state = lock(&self.shared.0);
            state.response.as_ref().and_then(|it| it.headers.clone())
        };
        headers.map(|it| headers_to_python(py, &it)).transpose()
    }

    #[getter]
    fn status(&self) -> Option<u16> {
        lock(&self.shared.0).response.as_ref()?.status
    }

    #[getter]
    fn url(&self) -> Option<String> {
        lock(&self.shared.0).response.as_ref()?.url.clone()
    }

    #[getter]
    fn withheld_headers(&self) -> Vec<String> {
        let state = lock(&self.shared.0);
        let start = state.response.as_ref();
        start.map_or_else(Vec::new, |start| start.withheld_headers.clone())
    }

    fn close(&self) {
        if !self.process.is_forked() {
            self.shared.close();
        }
    }
}

impl AsyncHttpStream {
    /// Hands the connection to the engine, unless Python code has begun to read it.
    pub(crate) fn take(&self) -> Option<Arc<SharedConnection>> {
        let is_free =
            !self.process.is_forked() && self.shared.is_open() && self.reader.claim_for_engine();
        is_free.then(|| self.shared.clone())
    }

    fn failed(&self, py: Python<'_>, fault: &Fault) -> PyErr {
        self.shared.close();
        match exception(py, fault) {
            Ok(exception) => PyErr::from_value(exception.into_any()),
            Err(error) => error,
        }
    }
}

impl Drop for AsyncHttpStream {
    fn drop(&mut self) {
        self.close();
    }
}
