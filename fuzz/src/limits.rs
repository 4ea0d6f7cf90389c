//! What a decoder with a small limit must make of a stream, put together from what the standard's
//! algorithm makes of each of its blocks; and what it does make of it.

use everstream_core::{Decoder, Oversize, TooLarge};

use crate::support::reference::Reference;
use crate::support::{Seen, from_lent, from_owned};

/// An event was left out.
pub(crate) const SKIPPED: Seen = Seen::Other("skipped");
/// [`TooLarge`] was reported.
pub(crate) const REFUSED: Seen = Seen::Other("too large");

/// What [`Oversize::Skip`] is to make of a stream.
pub(crate) fn expected(limit: usize, reference: &mut Reference, stream: &[u8]) -> Vec<Seen> {
    let mut items = Vec::new();
    let mut block = Block::default();
    for (number, line) in lines(stream).into_iter().enumerate() {
        let too_long = line.len() > limit;
        let line = match line.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) if number == 0 => rest,
            _ => line,
        };
        if line.is_empty() {
            items.extend(std::mem::take(&mut block).dispatched(reference));
        } else {
            block.line(line, too_long, limit);
        }
    }
    items.extend(reference.interpret(&joined(&block.others)));
    items
}

/// The whole lines of a stream, without their ends.
fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), stream);
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&rest[..end]);
        let width = if rest[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
    }
    lines
}

/// The lines up to a blank one, as far as they count.
#[derive(Default)]
struct Block<'s> {
    /// Comments, retries and unknown fields.
    others: Vec<&'s [u8]>,
    event: Vec<&'s [u8]>,
    ids: Vec<&'s [u8]>,
    /// Lengths of the returned data.
    data_len: Option<usize>,
    type_len: usize,
    id_len: usize,
    dropped: bool,
}

impl<'s> Block<'s> {
    fn line(&mut self, line: &'s [u8], too_long: bool, limit: usize) {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let len = String::from_utf8_lossy(value).len();
        match (name, too_long) {
            (b"data" | b"event" | b"id", true) => self.dropped = true,
            (_, true) => {}
            (b"data", _) => {
                self.data_len = Some(self.data_len.map_or(len, |before| before + 1 + len));
                self.event.push(line);
            }
            (b"event", _) => {
                self.type_len = len;
                self.event.push(line);
            }
            (b"id", _) if !value.contains(&0) => {
                self.id_len = len;
                self.ids.push(line);
            }
            _ => self.others.push(line),
        }
        self.dropped |= self.data_len.unwrap_or(0) + self.type_len + self.id_len > limit;
        // The id of an event that is left out counts, unless it is too large by itself.
        if self.id_len > limit {
            self.id_len = 0;
            self.ids.clear();
        }
    }

    fn dispatched(mut self, reference: &mut Reference) -> Vec<Seen> {
        self.others.extend(&self.ids);
        if !self.dropped {
            self.others.extend(&self.event);
        }
        self.others.push(b"");
        let mut items = reference.interpret(&joined(&self.others));
        if self.dropped {
            items.retain(|item| !matches!(item, Seen::Id(_)));
            items.push(SKIPPED);
        }
        items
    }
}

/// Lines as a stream, whose first can't be taken for one with a byte order mark.
fn joined(lines: &[&[u8]]) -> Vec<u8> {
    let mut stream = b"ignored\n".to_vec();
    for line in lines {
        stream.extend_from_slice(line);
        stream.push(b'\n');
    }
    stream
}

/// How to decode.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) limit: usize,
    pub(crate) oversize: Oversize,
    pub(crate) owned: bool,
    pub(crate) resume: Option<&'a str>,
}

/// Decodes the chunks, also after [`TooLarge`], and returns the items and the last event id.
pub(crate) fn decoded<'c>(
    setting: Setting<'_>,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> (Vec<Seen>, Option<String>) {
    let mut decoder = Decoder::with_limit(setting.limit, setting.oversize);
    decoder.set_last_event_id(setting.resume);
    let mut items = Vec::new();
    for mut chunk in chunks {
        loop {
            let item = if setting.owned {
                decoder
                    .decode_owned(&mut chunk)
                    .map(|item| item.map(from_owned))
            } else {
                decoder.decode(&mut chunk).map(|item| item.map(from_lent))
            };
            items.push(match item {
                Ok(Some(Seen::Id(_))) => Seen::Id(decoder.last_event_id().map(String::from)),
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(TooLarge { limit }) => {
                    assert_eq!(limit, setting.limit);
                    REFUSED
                }
            });
        }
        assert!(
            chunk.is_empty(),
            "it wants more, and {} bytes are left",
            chunk.len()
        );
    }
    (items, decoder.last_event_id().map(String::from))
}
