//! One request and its response over HTTP/1.1, in the caller's own task: no other task, no channel.
//!
//! A connection is used once. So nothing that follows a response can be taken for the next one, and a
//! request never meets a connection that the server is about to close.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{Ending, Fault};
use everstream_http::exchange::Request;
use everstream_http::http1::{BodyEnd, BodyReader, Head, HeadReader};
use everstream_http::{Failure, SocketFailure as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::ReadBuffer;
use super::net::Io;

/// What is left to send: the head, then the body.
struct Upload {
    head: Bytes,
    body: Bytes,
    /// Sent, but perhaps not flushed.
    flushing: bool,
}

/// A request on its way, until the head of the response is there.
pub(super) struct Sending {
    io: Io,
    upload: Upload,
    send_failure: Option<Failure>,
    buffer: ReadBuffer,
    reader: HeadReader,
}

impl Sending {
    pub(super) fn new(
        io: Io,
        request: &Request,
        body: Option<&Bytes>,
        through_proxy: Option<Option<&HeaderValue>>,
    ) -> Self {
        let head = request.to_http1(through_proxy, body.map(|body| &**body));
        Sending {
            io,
            upload: Upload {
                head: head.into(),
                body: body.cloned().unwrap_or_default(),
                flushing: true,
            },
            send_failure: None,
            buffer: ReadBuffer::default(),
            reader: HeadReader::new(request.method == Method::HEAD),
        }
    }

    /// Ready with the head of the response, also if it comes before all was sent.
    pub(super) async fn response(mut self) -> Result<(Head, Body), Failure> {
        let head = std::future::poll_fn(|cx| self.poll_head(cx)).await?;
        let unsent = self.send_failure.is_none() && self.upload.flushing;
        let body = Body {
            io: self.io,
            upload: unsent.then(|| Box::new(self.upload)),
            buffer: self.buffer,
            reader: BodyReader::new(head.framing),
        };
        Ok((head, body))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        // What can't be sent isn't needed if an answer comes all the same.
        if self.send_failure.is_none() {
            if let Poll::Ready(Err(error)) = self.upload.poll(&mut self.io, cx) {
                self.send_failure = Some(Failure::before_response(&error));
            }
        }
        loop {
            if !self.buffer.is_empty() {
                let step = self.reader.read(self.buffer.filled())?;
                self.buffer.consume(step.consumed);
                if let Some(head) = step.head {
                    return Poll::Ready(Ok(head));
                }
            }
            let failure = match poll_read(&mut self.io, &mut self.buffer, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => Failure::closed_before_response(),
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => Failure::before_response(&error),
            };
            return Poll::Ready(Err(self.send_failure.take().unwrap_or(failure)));
        }
    }
}

impl Upload {
    fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for bytes in [&mut self.head, &mut self.body] {
            while !bytes.is_empty() {
                let sent = ready!(Pin::new(&mut *io).poll_write(cx, bytes))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                bytes::Buf::advance(bytes, sent);
            }
        }
        if self.flushing {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads what there is; 0 at the end. A buffer that stays empty is given back.
#[inline]
fn poll_read(
    io: &mut Io,
    buffer: &mut ReadBuffer,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(buffer.room());
    let polled = Pin::new(io).poll_read(cx, &mut read);
    let length = read.filled().len();
    match polled {
        Poll::Ready(Ok(())) => {
            buffer.received(length);
            Poll::Ready(Ok(length))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => {
            buffer.rest();
            Poll::Pending
        }
    }
}

/// The body of a response.
pub(super) struct Body {
    io: Io,
    /// The rest of a request whose response began early. The server may want all of it before it goes
    /// on, and if not, that it can't be sent doesn't matter.
    upload: Option<Box<Upload>>,
    buffer: ReadBuffer,
    reader: BodyReader,
}

impl Body {
    /// What its end proves.
    pub(super) fn ending(&self) -> Ending {
        self.reader.ending()
    }

    /// The next bytes, never empty; `None` at the end.
    #[inline]
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            if !self.buffer.is_empty() {
                match self.reader.read(self.buffer.filled()) {
                    Ok(piece) if piece.payload.is_empty() => self.buffer.consume(piece.consumed),
                    Ok(piece) => {
                        let bytes = self.buffer.take(piece.payload, piece.consumed);
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    Err(malformed) => return fault(malformed.into()),
                }
            }
            if self.reader.is_complete() {
                return Poll::Ready(None);
            }
            if let Some(upload) = &mut self.upload {
                if upload.poll(&mut self.io, cx).is_ready() {
                    self.upload = None;
                }
            }
            match ready!(poll_read(&mut self.io, &mut self.buffer, cx)) {
                Ok(0) => {
                    return match self.reader.connection_closed() {
                        BodyEnd::Truncated => fault(Failure::closed_mid_response()),
                        BodyEnd::Complete | BodyEnd::Closed => Poll::Ready(None),
                    };
                }
                Ok(_) => {}
                Err(error) => return fault(Failure::mid_response(&error)),
            }
        }
    }
}

#[cold]
fn fault(failure: Failure) -> Poll<Option<Result<Bytes, Fault>>> {
    Poll::Ready(Some(Err(Fault::Read(failure.into()))))
}
