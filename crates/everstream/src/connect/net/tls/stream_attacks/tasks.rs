//! The tasks that read and write a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::MAX_WRITE;
use super::Stream;
use super::pipe::{Random, Task};

pub(super) struct Reader {
    pub(super) task: Arc<Task>,
    pub(super) read: Vec<u8>,
    /// Doesn't read until the writer has finished.
    pub(super) is_late: bool,
    pub(super) end: Option<Result<(), std::io::ErrorKind>>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Reader {
            task: Task::new(),
            read: Vec::new(),
            is_late: false,
            end: None,
        }
    }

    pub(super) fn poll(&mut self, stream: &mut Stream, random: &mut Random) {
        self.task.sleeps();
        let waker = Waker::from(self.task.clone());
        let mut room = vec![0; random.pick(&[1, 100, 5000, 100_000])];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(stream).poll_read(&mut Context::from_waker(&waker), &mut room) {
            Poll::Pending => {
                assert!(
                    room.filled().is_empty(),
                    "bytes were read, but the result is Pending"
                );
                return;
            }
            Poll::Ready(Ok(())) if room.filled().is_empty() => self.end = Some(Ok(())),
            Poll::Ready(Ok(())) => self.read.extend_from_slice(room.filled()),
            Poll::Ready(Err(error)) => self.end = Some(Err(error.kind())),
        }
        waker.wake();
    }
}

pub(super) enum Next {
    Write,
    Flush,
    Shutdown,
    Done,
}

pub(super) struct Writer {
    pub(super) task: Arc<Task>,
    pub(super) to_write: Vec<u8>,
    pub(super) written: usize,
    pub(super) next: Next,
    /// Ends TLS while the reader is still reading.
    pub(super) is_hasty: bool,
}

impl Writer {
    pub(super) fn new(to_write: Vec<u8>) -> Self {
        Writer {
            task: Task::new(),
            to_write,
            written: 0,
            next: Next::Write,
            is_hasty: false,
        }
    }

    pub(super) fn is_runnable(&self, reader: &Reader) -> bool {
        match self.next {
            Next::Done => false,
            Next::Shutdown if !self.is_hasty && reader.end.is_none() => false,
            _ => self.task.is_awake(),
        }
    }

    pub(super) fn poll(&mut self, stream: &mut Stream, random: &mut Random) {
        self.task.sleeps();
        let waker = Waker::from(self.task.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut stream = Pin::new(stream);
        let rest = &self.to_write[self.written..];
        let polled = match self.next {
            Next::Write if rest.is_empty() => {
                self.next = Next::Flush;
                Poll::Ready(Ok(()))
            }
            Next::Write => {
                let part = rest.len().min(random.pick(&[1, 100, 16384, 16385, 50_000]));
                let polled = stream.as_mut().poll_write(cx, &rest[..part]);
                polled.map_ok(|length| {
                    assert!(length > 0 && length <= MAX_WRITE);
                    self.written += length;
                    if random.one_in(3) {
                        self.next = Next::Flush;
                    }
                })
            }
            Next::Flush => stream.as_mut().poll_flush(cx).map_ok(|()| {
                assert!(stream.outgoing.is_empty());
                let is_done = self.written == self.to_write.len();
                self.next = if is_done { Next::Shutdown } else { Next::Write };
            }),
            Next::Shutdown => {
                let polled = stream.as_mut().poll_shutdown(cx);
                polled.map_ok(|()| self.next = Next::Done)
            }
            Next::Done => unreachable!(),
        };
        match polled {
            Poll::Pending => return,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => self.next = Next::Done,
        }
        waker.wake();
    }
}
