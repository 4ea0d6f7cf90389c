//! The engine side of the blocking client. Its public part is in `sse_client.py`.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use everstream::blocking::{Next, SseClient};
use everstream::{Action, Error, Handle};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::action::Event;
use crate::connect::Connect;
use crate::delivery::{add_context, exception, object};
use crate::exit::{self, Inside};
use crate::fault::ExceptionCache;
use crate::http::Http;
use crate::last_error::LastError;
use crate::log::Log;
use crate::pending_exception::PendingException;
use crate::process::{Process, handles_signals};
use crate::settings::Settings;
use crate::source::Source;

/// How often a wait in the main thread checks for signals.
const SLICE: Duration = Duration::from_millis(100);

/// A client.
///
/// The reading thread holds the lock of `state`, also while it waits without the GIL. No thread waits
/// for that lock: `close` and `interrupt` use the handle.
#[pyclass(frozen, weakref, module = "everstream._native")]
pub(crate) struct Client {
    /// `None` after the client is closed, when everything it held has been released.
    state: Mutex<Option<State>>,
    handle: Handle,
    source: Option<Arc<Source>>,
    pending: PendingException,
    exceptions: ExceptionCache,
    last_error: LastError,
    process: Process,
}

struct State {
    client: SseClient,
    /// An action that was received, but not returned because an exception was raised instead.
    pending_action: Option<Action>,
}

impl State {
    #[inline]
    fn ready(&mut self) -> Option<Action> {
        if self.pending_action.is_some() {
            return self.pending_action.take();
        }
        self.client.try_next_action()
    }
}

#[pymethods]
impl Client {
    /// `connect` is an `Http` or an object with the methods of a `ConnectionClient`, the strategies
    /// are presets or objects with the method `apply`.
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
        let http = connect.cast::<Http>().ok().map(Bound::get);
        let source = match http {
            Some(_) => None,
            None => Some(Source::new(connect, &pending)?),
        };
        let connect = match (&http, &source) {
            (Some(http), _) => Connect::http(http, &pending),
            (None, Some(source)) => Connect::source(source, connect)?,
            (None, None) => {
                return Err(PyRuntimeError::new_err("there is no source to connect to"));
            }
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
        if let Some(source) = &source {
            exit::watch(source, client.handle());
        }
        Ok(Client {
            handle: client.handle(),
            state: Mutex::new(Some(State {
                client,
                pending_action: None,
            })),
            source,
            pending,
            exceptions,
            last_error: LastError::default(),
            process: Process::current(),
        })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let mut reader = self.read()?;
        loop {
            let Some(state) = reader.state() else {
                return Err(exception(py, Error::Closed, &self.exceptions));
            };
            let client = &mut state.client;
            let sliced = handles_signals();
            let _inside = self.source.as_ref().map(|_| Inside::enter());
            let outcome = py.detach(|| match sliced {
                true => client.start_timeout(SLICE),
                false => client.start().map(|()| true),
            });
            reader.waited = true;
            if let Some(error) = self.pending.take() {
                if let Err(fault) = outcome {
                    add_context(py, &error, fault, &self.exceptions, &self.last_error);
                }
                return Err(error);
            }
            match outcome {
                Ok(true) => {
                    self.last_error.clear();
                    return Ok(());
                }
                Ok(false) => py.check_signals()?,
                Err(error) => return Err(self.last_error.exception(py, error, &self.exceptions)),
            }
        }
    }

    /// Stops the connection. Doesn't wait, and doesn't need the reading thread.
    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        if self.process.is_forked() {
            return Ok(());
        }
        if let Some(source) = &self.source {
            source.about_to_interrupt();
        }
        self.handle.interrupt();
        let result = match &self.source {
            Some(source) => source.interrupt(py),
            None => Ok(()),
        };
        // If no thread is reading, the connection is dropped here; otherwise the reading thread drops it.
        match self.state.try_lock() {
            Ok(mut state) => {
                if let Some(state) = &mut *state {
                    state.client.interrupt();
                }
            }
            // The read that is interrupted may end before anything is delivered. That is no error.
            Err(_) => self.last_error.clear(),
        }
        self.pending.take().map_or(result, Err)
    }

    /// Closes the client for good. Doesn't wait, and doesn't need the reading thread.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // In a forked child, the client belongs to the parent process.
        if self.process.is_forked() {
            return Ok(());
        }
        self.handle.close();
        let result = match &self.source {
            Some(source) => source.close(py),
            None => Ok(()),
        };
        self.release_if_closed();
        self.last_error.clear();
        self.pending.take().map_or(result, Err)
    }

    #[getter]
    fn last_event_id(&self) -> Option<String> {
        self.handle.last_event_id()
    }

    #[getter]
    fn next_retry_delay(&self) -> f64 {
        self.handle.next_retry_delay().as_secs_f64()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.handle.is_closed()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.last_error.traverse(&visit)
    }

    fn __clear__(&self) {
        self.last_error.clear();
    }
}

impl Client {
    /// The next action, or event; `None` at the end.
    #[inline]
    fn next(&self, py: Python<'_>, only_events: bool) -> PyResult<Option<Py<PyAny>>> {
        // Fast path: most events have been received already. They need neither a release of the GIL nor
        // a look at the clock.
        if let (false, Ok(mut state)) = (self.process.is_forked(), self.state.try_lock()) {
            let ready = state.as_mut().and_then(State::ready);
            drop(state);
            match ready {
                Some(Action::Event(event)) => return Event::object(py, event).map(Some),
                Some(action) => {
                    if let Some(object) = object(py, action, only_events, &self.exceptions)? {
                        return Ok(Some(object));
                    }
                }
                None => {}
            }
        }
        self.next_with_wait(py, only_events)
    }

    #[inline(never)]
    fn next_with_wait(&self, py: Python<'_>, only_events: bool) -> PyResult<Option<Py<PyAny>>> {
        let mut reader = self.read()?;
        loop {
            let Some(state) = reader.state() else {
                return Ok(None);
            };
            while let Some(action) = state.ready() {
                if let Some(object) = object(py, action, only_events, &self.exceptions)? {
                    return Ok(Some(object));
                }
            }
            let action = self.wait(py, state);
            reader.waited = true;
            let Some(action) = action? else {
                return Ok(None);
            };
            if let Some(object) = object(py, action, only_events, &self.exceptions)? {
                return Ok(Some(object));
            }
        }
    }

    /// Waits for an action, with the GIL released.
    fn wait(&self, py: Python<'_>, state: &mut State) -> PyResult<Option<Action>> {
        let sliced = handles_signals();
        let _inside = self.source.as_ref().map(|_| Inside::enter());
        loop {
            let client = &mut state.client;
            let outcome = py.detach(|| match sliced {
                true => client.next_action_timeout(SLICE),
                false => match client.next_action() {
                    Some(next) => next.map(Next::Item),
                    None => Ok(Next::Ended),
                },
            });
            // Also check for signals if the source never makes the client wait.
            let signal = match sliced {
                true => py.check_signals().err(),
                false => None,
            };
            if let Some(error) = self.pending.take().or(signal) {
                self.stash_outcome(py, state, outcome, &error);
                return Err(error);
            }
            match outcome {
                Ok(Next::Item(action)) => {
                    self.last_error.clear();
                    return Ok(Some(action));
                }
                Ok(Next::TimedOut) => {}
                Ok(Next::Ended) if self.handle.is_closed() => return Ok(None),
                Ok(Next::Ended) => return self.last_error.check(py).map(|()| None),
                Err(error) => return Err(self.last_error.exception(py, error, &self.exceptions)),
            }
        }
    }

    /// Called when an exception is raised instead of `outcome`: an action is kept for the next read, and
    /// a fault becomes the exception's context.
    fn stash_outcome(
        &self,
        py: Python<'_>,
        state: &mut State,
        outcome: Result<Next<Action>, Error>,
        error: &PyErr,
    ) {
        match outcome {
            Ok(Next::Item(action)) => {
                self.last_error.clear();
                state.pending_action = Some(action);
            }
            Ok(Next::TimedOut | Next::Ended) => {}
            Err(fault) => add_context(py, error, fault, &self.exceptions, &self.last_error),
        }
    }

    fn read(&self) -> PyResult<Reader<'_>> {
        self.process.check("client")?;
        match self.state.try_lock() {
            Ok(state) => Ok(Reader {
                client: self,
                state: Some(state),
                waited: false,
            }),
            Err(TryLockError::Poisoned(poisoned)) => Ok(Reader {
                client: self,
                state: Some(poisoned.into_inner()),
                waited: false,
            }),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err(
                "the client is already being read, in another thread or further up in this one: only one \
                 reader at a time is allowed",
            )),
        }
    }

    /// Releases everything if the client is closed and no thread is reading.
    fn release_if_closed(&self) {
        fence(Ordering::SeqCst);
        let state = match self.state.try_lock() {
            Ok(mut state) => state.take(),
            Err(_) => None,
        };
        // Outside the lock, because this may call Python code.
        if let Some(mut state) = state {
            state.client.close();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A forked child shares sockets and pollers with its parent. Closing them here would break the
        // parent's.
        if self.process.is_forked() {
            std::mem::forget(self.state.get_mut().map(Option::take));
        }
    }
}

/// The right to read, while it exists.
struct Reader<'a> {
    client: &'a Client,
    /// `None` only during drop.
    state: Option<MutexGuard<'a, Option<State>>>,
    /// Whether other threads may have run since the lock was taken.
    waited: bool,
}

impl Reader<'_> {
    /// `None`: the client is closed.
    #[inline]
    fn state(&mut self) -> Option<&mut State> {
        self.state.as_mut()?.as_mut()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.state = None;
        // A thread that closed the client meanwhile couldn't take the lock, so its resources are
        // released here. Nothing is missed: here the lock is released before the flag is read, and
        // there the flag is set before the lock is tried.
        if self.waited {
            fence(Ordering::SeqCst);
            if self.client.handle.is_closed() {
                self.client.release_if_closed();
            }
        }
    }
}

/// Iterates over a client's actions or events. Like a generator it ends after an exception.
#[pyclass(frozen, generic, name = "Iter", module = "everstream._native")]
pub(crate) struct Reading {
    client: Py<Client>,
    only_events: bool,
    over: AtomicBool,
}

#[pymethods]
impl Reading {
    #[new]
    fn new(client: Py<Client>, only_events: bool) -> Self {
        Reading {
            client,
            only_events,
            over: AtomicBool::new(false),
        }
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.over.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let next = self.client.get().next(py, self.only_events);
        if !matches!(next, Ok(Some(_))) {
            self.over.store(true, Ordering::Relaxed);
        }
        next
    }

    /// Ends this iterator, like ``close()`` of a generator. The client stays open.
    fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
