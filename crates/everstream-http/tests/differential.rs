//! Valid and damaged responses, compared with hyper's client: if both accept a response, the results must
//! be equal; if only one accepts it, there must be a known reason.
//!
//! Every run uses the same responses. `EVERSTREAM_SEED=n` selects others and `EVERSTREAM_RESPONSES=n`
//! their number; a failure prints the seed that reproduces it.

mod generate;
mod peer;
mod reasons;

use std::collections::BTreeMap;

use everstream_http::http1::{BodyEnd, BodyReader, HeadReader};
use http::{HeaderMap, Method};

use crate::numbers::{Random, number_from_environment};
use reasons::Reason;

const RESPONSES: u64 = 10_000;

/// The response as a reader sees it, or why the reader rejects it.
type Read = Result<Accepted, String>;

#[derive(Debug, PartialEq)]
struct Accepted {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Which client accepts a response.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AcceptedBy {
    Ours,
    Hyper,
    /// Both, with different results.
    Both,
}

/// The header lines, in an order that doesn't depend on the map.
fn lines(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    // Stable: lines with the same name keep their order.
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

/// Reads the response with our readers.
fn read(method: &Method, pieces: &[&[u8]]) -> Read {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let mut reader = HeadReader::new(*method == Method::HEAD);
    let mut waiting = Vec::new();
    let mut pieces = pieces.iter();
    let head = loop {
        let step = reader.read(&waiting).map_err(|it| refused(&it))?;
        waiting.drain(..step.consumed);
        match step.head {
            Some(head) => break head,
            None => waiting.extend_from_slice(pieces.next().ok_or("closed before the head")?),
        }
    };
    let mut reader = BodyReader::new(head.framing);
    let mut body = Vec::new();
    while !reader.is_complete() {
        let piece = reader.read(&mut waiting).map_err(|it| refused(&it))?;
        let is_last = piece.payload.is_empty();
        body.extend_from_slice(&waiting[piece.payload]);
        waiting.drain(..piece.consumed);
        match pieces.as_slice() {
            [] if is_last => break,
            [next, ..] if is_last => {
                waiting.extend_from_slice(next);
                pieces.next();
            }
            _ => {}
        }
    }
    match reader.connection_closed() {
        BodyEnd::Truncated => Err("closed in the body".to_owned()),
        BodyEnd::Complete | BodyEnd::Closed => Ok(Accepted {
            status: head.status.as_u16(),
            headers: lines(&head.headers),
            body,
        }),
    }
}

/// Compares the two readers, and returns the reason if they differ.
fn compare(method: &Method, bytes: &[u8], random: &mut Random) -> Option<Reason> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let limit = if random.one_in(2) {
            rest.len()
        } else {
            rest.len().min(9)
        };
        let (piece, after) = rest.split_at(1 + random.below(limit));
        pieces.push(piece);
        rest = after;
    }
    let ours = read(method, &pieces);
    let theirs = peer::read(method.clone(), &pieces);
    let who = match (&ours, &theirs) {
        (Err(_), Err(_)) => return None,
        (Ok(ours), Ok(theirs)) if ours == theirs => return None,
        (Ok(_), Ok(_)) => AcceptedBy::Both,
        (Ok(_), Err(_)) => AcceptedBy::Ours,
        (Err(_), Ok(_)) => AcceptedBy::Hyper,
    };
    let found = reasons::of(bytes);
    let reason = reasons::ALL
        .iter()
        .find(|it| it.1.contains(&who) && found.contains(&it.0));
    let shown = &bytes[..bytes.len().min(2000)].escape_ascii();
    let reason = reason.unwrap_or_else(|| {
        panic!("accepted by {who:?}:\n{shown}\nours: {ours:?}\nhyper: {theirs:?}\n{found:?}")
    });
    if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
        assert_eq!(
            (ours.status, &ours.headers),
            (theirs.status, &theirs.headers),
            "{shown}"
        );
    }
    Some(reason.0)
}

#[test]
fn every_difference_from_hyper_is_known() {
    let seed = number_from_environment("EVERSTREAM_SEED", 1);
    let count = number_from_environment("EVERSTREAM_RESPONSES", RESPONSES);
    let mut accepted = 0;
    let mut seen: BTreeMap<Reason, u64> = BTreeMap::new();
    for number in seed..seed + count {
        let mut random = Random(number);
        let method = if random.one_in(20) {
            Method::HEAD
        } else {
            Method::GET
        };
        let bytes = generate::response(&mut random);
        let again = format!("EVERSTREAM_SEED={number} EVERSTREAM_RESPONSES=1");
        let hint = PrintOnPanic(again);
        match compare(&method, &bytes, &mut random) {
            Some(reason) => *seen.entry(reason).or_default() += 1,
            None => accepted += u64::from(read(&method, &[&bytes]).is_ok()),
        }
        drop(hint);
    }
    println!("{accepted} of {count} accepted by both; reasons: {seen:?}");
    if count >= RESPONSES {
        assert!(accepted > count / 3, "only {accepted} are accepted by both");
        for (reason, who) in reasons::ALL {
            let is_large = large_response(reason).is_some();
            assert!(
                is_large || seen.contains_key(&reason),
                "{reason:?} ({who:?}) never occurs"
            );
        }
    }
}

/// Responses that are too large to generate thousands of.
fn large_response(reason: Reason) -> Option<Vec<u8>> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    const END: &str = "\r\n5\r\nhello\r\n0\r\n\r\n";
    let text = match reason {
        Reason::LargeHead => format!(
            "{HEAD}{}{END}",
            format!("X: {}\r\n", "x".repeat(10_000)).repeat(45)
        ),
        Reason::ManyInformational => {
            format!("{}{HEAD}{END}", "HTTP/1.1 103 X\r\n\r\n".repeat(65))
        }
        Reason::ManyExtensions => {
            let chunk = format!("5;{}\r\nhello\r\n", "x".repeat(10_000));
            format!("{HEAD}\r\n{}0\r\n\r\n", chunk.repeat(2))
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

#[test]
fn large_responses_differ_as_the_limits_say() {
    let mut random = Random(1);
    for (reason, who) in reasons::ALL {
        if let Some(bytes) = large_response(reason) {
            // In pieces of the size of a socket read.
            let pieces: Vec<&[u8]> = bytes.chunks(8 << 10).collect();
            assert_eq!(
                read(&Method::GET, &pieces).is_ok(),
                who == [AcceptedBy::Ours],
                "{reason:?}"
            );
            assert_eq!(compare(&Method::GET, &bytes, &mut random), Some(reason));
        }
    }
}

struct PrintOnPanic(String);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("reproduce with {}", self.0);
        }
    }
}
