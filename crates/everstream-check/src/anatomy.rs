//! The bytes of a stream taken apart, line by line, besides what a decoder makes of them: a decoder
//! forgives, and doesn't say what.

use std::time::Duration;

use everstream::{Decoder, Item, Oversize};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::observed::{End, Event, Form, Read, Stream};

/// What is looked at. More than that says nothing new, and would need memory without end.
const MAX_BYTES: u64 = 64 << 20;
const MAX_EVENTS: usize = 10_000;
const MAX_READS: usize = 100_000;

/// The largest event whose data is looked at.
const MAX_EVENT: usize = 8 << 20;

/// How much of a line is kept, to know its field.
const KEPT: usize = 1 << 10;

/// How many different names are kept.
const MAX_NAMES: usize = 50;

/// How much of a text of the server's is kept.
const SAMPLE: usize = 80;

/// How much all ids may take together.
const MAX_IDS: usize = 8 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

pub(crate) struct Anatomy {
    seen: Stream,
    decoder: Decoder,
    /// The beginning of the line that is open, and its whole length.
    line: Vec<u8>,
    line_length: u64,
    after_cr: bool,
    first_line: bool,
    /// Whether the open block holds what an event is made of.
    in_block: bool,
    /// Bytes of a character that isn't whole yet.
    partial: Vec<u8>,
    /// What the ids that are kept take.
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

    /// Takes what came in one read, so long after the response's headers.
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
        // Bytes at the very end that begin a character.
        if end != End::Open && !self.partial.is_empty() {
            let place = self.seen.bytes - self.partial.len() as u64;
            self.seen.not_utf8.get_or_insert(place);
        }
        // While it is open, a line feed may follow.
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

    /// A line is whole.
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
        // It skips what is too large, and so doesn't fail.
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

/// Looks at a line that is neither empty nor a comment; tells whether it belongs to an event.
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

/// Whether what stands before the colon is no name anybody would give to a field, or one that was
/// to be a known one.
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

/// As an object does, or an array of something; `[DONE]` doesn't.
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

/// The text of an event that reports an error: by its type, or as the APIs of language models do,
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

/// The beginning of a text, to be shown.
fn sample(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE)]);
    match bytes.len() > SAMPLE {
        true => format!("{text}..."),
        false => text.into_owned(),
    }
}

/// The count of this name, unless there are too many names already.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The same whatever the reads.
    fn seen(bytes: &[u8]) -> Stream {
        let take = |size: usize| {
            let mut anatomy = Anatomy::new();
            for piece in bytes.chunks(size) {
                anatomy.take(piece, Duration::ZERO);
            }
            let mut seen = anatomy.end(End::Ended, Duration::ZERO);
            seen.reads.clear();
            seen
        };
        let whole = format!("{:?}", take(bytes.len().max(1)));
        for size in [1, 2, 3, 7] {
            assert_eq!(format!("{:?}", take(size)), whole, "reads of {size}");
        }
        take(bytes.len().max(1))
    }

    #[test]
    fn line_ends_are_counted_by_kind() {
        let ends = |bytes| {
            let seen = seen(bytes);
            (seen.lf, seen.crlf, seen.cr)
        };
        assert_eq!(ends(b"data: a\n\n"), (2, 0, 0));
        assert_eq!(ends(b"data: a\r\n\r\n"), (0, 2, 0));
        assert_eq!(ends(b"data: a\r\rdata: b\n\r\n"), (1, 1, 2));
    }

    #[test]
    fn fields_are_told_from_lines_that_are_none() {
        let seen = seen(
            b"data: a\ndata\n: c\nfoo: 1\nfoo: 2\n{\"a\": 1}\nData: x\n data: y\nplain text\n\n",
        );
        assert_eq!(seen.unknown_fields.get("foo"), Some(&2));
        assert_eq!(seen.unknown_fields.len(), 1);
        assert_eq!(seen.stray_lines, 4);
        assert_eq!(seen.stray_line.as_deref(), Some("{\"a\": 1}"));
        assert_eq!((seen.comments, seen.events.len()), (1, 1));
    }

    #[test]
    fn retry_is_digits() {
        let good = seen(b"retry: 100\nretry: 100\nretry: 200\n\n");
        assert_eq!(good.retries, [100, 200]);
        assert_eq!(good.bad_retry, None);
        assert_eq!(seen(b"retry: 1s\n\n").bad_retry.as_deref(), Some("1s"));
        assert_eq!(seen(b"retry\n\n").bad_retry.as_deref(), Some(""));
    }

    #[test]
    fn byte_order_marks_are_found_where_they_are() {
        let seen = seen(b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n");
        assert!(seen.bom_at_start);
        assert_eq!((seen.later_boms, seen.events.len()), (1, 1));
    }

    #[test]
    fn the_first_byte_that_is_not_utf8_is_found() {
        assert_eq!(seen("data: ü€😀\n\n".as_bytes()).not_utf8, None);
        assert_eq!(seen(b"data: \xC3\xBC\xFF\n\n").not_utf8, Some(8));
        assert_eq!(seen(b"data: \xE2\x82").not_utf8, Some(6));
    }

    #[test]
    fn an_event_without_its_blank_line_is_half() {
        assert!(seen(b"data: a\n\ndata: b\n").half_event);
        assert!(seen(b"data: a\n\ndat").half_event);
        assert!(!seen(b"data: a\n\n").half_event);
        assert!(!seen(b"data: a\n\n: bye").half_event);
        assert!(!seen(b"data: a\r\r").half_event);
    }

    #[test]
    fn ids_that_no_client_can_use_are_counted() {
        let seen = seen(b"id: a\0b\ndata: 1\n\nid: a\x07b\ndata: 2\n\nid: ok\ndata: 3\n\n");
        assert_eq!((seen.ids_with_nul, seen.ids_unsendable), (1, 1));
        let ids: Vec<_> = seen.events.iter().map(|it| it.id.as_deref()).collect();
        assert_eq!(ids, [None, Some("a\x07b"), Some("ok")]);
    }

    #[test]
    fn data_that_was_to_be_json_is_told_from_text() {
        for (data, expected) in [
            ("{\"a\": 1}", Form::Json),
            ("7", Form::Json),
            ("{", Form::AlmostJson),
            ("{\"a\": 1", Form::AlmostJson),
            ("[{\"a\"", Form::AlmostJson),
            ("[DONE]", Form::Text),
            ("{hello}", Form::Text),
        ] {
            assert_eq!(form(data), expected, "{data}");
        }
    }

    #[test]
    fn events_that_report_errors_are_recognised() {
        let text = |kind, data| error_text(kind, data);
        let anthropic =
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(text("error", anthropic).as_deref(), Some("Overloaded"));
        assert_eq!(text("message", anthropic).as_deref(), Some("Overloaded"));
        let openai = r#"{"error":{"message":"quota exceeded","code":429}}"#;
        assert_eq!(text("message", openai).as_deref(), Some("quota exceeded"));
        assert_eq!(text("message", r#"{"error":"no"}"#).as_deref(), Some("no"));
        assert_eq!(text("error", "gone").as_deref(), Some("gone"));
        for fine in [
            r#"{"error":null}"#,
            r#"{"error":0.25}"#,
            r#"{"text":"\"error\""}"#,
            "\"error\"",
        ] {
            assert_eq!(text("message", fine), None, "{fine}");
        }
    }

    #[test]
    fn the_first_line_of_an_unknown_field_is_kept() {
        let seen = seen(b"error: quota exceeded\nfoo: 1\n\n");
        assert_eq!(seen.unknown_line.as_deref(), Some("error: quota exceeded"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut anatomy = Anatomy::new();
        for number in 0..20_000 {
            let text = format!("f{number}: x\nevent: {number}\ndata: {number}\n\n");
            anatomy.take(text.as_bytes(), Duration::ZERO);
        }
        anatomy.take(&vec![b'x'; 1 << 20], Duration::ZERO);
        assert!(anatomy.is_full());
        assert!(anatomy.line.len() <= KEPT);
        let seen = anatomy.end(End::Open, Duration::ZERO);
        assert_eq!(seen.events.len(), MAX_EVENTS);
        assert_eq!(seen.kinds.len(), MAX_NAMES);
        assert_eq!(seen.unknown_fields.len(), MAX_NAMES);
        assert_eq!(seen.longest_line, 1 << 20);
    }

    #[test]
    fn long_ids_end_the_observation_early() {
        let mut anatomy = Anatomy::new();
        let event = format!("id: {}\ndata: x\n\n", "i".repeat(1 << 20));
        for _ in 0..20 {
            anatomy.take(event.as_bytes(), Duration::ZERO);
        }
        assert!(anatomy.is_full());
        assert_eq!(anatomy.events().len(), 8);
    }

    #[test]
    fn the_silence_at_the_end_counts() {
        let seconds = Duration::from_secs;
        let watch = |end| {
            let mut anatomy = Anatomy::new();
            anatomy.take(b": a\n", seconds(2));
            anatomy.take(b": b\n", seconds(5));
            anatomy.end(end, seconds(20)).longest_silence()
        };
        assert_eq!(watch(End::Open), seconds(15));
        // A proxy that closes a silent connection may end it cleanly.
        assert_eq!(watch(End::Ended), seconds(15));
        assert_eq!(watch(End::Broke("cut".into())), seconds(15));
    }
}
