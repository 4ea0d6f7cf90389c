//! Reads HTTP/1 requests from a stream.
//!
//! Strict where a client bug would be a vulnerability in production: a bare CR or LF, a NUL, or a header
//! line without a name is rejected, because smuggled headers look like that.

use std::io::{self, Read, Write};

/// Large enough for tests that send an id of a megabyte in `Last-Event-ID`.
const HEAD_LIMIT: usize = 4 * 1024 * 1024;
const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// Small, because the buffer is on the small stack of a connection's thread.
pub(crate) const READ_SIZE: usize = 8 * 1024;

/// A request without a number and a time.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum NoRequest {
    /// The client has disconnected, between two requests or in the middle of one.
    Disconnected,
    /// The client sent something that isn't HTTP/1. The response has this status.
    Rejected(u16, &'static str),
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> NoRequest {
        NoRequest::Disconnected
    }
}

/// Received bytes that are not used yet.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Waits until the client has sent something.
    pub(crate) fn wait(&mut self, stream: &mut impl Read) -> Result<(), NoRequest> {
        if self.bytes.is_empty() {
            self.fill(stream)?;
        }
        Ok(())
    }

    /// Receives available bytes, at least one.
    pub(crate) fn fill(&mut self, stream: &mut impl Read) -> Result<(), NoRequest> {
        let mut buffer = [0; READ_SIZE];
        let count = read(stream, &mut buffer)?;
        if count == 0 {
            return Err(NoRequest::Disconnected);
        }
        self.keep(&buffer[..count]);
        Ok(())
    }

    /// Keeps bytes that arrived while a reply was waiting.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        // Bytes beyond the limit can't be part of a valid request.
        let room = (HEAD_LIMIT + BODY_LIMIT).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Reads one request, with its body.
    pub(crate) fn request(
        &mut self,
        stream: &mut (impl Read + Write),
    ) -> Result<Parsed, NoRequest> {
        let head = self.head(stream)?;
        let mut parsed = parse_head(&head)?;
        let value = |name: &str| {
            let mut values = parsed
                .headers
                .iter()
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim_ascii());
            let first = values.next();
            match values.next() {
                Some(_) => Err(NoRequest::Rejected(400, "repeated framing header")),
                None => Ok(first),
            }
        };
        let length = value("content-length")?;
        let coding = value("transfer-encoding")?;
        if (length.is_some() || coding.is_some())
            && value("expect")?.is_some_and(|it| it.eq_ignore_ascii_case(b"100-continue"))
        {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        parsed.body = match (length, coding) {
            (None, None) => Vec::new(),
            (Some(length), None) => {
                let length = number(length, 10)?;
                self.take(stream, length)?
            }
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
                self.chunked_body(stream)?
            }
            (None, Some(_)) => return Err(NoRequest::Rejected(501, "unknown transfer coding")),
            (Some(_), Some(_)) => {
                return Err(NoRequest::Rejected(
                    400,
                    "both a length and a transfer coding",
                ));
            }
        };
        // Thousands of idle streams shouldn't each keep a buffer.
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        Ok(parsed)
    }

    /// Takes everything up to and including the blank line after the headers.
    fn head(&mut self, stream: &mut impl Read) -> Result<Vec<u8>, NoRequest> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.bytes[searched..], b"\r\n\r\n") {
                return Ok(self.drain(searched + at + 4));
            }
            // The blank line may be split over two reads.
            searched = self.bytes.len().saturating_sub(3);
            if self.bytes.len() > HEAD_LIMIT {
                return Err(NoRequest::Rejected(431, "the request head is too long"));
            }
            self.fill(stream)?;
        }
    }

    fn chunked_body(&mut self, stream: &mut impl Read) -> Result<Vec<u8>, NoRequest> {
        let mut body = Vec::new();
        loop {
            let line = self.line(stream)?;
            let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
            let size = number(size.trim_ascii(), 16)?;
            if size == 0 {
                break;
            }
            if body.len() + size > BODY_LIMIT {
                return Err(TOO_LARGE);
            }
            body.extend(self.take(stream, size)?);
            if !self.line(stream)?.is_empty() {
                return Err(NoRequest::Rejected(400, "a chunk longer than its size"));
            }
        }
        // Trailers.
        while !self.line(stream)?.is_empty() {}
        Ok(body)
    }

    fn line(&mut self, stream: &mut impl Read) -> Result<Vec<u8>, NoRequest> {
        const LINE_LIMIT: usize = 64 * 1024;
        loop {
            if let Some(at) = find(&self.bytes, b"\r\n") {
                let mut line = self.drain(at + 2);
                line.truncate(at);
                return Ok(line);
            }
            if self.bytes.len() > LINE_LIMIT {
                return Err(NoRequest::Rejected(400, "a chunk size line is too long"));
            }
            self.fill(stream)?;
        }
    }

    fn take(&mut self, stream: &mut impl Read, count: usize) -> Result<Vec<u8>, NoRequest> {
        if count > BODY_LIMIT {
            return Err(TOO_LARGE);
        }
        while self.bytes.len() < count {
            self.fill(stream)?;
        }
        Ok(self.drain(count))
    }

    fn drain(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(count);
        std::mem::replace(&mut self.bytes, rest)
    }
}

const TOO_LARGE: NoRequest = NoRequest::Rejected(413, "the request body is too large");

/// Reads once; retries when interrupted by a signal.
pub(crate) fn read(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn parse_head(head: &[u8]) -> Result<Parsed, NoRequest> {
    let bad = |reason| NoRequest::Rejected(400, reason);
    let head = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    if head.contains(&0) {
        return Err(bad("a NUL in the request head"));
    }
    if lines
        .iter()
        .any(|line| line.contains(&b'\r') || line.contains(&b'\n'))
    {
        return Err(bad("a bare CR or LF in the request head"));
    }

    let start = std::str::from_utf8(lines[0]).map_err(|_| bad("the request line isn't text"))?;
    let words: Vec<&str> = start.split(' ').collect();
    let [method, target, version] = words[..] else {
        return Err(bad("the request line isn't METHOD TARGET VERSION"));
    };
    if method.is_empty() || target.is_empty() {
        return Err(bad("the request line lacks a method or a target"));
    }
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(NoRequest::Rejected(505, "not HTTP/1.1 or HTTP/1.0"));
    }

    let mut headers = Vec::with_capacity(lines.len() - 1);
    for line in &lines[1..] {
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(bad("a header line without a colon"))?;
        let name = std::str::from_utf8(&line[..colon])
            .ok()
            .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(bad("a header name that isn't a token"))?;
        headers.push((name.to_owned(), line[colon + 1..].trim_ascii().to_vec()));
    }
    Ok(Parsed {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        headers,
        body: Vec::new(),
    })
}

fn number(digits: &[u8], radix: u32) -> Result<usize, NoRequest> {
    std::str::from_utf8(digits)
        .ok()
        // `from_str_radix` would accept a sign.
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, radix).ok())
        .ok_or(NoRequest::Rejected(400, "a length that isn't a number"))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, Read, Write};

    use super::{Inbox, NoRequest};

    /// Returns one byte at a time, which a socket can't guarantee.
    struct OneByteAtATime(VecDeque<u8>);

    impl Read for OneByteAtATime {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    impl Write for OneByteAtATime {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_are_read_byte_by_byte() {
        let wire = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nyo\r\n0\r\n\r\n\
            GET /c HTTP/1.1\r\n\r\n";
        let mut stream = OneByteAtATime(wire.iter().copied().collect());
        let mut inbox = Inbox::default();
        for (target, body) in [("/a", "hi"), ("/b", "yo"), ("/c", "")] {
            let parsed = inbox.request(&mut stream).unwrap();
            assert_eq!(parsed.target, target);
            assert_eq!(parsed.body, body.as_bytes());
        }
        assert!(matches!(
            inbox.request(&mut stream),
            Err(NoRequest::Disconnected)
        ));
    }
}
