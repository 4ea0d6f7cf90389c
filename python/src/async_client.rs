//! The client for asyncio, without its Python surface, which is in `async_client.py`.
//!
//! The engine is polled in the thread of the event loop: all Python code that it calls runs there,
//! and a read that is cancelled just isn't polled any more. Only sockets are served elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::task::Poll;

use everstream::{Action, Error, Handle, SseClient};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::prelude::*;

use crate::async_source::AsyncSource;
use crate::connect::Connect;
use crate::fault::Shown;
use crate::handout::{add_context, exception, object};
use crate::http::Http;
use crate::log::Log;
use crate::process::{Process, this_thread};
use crate::raised::Raised;
use crate::settings::Settings;
use crate::wake::{AGAIN, Polled, Wake};

/// After so many actions in a row other tasks of the event loop have their turn.
const TURN: u32 = 128;

/// A client. `state` is locked only while the engine is polled.
#[pyclass(frozen, weakref, module = "everstream._native")]
pub(crate) struct AsyncClient {
    /// `None` when it is closed: then everything that it held is let go.
    state: Mutex<Option<State>>,
    /// The thread that locked it last.
    holder: AtomicU64,
    /// A coroutine reads or starts.
    reading: AtomicBool,
    handle: Handle,
    raised: Raised,
    shown: Shown,
    process: Process,
}

struct State {
    client: SseClient,
    /// Received when an exception took its place.
    held: Option<Action>,
    /// How many actions came in a row without a wait.
    turn: u32,
}

impl State {
    #[inline]
    fn ready(&mut self) -> Option<Action> {
        if self.turn >= TURN {
            return None;
        }
        let action = match self.held.take() {
            None => self.client.try_next_action()?,
            Some(held) => held,
        };
        self.turn += 1;
        Some(action)
    }
}

#[pymethods]
impl AsyncClient {
    /// `connect` is an `Http` or a `Source` of `_source.py`, the strategies are presets or objects
    /// with the method `apply`.
    #[new]
    #[pyo3(signature = (
        connect, *, initial_retry_delay, retry_delay_strategy, retry_delay_reset_threshold,
        error_strategy, last_event_id, logger, read_timeout, max_event_size, skip_oversize, until,
        repeat_unsafe, resume_with_get, dispatch_unfinished
    ))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        py: Python<'_>,
        connect: &Bound<'_, PyAny>,
        initial_retry_delay: f64,
        retry_delay_strategy: &Bound<'_, PyAny>,
        retry_delay_reset_threshold: f64,
        error_strategy: &Bound<'_, PyAny>,
        last_event_id: Option<String>,
        logger: Option<Py<PyAny>>,
        read_timeout: Option<f64>,
        max_event_size: Option<usize>,
        skip_oversize: bool,
        until: Option<Bound<'_, PyAny>>,
        repeat_unsafe: bool,
        resume_with_get: bool,
        dispatch_unfinished: bool,
    ) -> PyResult<Self> {
        let (raised, shown) = (Raised::default(), Shown::default());
        let log = Log::new(logger, raised.clone());
        let connect = match connect.cast::<Http>() {
            Ok(http) => Connect::http(http.get(), &raised),
            Err(_) => Connect::AsyncSource(AsyncSource::new(connect, &raised)?),
        };
        let name = connect.name().to_owned();
        let builder = Settings {
            initial_retry_delay,
            retry_delay_strategy,
            retry_delay_reset_threshold,
            error_strategy,
            last_event_id,
            read_timeout,
            max_event_size,
            skip_oversize,
            until,
            repeat_unsafe,
            resume_with_get,
            dispatch_unfinished,
        }
        .apply(SseClient::builder(connect), name, &raised, &shown, log)?;
        let client = builder
            .build()
            .map_err(|error| exception(py, error, &shown))?;
        Ok(AsyncClient {
            handle: client.handle(),
            state: Mutex::new(Some(State {
                client,
                held: None,
                turn: 0,
            })),
            holder: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            raised,
            shown,
            process: Process::current(),
        })
    }

    /// The next action, or event, if it is here already.
    fn ready(&self, py: Python<'_>, only_events: bool) -> PyResult<Option<Py<PyAny>>> {
        self.process.check("client")?;
        if self.reading.load(Ordering::Relaxed) {
            return Err(one_reader());
        }
        let mut state = self.lock(py)?;
        let Some(state) = &mut *state else {
            return Ok(None);
        };
        while let Some(action) = state.ready() {
            if let Some(object) = object(py, action, only_events, &self.shown)? {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// A coroutine begins to read or start.
    fn begin(&self) -> PyResult<()> {
        self.process.check("client")?;
        match self.reading.swap(true, Ordering::Relaxed) {
            true => Err(one_reader()),
            false => Ok(()),
        }
    }

    /// It doesn't any more.
    fn end(&self) -> PyResult<()> {
        self.reading.store(false, Ordering::Relaxed);
        // Who closed the client while the engine was polled has left the rest to the one who did.
        match self.handle.is_closed() {
            true => self.close(),
            false => Ok(()),
        }
    }

    /// The next action, or event; `None` if the coroutine is to wait, `False` if it is to give way.
    fn poll_next(
        &self,
        py: Python<'_>,
        wake: &Bound<'_, Wake>,
        only_events: bool,
    ) -> PyResult<Polled> {
        let mut state = self.lock(py)?;
        let Some(state) = &mut *state else {
            return Err(PyStopAsyncIteration::new_err(()));
        };
        loop {
            if state.turn >= TURN {
                state.turn = 0;
                return Ok(AGAIN);
            }
            let polled = match state.ready() {
                Some(action) => Poll::Ready(Some(Ok(action))),
                None => {
                    state.turn += 1;
                    wake.get().poll(|cx| state.client.poll_next_action(cx))
                }
            };
            if let Some(error) = self.raised.take() {
                match polled {
                    Poll::Ready(Some(Ok(action))) => state.held = Some(action),
                    Poll::Ready(Some(Err(fault))) => add_context(py, &error, fault, &self.shown),
                    Poll::Ready(None) | Poll::Pending => {}
                }
                return Err(error);
            }
            match polled {
                Poll::Ready(Some(Ok(action))) => {
                    if let Some(object) = object(py, action, only_events, &self.shown)? {
                        return Ok(Polled::Done(object));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Err(exception(py, error, &self.shown)),
                Poll::Ready(None) => return Err(PyStopAsyncIteration::new_err(())),
                Poll::Pending => {
                    state.turn = 0;
                    return Ok(wake.get().pending());
                }
            }
        }
    }

    /// `True`: it is connected. `None` and `False` as for `poll_next`.
    fn poll_start(&self, py: Python<'_>, wake: &Bound<'_, Wake>) -> PyResult<Polled> {
        let mut state = self.lock(py)?;
        let Some(state) = &mut *state else {
            return Err(exception(py, Error::Closed, &self.shown));
        };
        let polled = wake.get().poll(|cx| state.client.poll_start(cx));
        if let Some(error) = self.raised.take() {
            if let Poll::Ready(Err(fault)) = polled {
                add_context(py, &error, fault, &self.shown);
            }
            return Err(error);
        }
        match polled {
            Poll::Ready(Ok(())) => Ok(Polled::Pending(Some(true))),
            Poll::Ready(Err(error)) => Err(exception(py, error, &self.shown)),
            Poll::Pending => Ok(wake.get().pending()),
        }
    }

    /// Drops the connection. From any thread.
    fn interrupt(&self) -> PyResult<()> {
        if self.process.is_gone() {
            return Ok(());
        }
        self.handle.interrupt();
        // Where the engine is polled just now, the one who does drops it.
        if let Ok(mut state) = self.state.try_lock() {
            self.holder.store(this_thread(), Ordering::Relaxed);
            if let Some(state) = &mut *state {
                state.client.interrupt();
            }
        }
        self.raised.take().map_or(Ok(()), Err)
    }

    /// Ends for good. From any thread.
    fn close(&self) -> PyResult<()> {
        // What was made before a fork belongs to the parent.
        if self.process.is_gone() {
            return Ok(());
        }
        self.handle.close();
        let state = match self.state.try_lock() {
            Ok(mut state) => state.take(),
            // The one who polls it just now lets go of it.
            Err(_) => None,
        };
        if let Some(mut state) = state {
            state.client.close();
        }
        self.raised.take().map_or(Ok(()), Err)
    }

    #[getter]
    fn last_event_id(&self) -> Option<String> {
        self.handle.last_event_id()
    }

    #[getter]
    fn next_retry_delay(&self) -> f64 {
        self.handle.next_retry_delay().as_secs_f64()
    }
}

impl AsyncClient {
    /// An error, if the engine is polled further up in this thread.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<State>>> {
        loop {
            let state = match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    if self.holder.load(Ordering::Relaxed) == this_thread() {
                        return Err(one_reader());
                    }
                    // Another thread is about to stop it: that doesn't take long.
                    py.detach(|| drop(self.state.lock()));
                    continue;
                }
            };
            self.holder.store(this_thread(), Ordering::Relaxed);
            return Ok(state);
        }
    }
}

impl Drop for AsyncClient {
    fn drop(&mut self) {
        // The child of a fork shares sockets and pollers with its parent: to close them here would
        // break them there.
        if self.process.is_gone() {
            std::mem::forget(self.state.get_mut().map(Option::take));
        }
    }
}

fn one_reader() -> PyErr {
    PyRuntimeError::new_err(
        "the client is being read already, by another task or further up in this one: \
         a stream has one reader",
    )
}
