//! A record as a message: its data as the payload, the rest as headers.

use async_nats::HeaderMap;
use async_nats::header::{
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM,
    NATS_MESSAGE_ID,
};
use everstream_relay::Record;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// NATS trims spaces, and its headers are lines. Everything else that is ASCII stays readable.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// What CloudEvents encodes in headers (HTTP binding 1.0.2, section 3.1.3.2, which that of NATS uses).
const ENCODED_ATTRIBUTE: &AsciiSet = &ENCODED.add(b'"');

const ID: &str = "sse-id";
const EVENT: &str = "sse-event";
const POS: &str = "sse-pos";
const SOURCE: &str = "sse-source";

/// The server stores no larger headers.
pub(crate) const MAX_HEADERS: usize = 65_535;

/// What a message is compared by. The names of runs are unique, so that a message id never means two
/// messages: the server drops what it takes for a duplicate before it compares anything.
pub(crate) struct Place<'a> {
    pub(crate) stream: &'a str,
    pub(crate) run: &'a str,
    pub(crate) pos: u64,
    /// Whether the message before is of the same run.
    pub(crate) follows: bool,
}

/// What is the same for all messages.
pub(crate) struct Layout<'a> {
    /// The feed, or "".
    pub(crate) source: &'a str,
    /// Whether each message is a CloudEvent too.
    pub(crate) is_cloudevent: bool,
}

pub(crate) fn headers(record: &Record, place: &Place<'_>, layout: &Layout<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let before = place.pos - 1;
    headers.insert(NATS_EXPECTED_STREAM, place.stream);
    headers.insert(NATS_MESSAGE_ID, message_id(place.run, place.pos));
    headers.insert(NATS_EXPECTED_LAST_SEQUENCE, before.to_string());
    if place.follows {
        headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, message_id(place.run, before));
    }
    headers.insert(POS, place.pos.to_string());
    headers.insert(EVENT, encode(&record.event));
    if let Some(id) = &record.id {
        headers.insert(ID, encode(id));
    }
    if !layout.source.is_empty() {
        headers.insert(SOURCE, encode(layout.source));
    }
    if layout.is_cloudevent {
        let pos = place.pos.to_string();
        // It must not be empty.
        let source = match layout.source {
            "" => place.stream,
            source => source,
        };
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", record.id.as_deref().unwrap_or(&pos)),
            ("ce-source", source),
            ("ce-type", &record.event),
        ] {
            let value = utf8_percent_encode(value, ENCODED_ATTRIBUTE);
            headers.insert(name, value.to_string());
        }
    }
    headers
}

/// The id in a message that a relay has written; `None` for other messages.
#[allow(clippy::option_option)]
pub(crate) fn id_of(headers: &HeaderMap) -> Option<Option<String>> {
    headers.get(POS)?;
    let id = headers.get(ID).map(|value| {
        let text = percent_decode_str(value.as_str().trim());
        text.decode_utf8_lossy().into_owned()
    });
    Some(id)
}

/// How many bytes they are as the server counts them.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    let lines = headers.iter().map(|(name, values)| {
        let name = name.to_string().len();
        let line = |value: &async_nats::HeaderValue| name + value.as_str().len() + ": \r\n".len();
        values.iter().map(line).sum::<usize>()
    });
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

fn message_id(run: &str, pos: u64) -> String {
    format!("{run}:{pos}")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_size_is_that_of_the_lines() {
        let record = Record::new(Some("é ".into()), "a b", "data", SystemTime::now());
        let place = Place {
            stream: "S",
            run: "RUN",
            pos: 2,
            follows: true,
        };
        let text = "NATS/1.0\r\nNats-Expected-Stream: S\r\nNats-Msg-Id: RUN:2\r\n\
            Nats-Expected-Last-Sequence: 1\r\nNats-Expected-Last-Msg-Id: RUN:1\r\n\
            sse-pos: 2\r\nsse-event: a%20b\r\nsse-id: %C3%A9%20\r\nsse-source: https://x/\r\n\r\n";
        let mut layout = Layout {
            source: "https://x/",
            is_cloudevent: false,
        };
        let plain = headers(&record, &place, &layout);
        assert_eq!(size(&plain), text.len());
        assert_eq!(id_of(&plain), Some(Some("é ".to_owned())));

        let more = "ce-specversion: 1.0\r\nce-id: %C3%A9%20\r\nce-source: https://x/\r\nce-type: a%20b\r\n";
        layout.is_cloudevent = true;
        let headers = headers(&record, &place, &layout);
        assert_eq!(size(&headers), text.len() + more.len());
    }
}
