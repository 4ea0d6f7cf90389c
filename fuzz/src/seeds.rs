//! The initial inputs of a corpus: the conformance cases, and responses written by hand.

use std::fmt::Write;

use crate::support::{self, Seen};

mod http;

#[allow(dead_code, reason = "the conformance test uses the rest")]
#[path = "../../crates/everstream-core/tests/spec/cases.rs"]
mod cases;

/// The initial inputs of a target; none for an unknown target.
///
/// ```
/// assert!(everstream_fuzz::seeds("decoder").len() > 100);
/// ```
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let cases = cases::read(include_str!(
        "../../crates/everstream-core/tests/spec/cases.txt"
    ))
    .expect("the case file can be read");
    let cases = cases.iter().filter(|case| case.len() < 2000);
    match target {
        "decoder" => cases
            .map(|case| [&[40, u8::from(case.resume.is_some())], &case.bytes()[..]].concat())
            .collect(),
        "chunking" => cases
            .map(|case| {
                let end = case.streams[0].bytes.len() as u16;
                let mut input = vec![40];
                input.extend(end.to_le_bytes());
                input.extend([1, 2, 3, 0, 7, 5]);
                input.extend(case.bytes());
                input
            })
            .collect(),
        "encoder" => cases.map(|case| case.records().into_bytes()).collect(),
        "session" | "http_exchange" => scripts(),
        "http_head" => http::heads(),
        "http_body" => http::bodies(),
        "http_response" => responses(),
        _ => Vec::new(),
    }
}

impl cases::Case {
    fn bytes(&self) -> Vec<u8> {
        self.streams
            .iter()
            .flat_map(|stream| stream.bytes.clone())
            .collect()
    }

    /// The items of the case, in the format of the target `encoder`.
    fn records(&self) -> String {
        let mut text = String::new();
        for due in self.streams.iter().flat_map(|stream| &stream.due) {
            _ = match &due.item {
                Seen::Event {
                    event, data, id, ..
                } => {
                    let id = id.as_ref().map(|id| format!("\x1F{id}"));
                    write!(text, "e{event}\x1F{data}{}\x1E", id.unwrap_or_default())
                }
                Seen::Comment(comment) => write!(text, "c{comment}\x1E"),
                Seen::Retry(_) => write!(text, "r\x10\x27\x1E"),
                Seen::Id(id) => write!(text, "i{}\x1E", id.as_deref().unwrap_or_default()),
                Seen::Other(_) => Ok(()),
            };
        }
        text
    }
}

/// Pseudo-random bytes.
fn scripts() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut byte = move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (1..=40)
        .map(|number| (0..20 * number).map(&mut byte).collect())
        .collect()
}

const EVENTS: &str = ": hi\nid: 1\nevent: put\ndata: {\"a\": 1}\n\nretry: 3000\ndata: two\ndata: \
                      lines\r\n\r\nid\n\ndata: ü€😀\n\ndata: cut";

fn responses() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for coding in 0..4 {
        for framing in 0..3 {
            for damage in 0..4 {
                let head = [0, coding, framing, damage, 90, 0, 20, 0];
                inputs.push([&head[..], EVENTS.as_bytes()].concat());
            }
            // Damage after flushed data.
            for damage in 1..4 {
                let head = [0, coding, framing, damage, 180, 0, 20, 3];
                inputs.push([&head[..], b"data: 1\n\n"].concat());
                inputs.push([&head[..], EVENTS.as_bytes()].concat());
            }
            // Large events, some above the limit.
            let head = [0, coding, framing, 0, 0, 0, 255, 255];
            inputs.push([&head[..], EVENTS.as_bytes()].concat());
            inputs.push([&head[..], b"data: no line end in here "].concat());
        }
    }
    const STREAM: &str = "Content-Type: text/event-stream\r\n";
    let raw = [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 500\r\n\r\ncut",
        "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Type: text/html\r\n\r\n<p>busy",
        "HTTP/1.1 503 Busy\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Encoding: gzip\r\n\r\nno gzip",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ndata: 1\n\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=\"x\"\r\ncontent-type: a/b\r\n\r\ndata: 1\n\n",
    ];
    let with_stream = [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\ndata: 1\n\n",
        "Content-Length: 99999999999999999999\r\n\r\ndata: 1\n\n",
        "Content-Length: 9\r\n\r\ndata: 1\n\nHTTP/1.1 200 OK\r\n\r\nmore",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9;x=y\r\ndata: 1\n\n\r\n0\r\nTrailer: x\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\ndata: 1\n\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\nno line end",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Content-Encoding: br, gzip\r\n\r\nxx",
        "Content-Encoding: zstd\r\n\r\n\x28no zstd",
        "Content-Encoding: br\r\n\r\n\x0B\x02\x00\x00no brotli",
        "X: a\r\n folded\r\n: no name\r\nno colon\r\n\r\ndata: 1\n\n",
    ];
    let with_stream = with_stream.map(|rest| format!("HTTP/1.1 200 OK\r\n{STREAM}{rest}"));
    for text in raw
        .iter()
        .copied()
        .chain(with_stream.iter().map(|text| &**text))
    {
        inputs.push([&[1, 0, 0, 0, 0, 0, 0, 0], text.as_bytes()].concat());
    }
    inputs
}
