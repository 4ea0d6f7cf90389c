//! A TLS connection by rustls with buffers from the pool.
//!
//! rustls's own buffers, which tokio-rustls uses, keep 4 KiB for each connection that has ever read.
//! Here a stream that waits for data holds none.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Io;
use crate::connect::buffer::ReadBuffer;

/// What is encrypted at once: the most that a record can hold.
const MAX_WRITE: usize = 16 << 10;

/// What encryption adds to a record, or more: only a guess, which spares a second try.
const OVERHEAD: usize = 64;

pub(crate) struct TlsStream {
    io: Io,
    session: UnbufferedClientConnection,
    /// Records that were received and not processed.
    incoming: ReadBuffer,
    /// What was decrypted and not read: the reader had no room for it.
    plain: Vec<u8>,
    /// Records that are to be sent, the first bytes of which were.
    outgoing: Vec<u8>,
    sent: usize,
    /// The server has ended TLS. Nothing follows.
    has_ended: bool,
    /// The end of TLS was queued.
    is_closing: bool,
    /// What rustls refused. It isn't asked again.
    failed: Option<Box<Error>>,
}

/// What to do when everything that was received is processed.
#[derive(Clone, Copy)]
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    Close,
}

impl TlsStream {
    pub(super) async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        io: Io,
    ) -> io::Result<Self> {
        let mut stream = TlsStream {
            io,
            session: UnbufferedClientConnection::new(config, name).map_err(invalid)?,
            incoming: ReadBuffer::default(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            has_ended: false,
            is_closing: false,
            failed: None,
        };
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// The protocol that was negotiated.
    pub(super) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    #[cfg(test)]
    pub(crate) fn handshake_kind(&self) -> Option<rustls::HandshakeKind> {
        self.session.handshake_kind()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_done = self.process(cx, None, Then::Nothing)?;
            ready!(self.poll_send(cx))?;
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            if is_done {
                return Poll::Ready(Ok(()));
            }
            if self.has_ended || ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Processes what was received, up to the first data for a reader with `room`. Returns whether the
    /// handshake is done. After an error it sends the alert that tells the server why, if it can.
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        room: Option<&mut ReadBuf<'_>>,
        then: Then<'_>,
    ) -> io::Result<bool> {
        if let Some(error) = &self.failed {
            return Err(invalid(Error::clone(error)));
        }
        self.process_records(room, then).map_err(|error| {
            self.queue_alert();
            _ = self.poll_send(cx);
            self.failed = Some(Box::new(error.clone()));
            invalid(error)
        })
    }

    /// rustls has it before anything else, and must not see what it refused again: this is the last call.
    fn queue_alert(&mut self) {
        let received: &mut [u8] = match self.incoming.is_empty() {
            true => &mut [],
            false => self.incoming.filled(),
        };
        let status = self.session.process_tls_records(received);
        if let Ok(ConnectionState::EncodeTlsData(data)) = status.state {
            _ = encode(data, &mut self.outgoing);
        }
    }

    fn process_records(
        &mut self,
        mut room: Option<&mut ReadBuf<'_>>,
        then: Then<'_>,
    ) -> Result<bool, Error> {
        loop {
            let received: &mut [u8] = match self.incoming.is_empty() {
                true => &mut [],
                false => self.incoming.filled(),
            };
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(received);
            let mut stops = None;
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    self.incoming.consume(discard);
                    return Err(error);
                }
            };
            match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let mut payload = record.payload;
                        if let Some(room) = &mut room {
                            if !payload.is_empty() {
                                stops = Some(true);
                            }
                            let fits = payload.len().min(room.remaining());
                            room.put_slice(&payload[..fits]);
                            payload = &payload[fits..];
                        }
                        self.plain.extend_from_slice(payload);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.outgoing)?,
                // It is queued, and sent before anything else.
                ConnectionState::TransmitTlsData(queued) => queued.done(),
                ConnectionState::PeerClosed => self.has_ended = true,
                ConnectionState::Closed => {
                    self.has_ended = true;
                    stops = Some(true);
                }
                ConnectionState::BlockedHandshake => stops = Some(false),
                ConnectionState::WriteTraffic(traffic) => {
                    encrypt(traffic, &mut self.outgoing, then)?;
                    stops = Some(true);
                }
                _ => return Err(Error::General("an unexpected state of TLS".to_owned())),
            }
            self.incoming.consume(discard);
            if let Some(is_done) = stops {
                return Ok(is_done);
            }
        }
    }

    /// Receives more records. 0 at the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(self.incoming.room());
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut read);
        let length = read.filled().len();
        self.incoming.received(length);
        self.incoming.rest();
        polled.map_ok(|()| length)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let unsent = &self.outgoing[self.sent..];
            let length = ready!(Pin::new(&mut self.io).poll_write(cx, unsent))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += length;
        }
        self.outgoing = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Moves what was decrypted before.
    fn take_plain(&mut self, room: &mut ReadBuf<'_>) {
        let length = self.plain.len().min(room.remaining());
        room.put_slice(&self.plain[..length]);
        if length == self.plain.len() {
            self.plain = Vec::new();
        } else {
            self.plain.drain(..length);
        }
    }
}

/// Appends what `write` writes, which returns the length or how much room it needs.
fn append(
    out: &mut Vec<u8>,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<Result<usize, usize>, Error>,
) -> Result<(), Error> {
    let start = out.len();
    let mut size = guess;
    loop {
        out.resize(start + size, 0);
        let written = write(&mut out[start..]);
        match written {
            Ok(Err(needed)) if needed > size => size = needed,
            Ok(Ok(length)) => {
                out.truncate(start + length);
                return Ok(());
            }
            Ok(Err(_)) => return Err(Error::General("no room is enough".to_owned())),
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        }
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    append(out, 0, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(error)) => Ok(Err(error.required_size)),
        Err(error) => Err(Error::General(error.to_string())),
        Ok(length) => Ok(Ok(length)),
    })
}

fn encrypt<D>(
    mut traffic: WriteTraffic<'_, D>,
    out: &mut Vec<u8>,
    then: Then<'_>,
) -> Result<(), Error> {
    let length = match then {
        Then::Nothing => return Ok(()),
        Then::Encrypt(data) => data.len(),
        Then::Close => 0,
    };
    append(out, length + OVERHEAD, |room| {
        let written = match then {
            Then::Encrypt(data) => traffic.encrypt(data, room),
            _ => traffic.queue_close_notify(room),
        };
        match written {
            Err(EncryptError::InsufficientSize(error)) => Ok(Err(error.required_size)),
            Err(error) => Err(Error::General(error.to_string())),
            Ok(length) => Ok(Ok(length)),
        }
    })
}

/// As tokio-rustls reports it, for [`readable`](super::readable).
fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = room.filled().len();
        loop {
            this.take_plain(room);
            if room.filled().len() == before {
                this.process(cx, Some(room), Then::Nothing)?;
                // Such as the answer to a change of keys. What is received counts all the same.
                _ = this.poll_send(cx);
            }
            if room.filled().len() > before || this.has_ended {
                this.incoming.rest();
                return Poll::Ready(Ok(()));
            }
            if ready!(this.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        if this.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let part = &bytes[..bytes.len().min(MAX_WRITE)];
        if !part.is_empty() {
            this.process(cx, None, Then::Encrypt(part))?;
            if this.outgoing.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            // It was taken, also if it can't be sent yet.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !mem::replace(&mut this.is_closing, true) {
            this.process(cx, None, Then::Close)?;
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

// Servers are made with ring.
#[cfg(test)]
#[cfg(feature = "rustls")]
#[path = "stream_tests.rs"]
mod tests;
