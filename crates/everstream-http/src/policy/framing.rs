//! Whether the end of a body proves that it is complete.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

/// Whether the body of a response from another HTTP library is framed: by chunks or a length over HTTP/1
/// (RFC 9112, section 6.3), and always from HTTP/2 on. Without framing, the body ends when the connection
/// closes, and may be truncated.
///
/// ```
/// use everstream_http::policy::is_framed;
/// use http::{HeaderMap, Version};
///
/// assert!(is_framed(Version::HTTP_2, &HeaderMap::new()));
/// assert!(!is_framed(Version::HTTP_11, &HeaderMap::new()));
/// ```
pub fn is_framed(version: Version, headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let coding = last.and_then(|value| value.to_str().ok());
    version >= Version::HTTP_2 || is_framed_by(headers.contains_key(CONTENT_LENGTH), coding)
}

/// [`is_framed`] for a response over HTTP/1: whether it has a `Content-Length`, and its last
/// `Transfer-Encoding`.
///
/// ```
/// use everstream_http::policy::is_framed_by;
///
/// assert!(is_framed_by(true, None));
/// assert!(is_framed_by(false, Some("chunked")));
/// assert!(!is_framed_by(false, None));
/// ```
pub fn is_framed_by(has_length: bool, transfer_encoding: Option<&str>) -> bool {
    let codings = transfer_encoding.unwrap_or_default().as_bytes();
    let coding = codings.rsplit(|byte| *byte == b',').next();
    has_length || coding.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_a_length_and_http_2_are_framed() {
        for (version, name, value, framed) in [
            (Version::HTTP_11, "content-length", "5", true),
            (Version::HTTP_11, "transfer-encoding", "chunked", true),
            (Version::HTTP_11, "transfer-encoding", "gzip, Chunked", true),
            (Version::HTTP_11, "transfer-encoding", "gzip", false),
            (Version::HTTP_11, "connection", "close", false),
            (Version::HTTP_10, "connection", "close", false),
            (Version::HTTP_10, "content-length", "0", true),
            (Version::HTTP_2, "server", "x", true),
            (Version::HTTP_3, "server", "x", true),
        ] {
            let headers = HeaderMap::from_iter([(
                name.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )]);
            assert_eq!(
                is_framed(version, &headers),
                framed,
                "{version:?} {name}: {value}"
            );
        }
    }
}
