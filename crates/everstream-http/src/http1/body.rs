//! The body of a response, decoded in place: chunks of a chunked body are moved together, so that one
//! read of a socket gives one piece for the decoder.

use std::ops::Range;

use everstream_core::Ending;

use super::Malformed;

/// The longest line of a chunk's size, extensions included.
pub const MAX_CHUNK_LINE: u32 = 16 << 10;

/// The most bytes of trailers.
pub const MAX_TRAILERS: u32 = 64 << 10;

/// A chunk of this size or more isn't moved next to the one before it: it becomes the next piece.
/// Moving costs less than decoding another piece up to about here.
const LARGE_CHUNK: usize = 2 << 10;

/// Where a body ends (RFC 9112, section 6.3).
///
/// ```
/// use everstream_http::http1::{BodyReader, Framing};
///
/// assert!(BodyReader::new(Framing::Length(0)).is_complete());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After the last chunk.
    Chunked,
    /// After this many bytes.
    Length(u64),
    /// With the connection. A break can't be told from the end.
    UntilClose,
}

/// A part of the body, and where it lies.
///
/// ```
/// use everstream_http::http1::{BodyReader, Framing};
///
/// let mut bytes = *b"3\r\nabc\r\n2\r\nde\r\n";
/// let piece = BodyReader::new(Framing::Chunked).read(&mut bytes)?;
/// assert_eq!(&bytes[piece.payload], b"abcde");
/// assert_eq!(piece.consumed, 15);
/// # Ok::<(), everstream_http::http1::Malformed>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The part of the body; empty if the bytes hold no more of it.
    pub payload: Range<usize>,
    /// This many bytes are done with, the payload among them.
    pub consumed: usize,
}

/// How a body ended when the connection did.
///
/// ```
/// use everstream_http::http1::{BodyEnd, BodyReader, Framing};
///
/// assert_eq!(BodyReader::new(Framing::Length(3)).connection_closed(), BodyEnd::Truncated);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// The framing proves that all of it has arrived.
    Complete,
    /// The connection delimits it, so that nothing proves that it is complete.
    Closed,
    /// A part of it is missing.
    Truncated,
}

/// Decodes the framing of a body.
///
/// ```
/// use everstream_http::http1::{BodyReader, Framing};
///
/// let mut body = BodyReader::new(Framing::Length(5));
/// let mut bytes = *b"hello, and more";
/// let piece = body.read(&mut bytes)?;
/// assert_eq!(&bytes[piece.payload], b"hello");
/// assert!(body.is_complete());
/// # Ok::<(), everstream_http::http1::Malformed>(())
/// ```
#[derive(Debug, Clone)]
pub struct BodyReader(State);

#[derive(Debug, Clone)]
enum State {
    Chunked(Chunked),
    Length(u64),
    UntilClose,
}

impl BodyReader {
    /// A reader for a body with this framing.
    pub fn new(framing: Framing) -> Self {
        BodyReader(match framing {
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Takes a piece off the front of the bytes. What is left must be passed again, with what follows
    /// it. An empty payload says that the bytes hold no more of the body.
    ///
    /// # Errors
    ///
    /// If the chunks are malformed. The error is final: every further read returns it.
    #[inline]
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<Piece, Malformed> {
        match &mut self.0 {
            State::Chunked(chunked) => chunked.read(bytes),
            State::Length(missing) => {
                let length = at_most(bytes.len(), *missing);
                *missing -= length as u64;
                Ok(Piece {
                    payload: 0..length,
                    consumed: length,
                })
            }
            State::UntilClose => Ok(Piece {
                payload: 0..bytes.len(),
                consumed: bytes.len(),
            }),
        }
    }

    /// Whether the framing proves that all of the body has arrived.
    #[inline]
    pub fn is_complete(&self) -> bool {
        match &self.0 {
            State::Chunked(chunked) => chunked.at == At::End,
            State::Length(missing) => *missing == 0,
            State::UntilClose => false,
        }
    }

    /// What the end of the body proves: a body without a framing of its own ends where the connection
    /// does, and a missing part doesn't show.
    pub fn ending(&self) -> Ending {
        match self.0 {
            State::UntilClose => Ending::Unproven,
            State::Chunked(_) | State::Length(_) => Ending::Complete,
        }
    }

    /// What it means that the server has closed the connection.
    pub fn connection_closed(&self) -> BodyEnd {
        match &self.0 {
            State::UntilClose => BodyEnd::Closed,
            _ if self.is_complete() => BodyEnd::Complete,
            _ => BodyEnd::Truncated,
        }
    }
}

fn at_most(length: usize, limit: u64) -> usize {
    length.min(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A chunked body (RFC 9112, section 7.1).
#[derive(Debug, Clone, Default)]
struct Chunked {
    at: At,
    /// In a size line, the size as far as it was read; in a chunk, what is missing of it.
    size: u64,
    /// The bytes of this line, or of all trailers.
    line: u32,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// The first digit of a size.
    #[default]
    Size,
    MoreSize,
    Extension,
    /// The LF of a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a line after the last chunk.
    Trailer,
    InTrailer,
    /// The LF of the blank line at the end.
    LastLf,
    End,
    /// Nothing: the body can't be decoded any further.
    Malformed(Malformed),
}

impl Chunked {
    fn read(&mut self, bytes: &mut [u8]) -> Result<Piece, Malformed> {
        let mut at = 0;
        let mut payload = 0..0;
        while at < bytes.len() && self.at != At::End {
            if self.at == At::Data {
                let here = at_most(bytes.len() - at, self.size);
                if payload.is_empty() {
                    payload = at..at + here;
                } else if here < LARGE_CHUNK {
                    bytes.copy_within(at..at + here, payload.end);
                    payload.end += here;
                } else {
                    break;
                }
                at += here;
                self.size -= here as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
            } else if let Some((size, length)) = self.size_line(&bytes[at..]) {
                at += length;
                self.size = size;
                self.at = At::Data;
            } else {
                match self.byte(bytes[at]) {
                    Ok(()) => at += 1,
                    // What precedes a mistake is delivered first. The next read meets it again.
                    Err(_) if !payload.is_empty() => break,
                    Err(error) => {
                        // Bytes before the mistake may be done with, and the caller isn't told.
                        self.at = At::Malformed(error);
                        return Err(error);
                    }
                }
            }
        }
        Ok(Piece {
            payload,
            consumed: at,
        })
    }

    /// The short way of nearly every size line: the end of the chunk before it, a few digits and a
    /// line end, all in these bytes. The last chunk and everything unusual take the long way.
    #[inline]
    fn size_line(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let begin = match self.at {
            At::DataCr if bytes.starts_with(b"\r\n") => 2,
            At::Size => 0,
            _ => return None,
        };
        let mut size = 0;
        // Fifteen digits can't overflow.
        for (digits, byte) in bytes.get(begin..)?.iter().take(16).enumerate() {
            match hex(*byte) {
                Some(digit) => size = size << 4 | digit,
                None => {
                    let end = begin + digits;
                    let is_plain = size > 0 && bytes[end..].starts_with(b"\r\n");
                    return is_plain.then_some((size, end + 2));
                }
            }
        }
        None
    }

    /// The long way, a byte at a time.
    #[cold]
    fn byte(&mut self, byte: u8) -> Result<(), Malformed> {
        self.at = match (self.at, byte) {
            (At::Size | At::MoreSize, _) if byte.is_ascii_hexdigit() => {
                if self.at == At::Size {
                    (self.size, self.line) = (0, 0);
                }
                self.count(MAX_CHUNK_LINE, Malformed::ChunkLineTooLong)?;
                if self.size >> 60 != 0 {
                    return Err(Malformed::ChunkSize);
                }
                self.size = self.size << 4 | hex(byte).unwrap_or_default();
                At::MoreSize
            }
            (At::MoreSize | At::Extension, b'\r') => At::SizeLf,
            (At::MoreSize, b';' | b' ' | b'\t') => At::Extension,
            // A line end that only some see would let them disagree on where the body ends.
            (At::Extension, b'\n') => return Err(Malformed::ChunkSize),
            (At::Extension, _) => {
                self.count(MAX_CHUNK_LINE, Malformed::ChunkLineTooLong)?;
                At::Extension
            }
            (At::SizeLf, b'\n') if self.size > 0 => At::Data,
            (At::SizeLf, b'\n') => {
                self.line = 0;
                At::Trailer
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::DataCr | At::DataLf, _) => return Err(Malformed::ChunkEnd),
            (At::Trailer, b'\r') => At::LastLf,
            (At::Trailer, b'\n') => return Err(Malformed::Trailers),
            (At::InTrailer, b'\n') => At::Trailer,
            (At::Trailer | At::InTrailer, _) => {
                self.count(MAX_TRAILERS, Malformed::Trailers)?;
                At::InTrailer
            }
            (At::LastLf, b'\n') => At::End,
            (At::LastLf, _) => return Err(Malformed::Trailers),
            (At::Malformed(error), _) => return Err(error),
            _ => return Err(Malformed::ChunkSize),
        };
        Ok(())
    }

    fn count(&mut self, limit: u32, error: Malformed) -> Result<(), Malformed> {
        self.line += 1;
        match self.line > limit {
            true => Err(error),
            false => Ok(()),
        }
    }
}

#[inline]
fn hex(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u64::from(byte - b'A') + 10),
        _ => None,
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
