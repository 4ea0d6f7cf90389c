//! URLs without their secrets.

use alloc::format;
use core::fmt;

/// A URL as it may be printed: without user info, query and fragment, where secrets are.
///
/// ```
/// use everstream_core::RedactedUrl;
///
/// let url = RedactedUrl("https://user:pw@example.com/feed?token=secret");
/// assert_eq!(url.to_string(), "https://example.com/feed");
/// assert_eq!(RedactedUrl("user:pw@example.com/feed").to_string(), "example.com/feed");
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(
    /// The whole URL.
    pub &'a str,
);

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.split(['?', '#']).next().unwrap_or_default();
        let rest = match url.split_once("://") {
            Some((scheme, rest)) => {
                write!(f, "{scheme}://")?;
                rest
            }
            // As it is typed when the scheme is forgotten.
            None => url,
        };
        // User info ends at the last '@' before the path (WHATWG URL, authority state).
        let authority = rest.find(['/', '\\']).unwrap_or(rest.len());
        let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
        f.write_str(&rest[host..])
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&format!("{self}"), f)
    }
}
