//! Random responses: valid, unusual and damaged ones.

use crate::numbers::Random;

impl Random {
    fn choose<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

#[rustfmt::skip]
const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 200 ",
    "HTTP/1.0 200 OK", "HTTP/1.0 404 Not Found", "HTTP/1.1 204 No Content", "HTTP/1.1 304 X",
    "HTTP/1.1 503 a b \u{e4}", "HTTP/1.1 999 X", "HTTP/1.1 307 X", "HTTP/1.1  200 OK",
    "HTTP/1.1 200  OK", "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 099 X", "HTTP/1.2 200 OK",
    "HTTP/2 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1", "http/1.1 200 OK",
];
#[rustfmt::skip]
const INFORMATIONAL: &[&str] = &[
    "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 X\r\nLink: a\r\n\r\n", "HTTP/1.1 102 X\n\n",
    "HTTP/1.1 103 X\r\n\r\n\r\n", "\r\n", "\n", "\r",
];
#[rustfmt::skip]
const HEADERS: &[&str] = &[
    "Content-Type: text/event-stream", "Content-Type:text/event-stream; charset=utf-8", "Server: a",
    "X-Empty:", "X-Blanks:   a  b\t ", "set-cookie: a=b", "Set-Cookie: c=d; Path=/", "!#$%&'*+-.^_`|~: x",
    "X-High: \u{e4}\u{20ac}", "X-Colons: a: b: c", "Connection: close", "Connection: keep-alive",
    "X-Quoted: \"a, b\"", "Date: Sun, 06 Nov 1994 08:49:37 GMT",
];
#[rustfmt::skip]
const ODD_HEADERS: &[&str] = &[
    "X-Folded: a\r\n b", "X-Folded: a\r\n\tb\r\n c", "X-Space : a", "X-Tab\t: a", "X Name: a", ": a",
    "no colon", "X-Nul: \0", "X-Bell: \x07", "X-Cr: a\rb", "X-Del: \x7f", "\u{e4}: a", "X(: a", "",
];
#[rustfmt::skip]
const ODD_FRAMING: &[&str] = &[
    "Content-Length:", "Content-Length: ,5", "Content-Length: 5, 5", "Content-Length: 5, 6",
    "Content-Length: +5", "Content-Length: -5", "Content-Length: 5 5", "Content-Length: 0x5",
    "Content-Length: 005", "Content-Length: 18446744073709551615", "Content-Length: 18446744073709551616",
    "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
    "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: chunked\r\nContent-Length: x",
    "Transfer-Encoding: identity", "Transfer-Encoding: identity\r\nContent-Length: 5",
    "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: xchunked",
    "Transfer-Encoding:", "Transfer-Encoding: chunked,", "Transfer-Encoding: chunked;a=b",
];
#[rustfmt::skip]
const EXTENSIONS: &[&str] = &[
    "", "", "", "", ";a=b", ";a=\"b\"", " ;a", "\t", " ", ";", " x", ";\u{e4}", ";a\nb",
];
#[rustfmt::skip]
const TRAILERS: &[&str] = &[
    "", "", "", "", "X: a\r\n", "X: a\r\nY: b\r\n", "no colon\r\n", "X: a\n", "X: a\n\n", "\n", " X: a\r\n",
    "X : a\r\n", "X: \0\r\n",
];

/// A response, damaged or not.
pub(super) fn response(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |text: &str| bytes.extend_from_slice(text.as_bytes());
    if random.one_in(8) {
        put(random.choose(INFORMATIONAL));
    }
    // Most heads are valid, so that the bodies are read.
    let line = if random.one_in(4) {
        random.below(STATUS_LINES.len())
    } else {
        0
    };
    put(STATUS_LINES[line]);
    put("\r\n");
    for _ in 0..random.below(5) {
        put(random.choose(HEADERS));
        put("\r\n");
    }
    if random.one_in(10) {
        put(random.choose(ODD_HEADERS));
        put("\r\n");
    }
    let data = data(random);
    match random.below(8) {
        0 => {}
        1 => {
            put(random.choose(ODD_FRAMING));
            put("\r\n");
        }
        2 | 3 => {
            // Sometimes the length is wrong.
            let length = data.len() + if random.one_in(6) { random.below(3) } else { 0 };
            put(&format!(
                "Content-Length: {}\r\n",
                length.saturating_sub(random.below(20) / 19)
            ));
        }
        _ => put("Transfer-Encoding: chunked\r\n"),
    }
    if random.one_in(20) {
        for number in 0..90 + random.below(20) {
            put(&format!("X-{number}: a\r\n"));
        }
    }
    put("\r\n");
    match random.one_in(3) {
        true => bytes.extend_from_slice(&data),
        false => chunks(random, &data, &mut bytes),
    }
    if random.one_in(3) {
        damage(random, &mut bytes);
    }
    if random.one_in(20) {
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        bytes = text.into_bytes();
    }
    bytes
}

fn data(random: &mut Random) -> Vec<u8> {
    let length = match random.below(10) {
        0 => 0,
        1 => random.below(6000),
        _ => random.below(60),
    };
    (0..length)
        .map(|_| b"data: \r\nabc\0\xff"[random.below(13)])
        .collect()
}

fn chunks(random: &mut Random, mut data: &[u8], bytes: &mut Vec<u8>) {
    while !data.is_empty() {
        let limit = if random.one_in(5) {
            data.len()
        } else {
            data.len().min(20)
        };
        let (chunk, rest) = data.split_at(1 + random.below(limit));
        // Few unusual extensions: one is enough to invalidate a body.
        let extension = if random.one_in(8) {
            random.choose(EXTENSIONS)
        } else {
            ""
        };
        let size = match random.below(8) {
            0 => format!("{:X}{extension}\r\n", chunk.len()),
            1 => format!("00{:x}{extension}\r\n", chunk.len()),
            _ => format!("{:x}{extension}\r\n", chunk.len()),
        };
        bytes.extend_from_slice(size.as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        data = rest;
    }
    if !random.one_in(10) {
        let end = format!(
            "{}{}\r\n",
            random.choose(&["0", "0", "0", "000"]),
            random.choose(EXTENSIONS)
        );
        bytes.extend_from_slice(end.as_bytes());
        bytes.extend_from_slice(random.choose(TRAILERS).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if random.one_in(20) {
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    }
}

/// Removes, doubles, changes or adds a few bytes.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    const BYTES: &[u8] = b"\r\n\r\n\t :;,0aF5\0\x7f\xffx";
    for _ in 0..=random.below(2) {
        if bytes.is_empty() {
            return;
        }
        // Damages heads more often: they are smaller than bodies but matter more.
        let limit = if random.one_in(2) {
            bytes.len()
        } else {
            bytes.len().min(150)
        };
        let mut at = random.below(limit);
        if random.one_in(2) {
            // Line ends make up most of the framing.
            let line_end = bytes[at..].iter().position(|byte| b"\r\n".contains(byte));
            at += line_end.unwrap_or_default();
        }
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(5) {
            0 => _ = bytes.remove(at),
            1 => bytes.insert(at, bytes[at]),
            2 => bytes[at] = byte,
            3 => bytes.insert(at, byte),
            _ => bytes.truncate(bytes.len() - random.below(bytes.len().min(10))),
        }
    }
}
