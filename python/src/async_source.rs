//! Custom sources for asyncio: a `Source` of `_source.py`, and the mailbox that it fills.
//!
//! Each connection is a task of the event loop. It is asked for one item at a time, so that it reads
//! only while the user reads.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use everstream::{
    BoxError, ConnectFuture, ConnectRequest, Connection, ConnectionClient, Ending, Fault, Start,
};
use futures_core::Stream;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::async_http_client::{self, AsyncHttpStream};
use crate::convert::{headers_from_python, status as status_from_python};
use crate::fault::{from_base_exception, from_exception};
use crate::pending_exception::{PendingException, lock};
use crate::source::bytes_from_python;

/// A `Source` of `_source.py`.
#[derive(Clone)]
pub(crate) struct AsyncSource {
    source: Arc<Py<PyAny>>,
    pub(crate) name: String,
    repeatable: bool,
    can_resume_with_get: bool,
    pending: PendingException,
}

impl AsyncSource {
    pub(crate) fn new(source: &Bound<'_, PyAny>, pending: &PendingException) -> PyResult<Self> {
        Ok(AsyncSource {
            source: Arc::new(source.clone().unbind()),
            name: source.getattr("name")?.extract()?,
            repeatable: source.getattr("repeatable")?.is_truthy()?,
            can_resume_with_get: source.getattr("can_resume_with_get")?.is_truthy()?,
            pending: pending.clone(),
        })
    }

    /// Begins an attempt in the event loop that runs in this thread.
    fn open(&self, py: Python<'_>, request: ConnectRequest) -> PyResult<TaskConnection> {
        let mailbox = Bound::new(py, Mailbox::default())?;
        let arguments = (request.last_event_id, &mailbox, request.resume_with_get);
        let task = self.source.call_method1(py, "open", arguments)?;
        Ok(TaskConnection {
            task,
            mailbox: mailbox.unbind(),
            pending: self.pending.clone(),
            direct: None,
            fault: None,
        })
    }

    fn fault(&self, py: Python<'_>, error: PyErr) -> Fault {
        if error.is_instance_of::<PyException>(py) {
            from_exception(error, py).unwrap_or_else(|error| Fault::Source(error.into()))
        } else {
            from_base_exception(py, error, &self.pending)
        }
    }
}

impl ConnectionClient for AsyncSource {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let source = self.clone();
        let connection = Python::attach(|py| {
            let connection = source.open(py, request);
            connection.map_err(|error| source.fault(py, error))
        });
        Box::pin(async move {
            let mut connection = connection?;
            let opened = std::future::poll_fn(|cx| connection.poll(cx)).await;
            match opened {
                Ok(Some(Item::Opened(opened))) => {
                    connection.direct = opened.direct;
                    let is_complete = connection.mailbox.get().is_complete.clone();
                    let connection = Connection::from_stream(connection).with_start(opened.start);
                    Ok(connection.with_ending_fn(move || {
                        match is_complete.load(Ordering::Acquire) {
                            true => Ending::Complete,
                            false => Ending::Unproven,
                        }
                    }))
                }
                Ok(_) => Err(Fault::Request("the source didn't open its stream".into())),
                Err(error) => Err(Python::attach(|py| source.fault(py, error))),
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    fn can_resume_with_get(&self) -> bool {
        self.can_resume_with_get
    }
}

/// Takes items from the task of a connection, one at a time.
#[pyclass(frozen, module = "everstream._native")]
#[derive(Default)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    /// Whether the stream has ended in a way that proves that nothing is missing.
    is_complete: Arc<AtomicBool>,
}

#[derive(Default)]
struct Content {
    item: Option<Result<Option<Item>, PyErr>>,
    waker: Option<Waker>,
}

enum Item {
    Opened(Box<Opened>),
    Chunk(Vec<u8>),
}

struct Opened {
    start: Start,
    /// The engine's own connection, if no Python code reads it.
    direct: Option<Direct>,
}

type Direct = Arc<async_http_client::SharedConnection>;

#[pymethods]
impl Mailbox {
    /// The connection is open. Returns `True` if the engine reads the stream without Python: the next
    /// request for an item then means that the stream has ended.
    fn opened(
        &self,
        stream: Option<&Bound<'_, AsyncHttpStream>>,
        headers: Option<&Bound<'_, PyAny>>,
        status: Option<&Bound<'_, PyAny>>,
        url: Option<String>,
        withheld: Vec<String>,
    ) -> PyResult<bool> {
        let mut start = Start::default();
        start.headers = headers.map(headers_from_python).transpose()?;
        start.status = status.map(status_from_python).transpose()?;
        start.url = url;
        start.withheld_headers = withheld;
        let direct = stream.and_then(|stream| stream.get().take());
        let is_direct = direct.is_some();
        self.put(Ok(Some(Item::Opened(Box::new(Opened { start, direct })))));
        Ok(is_direct)
    }

    fn chunk(&self, chunk: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put(Ok(Some(Item::Chunk(bytes_from_python(chunk)?))));
        Ok(())
    }

    fn failed(&self, error: &Bound<'_, PyAny>) {
        self.put(Err(PyErr::from_value(error.clone())));
    }

    /// `proves_end`: whether a stream that Python read is proven to be complete.
    fn ended(&self, proves_end: bool) {
        self.is_complete.fetch_or(proves_end, Ordering::AcqRel);
        self.put(Ok(None));
    }
}

impl Mailbox {
    fn put(&self, item: Result<Option<Item>, PyErr>) {
        let waker = {
            let mut content = lock(&self.content);
            content.item = Some(item);
            content.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A connection, or an attempt at one.
struct TaskConnection {
    task: Py<PyAny>,
    mailbox: Py<Mailbox>,
    pending: PendingException,
    /// Read until its end; after that, items come from the mailbox.
    direct: Option<Direct>,
    /// The fault of `direct`, reported once Python has closed the connection.
    fault: Option<Fault>,
}

impl TaskConnection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>, PyErr>> {
        let mailbox = self.mailbox.get();
        let take = || lock(&mailbox.content).item.take();
        if let Some(item) = take() {
            return Poll::Ready(item);
        }
        lock(&mailbox.content).waker = Some(cx.waker().clone());
        // An error here is the reader's, not the connection's.
        if let Err(error) = Python::attach(|py| self.task.call_method0(py, "request_next")) {
            self.pending.raise(error);
        }
        match take() {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }
}

impl Stream for TaskConnection {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(connection) = &self.direct {
            match connection.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(chunk))) => return Poll::Ready(Some(Ok(chunk))),
                Poll::Ready(Some(Err(fault))) => self.fault = Some(fault),
                // A connection that was closed meanwhile no longer proves that it is complete.
                Poll::Ready(None) => {
                    let is_complete = connection.ending() == Ending::Complete;
                    let known = &self.mailbox.get().is_complete;
                    known.store(is_complete, Ordering::Release);
                }
            }
            self.direct = None;
        }
        self.poll(cx).map(|item| match item {
            Ok(Some(Item::Chunk(chunk))) => Some(Ok(chunk)),
            Ok(_) => self.fault.take().map(|fault| Err(fault.into())),
            Err(error) => Some(Err(Python::attach(|py| self.pending.cause(py, error)))),
        })
    }
}

impl Drop for TaskConnection {
    fn drop(&mut self) {
        // If the interpreter has ended, there is nothing left to stop.
        if let Some(Err(error)) = Python::try_attach(|py| self.task.call_method0(py, "stop")) {
            self.pending.raise(error);
        }
    }
}
