//! The body of a response, decoded in place. The chunks of a chunked body are moved together, so that
//! one socket read gives one piece to the decoder. Removing the framing takes 143 instructions per event if each
//! event has its own chunk, and 5 with 64 events in a chunk.

use std::ops::Range;

use everstream_core::Ending;

use super::Malformed;

/// The maximum length of a chunk size line, extensions included.
pub const MAX_CHUNK_LINE: u32 = 16 << 10;

/// The maximum size of the trailers.
pub const MAX_TRAILERS: u32 = 64 << 10;

/// Chunks of at least this size aren't moved next to the previous one: they become the next piece. Below
/// about this size, moving costs less than decoding another piece.
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
    /// When the connection closes. A truncated body can't be distinguished from a complete one.
    UntilClose,
}

/// A part of the body, and its position.
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
    /// The part of the body; empty if the bytes contain no more of it.
    pub payload: Range<usize>,
    /// This many bytes were processed, the payload included.
    pub consumed: usize,
}

/// What the end of the connection means for the body.
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
    /// The end of the connection is the end of the body, so nothing proves that it is complete.
    Closed,
    /// Part of the body is missing.
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
    /// Creates a reader for a body with this framing.
    pub fn new(framing: Framing) -> Self {
        BodyReader(match framing {
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Takes a piece off the front of the bytes. Pass the remaining bytes again, followed by new ones. An
    /// empty payload means that the bytes contain no more of the body.
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
            State::Chunked(chunked) => chunked.at == Position::End,
            State::Length(missing) => *missing == 0,
            State::UntilClose => false,
        }
    }

    /// What the end of the body proves. Without framing, the body ends when the connection closes, and a
    /// missing part goes unnoticed.
    pub fn ending(&self) -> Ending {
        match self.0 {
            State::UntilClose => Ending::Unproven,
            State::Chunked(_) | State::Length(_) => Ending::Complete,
        }
    }

    /// What it means for the body that the server has closed the connection.
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
    at: Position,
    /// In a size line, the size read so far; in a chunk, the number of missing bytes.
    size: u64,
    /// The number of bytes in this line, or in all trailers.
    line: u32,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Position {
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
    /// The body is malformed and can't be decoded any further.
    Malformed(Malformed),
}

impl Chunked {
    fn read(&mut self, bytes: &mut [u8]) -> Result<Piece, Malformed> {
        let mut at = 0;
        let mut payload = 0..0;
        while at < bytes.len() && self.at != Position::End {
            if self.at == Position::Data {
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
                    self.at = Position::DataCr;
                }
            } else if let Some((size, length)) = self.size_line(&bytes[at..]) {
                at += length;
                self.size = size;
                self.at = Position::Data;
            } else {
                match self.process_byte(bytes[at]) {
                    Ok(()) => at += 1,
                    // Data before an error is delivered first. The next read finds the error again.
                    Err(_) if !payload.is_empty() => break,
                    Err(error) => {
                        // Bytes before the error may have been processed, but the caller doesn't
                        // know how many.
                        self.at = Position::Malformed(error);
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

    /// The fast path for nearly every size line: the end of the previous chunk, a few digits and a line
    /// end, all in these bytes. The last chunk and everything unusual take the slow path.
    #[inline]
    fn size_line(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let begin = match self.at {
            Position::DataCr if bytes.starts_with(b"\r\n") => 2,
            Position::Size => 0,
            _ => return None,
        };
        let mut size = 0;
        // Fifteen digits can't overflow.
        for (digits, byte) in bytes.get(begin..)?.iter().take(16).enumerate() {
            match hex(*byte) {
                Some(digit) => size = size << 4 | digit,
                None => {
                    let end = begin + digits;
                    let is_simple = size > 0 && bytes[end..].starts_with(b"\r\n");
                    return is_simple.then_some((size, end + 2));
                }
            }
        }
        None
    }

    /// The slow path, a byte at a time.
    #[cold]
    fn process_byte(&mut self, byte: u8) -> Result<(), Malformed> {
        self.at = match (self.at, byte) {
            (Position::Size | Position::MoreSize, _) if byte.is_ascii_hexdigit() => {
                if self.at == Position::Size {
                    (self.size, self.line) = (0, 0);
                }
                self.count(MAX_CHUNK_LINE, Malformed::ChunkLineTooLong)?;
                if self.size >> 60 != 0 {
                    return Err(Malformed::ChunkSize);
                }
                self.size = self.size << 4 | hex(byte).unwrap_or_default();
                Position::MoreSize
            }
            (Position::MoreSize | Position::Extension, b'\r') => Position::SizeLf,
            (Position::MoreSize, b';' | b' ' | b'\t') => Position::Extension,
            // Implementations that disagree on line ends would disagree on where the body ends.
            (Position::Extension, b'\n') => return Err(Malformed::ChunkSize),
            (Position::Extension, _) => {
                self.count(MAX_CHUNK_LINE, Malformed::ChunkLineTooLong)?;
                Position::Extension
            }
            (Position::SizeLf, b'\n') if self.size > 0 => Position::Data,
            (Position::SizeLf, b'\n') => {
                self.line = 0;
                Position::Trailer
            }
            (Position::DataCr, b'\r') => Position::DataLf,
            (Position::DataLf, b'\n') => Position::Size,
            (Position::DataCr | Position::DataLf, _) => return Err(Malformed::ChunkEnd),
            (Position::Trailer, b'\r') => Position::LastLf,
            (Position::Trailer, b'\n') => return Err(Malformed::Trailers),
            (Position::InTrailer, b'\n') => Position::Trailer,
            (Position::Trailer | Position::InTrailer, _) => {
                self.count(MAX_TRAILERS, Malformed::Trailers)?;
                Position::InTrailer
            }
            (Position::LastLf, b'\n') => Position::End,
            (Position::LastLf, _) => return Err(Malformed::Trailers),
            (Position::Malformed(error), _) => return Err(error),
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
