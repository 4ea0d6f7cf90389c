//! The head of a response: status, headers, and the framing of the body.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use httparse::{ParserConfig, Status};

use super::Malformed;
use super::body::Framing;

/// The maximum number of bytes before the body, blank lines before the head included. hyper allows about
/// 400 KiB.
pub const MAX_HEAD: usize = 512 << 10;

/// The maximum number of header lines. hyper allows 100, but real servers send more.
pub const MAX_HEADERS: usize = 1024;

/// The maximum number of informational responses before the final one.
pub const MAX_INFORMATIONAL: u32 = 64;

/// An incomplete head is parsed for errors at this size, and each time its size has doubled.
const FIRST_PARSE_SIZE: usize = 1 << 10;

/// The start of every response.
const RESPONSE_START: &[u8] = b"HTTP/1.";

/// The head of a final response.
///
/// ```
/// use everstream_http::http1::{Framing, HeadReader};
///
/// let mut reader = HeadReader::new(false);
/// let step = reader.read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
/// let head = step.head.unwrap();
/// assert_eq!(head.status, 200);
/// assert_eq!(head.headers["transfer-encoding"], "chunked");
/// assert_eq!(head.framing, Framing::Chunked);
/// # Ok::<(), everstream_http::http1::Malformed>(())
/// ```
#[derive(Debug, Clone)]
pub struct Head {
    /// HTTP/1.1 or HTTP/1.0.
    pub version: Version,
    /// The status code.
    pub status: StatusCode,
    /// The headers; folded lines are joined (RFC 9112, section 5.2).
    pub headers: HeaderMap,
    /// Where the body ends.
    pub framing: Framing,
}

/// The result of reading some bytes.
///
/// ```
/// use everstream_http::http1::HeadReader;
///
/// let step = HeadReader::new(false).read(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2")?;
/// assert_eq!(step.consumed, 28); // keep the rest, and append what arrives
/// assert!(step.head.is_none());
/// # Ok::<(), everstream_http::http1::Malformed>(())
/// ```
#[derive(Debug)]
pub struct HeadStep {
    /// This many bytes were processed. Pass the rest again, followed by new bytes.
    pub consumed: usize,
    /// The head, if it is complete.
    pub head: Option<Head>,
}

/// Reads the head of a response, and skips informational ones (1xx) before it.
///
/// The work is linear in the size of the head, however small the pieces in which it arrives.
///
/// ```
/// use everstream_http::http1::HeadReader;
///
/// let mut reader = HeadReader::new(false);
/// assert!(reader.read(b"HTTP/1.1 200 OK\r\nServer: a\r\n")?.head.is_none());
/// let step = reader.read(b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\ndata: x\n\n")?;
/// assert_eq!(step.consumed, 30);
/// assert_eq!(step.head.unwrap().headers["server"], "a");
/// # Ok::<(), everstream_http::http1::Malformed>(())
/// ```
#[derive(Debug)]
pub struct HeadReader {
    /// The request was a HEAD, so there is no body whatever the headers say.
    without_body: bool,
    /// How many bytes were searched for the end of the head.
    searched: usize,
    /// The size at which an incomplete head is parsed next.
    next_parse_size: usize,
    /// Blank lines that were skipped before the head.
    skipped: usize,
    informational: u32,
}

impl HeadReader {
    /// Creates a reader for the response to a HEAD request, or to any other request.
    ///
    /// ```
    /// use everstream_http::http1::{Framing, HeadReader};
    ///
    /// let step = HeadReader::new(true).read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")?;
    /// assert_eq!(step.head.unwrap().framing, Framing::Length(0));
    /// # Ok::<(), everstream_http::http1::Malformed>(())
    /// ```
    pub fn new(to_head_request: bool) -> Self {
        HeadReader {
            without_body: to_head_request,
            searched: 0,
            next_parse_size: FIRST_PARSE_SIZE,
            skipped: 0,
            informational: 0,
        }
    }

    /// Reads the bytes that the last step left, and those after them.
    ///
    /// # Errors
    ///
    /// If the bytes aren't the start of a response, or if a limit is exceeded.
    pub fn read(&mut self, bytes: &[u8]) -> Result<HeadStep, Malformed> {
        let mut consumed = 0;
        loop {
            let rest = &bytes[consumed..];
            if self.searched == 0 {
                // Some servers send an extra line end after an informational response.
                let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                let blank = blank.count();
                self.skipped += blank;
                consumed += blank;
            }
            let rest = &bytes[consumed..];
            let Some((head, length)) = self.parse(rest)? else {
                return Ok(HeadStep {
                    consumed,
                    head: None,
                });
            };
            consumed += length;
            // 101 is final: what follows isn't HTTP (RFC 9110, section 15.2.2).
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                self.informational += 1;
                if self.informational > MAX_INFORMATIONAL {
                    return Err(Malformed::TooManyInformational);
                }
                self.searched = 0;
                self.next_parse_size = FIRST_PARSE_SIZE;
                continue;
            }
            return Ok(HeadStep {
                consumed,
                head: Some(head),
            });
        }
    }

    /// The head and its length, if it is complete.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let beginning = bytes.len().min(RESPONSE_START.len());
        if bytes[..beginning] != RESPONSE_START[..beginning] {
            return Err(Malformed::NotHttp);
        }
        let is_whole = self.has_blank_line(bytes);
        if !is_whole {
            if bytes.len() + self.skipped >= MAX_HEAD {
                return Err(Malformed::HeadTooLarge);
            }
            if bytes.len() < self.next_parse_size {
                return Ok(None);
            }
            self.next_parse_size = bytes.len() * 2;
        }
        let parsed = parse(bytes, self.without_body)?;
        // The limit also applies to a head that arrives in one piece.
        match parsed {
            Some((_, length)) if length + self.skipped > MAX_HEAD => Err(Malformed::HeadTooLarge),
            parsed => Ok(parsed),
        }
    }

    /// Whether there is a blank line. Doesn't search bytes again.
    fn has_blank_line(&mut self, bytes: &[u8]) -> bool {
        let from = self.searched.saturating_sub(2);
        self.searched = bytes.len();
        let rest = &bytes[from..];
        let line_ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        line_ends
            .map(|(at, _)| &rest[at + 1..])
            .any(|after| after.starts_with(b"\n") || after.starts_with(b"\r\n"))
    }
}

fn parse(bytes: &[u8], without_body: bool) -> Result<Option<(Head, usize)>, Malformed> {
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    let mut room = 64;
    loop {
        let mut lines = vec![httparse::EMPTY_HEADER; room];
        let mut response = httparse::Response::new(&mut lines);
        let length = match config.parse_response(&mut response, bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) if room < MAX_HEADERS => {
                room *= 4;
                continue;
            }
            Err(error) => return Err(malformed(error)),
        };
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Malformed::StatusLine)?;
        let mut headers = HeaderMap::with_capacity(response.headers.len());
        for line in response.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let value = HeaderValue::from_bytes(&unfold(line.value));
            headers.append(
                name.map_err(|_| Malformed::HeaderName)?,
                value.map_err(|_| Malformed::HeaderValue)?,
            );
        }
        let has_no_body = without_body || matches!(status.as_u16(), 100..=199 | 204 | 304);
        let framing = match has_no_body {
            true => Framing::Length(0),
            false => framing(&headers)?,
        };
        let version = match response.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let head = Head {
            version,
            status,
            headers,
            framing,
        };
        return Ok(Some((head, length)));
    }
}

fn malformed(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::HeaderName => Malformed::HeaderName,
        httparse::Error::HeaderValue | httparse::Error::NewLine => Malformed::HeaderValue,
        httparse::Error::TooManyHeaders => Malformed::TooManyHeaders,
        httparse::Error::Version => Malformed::NotHttp,
        httparse::Error::Status | httparse::Error::Token => Malformed::StatusLine,
    }
}

/// Joins the lines of a folded value with a space (RFC 9112, section 5.2).
fn unfold(value: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !value.contains(&b'\n') {
        return value.into();
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(&b' ').into()
}

/// Where the body ends (RFC 9112, section 6.3).
///
/// Chunks take precedence over a length. HTTP/1.0 has no chunks, but servers that announce them do send
/// them (Python's `http.server` and frameworks built on it). That is unsafe only for reused connections,
/// and connections aren't reused.
fn framing(headers: &HeaderMap) -> Result<Framing, Malformed> {
    let mut chunked = false;
    for coding in list(headers, TRANSFER_ENCODING) {
        if coding.eq_ignore_ascii_case(b"chunked") && !chunked {
            chunked = true;
        } else if !coding.eq_ignore_ascii_case(b"identity") || chunked {
            return Err(Malformed::TransferCoding);
        }
    }
    let mut length = None;
    for number in list(headers, CONTENT_LENGTH) {
        let number = parse_length(number).ok_or(Malformed::ContentLength)?;
        if length.is_some_and(|known| known != number) {
            return Err(Malformed::ConflictingLengths);
        }
        length = Some(number);
    }
    Ok(match (chunked, length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    })
}

/// The elements of a list header (RFC 9110, section 5.6.1), from all its lines.
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    let elements = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let elements = elements.map(<[u8]>::trim_ascii);
    elements.filter(|element| !element.is_empty())
}

/// Parses digits only: neither a sign nor white space.
fn parse_length(number: &[u8]) -> Option<u64> {
    match number.iter().all(u8::is_ascii_digit) {
        true => std::str::from_utf8(number).ok()?.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
