//! Which event ids can be sent back to a server.

/// Whether this event id can be sent as the value of a `Last-Event-ID` header.
///
/// An empty id means that there is none (WHATWG HTML, section 9.2.3), and a header value can't contain
/// control characters other than a tab (RFC 9110, section 5.5).
///
/// ```
/// use everstream_core::is_sendable_id;
///
/// assert!(is_sendable_id("42"));
/// assert!(is_sendable_id("ä"));
/// assert!(!is_sendable_id("two\nlines"));
/// assert!(!is_sendable_id(""));
/// ```
pub fn is_sendable_id(id: &str) -> bool {
    let is_unsendable = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    !id.is_empty() && !id.bytes().any(is_unsendable)
}
