//! The bytes of a reply: status line, headers and framing.

use std::borrow::Cow;

use crate::reply::{Body, Ending, Head, Reply, Step};
use crate::request::Request;

/// How the body of one response is delimited, once the request is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    /// The head announces this many bytes.
    Length(u64),
    /// The body ends when the connection closes.
    Close,
    /// The status or the method forbids a body.
    Empty,
    /// Bytes are written without framing.
    Raw,
}

impl Framing {
    /// The framing of `reply`. Without a `request`, that for a `GET` with HTTP/1.1.
    pub(crate) fn of(reply: &Reply, request: Option<&Request>) -> Framing {
        let Head::Http { status, body, .. } = &reply.head else {
            return Framing::Raw;
        };
        let head_only = request.is_some_and(|request| request.method == "HEAD");
        if head_only || matches!(status, 100..=199 | 204 | 304) {
            return Framing::Empty;
        }
        match body {
            // HTTP/1.0 has no chunks.
            Body::Chunked if request.is_some_and(|it| it.version == "HTTP/1.0") => Framing::Close,
            Body::Chunked => Framing::Chunked,
            Body::Length(length) => Framing::Length(*length),
            Body::Close => Framing::Close,
            Body::Whole => Framing::Length(
                reply
                    .steps
                    .iter()
                    .map(|step| match step {
                        Step::Send(bytes) => bytes.len() as u64,
                        _ => 0,
                    })
                    .sum(),
            ),
        }
    }

    /// Frames one piece of the body.
    pub(crate) fn wrap(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        match self {
            // A chunk of length 0 would end the body.
            Framing::Chunked if !bytes.is_empty() => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                Cow::Owned(chunk)
            }
            Framing::Empty => Cow::Borrowed(b""),
            _ => Cow::Borrowed(bytes),
        }
    }

    /// The bytes that end a complete body.
    pub(crate) fn terminator(self) -> &'static [u8] {
        match self {
            Framing::Chunked => b"0\r\n\r\n",
            _ => b"",
        }
    }
}

/// The status line and the headers.
pub(crate) fn head(reply: &Reply, framing: Framing) -> Vec<u8> {
    let Head::Http {
        status, headers, ..
    } = &reply.head
    else {
        return Vec::new();
    };
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(*status)).into_bytes();
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let framed = |name: &str| {
        name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
    };
    match framing {
        // The script sets its own framing header, valid or not.
        _ if headers.iter().any(|(name, _)| framed(name)) => {}
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) => {
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Close => out.extend_from_slice(b"Connection: close\r\n"),
        Framing::Empty | Framing::Raw => {}
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Everything that a reply writes, without its waits.
pub(crate) fn render(reply: &Reply) -> Vec<u8> {
    let framing = Framing::of(reply, None);
    let mut out = head(reply, framing);
    for step in &reply.steps {
        match step {
            Step::Send(bytes) => out.extend_from_slice(&framing.wrap(bytes)),
            Step::Pause(_) | Step::WaitFor(_) | Step::Open(_) => {}
            Step::Forever(_) | Step::Follow { .. } => return out,
        }
    }
    if reply.ending == Ending::Clean {
        out.extend_from_slice(framing.terminator());
    }
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // The standard allows an empty phrase.
        _ => "",
    }
}
