//! The runtime behind what doesn't block the caller's thread in the engine itself: one for the
//! process, made when it is first needed.

use std::sync::Mutex;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::process::Process;
use crate::raised::lock;

static RUNTIME: Mutex<Option<(Process, Runtime)>> = Mutex::new(None);

pub(crate) fn handle() -> PyResult<Handle> {
    let mut shared = lock(&RUNTIME);
    if let Some((process, runtime)) = &*shared {
        if !process.is_gone() {
            return Ok(runtime.handle().clone());
        }
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("everstream")
        .enable_all()
        .build()
        .map_err(|error| {
            PyRuntimeError::new_err(format!("the runtime can't be started: {error}"))
        })?;
    let handle = runtime.handle().clone();
    // The threads of one from before a fork are in the parent: nothing here can end it.
    std::mem::forget(shared.replace((Process::current(), runtime)));
    Ok(handle)
}
