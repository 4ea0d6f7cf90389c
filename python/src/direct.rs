//! The engine's own connection, back from Python: it is read without Python code.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use everstream::{BoxError, Connection};
use futures_core::Stream;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::raised::lock;

/// Who reads a connection that Python code has in hand.
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
    /// Python code reads it, unless the engine does.
    pub(crate) fn python(&self) -> PyResult<()> {
        let mut reader = lock(&self.0);
        if *reader == Reader::Engine {
            return Err(PyRuntimeError::new_err(
                "the connection is being read already, by the client that it was made for: it has \
                 one reader",
            ));
        }
        *reader = Reader::Python;
        Ok(())
    }

    /// The engine reads it, unless Python code has begun to.
    pub(crate) fn hand_over(&self) -> bool {
        let mut reader = lock(&self.0);
        let is_free = *reader == Reader::None;
        if is_free {
            *reader = Reader::Engine;
        }
        is_free
    }
}

/// How another thread ends a [`Direct`].
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

    fn is_closed_or_wakes(&self, cx: &Context<'_>) -> bool {
        let mut ending = lock(&self.0);
        if !ending.is_closed {
            ending.waker = Some(cx.waker().clone());
        }
        ending.is_closed
    }
}

/// The chunks of a connection that the engine's HTTP has made.
pub(crate) struct Direct {
    pub(crate) connection: Connection,
    pub(crate) closer: Closer,
}

impl Stream for Direct {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.closer.is_closed_or_wakes(cx) {
            return Poll::Ready(None);
        }
        let next = pin!(this.connection.next_chunk()).poll(cx);
        next.map(|chunk| {
            chunk.map(|chunk| match chunk {
                Ok(bytes) => Ok(bytes.as_ref().to_vec()),
                // As a fault: it passes as it is.
                Err(fault) => Err(fault.into()),
            })
        })
    }
}
