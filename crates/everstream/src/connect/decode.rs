//! Content codings (RFC 9110, section 8.4.1): compressed bodies, decoded as they come.
//!
//! They are decoded here and not in reqwest, whose decoders lose what they have already decoded
//! when the connection breaks, or nonsense follows, in the same read.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::header::CONTENT_ENCODING;
use ::http::{HeaderMap, HeaderValue};
use bytes::{Buf, Bytes};
use everstream_core::Fault;
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

/// A coding that is decoded here.
pub(super) struct Coding {
    name: &'static str,
    /// Fails if there is no memory.
    new: fn() -> io::Result<Box<dyn Decode>>,
}

/// In the order in which they are asked for.
const CODINGS: &[Coding] = &[
    #[cfg(feature = "gzip")]
    Coding {
        name: "gzip",
        new: || Ok(Box::new(gzip::Gzip::new())),
    },
    #[cfg(feature = "brotli")]
    Coding {
        name: "br",
        new: || Ok(Box::new(brotli::Brotli::new())),
    },
    #[cfg(feature = "zstd")]
    Coding {
        name: "zstd",
        new: || Ok(Box::new(zstd::Zstd::new()?)),
    },
];

/// What a request says in `Accept-Encoding`, if anything is decoded.
pub(super) fn accepted() -> Option<HeaderValue> {
    let names: Vec<&str> = CODINGS.iter().map(|coding| coding.name).collect();
    HeaderValue::from_str(&names.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
}

/// The coding of a response's body, if it has one; an error if it isn't one that is decoded here.
/// (A client of the user's own that decodes takes the header off.)
pub(super) fn coding(headers: &HeaderMap) -> Result<Option<&'static Coding>, Unknown> {
    let mut found = None;
    let codings = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    for name in codings {
        // RFC 9110, section 8.4.1.3.
        let name = match name.eq_ignore_ascii_case(b"x-gzip") {
            true => b"gzip",
            false => name,
        };
        let coding = CODINGS
            .iter()
            .find(|coding| coding.name.as_bytes().eq_ignore_ascii_case(name));
        // Nobody compresses twice, but who wants to keep a client busy.
        if coding.is_none() || found.is_some() {
            return Err(Unknown);
        }
        found = coding;
    }
    Ok(found)
}

/// A coding, or a sequence of them, that isn't decoded here.
#[derive(Debug)]
pub(super) struct Unknown;

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
    pub(super) fn new(body: S, coding: &Coding) -> Self {
        let (decoder, fault) = match (coding.new)() {
            Ok(decoder) => (Some(decoder), None),
            Err(error) => (None, Some(Fault::Read(error.into()))),
        };
        Decoded {
            body,
            name: coding.name,
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
