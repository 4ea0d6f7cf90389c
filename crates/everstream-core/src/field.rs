//! The field of a line (WHATWG HTML 9.2.6).

use core::time::Duration;

/// The field of a line.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    /// The line begins with a colon.
    Comment,
    Data,
    Event,
    Id,
    Retry,
    /// "The field is ignored."
    Other,
}

impl Field {
    /// Whether a line of this field is part of an event.
    #[inline]
    pub(crate) fn is_event_field(self) -> bool {
        matches!(self, Field::Data | Field::Event | Field::Id)
    }
}

/// The standard's three kinds of line: it starts with a colon, contains one, or has none and is all
/// field name.
#[inline(always)]
pub(crate) fn split_field(line: &[u8]) -> (Field, &[u8]) {
    // Most lines are data. `strip_prefix` compares four bytes at once instead of one by one.
    if let Some(value) = line.strip_prefix(b"data:") {
        return (Field::Data, value);
    }
    match line {
        [b'e', b'v', b'e', b'n', b't', b':', value @ ..] => (Field::Event, value),
        [b'i', b'd', b':', value @ ..] => (Field::Id, value),
        [b'r', b'e', b't', b'r', b'y', b':', value @ ..] => (Field::Retry, value),
        [b':', value @ ..] => (Field::Comment, value),
        b"data" => (Field::Data, b""),
        b"event" => (Field::Event, b""),
        b"id" => (Field::Id, b""),
        // Without a value, `retry` has no digits and does nothing.
        _ => (Field::Other, b""),
    }
}

/// Whether a line is a comment or has a field of the standard, even with an invalid value.
pub(crate) fn is_recognized(line: &[u8]) -> bool {
    !matches!(split_field(line).0, Field::Other) || line == b"retry"
}

/// Whether a line that is cut here belongs to an event, or could once it is complete.
pub(crate) fn may_be_event_field(line: &[u8]) -> bool {
    let names: [&[u8]; 3] = [b"data", b"event", b"id"];
    split_field(line).0.is_event_field()
        || !line.is_empty() && names.iter().any(|name| name.starts_with(line))
}

/// "If value starts with a U+0020 SPACE character, remove it from value."
#[inline]
pub(crate) fn without_space(value: &[u8]) -> &[u8] {
    match value {
        [b' ', rest @ ..] => rest,
        _ => value,
    }
}

/// "If the field value consists of only ASCII digits": milliseconds, saturating.
pub(crate) fn parse_retry(value: &[u8]) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |sum, byte| {
            byte.is_ascii_digit().then(|| {
                sum.saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'))
            })
        })
        .map(Duration::from_millis)
}
