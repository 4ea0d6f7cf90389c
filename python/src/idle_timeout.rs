//! The read timeout of a connection that Python code received, whether that code or the engine reads it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use everstream::{BoxError, ConnectFuture, ConnectRequest, Connection, ConnectionClient, Fault};
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::read_ahead::with_stream;

/// Wraps a client: its connections get the read timeout of their request.
pub(crate) struct IdleTimeouts(pub(crate) Box<dyn ConnectionClient>);

impl ConnectionClient for IdleTimeouts {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let limit = request.read_timeout;
        let connecting = self.0.connect(request);
        Box::pin(async move {
            let connection = connecting.await?;
            let Some(limit) = limit else {
                return Ok(connection);
            };
            let runtime = Handle::current();
            Ok(with_stream(connection, |connection| Limited {
                connection,
                limit,
                due: None,
                runtime,
            }))
        })
    }

    fn is_repeatable(&self) -> bool {
        self.0.is_repeatable()
    }

    fn can_resume_with_get(&self) -> bool {
        self.0.can_resume_with_get()
    }

    fn close(&mut self) {
        self.0.close();
    }
}

struct Limited {
    connection: Connection,
    limit: Duration,
    /// When the pending read times out.
    due: Option<Pin<Box<Sleep>>>,
    /// The runtime of the connection; it may be read outside of it.
    runtime: Handle,
}

impl Stream for Limited {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(chunk) = pin!(this.connection.next_chunk()).poll(cx) {
            this.due = None;
            return Poll::Ready(chunk.map(|chunk| match chunk {
                Ok(bytes) => Ok(bytes.as_ref().to_vec()),
                // Wrapped fault: the engine unwraps it.
                Err(fault) => Err(fault.into()),
            }));
        }
        let limit = this.limit;
        let due = this.due.get_or_insert_with(|| {
            let _inside = this.runtime.enter();
            Box::pin(tokio::time::sleep(limit))
        });
        due.as_mut()
            .poll(cx)
            .map(|()| Some(Err(Fault::ReadTimeout(limit).into())))
    }
}
