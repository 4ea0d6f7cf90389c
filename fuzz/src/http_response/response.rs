//! From an input to a response, and what a client must make of it.

use std::io::{Read, Write};

use arbitrary::Arbitrary;

use super::MAX_EVENT_SIZE;
use crate::support::Seen;
use crate::support::reference::Reference;

/// At most so much is sent, uncompressed.
const LONGEST: usize = 64 << 10;

#[derive(Arbitrary)]
pub(super) struct Plan<'a> {
    /// Odd: the text is the response as it is. Even: it is a body.
    raw: u8,
    coding: u8,
    framing: u8,
    damage: u8,
    /// Where the damage is.
    at: u16,
    /// In how many pieces it is sent; how large a chunk is.
    pieces: u8,
    /// How many times the text comes once more.
    repeat: u8,
    text: &'a [u8],
}

/// What a client must make of a response.
pub(super) struct Promise {
    /// What it may return, in this order and starting with the first. `None` if unknown.
    pub(super) items: Option<Vec<Seen>>,
    /// What it must return in any case: items that were complete before the damage.
    pub(super) first: Vec<Seen>,
    /// Whether it ends cleanly, after all items. `None` if unknown.
    pub(super) end: Option<Result<(), ()>>,
    /// An event may be larger than the limit.
    pub(super) is_large: bool,
    pub(super) has_brotli: bool,
    /// The response, if nothing in it is encoded.
    plain: Option<Vec<u8>>,
}

impl Plan<'_> {
    pub(super) fn response(&self) -> (Vec<u8>, Promise) {
        if self.raw % 2 == 1 {
            return raw(self.text);
        }
        let times = (1 + usize::from(self.repeat)).min(1 + LONGEST / self.text.len().max(1));
        let body = self.text.repeat(times);
        let mut promise = Promise {
            items: Some(Reference::default().interpret(&body)),
            first: Vec::new(),
            end: Some(Ok(())),
            is_large: body.len() * 3 > MAX_EVENT_SIZE,
            has_brotli: self.coding % 4 == 2,
            plain: None,
        };

        let mut coded = self.coded(&body);
        let is_coded = self.coding % 4 != 0;
        let at = usize::from(self.at) % coded.len().max(1);
        if matches!(self.damage % 4, 1 | 2) {
            promise.first = Reference::default().interpret(&self.decoded(&coded[..at]));
        }
        match self.damage % 4 {
            1 => {
                // Where nothing tells the length of what is coded, it just ends.
                let cut = is_coded && at > 0;
                coded.truncate(at);
                promise.end = Some(if cut { Err(()) } else { Ok(()) });
                if !is_coded {
                    promise.items = Some(Reference::default().interpret(&coded));
                } else if at == 0 {
                    promise.items = Some(Vec::new());
                }
            }
            2 if !coded.is_empty() => {
                coded[at] ^= 1 << (self.at >> 13);
                promise.items = None;
                promise.end = None;
            }
            _ => {}
        }

        let mut response = self.head(coded.len());
        let head = response.len();
        self.frame(&coded, &mut response);
        let framed = response.len() - head;
        if self.damage % 4 == 3 && framed > 0 {
            let at = usize::from(self.at) % framed;
            response.truncate(head + at);
            promise.end = match (self.framing % 3, is_coded) {
                // All but the rest of the last line of the last chunk.
                (1, _) if framed - at < 5 => None,
                (0 | 1, _) => Some(Err(())),
                (_, true) if at > 0 => Some(Err(())),
                _ => {
                    // The connection's end is the body's.
                    let came = if is_coded { &[] } else { &coded[..at] };
                    promise.items = Some(Reference::default().interpret(came));
                    Some(Ok(()))
                }
            };
        }
        (response, promise)
    }

    /// How many bytes are written at once: a response takes at most 64 writes.
    pub(super) fn piece(&self) -> usize {
        let pieces = 1 + usize::from(self.pieces) % 64;
        (self.text.len() / pieces).max(1 + LONGEST / 64)
    }

    /// Each time that the text comes it is flushed, as a server flushes events.
    fn coded(&self, body: &[u8]) -> Vec<u8> {
        let pieces = body.chunks(self.text.len().max(1));
        match self.coding % 4 {
            0 => body.to_vec(),
            1 => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                write_flushed(&mut encoder, pieces);
                encoder.finish().unwrap()
            }
            2 => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 16);
                write_flushed(&mut encoder, pieces);
                encoder.into_inner()
            }
            _ => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                write_flushed(&mut encoder, pieces);
                encoder.finish().unwrap()
            }
        }
    }

    /// What can be decoded of the beginning of a coded body.
    fn decoded(&self, coded: &[u8]) -> Vec<u8> {
        let mut decoder: Box<dyn Read + '_> = match self.coding % 4 {
            0 => Box::new(coded),
            1 => Box::new(flate2::read::GzDecoder::new(coded)),
            2 => Box::new(brotli::Decompressor::new(coded, 4096)),
            _ => Box::new(zstd::Decoder::new(coded).unwrap()),
        };
        let mut body = Vec::new();
        // It ends with an error, since it is cut.
        _ = decoder.read_to_end(&mut body);
        body
    }

    fn head(&self, length: usize) -> Vec<u8> {
        let mut head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n".to_owned();
        let coding = ["identity", "gzip", "br", "zstd"][usize::from(self.coding % 4)];
        head += &format!("Content-Encoding: {coding}\r\n");
        match self.framing % 3 {
            0 => head += &format!("Content-Length: {length}\r\n"),
            1 => head += "Transfer-Encoding: chunked\r\n",
            _ => {}
        }
        head += "\r\n";
        head.into_bytes()
    }

    fn frame(&self, body: &[u8], response: &mut Vec<u8>) {
        if self.framing % 3 != 1 {
            response.extend_from_slice(body);
            return;
        }
        let size = (1 + usize::from(self.pieces)).max(body.len() / 64);
        for chunk in body.chunks(size) {
            response.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            response.extend_from_slice(chunk);
            response.extend_from_slice(b"\r\n");
        }
        response.extend_from_slice(b"0\r\n\r\n");
    }
}

fn write_flushed<'p>(encoder: &mut impl Write, pieces: impl Iterator<Item = &'p [u8]>) {
    for piece in pieces {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
}

fn raw(text: &[u8]) -> (Vec<u8>, Promise) {
    // Of transfer and of content.
    let is_coded = text
        .to_ascii_lowercase()
        .windows(b"-encoding".len())
        .any(|word| word == b"-encoding");
    let promise = Promise {
        items: None,
        first: Vec::new(),
        end: None,
        is_large: true,
        has_brotli: is_coded,
        plain: (!is_coded).then(|| text.to_vec()),
    };
    (text.to_vec(), promise)
}

impl Promise {
    /// Each line of an event must have been sent, as far as that can be told.
    pub(super) fn check_raw(&self, seen: &Seen) {
        let (Some(plain), Seen::Event { data, .. }) = (&self.plain, seen) else {
            return;
        };
        for line in data.split('\n').filter(|line| !line.is_empty()) {
            // An invalid byte is replaced.
            let was_sent = line.contains('\u{FFFD}')
                || plain
                    .windows(line.len())
                    .any(|part| part == line.as_bytes());
            assert!(was_sent, "{line:?} was never sent");
        }
    }
}
