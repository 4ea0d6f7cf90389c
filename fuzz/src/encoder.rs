//! Encoded records, compared with what they decode to.

use std::time::Duration;

use everstream_core::{EncodeError, Encoder, Event};

use crate::limits::{Setting, decoded};
use crate::support::Seen;
use crate::support::reference::Reference;

/// Ends a record.
const RECORD: char = '\x1E';
/// Ends a field of a record.
const FIELD: char = '\x1F';

/// Encodes the records of a text, and panics unless they decode to exactly that.
///
/// A record begins with its kind: `e` (an event with the fields type, data and optionally id), `i` (an
/// id), `c` (a comment) or `r` (a retry; the first 16 bytes are the time).
///
/// ```
/// everstream_fuzz::encoder(b"eput\x1Fdata\x1F7\x1Ecstill here\x1Er\x05");
/// ```
pub fn encoder(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut records = Records::default();
    for record in text.split(RECORD) {
        let mut chars = record.chars();
        let kind = chars.next();
        let rest = chars.as_str();
        match kind {
            Some('i') => records.id(rest),
            Some('c') => records.comment(rest),
            Some('r') => records.retry(rest),
            Some(_) => records.event(rest),
            None => {}
        }
    }
    records.check();
}

#[derive(Default)]
struct Records {
    encoder: Encoder,
    /// What the text must decode to.
    due: Vec<Seen>,
    last: Option<String>,
}

impl Records {
    fn event(&mut self, record: &str) {
        let mut fields = record.split(FIELD);
        let event = fields.next().unwrap_or_default();
        let data = fields.next().unwrap_or_default();
        let id = fields.next();
        let error = match () {
            () if ends_line(event) => Some(EncodeError::Event),
            () if id.is_some_and(is_invalid_id) => Some(EncodeError::Id),
            () => None,
        };
        let before = self.encoder.as_str().len();
        let event = Event::new(event, data, id);
        let outcome = self.encoder.event(&event);
        assert_eq!(outcome.err(), error, "{event:?}");
        if error.is_some() {
            assert_eq!(self.encoder.as_str().len(), before, "rejected but written");
            return;
        }
        self.set_last(id);
        self.due.push(Seen::Event {
            event: event.event().to_owned(),
            data: lines(data).join("\n"),
            id: id.map(String::from),
            last: self.last.clone(),
        });
    }

    fn id(&mut self, id: &str) {
        let before = self.encoder.as_str().len();
        let outcome = self.encoder.id(id);
        if is_invalid_id(id) {
            assert_eq!(outcome, Err(EncodeError::Id), "{id:?}");
            assert_eq!(self.encoder.as_str().len(), before, "rejected but written");
            return;
        }
        assert_eq!(outcome, Ok(()), "{id:?}");
        self.set_last(Some(id));
        self.due.push(Seen::Id(self.last.clone()));
    }

    fn comment(&mut self, text: &str) {
        self.encoder.comment(text);
        for line in lines(text) {
            let space = if line.is_empty() { "" } else { " " };
            self.due.push(Seen::Comment(format!("{space}{line}")));
        }
    }

    fn retry(&mut self, record: &str) {
        let mut time = [0; 16];
        for (to, from) in time.iter_mut().zip(record.bytes()) {
            *to = from;
        }
        // Less than a second, because `new` panics on overflow.
        let nanos = (u128::from_le_bytes(time) >> 64) as u32 % 1_000_000_000;
        let delay = Duration::new(u128::from_le_bytes(time) as u64, nanos);
        self.encoder.retry(delay);
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.due.push(Seen::Retry(Duration::from_millis(millis)));
    }

    /// An empty id clears the last event id.
    fn set_last(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            self.last = Some(id.to_owned()).filter(|id| !id.is_empty());
        }
    }

    fn check(self) {
        let wire = self.encoder.as_str();
        let mut reference = Reference::default();
        assert_eq!(reference.interpret(wire.as_bytes()), self.due, "{wire:?}");
        assert_eq!(reference.last_event_id(), self.last.as_deref());
        for owned in [false, true] {
            let setting = Setting {
                limit: usize::MAX,
                oversize: Default::default(),
                owned,
                resume: None,
            };
            let (items, last) = decoded(setting, [wire.as_bytes()]);
            assert_eq!(items, self.due, "{wire:?}");
            assert_eq!(last, self.last);
        }
    }
}

fn ends_line(text: &str) -> bool {
    text.contains(['\r', '\n'])
}

fn is_invalid_id(text: &str) -> bool {
    ends_line(text) || text.contains('\0')
}

fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split('\n').map(String::from).collect()
}
