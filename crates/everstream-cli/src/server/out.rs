//! The channel from a source to its client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{Notify, mpsc};

/// Writes a stream until its end.
pub(crate) type Streaming = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The client has gone.
#[derive(Debug)]
pub(crate) struct ClientGone;

enum Piece {
    Bytes(Bytes),
    /// Drop the connection once everything before this has been sent.
    Drop,
}

/// The writing end for a source. When it is dropped, the response ends cleanly.
pub(crate) struct Out {
    pieces: mpsc::Sender<Piece>,
    switch: Switch,
}

impl Out {
    /// Waits until the client has read most of what was sent before.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), ClientGone> {
        // An empty chunk would end the response.
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = self.pieces.send(Piece::Bytes(bytes)).await;
        sent.map_err(|_| ClientGone)
    }

    /// Drops the connection once everything has been sent.
    pub(crate) async fn drop_connection(&self) {
        if self.pieces.send(Piece::Drop).await.is_ok() {
            self.pieces.closed().await;
        }
    }

    /// Drops the connection at once.
    pub(crate) fn abort(&self) {
        self.switch.abort.notify_one();
    }
}

/// How a connection is dropped.
#[derive(Clone, Default)]
pub(super) struct Switch {
    when_sent: Arc<AtomicBool>,
    abort: Arc<Notify>,
}

impl Switch {
    /// Whether there is nothing more to send.
    pub(super) fn is_off(&self) -> bool {
        self.when_sent.load(Ordering::Relaxed)
    }

    pub(super) async fn aborted(&self) {
        self.abort.notified().await;
    }
}

/// The body of a response: empty, or what a source writes.
pub(super) struct Pieces {
    pieces: Option<mpsc::Receiver<Piece>>,
    switch: Switch,
}

impl Pieces {
    pub(super) fn none(switch: &Switch) -> Pieces {
        Pieces {
            pieces: None,
            switch: switch.clone(),
        }
    }

    /// Runs the source until its client has gone.
    pub(super) fn of(source: impl FnOnce(Out) -> Streaming, switch: &Switch) -> Pieces {
        let (sender, receiver) = mpsc::channel(1);
        let gone = sender.clone();
        let streaming = source(Out {
            pieces: sender,
            switch: switch.clone(),
        });
        tokio::spawn(async move {
            // The source may be waiting for something else.
            tokio::select! {
                () = gone.closed() => {}
                () = streaming => {}
            }
        });
        Pieces {
            pieces: Some(receiver),
            switch: switch.clone(),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(pieces) = &mut self.pieces else {
            return Poll::Ready(None);
        };
        match ready!(pieces.poll_recv(cx)) {
            Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Ready(None),
            // The connection ends when it is flushed, which happens now.
            Some(Piece::Drop) => {
                self.switch.when_sent.store(true, Ordering::Relaxed);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.pieces {
            None => SizeHint::with_exact(0),
            Some(_) => SizeHint::default(),
        }
    }
}
