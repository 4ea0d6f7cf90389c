//! Whether an event id can be sent.

use http::HeaderValue;

/// The value of `Last-Event-ID` for this id, as UTF-8; `None` if the id can't be sent.
///
/// An empty id means that there is none. An id with control characters isn't valid as a header value, so
/// it isn't sent (WHATWG HTML, section 9.2.3). The rule is [`everstream_core::is_sendable_id`], which the
/// session uses too.
///
/// ```
/// use everstream_http::policy::last_event_id_header;
///
/// assert_eq!(last_event_id_header("42").unwrap(), "42");
/// assert_eq!(last_event_id_header("ä").unwrap().as_bytes(), "ä".as_bytes());
/// assert_eq!(last_event_id_header("two\nlines"), None);
/// assert_eq!(last_event_id_header(""), None);
/// ```
pub fn last_event_id_header(id: &str) -> Option<HeaderValue> {
    match everstream_core::is_sendable_id(id) {
        true => HeaderValue::from_bytes(id.as_bytes()).ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sendable_id_is_a_valid_header_value() {
        for code in 0..=0x2ff_u32 {
            let Some(character) = char::from_u32(code) else {
                continue;
            };
            let id = format!("a{character}b");
            let expected = (code >= 0x20 && code != 0x7f) || character == '\t';
            assert_eq!(last_event_id_header(&id).is_some(), expected, "{code:#x}");
        }
    }
}
