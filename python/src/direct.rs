//! The engine's own connection, handed back by a strategy that wraps it: the engine reads it without
//! Python code.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use everstream::{BoxError, Connection};
use futures_core::Stream;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::pending_exception::lock;

/// Who reads a connection that Python code received: that code or the engine.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Reader>);

#[derive(Default, PartialEq)]
enum Reader {
    #[default]
    None,
    Python,
    Engine,
}

impl Readers {
    /// Claims the connection for Python code; fails if the engine reads it.
    pub(crate) fn claim_for_python(&self) -> PyResult<()> {
        let mut reader = lock(&self.0);
        if *reader == Reader::Engine {
            return Err(PyRuntimeError::new_err(
                "the connection is already being read by the client that it was made for: only one reader \
                 at a time is allowed",
            ));
        }
        *reader = Reader::Python;
        Ok(())
    }

    /// Claims the connection for the engine. `false`: Python code has begun to read it.
    pub(crate) fn claim_for_engine(&self) -> bool {
        let mut reader = lock(&self.0);
        let is_free = *reader == Reader::None;
        if is_free {
            *reader = Reader::Engine;
        }
        is_free
    }
}

/// Lets another thread close a [`Direct`].
#[derive(Clone, Default)]
pub(crate) struct Closer(Arc<Mutex<Ending>>);

#[derive(Default)]
struct Ending {
    is_closed: bool,
    waker: Option<Waker>,
}

impl Closer {
    pub(crate) fn close(&self) {
        let waker = {
            let mut ending = lock(&self.0);
            ending.is_closed = true;
            ending.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }

    fn is_closed_or_register(&self, cx: &Context<'_>) -> bool {
        let mut ending = lock(&self.0);
        if !ending.is_closed {
            ending.waker = Some(cx.waker().clone());
        }
        ending.is_closed
    }
}

/// The chunks of a connection of the engine's HTTP.
pub(crate) struct Direct {
    pub(crate) connection: Connection,
    pub(crate) closer: Closer,
}

impl Stream for Direct {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.closer.is_closed_or_register(cx) {
            return Poll::Ready(None);
        }
        let next = pin!(this.connection.next_chunk()).poll(cx);
        next.map(|chunk| {
            chunk.map(|chunk| match chunk {
                Ok(bytes) => Ok(bytes.as_ref().to_vec()),
                // Wrapped fault: the engine unwraps it.
                Err(fault) => Err(fault.into()),
            })
        })
    }
}
