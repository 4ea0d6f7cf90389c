//! Content codings (RFC 9110, section 8.4.1): compressed bodies, decoded as they come.
//!
//! What was decoded before the connection broke, or before nonsense followed in the same read, is
//! delivered first.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "gzip")]
mod deflate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use everstream_core::Fault;
use everstream_http::policy::ContentCoding;
use futures_core::Stream;

/// How much is decoded at once. It is all that a decoder keeps besides its window, so that a small
/// body that expands to a huge one is no danger.
const PIECE: usize = 32 << 10;

/// How many pieces in a row are handed out before others get their turn. A few bytes may expand to
/// gigabytes, and nothing waits for the network in between.
const TURN: u32 = 32;

/// What one coding does.
///
/// After an error a decoder isn't used any more.
trait Decode: Send {
    /// Takes input off the front, and appends to `out`, up to its capacity. Both are used as far as
    /// possible: if `out` isn't full, there is nothing more without more input. What was decoded
    /// before an error is in `out` with it.
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt>;

    /// Whether the body may end here: at its beginning (an empty body is no coded one) or where the
    /// coding says so.
    fn is_complete(&self) -> bool;
}

/// What is wrong with the data.
type Corrupt = String;

/// The codings that are decoded here.
pub(super) const CODINGS: &[ContentCoding] = &[
    #[cfg(feature = "gzip")]
    ContentCoding::Gzip,
    #[cfg(feature = "brotli")]
    ContentCoding::Brotli,
    #[cfg(feature = "zstd")]
    ContentCoding::Zstd,
    #[cfg(feature = "gzip")]
    ContentCoding::Deflate,
];

fn decoder(coding: ContentCoding) -> io::Result<Box<dyn Decode>> {
    match coding {
        #[cfg(feature = "gzip")]
        ContentCoding::Gzip => Ok(Box::new(gzip::Gzip::new())),
        #[cfg(feature = "gzip")]
        ContentCoding::Deflate => Ok(Box::new(deflate::Deflate::new())),
        #[cfg(feature = "brotli")]
        ContentCoding::Brotli => Ok(Box::new(brotli::Brotli::new())),
        #[cfg(feature = "zstd")]
        ContentCoding::Zstd => Ok(Box::new(zstd::Zstd::new()?)),
        // Not one of `CODINGS`, so that no response is taken for it.
        #[allow(unreachable_patterns)]
        _ => Err(ErrorKind::Unsupported.into()),
    }
}

/// A decoded body as chunks, none of them empty. What comes before an error is handed out before
/// it.
pub(super) struct Decoded<S> {
    body: S,
    name: &'static str,
    /// `None` after the end or an error.
    decoder: Option<Box<dyn Decode>>,
    /// Not yet decoded.
    input: Bytes,
    out: Vec<u8>,
    /// What comes after what was handed out.
    fault: Option<Fault>,
    turn: u32,
}

impl<S> Decoded<S> {
    pub(super) fn new(body: S, coding: ContentCoding) -> Self {
        let (decoder, fault) = match decoder(coding) {
            Ok(decoder) => (Some(decoder), None),
            Err(error) => (None, Some(Fault::Read(error.into()))),
        };
        Decoded {
            body,
            name: coding.token(),
            decoder,
            input: Bytes::new(),
            out: Vec::with_capacity(PIECE),
            fault,
            turn: 0,
        }
    }

    fn fault(&self, kind: ErrorKind, problem: &str) -> Fault {
        Fault::Read(io::Error::new(kind, format!("{}: {problem}", self.name)).into())
    }
}

impl<S> Stream for Decoded<S>
where
    S: Stream<Item = Result<Bytes, Fault>> + Unpin,
{
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(decoder) = &mut this.decoder else {
                return Poll::Ready(this.fault.take().map(Err));
            };
            // A full piece may have been only a part of what there is.
            if !this.input.is_empty() || this.out.len() == this.out.capacity() {
                if this.turn == TURN {
                    this.turn = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                this.turn += 1;
                this.out.clear();
                let mut input = &*this.input;
                let result = decoder.decode(&mut input, &mut this.out);
                let consumed = this.input.len() - input.len();
                this.input.advance(consumed);
                if let Err(problem) = result {
                    this.decoder = None;
                    this.fault = Some(this.fault(ErrorKind::InvalidData, &problem));
                }
                if !this.out.is_empty() {
                    return Poll::Ready(Some(Ok(Bytes::copy_from_slice(&this.out))));
                }
                continue;
            }
            this.turn = 0;
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(chunk)) => this.input = chunk,
                Some(Err(fault)) => {
                    this.decoder = None;
                    this.fault = Some(fault);
                }
                None => {
                    if !decoder.is_complete() {
                        let problem = "the response ends in the middle of its compressed data";
                        this.fault = Some(this.fault(ErrorKind::UnexpectedEof, problem));
                    }
                    this.decoder = None;
                }
            }
        }
    }
}

#[cfg(all(test, feature = "gzip", feature = "brotli", feature = "zstd"))]
mod tests;
