//! Reads a connection ahead in the runtime.
//!
//! An event loop takes time to wake up. All chunks that arrive meanwhile are merged into one, so that
//! a server that sends each event separately doesn't cause a wake-up for each.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use everstream::{BoxError, ConnectFuture, ConnectRequest, Connection, ConnectionClient, Fault};
use futures_core::Stream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::pending_exception::lock;

/// Reading pauses while this many bytes are buffered.
const MAX_BUFFERED: usize = 64 << 10;

/// Wraps a client: its connections are read ahead.
pub(crate) struct ReadAhead(pub(crate) Box<dyn ConnectionClient>);

impl ConnectionClient for ReadAhead {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let connecting = self.0.connect(request);
        Box::pin(async move {
            let connection = connecting.await?;
            Ok(with_stream(connection, Ahead::of))
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

/// A connection whose stream is derived from another connection.
pub(crate) fn with_stream<S>(
    connection: Connection,
    stream_of: impl FnOnce(Connection) -> S,
) -> Connection
where
    S: Stream<Item = Result<Vec<u8>, BoxError>> + Send + 'static,
{
    let (start, ending) = (connection.start().clone(), connection.ending());
    Connection::from_stream(stream_of(connection))
        .with_start(start)
        .with_ending(ending)
}

#[derive(Default)]
struct Shared {
    content: Mutex<Content>,
    taken: Notify,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    end: Option<Result<(), BoxError>>,
    waker: Option<Waker>,
}

impl Shared {
    /// Changes the content. Returns whether the buffer is full.
    fn put(&self, put: impl FnOnce(&mut Content)) -> bool {
        let (waker, is_full) = {
            let mut content = lock(&self.content);
            put(&mut content);
            (content.waker.take(), content.bytes.len() >= MAX_BUFFERED)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        is_full
    }

    fn is_full(&self) -> bool {
        lock(&self.content).bytes.len() >= MAX_BUFFERED
    }
}

struct Ahead {
    shared: Arc<Shared>,
    reading: AbortHandle,
}

impl Ahead {
    fn of(mut connection: Connection) -> Self {
        let shared = Arc::new(Shared::default());
        let reading = tokio::spawn({
            let shared = shared.clone();
            async move {
                let end = loop {
                    let is_full = match connection.next_chunk().await {
                        Some(Ok(chunk)) => {
                            shared.put(|content| content.bytes.extend_from_slice(chunk.as_ref()))
                        }
                        Some(Err(Fault::Read(error))) => break Err(error),
                        Some(Err(fault)) => break Err(fault.into()),
                        None => break Ok(()),
                    };
                    if is_full {
                        while shared.is_full() {
                            shared.taken.notified().await;
                        }
                    }
                };
                shared.put(|content| content.end = Some(end));
            }
        });
        Ahead {
            shared,
            reading: reading.abort_handle(),
        }
    }
}

impl Stream for Ahead {
    type Item = Result<Vec<u8>, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut content = lock(&self.shared.content);
        if !content.bytes.is_empty() {
            let bytes = std::mem::take(&mut content.bytes);
            drop(content);
            self.shared.taken.notify_one();
            return Poll::Ready(Some(Ok(bytes)));
        }
        match content.end.take() {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                content.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
