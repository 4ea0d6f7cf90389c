//! The engine's HTTP for strategies that wrap it: what the blocking and the asyncio client share.

use std::sync::Mutex;
use std::time::Duration;

use everstream::{ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, ConnectionClient};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::fault::{message, new_error};
use crate::http::Http;
use crate::idle_timeout::IdleTimeouts;
use crate::pending_exception::{PendingException, lock};
use crate::process::Process;

/// Makes all connections of one client.
pub(crate) struct HttpConnector {
    /// `None` after `close`.
    client: Mutex<Option<Box<dyn ConnectionClient>>>,
    pub(crate) is_repeatable: bool,
    pub(crate) pending: PendingException,
    pub(crate) process: Process,
}

impl HttpConnector {
    pub(crate) fn new(
        http: &Http,
        wrap: impl FnOnce(Box<dyn ConnectionClient>) -> Box<dyn ConnectionClient>,
    ) -> PyResult<Self> {
        let pending = PendingException::default();
        let client = http
            .for_client(&pending)
            .create_client(ClientContext::default())
            .map_err(|error| PyValueError::new_err(message(&error)))?;
        Ok(HttpConnector {
            is_repeatable: client.is_repeatable(),
            client: Mutex::new(Some(Box::new(IdleTimeouts(wrap(client))))),
            pending,
            process: Process::current(),
        })
    }

    /// Begins a connection. It makes progress only while it is polled.
    pub(crate) fn connect(
        &self,
        py: Python<'_>,
        last_event_id: Option<String>,
        resume_with_get: bool,
        read_timeout: Option<Duration>,
    ) -> PyResult<ConnectFuture> {
        self.process.check("client")?;
        let mut request = ConnectRequest::default();
        request.last_event_id = last_event_id;
        request.read_timeout = read_timeout;
        request.resume_with_get = resume_with_get;
        match &mut *lock(&self.client) {
            Some(client) => Ok(client.connect(request)),
            None => Err(closed(py)),
        }
    }

    /// Returns `false` in a forked child, where nothing may be closed.
    pub(crate) fn close(&self) -> bool {
        if self.process.is_forked() {
            return false;
        }
        let client = lock(&self.client).take();
        if let Some(mut client) = client {
            client.close();
        }
        true
    }
}

pub(crate) fn closed(py: Python<'_>) -> PyErr {
    new_error(py, "ClosedError", "the client is closed")
}
