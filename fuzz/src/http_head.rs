//! The head of a response, whole and in pieces, compared with httparse alone.

use arbitrary::{Arbitrary, Unstructured};
use everstream_http::http1::{
    Framing, Head, HeadReader, MAX_HEAD, MAX_HEADERS, MAX_INFORMATIONAL, Malformed,
};
use httparse::{ParserConfig, Status};

use crate::chunking::cuts;

#[derive(Arbitrary)]
struct Input<'a> {
    to_head_request: bool,
    /// The sizes of the pieces, repeated.
    sizes: [u8; 6],
    bytes: &'a [u8],
}

/// Reads a head whole and in pieces, and panics if the results differ from each other or from those of
/// httparse.
///
/// ```
/// everstream_fuzz::http_head(b"\x00\x01\x02\x03\x04\x05\x06HTTP/1.1 200 OK\r\nServer: a\r\n\r\n");
/// ```
pub fn http_head(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let bytes = input.bytes;
    let shown = bytes.escape_ascii();
    let whole = read(input.to_head_request, bytes, &[0, bytes.len()]);
    let cuts = cuts(&input.sizes, bytes.len());
    let cut = read(input.to_head_request, bytes, &cuts);
    match (&whole, &cut) {
        // In pieces, an error in an incomplete head may be found only at the end of the head.
        (Read::Malformed(_), Read::Unfinished { .. }) => {
            let ended = [bytes, b"\n\n"].concat();
            let mut cuts = cuts;
            cuts.push(ended.len());
            assert_eq!(read(input.to_head_request, &ended, &cuts), whole, "{shown}");
        }
        _ => assert_eq!(cut, whole, "{cuts:?}: {shown}"),
    }
    compare(&whole, bytes, input.to_head_request);
}

/// The result of reading the bytes.
#[derive(Debug, PartialEq)]
enum Read {
    Whole { consumed: usize, seen: Seen },
    Unfinished { consumed: usize },
    Malformed(Malformed),
}

/// A [`Head`] in comparable form.
#[derive(Debug, PartialEq)]
struct Seen {
    minor: u8,
    status: u16,
    /// In the order of the header map.
    headers: Vec<(String, Vec<u8>)>,
    framing: Framing,
}

impl Seen {
    fn new(head: &Head) -> Self {
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        Seen {
            minor: u8::from(head.version == http::Version::HTTP_11),
            status: head.status.as_u16(),
            headers: head.headers.iter().map(text).collect(),
            framing: head.framing,
        }
    }
}

fn read(to_head_request: bool, bytes: &[u8], cuts: &[usize]) -> Read {
    let mut reader = HeadReader::new(to_head_request);
    let mut consumed = 0;
    for end in &cuts[1..] {
        let waiting = &bytes[consumed..*end];
        match reader.read(waiting) {
            Ok(step) => {
                assert!(step.consumed <= waiting.len(), "consumed too much");
                consumed += step.consumed;
                if let Some(head) = step.head {
                    let seen = Seen::new(&head);
                    return Read::Whole { consumed, seen };
                }
            }
            Err(error) => return Read::Malformed(error),
        }
    }
    Read::Unfinished { consumed }
}

/// Reads the same bytes with httparse, which must return the same head or reject it too.
fn compare(read: &Read, bytes: &[u8], to_head_request: bool) {
    let shown = bytes.escape_ascii();
    let mut at = 0;
    for _ in 0..=MAX_INFORMATIONAL {
        let blank = bytes[at..].iter().take_while(|it| b"\r\n".contains(it));
        let begin = at + blank.count();
        let mut lines = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut lines);
        let mut config = ParserConfig::default();
        config
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_multiple_spaces_in_response_status_delimiters(true);
        let length = match config.parse_response(&mut response, &bytes[begin..]) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => {
                let is_refused = matches!(read, Read::Malformed(_));
                let is_too_large = bytes.len() >= MAX_HEAD;
                // The reader checks the first bytes earlier than httparse.
                let is_http = b"HTTP/1.".iter().zip(&bytes[begin..]).all(|(a, b)| a == b);
                assert_eq!(is_refused, is_too_large || !is_http, "{read:?}: {shown}");
                return;
            }
            Err(error) => {
                let is_whole = matches!(read, Read::Whole { .. });
                assert!(!is_whole, "{error}, {read:?}: {shown}");
                let has_end = has_blank_line(&bytes[begin..]);
                let is_refused = matches!(read, Read::Malformed(_));
                assert!(is_refused || !has_end, "{error}, {read:?}: {shown}");
                return;
            }
        };
        at = begin + length;
        let status = response.code.unwrap_or_default();
        match read {
            _ if (100..200).contains(&status) && status != 101 => continue,
            Read::Whole { consumed, seen } => {
                assert_eq!(*consumed, at, "{shown}");
                assert_eq!(
                    (seen.minor, seen.status),
                    (response.version.unwrap(), status)
                );
                let mut expected: Vec<_> = response.headers.iter().map(line).collect();
                let mut found = seen.headers.clone();
                // Stable sort: the map keeps the order of lines with the same name.
                expected.sort_by(|a, b| a.0.cmp(&b.0));
                found.sort_by(|a, b| a.0.cmp(&b.0));
                assert_eq!(found, expected, "{shown}");
                if to_head_request || [101, 204, 304].contains(&status) {
                    assert_eq!(seen.framing, Framing::Length(0), "{shown}");
                }
            }
            // Errors that httparse doesn't check.
            Read::Malformed(
                Malformed::StatusLine
                | Malformed::ContentLength
                | Malformed::ConflictingLengths
                | Malformed::TransferCoding
                | Malformed::HeadTooLarge,
            ) => {}
            other => panic!("{other:?}: {shown}"),
        }
        return;
    }
    assert_eq!(*read, Read::Malformed(Malformed::TooManyInformational));
}

fn has_blank_line(bytes: &[u8]) -> bool {
    let is_end = |lines: &[u8]| lines.starts_with(b"\n\n") || lines.starts_with(b"\n\r\n");
    (0..bytes.len()).any(|at| is_end(&bytes[at..]))
}

/// The expected header line; folded values are joined by spaces.
fn line(line: &httparse::Header<'_>) -> (String, Vec<u8>) {
    let parts = line.value.split(|byte| *byte == b'\n');
    let mut value = Vec::new();
    let is_folded = line.value.contains(&b'\n');
    for part in parts {
        let part = if is_folded { part.trim_ascii() } else { part };
        if !value.is_empty() && !part.is_empty() {
            value.push(b' ');
        }
        value.extend_from_slice(part);
    }
    (line.name.to_ascii_lowercase(), value)
}
