//! Whether a response is an event stream.

use http::HeaderMap;

use super::{ContentCoding, content_coding, is_event_stream, is_redirect};

/// What the status and headers say about a response.
///
/// ```
/// use everstream_http::policy::{Verdict, judge};
///
/// assert_eq!(judge(204, &http::HeaderMap::new(), &[], false), Verdict::Status);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An event stream, in this content coding.
    Stream(Option<ContentCoding>),
    /// A redirect, whether or not it can be followed.
    Redirect,
    /// Not a stream because of its status: not 2xx, or 204.
    Status,
    /// Not a stream because of its content type.
    ContentType,
    /// A stream in an unsupported content coding.
    ContentEncoding,
}

/// Judges a response (WHATWG HTML, section 9.2.2, but any 2xx status except 204 is accepted, not only
/// 200). `supported` are the content codings that the caller can decode.
///
/// With `any_content_type` the content type is ignored, and so is its charset: an event stream is always
/// UTF-8. The status is still checked.
///
/// ```
/// use everstream_http::policy::{Verdict, judge};
/// use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(judge(200, &headers, &[], false), Verdict::ContentType);
/// assert_eq!(judge(200, &headers, &[], true), Verdict::Stream(None));
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
/// assert_eq!(judge(200, &headers, &[], false), Verdict::Stream(None));
/// assert_eq!(judge(503, &headers, &[], true), Verdict::Status);
/// assert_eq!(judge(307, &headers, &[], true), Verdict::Redirect);
/// ```
pub fn judge(
    status: u16,
    headers: &HeaderMap,
    supported: &[ContentCoding],
    any_content_type: bool,
) -> Verdict {
    match judge_decoded(status, any_content_type || is_event_stream(headers)) {
        Verdict::Stream(_) => match content_coding(headers, supported) {
            Ok(coding) => Verdict::Stream(coding),
            Err(_) => Verdict::ContentEncoding,
        },
        other => other,
    }
}

/// [`judge`] for a response that is already decoded, and whose content type is accepted or not.
///
/// ```
/// use everstream_http::policy::{Verdict, judge_decoded};
///
/// assert_eq!(judge_decoded(200, true), Verdict::Stream(None));
/// assert_eq!(judge_decoded(200, false), Verdict::ContentType);
/// assert_eq!(judge_decoded(404, false), Verdict::Status);
/// ```
pub fn judge_decoded(status: u16, accepted_type: bool) -> Verdict {
    if is_redirect(status) {
        return Verdict::Redirect;
    }
    match status {
        200..=203 | 205..=299 if accepted_type => Verdict::Stream(None),
        200..=203 | 205..=299 => Verdict::ContentType,
        _ => Verdict::Status,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

    use super::*;

    #[test]
    fn every_status_is_judged() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        for status in 100..=999 {
            let expected = match status {
                204 => Verdict::Status,
                200..=299 => Verdict::Stream(None),
                301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
                _ => Verdict::Status,
            };
            assert_eq!(judge(status, &headers, &[], false), expected, "{status}");
            for other in [None, Some("text/html"), Some("text/plain; charset=latin1")] {
                let mut headers = HeaderMap::new();
                if let Some(other) = other {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static(other));
                }
                let any = judge(status, &headers, &[], true);
                assert_eq!(any, expected, "{status} {other:?}");
            }
        }
    }

    #[test]
    fn the_content_type_is_checked_before_the_coding() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("compress"));
        assert_eq!(judge(200, &headers, &[], false), Verdict::ContentType);
        assert_eq!(judge(200, &headers, &[], true), Verdict::ContentEncoding);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        assert_eq!(judge(200, &headers, &[], false), Verdict::ContentEncoding);
    }
}
