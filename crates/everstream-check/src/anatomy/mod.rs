//! Examines the bytes of a stream line by line, in addition to decoding them: a decoder accepts
//! mistakes without reporting them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use everstream::{Decoder, Item, Oversize};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::observed::{End, Event, Form, Read, Stream};

/// The most that is examined. More would tell nothing new, and memory must be bounded.
const MAX_BYTES: u64 = 64 << 20;
const MAX_EVENTS: usize = 10_000;
const MAX_READS: usize = 100_000;

/// The largest event whose data is examined.
const MAX_EVENT: usize = 8 << 20;

/// How much of a line is kept, to find its field.
const KEPT: usize = 1 << 10;

/// How many different names are kept.
const MAX_NAMES: usize = 50;

/// How many bytes of a text are kept as a sample.
const SAMPLE: usize = 80;

/// The most bytes that all ids may take together.
const MAX_IDS: usize = 8 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

pub(crate) struct Anatomy {
    seen: Stream,
    decoder: Decoder,
    /// The beginning of the unfinished line, and its whole length.
    line: Vec<u8>,
    line_length: u64,
    after_cr: bool,
    first_line: bool,
    /// Whether the unfinished block has a field of an event.
    in_block: bool,
    /// The bytes of an incomplete character.
    partial: Vec<u8>,
    /// The size of the ids that are kept.
    id_bytes: usize,
}

impl Anatomy {
    pub(crate) fn new() -> Anatomy {
        Anatomy {
            seen: Stream::default(),
            decoder: Decoder::with_limit(MAX_EVENT, Oversize::Skip),
            line: Vec::new(),
            line_length: 0,
            after_cr: false,
            first_line: true,
            in_block: false,
            partial: Vec::new(),
            id_bytes: 0,
        }
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.seen.events
    }

    pub(crate) fn comments(&self) -> u64 {
        self.seen.comments
    }

    /// Whether an event reported an error.
    pub(crate) fn reports_error(&self) -> bool {
        self.seen.error_event.is_some()
    }

    /// Whether enough has been seen.
    pub(crate) fn is_full(&self) -> bool {
        self.seen.bytes >= MAX_BYTES
            || self.seen.events.len() >= MAX_EVENTS
            || self.seen.reads.len() >= MAX_READS
            || self.id_bytes >= MAX_IDS
    }

    /// Takes the bytes of one read, at this time after the response's headers.
    pub(crate) fn take(&mut self, bytes: &[u8], at: Duration) {
        self.check_utf8(bytes);
        let comments = self.seen.comments;
        self.lines(bytes);
        if self.seen.comments > comments {
            self.seen.comments_from.get_or_insert(at);
            self.seen.comments_to = at;
        }
        let before = self.seen.events.len();
        self.decode(bytes, at);
        self.seen.bytes += bytes.len() as u64;
        self.seen.reads.push(Read {
            at,
            events: self.seen.events.len() - before,
            within_event: self.is_within_event(),
        });
    }

    pub(crate) fn end(mut self, end: End, watched: Duration) -> Stream {
        // The stream ended inside a character.
        if end != End::Open && !self.partial.is_empty() {
            let place = self.seen.bytes - self.partial.len() as u64;
            self.seen.not_utf8.get_or_insert(place);
        }
        // In an open stream, a line feed may follow.
        if end != End::Open && self.after_cr {
            self.seen.cr += 1;
        }
        self.seen.half_event = self.is_within_event();
        self.seen.longest_line = self.seen.longest_line.max(self.line_length);
        self.seen.end = end;
        self.seen.watched = watched;
        self.seen
    }

    fn is_within_event(&self) -> bool {
        self.in_block || (self.line_length > 0 && !self.line.starts_with(b":"))
    }

    fn check_utf8(&mut self, bytes: &[u8]) {
        if self.seen.not_utf8.is_some() {
            return;
        }
        let begin = self.seen.bytes - self.partial.len() as u64;
        let joined;
        let text = if self.partial.is_empty() {
            bytes
        } else {
            joined = [&*self.partial, bytes].concat();
            &joined
        };
        let mut partial = Vec::new();
        if let Err(error) = std::str::from_utf8(text) {
            match error.error_len() {
                Some(_) => self.seen.not_utf8 = Some(begin + error.valid_up_to() as u64),
                None => partial = text[error.valid_up_to()..].to_vec(),
            }
        }
        self.partial = partial;
    }

    fn lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if std::mem::take(&mut self.after_cr) {
                if byte == b'\n' {
                    self.seen.crlf += 1;
                    rest = &rest[1..];
                    continue;
                }
                self.seen.cr += 1;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let piece = &rest[..end.unwrap_or(rest.len())];
            let room = KEPT.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
            self.line_length += piece.len() as u64;
            let Some(end) = end else { return };
            match rest[end] {
                b'\r' => self.after_cr = true,
                _ => self.seen.lf += 1,
            }
            self.line();
            rest = &rest[end + 1..];
        }
    }

    /// Handles a complete line.
    fn line(&mut self) {
        let seen = &mut self.seen;
        seen.longest_line = seen.longest_line.max(self.line_length);
        let mut line = &*self.line;
        let mut length = self.line_length;
        let first = std::mem::take(&mut self.first_line);
        let marked = line.strip_prefix(BOM);
        if let (Some(rest), true) = (marked, first) {
            seen.bom_at_start = true;
            line = rest;
            length -= BOM.len() as u64;
        }
        if length == 0 {
            self.in_block = false;
        } else if marked.is_some() && !first {
            seen.later_boms += 1;
        } else if line[0] == b':' {
            seen.comments += 1;
        } else {
            let whole = length == line.len() as u64;
            self.in_block |= field(seen, line, whole);
        }
        self.line.clear();
        self.line_length = 0;
    }

    fn decode(&mut self, bytes: &[u8], at: Duration) {
        let mut input = bytes;
        // It skips events that are too large, so it doesn't fail.
        while let Ok(Some(item)) = self.decoder.decode_owned(&mut input) {
            match item {
                Item::Event(event) => {
                    let seen = &mut self.seen;
                    if let Some(times) = entry(&mut seen.kinds, event.event()) {
                        *times += 1;
                    }
                    if seen.error_event.is_none() {
                        seen.error_event = error_text(event.event(), event.data());
                    }
                    let id = event.id().filter(|id| !id.is_empty());
                    if id.is_some_and(|id| id.chars().any(|c| c.is_ascii_control() && c != '\t')) {
                        seen.ids_unsendable += 1;
                    }
                    if seen.events.len() < MAX_EVENTS && self.id_bytes < MAX_IDS {
                        self.id_bytes += id.map_or(0, str::len);
                        seen.events.push(Event {
                            at,
                            id: id.map(str::to_owned),
                            size: event.data().len(),
                            form: form(event.data()),
                        });
                    }
                }
                Item::Retry(delay) => {
                    let value = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    let retries = &mut self.seen.retries;
                    if retries.last() != Some(&value) && retries.len() < MAX_NAMES {
                        retries.push(value);
                    }
                }
                Item::Skipped => self.seen.oversize += 1,
                _ => {}
            }
        }
    }
}

/// Examines a line that is neither empty nor a comment. Returns whether it belongs to an event.
/// `whole` is false for the beginning of a long line.
fn field(seen: &mut Stream, line: &[u8], whole: bool) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = match colon {
        Some(colon) => (&line[..colon], &line[colon + 1..]),
        None => (line, &[][..]),
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match name {
        b"data" | b"event" => return true,
        b"id" => {
            seen.ids_with_nul += u64::from(value.contains(&0));
            return true;
        }
        b"retry" => {
            if !whole || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                seen.bad_retry.get_or_insert_with(|| sample(value));
            }
        }
        _ if is_stray(name, colon.is_some()) => {
            seen.stray_lines += 1;
            seen.stray_line.get_or_insert_with(|| sample(line));
        }
        _ => {
            seen.unknown_line.get_or_insert_with(|| sample(line));
            if let Some(times) = entry(&mut seen.unknown_fields, &sample(name)) {
                *times += 1;
            }
        }
    }
    false
}

/// Whether the text before the colon can't be meant as a field name, or is a known name in the wrong
/// case.
fn is_stray(name: &[u8], colon: bool) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let known = |name: &[u8]| {
        [&b"data"[..], b"id", b"event", b"retry"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    !colon || !name.iter().all(word) || known(name)
}

fn form(data: &str) -> Form {
    if serde_json::from_str::<IgnoredAny>(data).is_ok() {
        Form::Json
    } else if begins_as_json(data) {
        Form::AlmostJson
    } else {
        Form::Text
    }
}

/// Like an object, or an array of objects, arrays or strings. `[DONE]` doesn't.
fn begins_as_json(data: &str) -> bool {
    let data = data.trim_start();
    let next = |opening| data.strip_prefix(opening).map(str::trim_start);
    match (next('{'), next('[')) {
        (Some(rest), _) => rest.is_empty() || rest.starts_with('"'),
        (_, Some(rest)) => rest.starts_with(['{', '[', '"']),
        _ => false,
    }
}

/// The largest data that is searched for an error.
const MAX_ERROR: usize = 64 << 10;

/// The text of an event that reports an error: by its type, or like the APIs of language models,
/// `{"error": {"message": "..."}}`.
fn error_text(kind: &str, data: &str) -> Option<String> {
    let by_type = kind == "error";
    if data.len() > MAX_ERROR || !(by_type || data.contains("\"error\"")) {
        return by_type.then(|| sample(data.as_bytes()));
    }
    let json: Value = serde_json::from_str(data).unwrap_or_default();
    let error = json.get("error").filter(|error| !error.is_null());
    let by_data = error.is_some_and(|it| it.is_object() || it.is_string())
        || json.get("type").is_some_and(|kind| kind == "error");
    if !by_type && !by_data {
        return None;
    }
    let holder = error.unwrap_or(&json);
    let message = holder.get("message").unwrap_or(holder);
    let text = message.as_str().unwrap_or(data);
    Some(sample(text.as_bytes()))
}

/// The beginning of a text, for a message.
fn sample(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE)]);
    match bytes.len() > SAMPLE {
        true => format!("{text}..."),
        false => text.into_owned(),
    }
}

/// The count of this name. `None`: there are too many names already.
fn entry<'a>(
    names: &'a mut std::collections::BTreeMap<String, u64>,
    name: &str,
) -> Option<&'a mut u64> {
    let name = sample(name.as_bytes());
    if names.len() >= MAX_NAMES && !names.contains_key(&name) {
        return None;
    }
    Some(names.entry(name).or_default())
}
