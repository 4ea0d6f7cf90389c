//! A Python awaitable as a future, for the user's functions that may be coroutine functions.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::pending_exception::lock;

/// The result of a function: a value, or an awaitable that runs in the event loop that polls this
/// future.
pub(crate) enum Awaited {
    Ready(Option<Py<PyAny>>),
    Task {
        task: Py<PyAny>,
        waker: Arc<Mutex<Option<Waker>>>,
    },
}

impl Awaited {
    pub(crate) fn of(returned: Py<PyAny>) -> PyResult<Self> {
        Python::attach(|py| {
            if !returned.bind(py).hasattr("__await__")? {
                return Ok(Awaited::Ready(Some(returned)));
            }
            let asyncio = py.import("asyncio")?;
            let task = asyncio.call_method1("ensure_future", (returned,))?;
            // If the event loop is closed during the wait, asyncio shouldn't warn: nothing is lost.
            _ = task.setattr("_log_destroy_pending", false);
            let waker = Arc::new(Mutex::new(None));
            task.call_method1("add_done_callback", (Done(waker.clone()),))?;
            Ok(Awaited::Task {
                task: task.unbind(),
                waker,
            })
        })
    }
}

impl Future for Awaited {
    type Output = PyResult<Py<PyAny>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Awaited::Ready(value) => Poll::Ready(Python::attach(|py| {
                Ok(value.take().unwrap_or_else(|| py.None()))
            })),
            Awaited::Task { task, waker } => Python::attach(|py| {
                *lock(waker) = Some(cx.waker().clone());
                let task = task.bind(py);
                if task.call_method0("done")?.is_truthy()? {
                    return Poll::Ready(task.call_method0("result").map(Bound::unbind));
                }
                let event_loop = task.call_method0("get_loop")?;
                if event_loop.call_method0("is_closed")?.is_truthy()? {
                    return Poll::Ready(Err(PyRuntimeError::new_err(
                        "the event loop in which a function of the request was awaited is closed",
                    )));
                }
                Poll::Pending
            }),
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Awaited::Task { task, .. } = self {
            // If the interpreter has ended or the loop is closed, there is nothing left to stop.
            _ = Python::try_attach(|py| -> PyResult<()> {
                let task = task.bind(py);
                if !task.call_method0("done")?.is_truthy()? {
                    let event_loop = task.call_method0("get_loop")?;
                    event_loop.call_method1("call_soon_threadsafe", (task.getattr("cancel")?,))?;
                }
                Ok(())
            });
        }
    }
}

/// The callback of a task: wakes the future that waits for it.
#[pyclass(frozen, module = "everstream._native")]
struct Done(Arc<Mutex<Option<Waker>>>);

#[pymethods]
impl Done {
    fn __call__(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
        if !task.call_method0("cancelled")?.is_truthy()? {
            // Marks the exception as retrieved, so that asyncio doesn't warn if nothing waits for it any more.
            task.call_method0("exception")?;
        }
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}
