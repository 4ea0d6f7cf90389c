//! Content codings (RFC 9110, section 8.4.1): compressed bodies, decoded as they arrive.
//!
//! Everything decoded before a broken connection, or before corrupt data in the same read, is delivered
//! before the error.

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

/// The most output to decode at once. A decoder keeps nothing more apart from its window, so a small
/// body that expands to a huge one needs no more memory.
const MAX_DECODED: usize = 32 << 10;

/// How many pieces are delivered in a row before other tasks get a turn: a few bytes may expand to
/// gigabytes without a wait for the network.
const MAX_PIECES_BEFORE_YIELD: u32 = 32;

/// The decoder of one coding.
///
/// A decoder must not be used after an error.
trait Decode: Send {
    /// Takes input off the front and appends to `out`, up to its capacity. Decodes as much as possible:
    /// if `out` isn't full afterwards, more output needs more input. With an error, `out` has what was
    /// decoded before it.
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt>;

    /// Whether the body may end here: where the coding says so, or at its beginning, because some servers
    /// don't encode an empty body.
    fn is_complete(&self) -> bool;
}

/// Describes what is wrong with the data.
type Corrupt = String;

/// The supported codings.
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
        // Not one of `CODINGS`, so no response gets here.
        #[allow(unreachable_patterns)]
        _ => Err(ErrorKind::Unsupported.into()),
    }
}

/// A decoded body as non-empty chunks. Data decoded before an error is delivered first.
pub(super) struct Decoded<S> {
    body: S,
    name: &'static str,
    /// `None` after the end or an error.
    decoder: Option<Box<dyn Decode>>,
    /// Not yet decoded.
    input: Bytes,
    out: Vec<u8>,
    /// The fault to report after the decoded data.
    fault: Option<Fault>,
    pieces_since_yield: u32,
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
            out: Vec::with_capacity(MAX_DECODED),
            fault,
            pieces_since_yield: 0,
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
            // If the last output was full, the decoder may have more.
            if !this.input.is_empty() || this.out.len() == this.out.capacity() {
                if this.pieces_since_yield == MAX_PIECES_BEFORE_YIELD {
                    this.pieces_since_yield = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                this.pieces_since_yield += 1;
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
            this.pieces_since_yield = 0;
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
