//! Where a client's bytes come from: the engine's HTTP, or a custom source written in Python.

use std::sync::Arc;

use everstream::{ClientContext, ConnectStrategy, ConnectionClient, Error};
use pyo3::prelude::*;

use crate::async_source::AsyncSource;
use crate::http::Http;
use crate::pending_exception::PendingException;
use crate::read_ahead::ReadAhead;
use crate::source::{Source, SourceClient};

pub(crate) enum Connect {
    Http(Box<everstream::Http>),
    Source { source: Arc<Source>, name: String },
    AsyncSource(AsyncSource),
}

impl Connect {
    pub(crate) fn http(http: &Http, pending: &PendingException) -> Self {
        Connect::Http(Box::new(http.for_client(pending)))
    }

    pub(crate) fn source(source: &Arc<Source>, client: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Connect::Source {
            source: source.clone(),
            name: client.get_type().name()?.to_string(),
        })
    }

    /// The name that the log uses for a connection without a URL.
    pub(crate) fn name(&self) -> &str {
        match self {
            // Unused, because its connections have URLs.
            Connect::Http(_) => "the server",
            Connect::Source { name, .. } => name,
            Connect::AsyncSource(source) => &source.name,
        }
    }
}

impl ConnectStrategy for Connect {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(match self {
            Connect::Http(http) => {
                let client = http.create_client(context)?;
                match context.blocking {
                    true => client,
                    false => Box::new(ReadAhead(client)),
                }
            }
            Connect::Source { source, .. } => Box::new(SourceClient(source.clone())),
            Connect::AsyncSource(source) => Box::new(source.clone()),
        })
    }
}
