//! The GET that resumes a stream that was requested by POST or another unsafe method.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Changes a request to the GET that resumes its stream. The GET has no body and accepts only an event
/// stream; the user's other headers stay.
///
/// ```
/// use everstream_http::policy::rewrite_to_resume;
/// use http::{HeaderMap, HeaderValue, Method, header::{ACCEPT, CONTENT_TYPE}};
///
/// let (mut method, mut headers) = (Method::POST, HeaderMap::new());
/// headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
/// rewrite_to_resume(&mut method, &mut headers);
/// assert_eq!(method, Method::GET);
/// assert_eq!(headers.len(), 1);
/// assert_eq!(headers[ACCEPT], "text/event-stream");
/// ```
pub fn rewrite_to_resume(method: &mut Method, headers: &mut HeaderMap) {
    *method = Method::GET;
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    remove_body_headers(headers);
}

/// Removes the headers that describe a body or how it is sent: `Content-*`, `Digest`, `Repr-Digest`,
/// `Expect`, `Trailer` and `Transfer-Encoding`.
///
/// ```
/// use everstream_http::policy::remove_body_headers;
/// use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
/// remove_body_headers(&mut headers);
/// assert!(headers.is_empty());
/// ```
pub fn remove_body_headers(headers: &mut HeaderMap) {
    let about_body: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_body_header(name.as_str()))
        .cloned()
        .collect();
    for name in about_body {
        headers.remove(name);
    }
}

/// Whether [`remove_body_headers`] removes this header. The name is in lower case.
///
/// ```
/// use everstream_http::policy::is_body_header;
///
/// assert!(is_body_header("content-type"));
/// assert!(!is_body_header("accept"));
/// ```
pub fn is_body_header(name: &str) -> bool {
    name.starts_with("content-")
        || matches!(
            name,
            "expect" | "trailer" | "transfer-encoding" | "digest" | "repr-digest"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_headers_are_removed_and_all_others_stay() {
        let table = [
            ("content-type", false),
            ("content-length", false),
            ("content-encoding", false),
            ("content-language", false),
            ("content-location", false),
            ("content-disposition", false),
            ("content-md5", false),
            ("content-digest", false),
            ("content-anything", false),
            ("digest", false),
            ("repr-digest", false),
            ("expect", false),
            ("trailer", false),
            ("transfer-encoding", false),
            ("accept", true),
            ("accept-encoding", true),
            ("authorization", true),
            ("cache-control", true),
            ("contents", true),
            ("cookie", true),
            ("idempotency-key", true),
            ("last-event-id", true),
            ("mcp-protocol-version", true),
            ("mcp-session-id", true),
            ("user-agent", true),
            ("x-content-type", true),
        ];
        for (name, stays) in table {
            let mut headers = HeaderMap::new();
            // All lines of a header with several lines.
            headers.append(name, HeaderValue::from_static("a"));
            headers.append(name, HeaderValue::from_static("b"));
            remove_body_headers(&mut headers);
            assert_eq!(headers.len(), if stays { 2 } else { 0 }, "{name}");
        }
    }

    #[test]
    fn the_resume_get_accepts_only_an_event_stream() {
        for accepted in [&[][..], &["application/json"], &["text/plain", "*/*"]] {
            let (mut method, mut headers) = (Method::PUT, HeaderMap::new());
            for value in accepted {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            rewrite_to_resume(&mut method, &mut headers);
            assert_eq!(method, Method::GET);
            let accepted: Vec<_> = headers.get_all(ACCEPT).iter().collect();
            assert_eq!(accepted, ["text/event-stream"]);
        }
    }
}
