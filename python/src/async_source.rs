//! Sources written in Python for asyncio: a `Source` of `_source.py`, and what it puts in a mailbox.
//!
//! A connection is a task of the event loop. It is asked for one thing at a time, so that nothing is
//! read while nobody reads.

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
use crate::raised::{Raised, lock};
use crate::source::bytes_from_python;

/// A `Source`.
#[derive(Clone)]
pub(crate) struct AsyncSource {
    source: Arc<Py<PyAny>>,
    pub(crate) name: String,
    repeatable: bool,
    can_resume_with_get: bool,
    raised: Raised,
}

impl AsyncSource {
    pub(crate) fn new(source: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Self> {
        Ok(AsyncSource {
            source: Arc::new(source.clone().unbind()),
            name: source.getattr("name")?.extract()?,
            repeatable: source.getattr("repeatable")?.is_truthy()?,
            can_resume_with_get: source.getattr("can_resume_with_get")?.is_truthy()?,
            raised: raised.clone(),
        })
    }

    /// Begins an attempt in the event loop that runs in this thread.
    fn open(&self, py: Python<'_>, request: ConnectRequest) -> PyResult<Link> {
        let mailbox = Bound::new(py, Mailbox::default())?;
        let arguments = (request.last_event_id, &mailbox, request.resume_with_get);
        let task = self.source.call_method1(py, "open", arguments)?;
        Ok(Link {
            task,
            mailbox: mailbox.unbind(),
            raised: self.raised.clone(),
            direct: None,
            fault: None,
        })
    }

    fn fault(&self, py: Python<'_>, error: PyErr) -> Fault {
        if error.is_instance_of::<PyException>(py) {
            from_exception(error, py).unwrap_or_else(|error| Fault::Source(error.into()))
        } else {
            from_base_exception(py, error, &self.raised)
        }
    }
}

impl ConnectionClient for AsyncSource {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let source = self.clone();
        let link = Python::attach(|py| {
            let link = source.open(py, request);
            link.map_err(|error| source.fault(py, error))
        });
        Box::pin(async move {
            let mut link = link?;
            let opened = std::future::poll_fn(|cx| link.poll(cx)).await;
            match opened {
                Ok(Some(Item::Opened(opened))) => {
                    link.direct = opened.direct;
                    let is_complete = link.mailbox.get().is_complete.clone();
                    let connection = Connection::from_stream(link).with_start(opened.start);
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

/// What the task of a connection gives away, one thing at a time.
#[pyclass(frozen, module = "everstream._native")]
#[derive(Default)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    /// The stream has ended by itself, and that proves that nothing is missing.
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
    /// The connection of this package's own HTTP if nothing in Python has it in hand.
    direct: Option<Direct>,
}

type Direct = Arc<async_http_client::Link>;

#[pymethods]
impl Mailbox {
    /// The connection is open. `True`: the stream is read without Python, and when that is asked for
    /// something again, it is its end.
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

    /// `proves_end`: a stream that was read in Python is complete.
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
struct Link {
    task: Py<PyAny>,
    mailbox: Py<Mailbox>,
    raised: Raised,
    /// Read as long as it has something; what follows comes from the mailbox.
    direct: Option<Direct>,
    /// What it has failed with, to be reported when Python has closed it.
    fault: Option<Fault>,
}

impl Link {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>, PyErr>> {
        let mailbox = self.mailbox.get();
        let take = || lock(&mailbox.content).item.take();
        if let Some(item) = take() {
            return Poll::Ready(item);
        }
        lock(&mailbox.content).waker = Some(cx.waker().clone());
        // What is wrong there is wrong with the reader, not with the connection.
        if let Err(error) = Python::attach(|py| self.task.call_method0(py, "want")) {
            self.raised.raise(error);
        }
        match take() {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }
}

impl Stream for Link {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(link) = &self.direct {
            match link.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(chunk))) => return Poll::Ready(Some(Ok(chunk))),
                Poll::Ready(Some(Err(fault))) => self.fault = Some(fault),
                // Of a connection that was closed meanwhile nothing is left that could prove it.
                Poll::Ready(None) => {
                    let is_complete = link.ending() == Ending::Complete;
                    let known = &self.mailbox.get().is_complete;
                    known.store(is_complete, Ordering::Release);
                }
            }
            self.direct = None;
        }
        self.poll(cx).map(|item| match item {
            Ok(Some(Item::Chunk(chunk))) => Some(Ok(chunk)),
            Ok(_) => self.fault.take().map(|fault| Err(fault.into())),
            Err(error) => Some(Err(Python::attach(|py| self.raised.cause(py, error)))),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Without an interpreter there is nothing to stop any more.
        if let Some(Err(error)) = Python::try_attach(|py| self.task.call_method0(py, "stop")) {
            self.raised.raise(error);
        }
    }
}
