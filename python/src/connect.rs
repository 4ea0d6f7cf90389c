//! Where a client's bytes come from: the engine's HTTP, or a source written in Python.

use std::sync::Arc;

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, ConnectionClient, Error,
    RedactedUrl,
};
use everstream_http::policy::withheld_message;
use pyo3::prelude::*;

use crate::async_source::AsyncSource;
use crate::http::Http;
use crate::log::Log;
use crate::raised::Raised;
use crate::read_ahead::ReadAhead;
use crate::source::{Source, SourceClient};

pub(crate) enum Connect {
    Http {
        http: Box<everstream::Http>,
        url: String,
        log: Log,
    },
    Source {
        source: Arc<Source>,
        name: String,
        log: Log,
    },
    AsyncSource {
        source: AsyncSource,
        log: Log,
    },
}

impl Connect {
    pub(crate) fn http(http: &Http, raised: &Raised, log: &Log) -> Self {
        Connect::Http {
            http: Box::new(http.for_client(raised)),
            url: http.url.clone(),
            log: log.clone(),
        }
    }

    pub(crate) fn source(
        source: &Arc<Source>,
        client: &Bound<'_, PyAny>,
        log: &Log,
    ) -> PyResult<Self> {
        Ok(Connect::Source {
            source: source.clone(),
            name: client.get_type().name()?.to_string(),
            log: log.clone(),
        })
    }

    pub(crate) fn async_source(source: AsyncSource, log: &Log) -> Self {
        let log = log.clone();
        Connect::AsyncSource { source, log }
    }
}

impl ConnectStrategy for Connect {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(match self {
            Connect::Http { http, url, log } => {
                let mut client = http.create_client(context)?;
                if !context.blocking {
                    client = Box::new(ReadAhead(client));
                }
                logged(client, RedactedUrl(url).to_string(), log)
            }
            Connect::Source { source, name, log } => {
                logged(Box::new(SourceClient(source.clone())), name.clone(), log)
            }
            Connect::AsyncSource { source, log } => {
                logged(Box::new(source.clone()), source.name.clone(), log)
            }
        })
    }
}

fn logged(inner: Box<dyn ConnectionClient>, to: String, log: &Log) -> Box<dyn ConnectionClient> {
    match log.is_on() {
        true => Box::new(Logged {
            inner,
            to,
            log: log.clone(),
        }),
        false => inner,
    }
}

/// Logs attempts. What they failed with is logged where it is decided upon.
struct Logged {
    inner: Box<dyn ConnectionClient>,
    to: String,
    log: Log,
}

impl ConnectionClient for Logged {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let connecting = self.inner.connect(request);
        let (to, log) = (self.to.clone(), self.log.clone());
        Box::pin(async move {
            log.info(|| format!("connecting to {to}"));
            let connected = connecting.await;
            let (withheld, url) = match &connected {
                Ok(connection) => {
                    log.info(|| format!("connected to {to}"));
                    let start = connection.start();
                    (&*start.withheld_headers, start.url.as_deref())
                }
                Err(fault) => match fault.response() {
                    Some(response) => (&*response.withheld_headers, Some(&*response.url)),
                    None => (&[][..], None),
                },
            };
            if let Some(text) = withheld_message(withheld, url.unwrap_or_default()) {
                log.warning(|| text);
            }
            connected
        })
    }

    fn is_repeatable(&self) -> bool {
        self.inner.is_repeatable()
    }

    fn can_resume_with_get(&self) -> bool {
        self.inner.can_resume_with_get()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
