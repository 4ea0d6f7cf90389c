//! Whether the content type of a response is that of an event stream.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Whether the essence of the content type is `text/event-stream`. Case and parameters are ignored.
///
/// Of several types, in one header line or several, the last valid one counts
/// ([WHATWG Fetch, "extract a MIME type"](https://fetch.spec.whatwg.org/#concept-header-extract-mime-type)).
///
/// ```
/// use everstream_http::policy::is_event_stream;
/// use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// assert!(!is_event_stream(&headers));
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("Text/Event-Stream; charset=utf-8"));
/// assert!(is_event_stream(&headers));
/// ```
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONTENT_TYPE).iter();
    is_event_stream_type(values.map(HeaderValue::as_bytes))
}

/// [`is_event_stream`] for the values of `Content-Type`.
///
/// ```
/// use everstream_http::policy::is_event_stream_type;
///
/// assert!(is_event_stream_type([b"text/event-stream".as_slice()]));
/// assert!(!is_event_stream_type([]));
/// ```
pub fn is_event_stream_type<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut verdict = false;
    for value in values {
        for value in split_outside_quotes(value) {
            if let Some(essence) = essence(value) {
                verdict = essence.eq_ignore_ascii_case(b"text/event-stream");
            }
        }
    }
    verdict
}

/// Splits at commas outside quoted parameters.
fn split_outside_quotes(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |byte| {
        let is_separator = *byte == b',' && !quoted;
        quoted ^= *byte == b'"' && !escaped;
        escaped = quoted && *byte == b'\\' && !escaped;
        is_separator
    })
}

/// `type/subtype`, if this is a valid type and not the wildcard.
fn essence(value: &[u8]) -> Option<&[u8]> {
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let slash = essence.iter().position(|byte| *byte == b'/')?;
    let is_type = slash > 0 && slash + 1 < essence.len() && essence != b"*/*";
    is_type.then_some(essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_TYPE, HeaderValue::from_str(line).unwrap());
        }
        is_event_stream(&headers)
    }

    #[test]
    fn the_essence_of_the_last_type_decides() {
        let table: &[(&[&str], bool)] = &[
            (&["text/event-stream"], true),
            (&["Text/Event-Stream"], true),
            (&[" text/event-stream ; charset=utf-8"], true),
            (&["text/event-stream;"], true),
            (&["text/html, text/event-stream"], true),
            (&["text/html", "text/event-stream"], true),
            (&["text/event-stream, nonsense"], true),
            (&["text/event-stream, */*"], true),
            (&["text/event-stream; a=\"\\\", text/html\""], true),
            (&[], false),
            (&[""], false),
            (&["text/event-streamfoo"], false),
            (&["text/plain"], false),
            (&["text/plain; text/event-stream"], false),
            (&["text/event-stream, text/html"], false),
            (&["text/event-stream", "text/html"], false),
            (&["text/html; a=\"\\\", text/event-stream\""], false),
            (&["event-stream"], false),
            (&["/event-stream", "text/"], false),
        ];
        for (lines, expected) in table {
            assert_eq!(verdict(lines), *expected, "{lines:?}");
        }
    }
}
