//! hyper's client, reading pieces of a response from memory.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::{Accepted, Read as Outcome, lines};

/// After this many polls, a connection counts as hung.
const POLLS: usize = 100_000;

/// Reads the response with hyper.
pub(super) fn read(method: http::Method, pieces: &[&[u8]]) -> Outcome {
    let mut cx = Context::from_waker(Waker::noop());
    let pieces = pieces.iter().rev().map(|piece| piece.to_vec()).collect();
    let io = Memory {
        pieces,
        is_asked: false,
    };
    let Poll::Ready(handshake) = pin!(http1::handshake(io)).poll(&mut cx) else {
        panic!("a handshake in memory never blocks");
    };
    let (mut sender, connection) = handshake.unwrap();
    let mut connection = Some(pin!(connection));
    let mut drive = |cx: &mut Context<'_>| {
        let has_ended = connection.as_mut().map(|it| it.as_mut().poll(cx));
        if let Some(Poll::Ready(_)) = has_ended {
            connection = None;
        }
    };

    let request = http::Request::builder().method(method).uri("/");
    let request = request
        .header("host", "a.test")
        .body(String::new())
        .unwrap();
    let mut response = pin!(sender.send_request(request));
    let mut polls = 0..POLLS;
    let response = loop {
        polls.next().expect("hyper waits forever");
        drive(&mut cx);
        if let Poll::Ready(response) = response.as_mut().poll(&mut cx) {
            break response;
        }
    };
    let (head, body) = match response {
        Ok(response) => response.into_parts(),
        Err(error) => return Err(format!("head: {error:?}")),
    };
    let mut body = pin!(body);
    let mut data = Vec::new();
    loop {
        polls.next().expect("hyper waits forever");
        drive(&mut cx);
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                data.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            }
            Poll::Ready(Some(Err(error))) => return Err(format!("body: {error:?}")),
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    Ok(Accepted {
        status: head.status.as_u16(),
        headers: lines(&head.headers),
        body: data,
    })
}

/// A peer that responds after the first write. Written data is dropped.
struct Memory {
    /// In reverse order.
    pieces: Vec<Vec<u8>>,
    is_asked: bool,
}

impl Read for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked {
            return Poll::Pending;
        }
        if let Some(mut piece) = self.pieces.pop() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            buffer.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
