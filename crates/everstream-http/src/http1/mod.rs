//! HTTP/1.1 (RFC 9112), without I/O: requests to bytes, and bytes to heads and bodies.
//!
//! A connection carries one request and one response: bytes after a response are never parsed as another
//! one. So the reader can be lenient where RFC 9112 asks proxies to be strict.
//!
//! | limit | value |
//! |---|---|
//! | head of a response, blank lines before it included | [`MAX_HEAD`], 512 KiB |
//! | header lines | [`MAX_HEADERS`], 1,024 |
//! | informational responses (1xx) before the final one | [`MAX_INFORMATIONAL`], 64 |
//! | chunk size line, extensions included | [`MAX_CHUNK_LINE`], 16 KiB |
//! | trailers | [`MAX_TRAILERS`], 64 KiB |
//!
//! Differences from hyper's client, version 1.12 with defaults:
//!
//! | response | here | hyper | why |
//! |---|---|---|---|
//! | HTTP/1.0 with `Transfer-Encoding` | accepted | rejected | Python's `http.server` and others send chunks as HTTP/1.0 |
//! | folded header lines | joined by a space | rejected | RFC 9112, section 5.2, asks clients to join them |
//! | white space between a header name and its colon | accepted | rejected | only proxies have to remove it (section 5.1) |
//! | several spaces in the status line | accepted | rejected | section 4 lets clients split at any white space |
//! | a CR without LF before the head | skipped | rejected | a stray line end after an informational response |
//! | more than 100 header lines, or a head of more than 400 KiB | accepted up to the limits above | rejected | real gateways send them |
//! | an empty element in `Content-Length`, such as `5,` | skipped | rejected | empty list elements are ignored (RFC 9110, section 5.6.1) |
//! | a chunk extension without `;` | accepted | rejected | extensions are ignored here |
//! | chunk extensions of more than 16 KiB together | accepted | rejected | the limit is per line: a stream may never have a last chunk |
//! | trailers that aren't valid headers, or more than 16 KiB of them | skipped | rejected | trailers are ignored here |
//! | a bare LF at the start of a trailer line | rejected | accepted | ambiguous: it may or may not be the end of the body |
//! | more than 64 informational responses | rejected | accepted | otherwise they could continue forever |
//! | `Transfer-Encoding` with anything but `chunked` and `identity` | rejected | ignored | the encoded bytes would be parsed as events |
//! | `Transfer-Encoding: identity`, or an empty element such as in `chunked,` | that element is skipped | the body ends when the connection closes | old servers send it |
//! | an invalid `Content-Length` next to chunks | rejected | ignored | a sign of tampering |

mod body;
mod head;
mod request;
mod response;

use std::fmt;

pub use body::{BodyEnd, BodyReader, Framing, MAX_CHUNK_LINE, MAX_TRAILERS, Piece};
pub use head::{Head, HeadReader, HeadStep, MAX_HEAD, MAX_HEADERS, MAX_INFORMATIONAL};
pub(crate) use request::authority;
pub use request::{is_managed_header, write_connect, write_request};
pub use response::{Body, ResponseReader};

/// What is wrong with a response.
///
/// ```
/// use everstream_http::http1::Malformed;
///
/// assert_eq!(Malformed::TooManyHeaders.to_string(), "the response has more than 1024 header lines");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Not an HTTP/1.1 or HTTP/1.0 response.
    NotHttp,
    /// The status line is invalid.
    StatusLine,
    /// A header name is invalid.
    HeaderName,
    /// A header value is invalid.
    HeaderValue,
    /// The head is larger than [`MAX_HEAD`].
    HeadTooLarge,
    /// There are more header lines than [`MAX_HEADERS`].
    TooManyHeaders,
    /// There are more informational responses than [`MAX_INFORMATIONAL`].
    TooManyInformational,
    /// A `Content-Length` that isn't a number, or is too large.
    ContentLength,
    /// Several `Content-Length`s that differ.
    ConflictingLengths,
    /// A `Transfer-Encoding` other than `chunked`.
    TransferCoding,
    /// A chunk size isn't a hexadecimal number, or is too large.
    ChunkSize,
    /// A chunk size line is longer than [`MAX_CHUNK_LINE`].
    ChunkLineTooLong,
    /// A chunk isn't followed by a line end.
    ChunkEnd,
    /// The trailers are larger than [`MAX_TRAILERS`], or invalid.
    Trailers,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotHttp => f.write_str("the server didn't answer with HTTP/1.1 or HTTP/1.0"),
            Malformed::StatusLine => f.write_str("the response has an invalid status line"),
            Malformed::HeaderName => f.write_str("the response has an invalid header name"),
            Malformed::HeaderValue => f.write_str("the response has an invalid header value"),
            Malformed::HeadTooLarge => {
                let kib = MAX_HEAD >> 10;
                write!(f, "the head of the response is larger than {kib} KiB")
            }
            Malformed::TooManyHeaders => {
                write!(f, "the response has more than {MAX_HEADERS} header lines")
            }
            Malformed::TooManyInformational => write!(
                f,
                "the server sent more than {MAX_INFORMATIONAL} informational responses"
            ),
            Malformed::ContentLength => f.write_str("the response has an invalid Content-Length"),
            Malformed::ConflictingLengths => {
                f.write_str("the response has several different Content-Lengths")
            }
            Malformed::TransferCoding => {
                f.write_str("the response has a Transfer-Encoding other than chunked")
            }
            Malformed::ChunkSize => f.write_str("the response has an invalid chunk size"),
            Malformed::ChunkLineTooLong => {
                let kib = MAX_CHUNK_LINE >> 10;
                write!(
                    f,
                    "the response has a chunk extension larger than {kib} KiB"
                )
            }
            Malformed::ChunkEnd => {
                f.write_str("a chunk of the response doesn't end with CRLF after its declared size")
            }
            Malformed::Trailers => f.write_str("the response has invalid or oversized trailers"),
        }
    }
}

impl std::error::Error for Malformed {}
