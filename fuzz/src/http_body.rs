//! The body of a response, whole and in pieces, compared with a minimal decoder.

use allocation_counter::measure;
use arbitrary::{Arbitrary, Unstructured};
use everstream_http::http1::{
    BodyEnd, BodyReader, Framing, MAX_CHUNK_LINE, MAX_TRAILERS, Malformed,
};

use crate::chunking::cuts;

#[derive(Arbitrary)]
struct Input<'a> {
    framing: u8,
    length: u16,
    /// The sizes of the pieces, repeated.
    sizes: [u8; 6],
    bytes: &'a [u8],
}

/// Decodes a body whole and in pieces, and panics if the results differ from each other or from those of
/// the minimal decoder.
///
/// ```
/// everstream_fuzz::http_body(b"\x00\x00\x00\x01\x02\x03\x04\x05\x065\r\nhello\r\n0\r\n\r\n");
/// ```
pub fn http_body(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let framing = match input.framing % 4 {
        0 | 1 => Framing::Chunked,
        2 => Framing::Length(input.length.into()),
        _ => Framing::UntilClose,
    };
    let bytes = input.bytes;
    let expected = expected(framing, bytes);
    for cuts in [vec![0, bytes.len()], cuts(&input.sizes, bytes.len())] {
        let shown = bytes.escape_ascii();
        assert_eq!(read(framing, bytes, &cuts), expected, "{cuts:?}: {shown}");
    }
}

/// A body, and how it ended.
#[derive(Debug, PartialEq)]
struct Read {
    body: Vec<u8>,
    /// The number of bytes that belong to the body, unless it is malformed.
    end: Result<(usize, BodyEnd), Malformed>,
}

fn read(framing: Framing, bytes: &[u8], cuts: &[usize]) -> Read {
    let mut reader = BodyReader::new(framing);
    let mut body = Vec::with_capacity(bytes.len());
    let mut copy = bytes.to_vec();
    let mut consumed = 0;
    for end in &cuts[1..] {
        loop {
            let waiting = &mut copy[consumed..*end];
            let length = waiting.len();
            let mut outcome = None;
            let memory = measure(|| outcome = Some(reader.read(waiting)));
            assert_eq!(memory.count_total, 0, "the reader must not allocate");
            let piece = match outcome.unwrap() {
                Ok(piece) => piece,
                Err(error) => {
                    let again = reader.read(&mut copy[consumed..*end]);
                    assert_eq!(again, Err(error), "an error is final");
                    let end = Err(error);
                    return Read { body, end };
                }
            };
            assert!(piece.consumed <= length, "consumed too much");
            assert!(piece.payload.end <= piece.consumed, "payload not consumed");
            body.extend_from_slice(&copy[consumed..*end][piece.payload.clone()]);
            consumed += piece.consumed;
            assert_eq!(copy[consumed..], bytes[consumed..], "the rest was changed");
            if piece.payload.is_empty() {
                assert!(reader.is_complete() || consumed == *end, "stuck");
                break;
            }
        }
    }
    let end = Ok((consumed, reader.connection_closed()));
    Read { body, end }
}

fn expected(framing: Framing, bytes: &[u8]) -> Read {
    match framing {
        Framing::UntilClose => Read {
            body: bytes.to_vec(),
            end: Ok((bytes.len(), BodyEnd::Closed)),
        },
        Framing::Length(length) => {
            let length = length as usize;
            let there = length.min(bytes.len());
            let ends = [BodyEnd::Complete, BodyEnd::Truncated];
            Read {
                body: bytes[..there].to_vec(),
                end: Ok((there, ends[usize::from(there < length)])),
            }
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            let end = chunks(bytes, &mut body);
            Read { body, end }
        }
    }
}

/// Decodes a chunked body by the grammar (RFC 9112, section 7.1), one line and one chunk at a time.
fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<(usize, BodyEnd), Malformed> {
    let truncated = Ok((bytes.len(), BodyEnd::Truncated));
    let mut at = 0;
    loop {
        let Some((size, after)) = size_line(bytes, at)? else {
            return truncated;
        };
        at = after;
        if size == 0 {
            return trailers(bytes, at);
        }
        let missing = usize::try_from(size).unwrap_or(usize::MAX);
        let end = at.saturating_add(missing).min(bytes.len());
        body.extend_from_slice(&bytes[at..end]);
        if end - at < missing {
            return truncated;
        }
        for expected in b"\r\n" {
            match bytes.get(end + usize::from(*expected == b'\n')) {
                Some(byte) if byte == expected => {}
                Some(_) => return Err(Malformed::ChunkEnd),
                None => return truncated,
            }
        }
        at = end + 2;
    }
}

/// The size, and where the line ends; `None` if the line is incomplete.
fn size_line(bytes: &[u8], mut at: usize) -> Result<Option<(u64, usize)>, Malformed> {
    let begin = at;
    let mut size = 0_u64;
    while let Some(digit) = bytes.get(at).and_then(|it| (*it as char).to_digit(16)) {
        size = size.checked_mul(16).ok_or(Malformed::ChunkSize)? + u64::from(digit);
        at += 1;
    }
    match bytes.get(at) {
        None => return Ok(None),
        Some(_) if at == begin => return Err(Malformed::ChunkSize),
        Some(b';' | b' ' | b'\t' | b'\r') => {}
        Some(_) => return Err(Malformed::ChunkSize),
    }
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\r' => {
                return match bytes.get(at + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some((size, at + 2))),
                    Some(_) => Err(Malformed::ChunkSize),
                };
            }
            b'\n' => return Err(Malformed::ChunkSize),
            _ if at - begin > MAX_CHUNK_LINE as usize => return Err(Malformed::ChunkLineTooLong),
            _ => at += 1,
        }
    }
    Ok(None)
}

/// Skips lines up to a blank one.
fn trailers(bytes: &[u8], begin: usize) -> Result<(usize, BodyEnd), Malformed> {
    let mut at = begin;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => return Ok((at + 2, BodyEnd::Complete)),
            (Some(b'\n'), _) | (Some(b'\r'), Some(_)) => return Err(Malformed::Trailers),
            (Some(b'\r') | None, _) => return Ok((bytes.len(), BodyEnd::Truncated)),
            _ => {}
        }
        let line = bytes[at..].iter().position(|byte| *byte == b'\n');
        if line.unwrap_or(bytes.len() - at) > MAX_TRAILERS as usize {
            return Err(Malformed::Trailers);
        }
        match line {
            Some(length) => at += length + 1,
            None => return Ok((bytes.len(), BodyEnd::Truncated)),
        }
    }
}
