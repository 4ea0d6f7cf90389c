//! What a line is about (WHATWG HTML 9.2.6).

use core::time::Duration;

/// The field of a line.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    /// It begins with a colon.
    Comment,
    Data,
    Event,
    Id,
    Retry,
    /// "The field is ignored."
    Other,
}

impl Field {
    /// Whether an event consists of such lines.
    #[inline]
    pub(crate) fn is_of_event(self) -> bool {
        matches!(self, Field::Data | Field::Event | Field::Id)
    }
}

/// The standard's three kinds of line: a colon first, a colon within, and none, when the whole line
/// is the field's name.
#[inline(always)]
pub(crate) fn split_field(line: &[u8]) -> (Field, &[u8]) {
    // Most lines, and one comparison of four bytes instead of four of one.
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

/// Whether a line is a comment or has a field of the standard, with a valid value or not.
pub(crate) fn is_known(line: &[u8]) -> bool {
    !matches!(split_field(line).0, Field::Other) || line == b"retry"
}

/// Whether a line that is cut here is one of an event, or can become one.
pub(crate) fn may_be_of_event(line: &[u8]) -> bool {
    let names: [&[u8]; 3] = [b"data", b"event", b"id"];
    split_field(line).0.is_of_event()
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

/// "If the field value consists of only ASCII digits": milliseconds, as many as fit.
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
