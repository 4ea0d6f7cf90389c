//! A reader for a whole response, head and body, with its own buffer.

use std::io::{self, ErrorKind};

use everstream_core::{Ending, Failure};

use super::{BodyEnd, BodyReader, Framing, Head, HeadReader};
use crate::SocketFailure as _;

/// Reads one response, and buffers the bytes that are not read yet. The default is for a response to any
/// method but HEAD.
///
/// To manage buffers yourself, use [`HeadReader`] and [`BodyReader`].
///
/// ```
/// use everstream_http::http1::{Body, ResponseReader};
///
/// let mut response = ResponseReader::default();
/// response.receive(Ok(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"));
/// assert!(response.head()?.is_none());
/// response.receive(Ok(b"\r\na"));
/// assert_eq!(response.head()?.unwrap().status, 200);
/// assert_eq!(response.body()?, Body::Bytes(b"a".to_vec()));
/// assert_eq!(response.body()?, Body::NeedsMore);
/// response.receive(Ok(b""));
/// assert_eq!(response.body().unwrap_err().to_string(), "the server closed the connection mid-response");
/// # Ok::<(), everstream_core::Failure>(())
/// ```
#[derive(Debug)]
pub struct ResponseReader {
    received: Vec<u8>,
    /// Why no more bytes arrive.
    end: Option<End>,
    head: HeadReader,
    body: BodyReader,
}

/// The next part of a body.
///
/// ```
/// use everstream_core::Ending;
/// use everstream_http::http1::{Body, ResponseReader};
///
/// let mut response = ResponseReader::default();
/// response.receive(Ok(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
/// response.head()?;
/// assert_eq!(response.body()?, Body::End(Ending::Complete));
/// # Ok::<(), everstream_core::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The next bytes, never empty.
    Bytes(Vec<u8>),
    /// More bytes have to be received first.
    NeedsMore,
    /// The body has ended. What that proves is in the [`Ending`].
    End(Ending),
}

#[derive(Debug)]
enum End {
    Closed,
    Broken(io::Error),
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self::new(false)
    }
}

impl ResponseReader {
    /// Creates a reader for the response to a HEAD request, or to any other request.
    pub fn new(to_head_request: bool) -> Self {
        ResponseReader {
            received: Vec::new(),
            end: None,
            head: HeadReader::new(to_head_request),
            body: BodyReader::new(Framing::UntilClose),
        }
    }

    /// Takes the result of a socket read: bytes, no bytes if the server has closed the connection, or an
    /// error. Interruptions and timeouts are ignored.
    pub fn receive(&mut self, read: io::Result<&[u8]>) {
        match read {
            Ok([]) => self.end = Some(End::Closed),
            Ok(bytes) => self.received.extend_from_slice(bytes),
            // Which of these a socket timeout reports depends on the operating system.
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => self.end = Some(End::Broken(error)),
            },
        }
    }

    /// The head of the response, once it is complete.
    ///
    /// # Errors
    ///
    /// If the head is malformed, or the connection ended before it.
    pub fn head(&mut self) -> Result<Option<Head>, Failure> {
        let step = self.head.read(&self.received)?;
        self.received.drain(..step.consumed);
        match step.head {
            Some(head) => {
                self.body = BodyReader::new(head.framing);
                Ok(Some(head))
            }
            None => match &self.end {
                None => Ok(None),
                Some(End::Closed) => Err(Failure::closed_before_response()),
                Some(End::Broken(error)) => Err(Failure::before_response(error)),
            },
        }
    }

    /// The next bytes of the body, after the head.
    ///
    /// # Errors
    ///
    /// If the framing is malformed, or the connection ended before the end of the body.
    pub fn body(&mut self) -> Result<Body, Failure> {
        let piece = self.body.read(&mut self.received)?;
        let bytes = self.received[piece.payload].to_vec();
        self.received.drain(..piece.consumed);
        if !bytes.is_empty() {
            return Ok(Body::Bytes(bytes));
        }
        match (self.body.connection_closed(), &self.end) {
            (BodyEnd::Complete, _) | (BodyEnd::Closed, Some(End::Closed)) => {
                Ok(Body::End(self.body.ending()))
            }
            (_, None) => Ok(Body::NeedsMore),
            (BodyEnd::Truncated, Some(End::Closed)) => Err(Failure::closed_mid_response()),
            (_, Some(End::Broken(error))) => Err(Failure::mid_response(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Reads the bytes in pieces of this size, then the end of the connection. Returns the body.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let mut response = ResponseReader::default();
        let mut pieces = bytes.chunks(piece).chain([&b""[..]]);
        let mut receive = |response: &mut ResponseReader| {
            response.receive(Ok(pieces.next().expect("no read after the end")));
        };
        while response.head().map_err(|it| it.to_string())?.is_none() {
            receive(&mut response);
        }
        let mut all = Vec::new();
        loop {
            match response.body().map_err(|it| it.to_string())? {
                Body::Bytes(bytes) => all.extend(bytes),
                Body::NeedsMore => receive(&mut response),
                Body::End(_) => return Ok(all),
            }
        }
    }

    #[test]
    fn the_piece_size_changes_nothing() {
        let closing = [HEAD, b"abcde"].concat();
        let chunked = [CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"].concat();
        for bytes in [closing, chunked] {
            for piece in 1..=bytes.len() {
                assert_eq!(read(&bytes, piece).unwrap(), b"abcde", "{piece}");
            }
        }
    }

    #[test]
    fn a_truncated_response_is_an_error() {
        for (bytes, problem) in [
            (
                &HEAD[..10],
                "the server closed the connection before responding",
            ),
            (
                &b"SSH-2.0"[..],
                "the server didn't answer with HTTP/1.1 or HTTP/1.0",
            ),
            (
                &[CHUNKED, b"3\r\nabc\r\n"].concat(),
                "the server closed the connection mid-response",
            ),
            (
                &[CHUNKED, b"3\r\nabc\r\nx\r\n"].concat(),
                "the response has an invalid chunk size",
            ),
        ] {
            assert_eq!(read(bytes, 7).unwrap_err(), problem);
        }
    }

    #[test]
    fn timeouts_are_ignored_and_errors_are_reported_after_received_data() {
        let reset = || Err(ErrorKind::ConnectionReset.into());
        let mut response = ResponseReader::default();
        response.receive(Ok(&[HEAD, b"a"].concat()));
        for kind in [
            ErrorKind::Interrupted,
            ErrorKind::WouldBlock,
            ErrorKind::TimedOut,
        ] {
            response.receive(Err(kind.into()));
        }
        assert!(response.head().unwrap().is_some());
        response.receive(reset());
        assert_eq!(response.body().unwrap(), Body::Bytes(b"a".to_vec()));
        let failure = response.body().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the server reset the connection mid-response"
        );

        let mut response = ResponseReader::default();
        response.receive(reset());
        let failure = response.head().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the server reset the connection before responding"
        );
    }
}
