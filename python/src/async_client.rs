//! The engine side of the asyncio client. Its public part is in `async_client.py`.
//!
//! The engine is polled in the thread of the event loop, so all Python code that it calls runs there.
//! To cancel a read, it is no longer polled. Only sockets are served by other threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::task::Poll;

use everstream::{Action, Error, Handle, SseClient};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::async_source::AsyncSource;
use crate::connect::Connect;
use crate::delivery::{add_context, exception, object};
use crate::fault::ExceptionCache;
use crate::http::Http;
use crate::last_error::LastError;
use crate::log::Log;
use crate::pending_exception::PendingException;
use crate::process::{Process, this_thread};
use crate::settings::Settings;
use crate::wake::{AGAIN, Polled, Wake};

/// How many actions are returned in a row before other tasks of the event loop may run.
const MAX_ACTIONS_PER_TURN: u32 = 128;

/// A client. `state` is locked only while the engine is polled.
#[pyclass(frozen, weakref, module = "everstream._native")]
pub(crate) struct AsyncClient {
    /// `None` after the client is closed, when everything it held has been released.
    state: Mutex<Option<State>>,
    /// The thread that locked `state` last.
    holder: AtomicU64,
    /// Whether a coroutine is reading or starting.
    reading: AtomicBool,
    handle: Handle,
    pending: PendingException,
    exceptions: ExceptionCache,
    last_error: LastError,
    process: Process,
}

struct State {
    client: SseClient,
    /// An action that was received, but not returned because an exception was raised instead.
    pending_action: Option<Action>,
    /// How many actions were returned in a row without a wait.
    turn: u32,
}

impl State {
    #[inline]
    fn ready(&mut self) -> Option<Action> {
        if self.turn >= MAX_ACTIONS_PER_TURN {
            return None;
        }
        let action = match self.pending_action.take() {
            None => self.client.try_next_action()?,
            Some(action) => action,
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
        let (pending, exceptions) = (PendingException::default(), ExceptionCache::default());
        let log = Log::new(logger, pending.clone());
        let connect = match connect.cast::<Http>() {
            Ok(http) => Connect::http(http.get(), &pending),
            Err(_) => Connect::AsyncSource(AsyncSource::new(connect, &pending)?),
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
        .apply(
            SseClient::builder(connect),
            name,
            &pending,
            &exceptions,
            log,
        )?;
        let client = builder
            .build()
            .map_err(|error| exception(py, error, &exceptions))?;
        Ok(AsyncClient {
            handle: client.handle(),
            state: Mutex::new(Some(State {
                client,
                pending_action: None,
                turn: 0,
            })),
            holder: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            pending,
            exceptions,
            last_error: LastError::default(),
            process: Process::current(),
        })
    }

    /// The next action, or event, if one has been received already.
    fn ready(&self, py: Python<'_>, only_events: bool) -> PyResult<Option<Py<PyAny>>> {
        self.process.check("client")?;
        if self.reading.load(Ordering::Relaxed) {
            return Err(already_reading());
        }
        let mut state = self.lock(py)?;
        let Some(state) = &mut *state else {
            return Ok(None);
        };
        while let Some(action) = state.ready() {
            if let Some(object) = object(py, action, only_events, &self.exceptions)? {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// A coroutine begins to read or start.
    fn begin(&self) -> PyResult<()> {
        self.process.check("client")?;
        match self.reading.swap(true, Ordering::Relaxed) {
            true => Err(already_reading()),
            false => Ok(()),
        }
    }

    /// The coroutine no longer reads or starts.
    fn end(&self) -> PyResult<()> {
        self.reading.store(false, Ordering::Relaxed);
        // If another thread closed the client while the engine was polled, the resources are still to be
        // released.
        match self.handle.is_closed() {
            true => self.close(),
            false => Ok(()),
        }
    }

    /// The next action, or event. `None`: the coroutine has to wait. `False`: it has to let other tasks
    /// run, and poll again.
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
            if state.turn >= MAX_ACTIONS_PER_TURN {
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
            if matches!(polled, Poll::Ready(Some(Ok(_)))) {
                self.last_error.clear();
            }
            if let Some(error) = self.pending.take() {
                match polled {
                    Poll::Ready(Some(Ok(action))) => state.pending_action = Some(action),
                    Poll::Ready(Some(Err(fault))) => {
                        add_context(py, &error, fault, &self.exceptions, &self.last_error)
                    }
                    Poll::Ready(None) | Poll::Pending => {}
                }
                return Err(error);
            }
            match polled {
                Poll::Ready(Some(Ok(action))) => {
                    if let Some(object) = object(py, action, only_events, &self.exceptions)? {
                        return Ok(Polled::Done(object));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Err(self.last_error.exception(py, error, &self.exceptions));
                }
                Poll::Ready(None) => {
                    if !self.handle.is_closed() {
                        self.last_error.check(py)?;
                    }
                    return Err(PyStopAsyncIteration::new_err(()));
                }
                Poll::Pending => {
                    state.turn = 0;
                    return Ok(wake.get().pending());
                }
            }
        }
    }

    /// `True`: connected. `None` and `False` as for `poll_next`.
    fn poll_start(&self, py: Python<'_>, wake: &Bound<'_, Wake>) -> PyResult<Polled> {
        let mut state = self.lock(py)?;
        let Some(state) = &mut *state else {
            return Err(exception(py, Error::Closed, &self.exceptions));
        };
        let polled = wake.get().poll(|cx| state.client.poll_start(cx));
        if let Some(error) = self.pending.take() {
            if let Poll::Ready(Err(fault)) = polled {
                add_context(py, &error, fault, &self.exceptions, &self.last_error);
            }
            return Err(error);
        }
        match polled {
            Poll::Ready(Ok(())) => {
                self.last_error.clear();
                Ok(Polled::Pending(Some(true)))
            }
            Poll::Ready(Err(error)) => Err(self.last_error.exception(py, error, &self.exceptions)),
            Poll::Pending => Ok(wake.get().pending()),
        }
    }

    /// Drops the connection. Can be called from any thread.
    fn interrupt(&self) -> PyResult<()> {
        if self.process.is_forked() {
            return Ok(());
        }
        self.handle.interrupt();
        if self.reading.load(Ordering::Relaxed) {
            // The read that is interrupted may end before anything is delivered. That is no error.
            self.last_error.clear();
        }
        // If another thread is polling the engine, that thread drops the connection.
        if let Ok(mut state) = self.state.try_lock() {
            self.holder.store(this_thread(), Ordering::Relaxed);
            if let Some(state) = &mut *state {
                state.client.interrupt();
            }
        }
        self.pending.take().map_or(Ok(()), Err)
    }

    /// Closes the client for good. Can be called from any thread.
    fn close(&self) -> PyResult<()> {
        // In a forked child, the client belongs to the parent process.
        if self.process.is_forked() {
            return Ok(());
        }
        self.handle.close();
        self.last_error.clear();
        let state = match self.state.try_lock() {
            Ok(mut state) => state.take(),
            // The thread that is polling the engine releases it.
            Err(_) => None,
        };
        if let Some(mut state) = state {
            state.client.close();
        }
        self.pending.take().map_or(Ok(()), Err)
    }

    #[getter]
    fn last_event_id(&self) -> Option<String> {
        self.handle.last_event_id()
    }

    #[getter]
    fn next_retry_delay(&self) -> f64 {
        self.handle.next_retry_delay().as_secs_f64()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.last_error.traverse(&visit)
    }

    fn __clear__(&self) {
        self.last_error.clear();
    }
}

impl AsyncClient {
    /// Fails if this thread is already polling the engine, further up the call stack.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<State>>> {
        loop {
            let state = match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    if self.holder.load(Ordering::Relaxed) == this_thread() {
                        return Err(already_reading());
                    }
                    // Another thread holds the lock briefly, to interrupt or close the client.
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
        // A forked child shares sockets and pollers with its parent. Closing them here would break the
        // parent's.
        if self.process.is_forked() {
            std::mem::forget(self.state.get_mut().map(Option::take));
        }
    }
}

fn already_reading() -> PyErr {
    PyRuntimeError::new_err(
        "the client is already being read, by another task or further up in this one: only one reader \
         at a time is allowed",
    )
}
