//! HTTP/1.1 (RFC 9112), without I/O: requests to bytes, and bytes to heads and bodies.
//!
//! A connection carries one request and one response: what follows a response is never taken for the
//! next one. So the reader may be generous where RFC 9112 asks proxies to be strict.
//!
//! | limit | value |
//! |---|---|
//! | head of a response, blank lines before it included | [`MAX_HEAD`], 512 KiB |
//! | header lines | [`MAX_HEADERS`], 1,024 |
//! | informational responses (1xx) before the final one | [`MAX_INFORMATIONAL`], 64 |
//! | line of a chunk's size, extensions included | [`MAX_CHUNK_LINE`], 16 KiB |
//! | trailers | [`MAX_TRAILERS`], 64 KiB |
//!
//! Where this differs from hyper's client, version 1.12 with its defaults:
//!
//! | response | here | hyper | why |
//! |---|---|---|---|
//! | HTTP/1.0 with `Transfer-Encoding` | accepted | refused | Python's `http.server` and others send chunks as HTTP/1.0 |
//! | folded header lines | joined by a space | refused | RFC 9112, section 5.2, asks a client to join them |
//! | blanks between a header's name and its colon | accepted | refused | only proxies have to remove them (section 5.1) |
//! | several spaces in the status line | accepted | refused | section 4 lets a client split at any white space |
//! | a CR without LF before the head | skipped | refused | a stray line end after an informational response |
//! | more than 100 header lines, or a head of more than 400 KiB | accepted up to the limits above | refused | real gateways send them |
//! | an empty element in `Content-Length`, such as `5,` | skipped | refused | an empty element of a list means nothing (RFC 9110, section 5.6.1) |
//! | a chunk extension without `;` | accepted | refused | extensions are ignored here |
//! | chunk extensions of more than 16 KiB together | accepted | refused | the limit is one line's: a stream has no last chunk |
//! | trailers that aren't valid headers, or more than 16 KiB of them | skipped | refused | nothing reads them |
//! | a bare LF where a trailer line begins | refused | accepted | it may be the end of the body or not |
//! | more than 64 informational responses | refused | accepted | or they could go on forever |
//! | `Transfer-Encoding` with anything but `chunked` and `identity` | refused | decoded as if it weren't there | the bytes would be taken for events |
//! | `Transfer-Encoding: identity`, or with an empty element such as `chunked,` | that element is skipped | the body ends with the connection | old servers send it |
//! | an invalid `Content-Length` next to chunks | refused | ignored | a sign of a response that was tampered with |

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
    /// Not a response of HTTP/1.1 or HTTP/1.0.
    NotHttp,
    /// The status line is invalid.
    StatusLine,
    /// The name of a header is invalid.
    HeaderName,
    /// The value of a header is invalid.
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
    /// A chunk's size isn't a hexadecimal number, or is too large.
    ChunkSize,
    /// The line of a chunk's size is longer than [`MAX_CHUNK_LINE`].
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
            Malformed::ChunkEnd => f.write_str("a chunk of the response has the wrong size"),
            Malformed::Trailers => f.write_str("the response has invalid or too large trailers"),
        }
    }
}

impl std::error::Error for Malformed {}
