//! Content codings: how a body is compressed.

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

/// A content coding that can be decoded (RFC 9110, section 8.4.1).
///
/// ```
/// use everstream_http::policy::ContentCoding;
///
/// assert_eq!(ContentCoding::Gzip.token(), "gzip");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// gzip, also called `x-gzip`.
    Gzip,
    /// deflate: the zlib format, or raw as some servers send it. Decoded but never requested.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
}

impl ContentCoding {
    /// The name on the wire.
    ///
    /// ```
    /// use everstream_http::policy::ContentCoding;
    ///
    /// assert_eq!(ContentCoding::Brotli.token(), "br");
    /// ```
    pub const fn token(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Deflate => "deflate",
            ContentCoding::Brotli => "br",
            ContentCoding::Zstd => "zstd",
        }
    }

    fn from_token(token: &[u8]) -> Option<Self> {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        if is("gzip") || is("x-gzip") {
            Some(ContentCoding::Gzip)
        } else if is("deflate") {
            Some(ContentCoding::Deflate)
        } else if is("br") {
            Some(ContentCoding::Brotli)
        } else if is("zstd") {
            Some(ContentCoding::Zstd)
        } else {
            None
        }
    }
}

/// The body is in an unsupported coding, or in several codings.
///
/// ```
/// use everstream_http::policy::UnsupportedCoding;
///
/// assert_eq!(UnsupportedCoding.to_string(), "the content coding is not supported");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedCoding;

impl std::fmt::Display for UnsupportedCoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the content coding is not supported")
    }
}

impl std::error::Error for UnsupportedCoding {}

/// Values that servers send although the body isn't encoded: Next.js and Express send `none` to disable
/// compression; others put the charset or the framing here.
const UNENCODED_VALUES: [&str; 7] = ["", "identity", "none", "utf-8", "utf8", "chunked", "binary"];

/// The coding of a body: `None` if it isn't encoded.
///
/// `supported` are the codings that the caller can decode.
///
/// # Errors
///
/// If the body is in another coding, or in more than one.
///
/// ```
/// use everstream_http::policy::{ContentCoding, UnsupportedCoding, content_coding};
/// use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(content_coding(&headers, &[]), Ok(None));
/// headers.insert(CONTENT_ENCODING, HeaderValue::from_static("GZIP"));
/// assert_eq!(content_coding(&headers, &[ContentCoding::Gzip]), Ok(Some(ContentCoding::Gzip)));
/// assert_eq!(content_coding(&headers, &[]), Err(UnsupportedCoding));
/// ```
pub fn content_coding(
    headers: &HeaderMap,
    supported: &[ContentCoding],
) -> Result<Option<ContentCoding>, UnsupportedCoding> {
    let mut found = None;
    let tokens = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    for token in tokens {
        let is = |name: &&str| token.eq_ignore_ascii_case(name.as_bytes());
        if UNENCODED_VALUES.iter().any(is) {
            continue;
        }
        let coding = ContentCoding::from_token(token).filter(|it| supported.contains(it));
        // Legitimate servers don't compress twice.
        if coding.is_none() || found.is_some() {
            return Err(UnsupportedCoding);
        }
        found = coding;
    }
    Ok(found)
}

/// The value of `Accept-Encoding` for these codings; `None` if there are none.
///
/// `deflate` is omitted, because servers disagree on what it means.
///
/// ```
/// use everstream_http::policy::{ContentCoding, accept_encoding};
///
/// let supported = [ContentCoding::Gzip, ContentCoding::Deflate, ContentCoding::Brotli];
/// assert_eq!(accept_encoding(&supported).unwrap(), "gzip, br");
/// assert_eq!(accept_encoding(&[]), None);
/// ```
pub fn accept_encoding(supported: &[ContentCoding]) -> Option<HeaderValue> {
    let asked = supported
        .iter()
        .filter(|coding| **coding != ContentCoding::Deflate);
    let tokens: Vec<&str> = asked.map(|coding| coding.token()).collect();
    match tokens.is_empty() {
        true => None,
        false => HeaderValue::from_str(&tokens.join(", ")).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[ContentCoding] = &[
        ContentCoding::Gzip,
        ContentCoding::Deflate,
        ContentCoding::Brotli,
        ContentCoding::Zstd,
    ];

    fn judged(lines: &[&str]) -> Result<Option<ContentCoding>, UnsupportedCoding> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        content_coding(&headers, ALL)
    }

    #[test]
    fn one_coding_is_accepted_and_several_are_rejected() {
        use ContentCoding::{Brotli, Deflate, Gzip, Zstd};
        type Judged = Result<Option<ContentCoding>, UnsupportedCoding>;
        let table: &[(&[&str], Judged)] = &[
            (&[], Ok(None)),
            (&[""], Ok(None)),
            (&["identity"], Ok(None)),
            (&["Identity, identity"], Ok(None)),
            (&["none"], Ok(None)),
            (&["NONE"], Ok(None)),
            (&["utf-8"], Ok(None)),
            (&["UTF8"], Ok(None)),
            (&["chunked"], Ok(None)),
            (&["Binary"], Ok(None)),
            (&[" , "], Ok(None)),
            (&["gzip"], Ok(Some(Gzip))),
            (&["X-GZip"], Ok(Some(Gzip))),
            (&["identity, gzip"], Ok(Some(Gzip))),
            (&["none", "gzip"], Ok(Some(Gzip))),
            (&["deflate"], Ok(Some(Deflate))),
            (&["br"], Ok(Some(Brotli))),
            (&["zstd"], Ok(Some(Zstd))),
            (&["gzip, gzip"], Err(UnsupportedCoding)),
            (&["gzip", "br"], Err(UnsupportedCoding)),
            (&["compress"], Err(UnsupportedCoding)),
            (&["aws-chunked"], Err(UnsupportedCoding)),
            (&["gzip;q=1"], Err(UnsupportedCoding)),
            (&["latin1"], Err(UnsupportedCoding)),
        ];
        for (lines, expected) in table {
            assert_eq!(judged(lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn an_unsupported_coding_is_rejected() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        let supported = [ContentCoding::Gzip];
        assert_eq!(content_coding(&headers, &supported), Err(UnsupportedCoding));
    }
}
