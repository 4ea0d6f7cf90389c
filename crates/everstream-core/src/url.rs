//! URLs without their secrets.

use alloc::format;
use core::fmt;

/// A URL for logs and messages: printed without user info, query and fragment, which may contain secrets.
///
/// ```
/// use everstream_core::RedactedUrl;
///
/// let url = RedactedUrl("https://user:pw@example.com/feed?token=secret");
/// assert_eq!(url.to_string(), "https://example.com/feed");
/// assert_eq!(RedactedUrl("user:pw@example.com/feed").to_string(), "example.com/feed");
/// // A password that should have been escaped.
/// assert_eq!(RedactedUrl("http://user:p/w@example.com/").to_string(), "http://...");
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(
    /// The whole URL.
    pub &'a str,
);

const SLASHES: [char; 2] = ['/', '\\'];
const END_OF_AUTHORITY: [char; 4] = ['/', '\\', '?', '#'];

/// Whether this can be a host, with a port or without.
fn is_host(authority: &str) -> bool {
    match authority.rsplit_once(':') {
        // The colons belong to an IPv6 address.
        _ if authority.ends_with(']') => true,
        Some((_, port)) => !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => true,
    }
}

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parsers skip leading white space, and treat any number of slashes of either kind as two.
        let url = self.0.trim_start();
        let slashes = match url.find(SLASHES) {
            Some(0) => 0,
            Some(slash) if url[..slash].ends_with(':') => slash,
            // As people type it: without a scheme.
            _ => url.len(),
        };
        let rest = url[slashes..].trim_start_matches(SLASHES);
        let path_only = slashes == 0 && url.len() - rest.len() == 1;
        let rest = match url.len() - slashes {
            0 => url,
            _ => {
                f.write_str(&url[..slashes])?;
                f.write_str(match url[..slashes].eq_ignore_ascii_case("file:") {
                    // Without a host, the third slash begins the path.
                    true if url[slashes..].starts_with("///") => "///",
                    _ if path_only => "/",
                    _ => "//",
                })?;
                rest
            }
        };
        // User info ends at the last '@' before the path (WHATWG URL, authority state).
        let authority = &rest[..rest.find(END_OF_AUTHORITY).unwrap_or(rest.len())];
        let at = match authority.rfind('@') {
            _ if path_only => None,
            Some(at) => Some(at),
            // The password contains one of these characters unescaped, so where it ends is unknown.
            None if !is_host(authority) && rest.contains('@') => return f.write_str("..."),
            None => None,
        };
        let host = at.map_or(0, |at| at + 1);
        let shown = rest[host..].split(['?', '#']).next().unwrap_or_default();
        f.write_str(shown)
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&format!("{self}"), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn passwords_are_redacted_however_the_url_is_written() {
        for url in [
            "http://user:secret@host/x",
            "http:/user:secret@host/x",
            "http:///user:secret@host/x",
            "http:\\\\user:secret@host/x",
            "http:/\\user:secret@host/x",
            "\t http://user:secret@host/x",
            "http://user:secret@host:99999/x",
            "http://user:secret@@host/x",
            "http://user:/secret@host/x",
            "http://user:sec/secret@host/x",
            "http://user:sec\\secret@host/x",
            "http://user:sec#secret@host/x",
            "http://user:sec?secret@host/x?secret",
            "http://host:wrong/x?secret=a@secret",
            "http:user:secret@host/x",
            "//user:secret@host/x",
            "user:secret@host/x",
        ] {
            let shown = RedactedUrl(url).to_string();
            assert!(!shown.contains("sec"), "{url} is shown as {shown}");
            let scheme = if url.contains("http:/") || url.contains("http:\\") {
                "http://"
            } else {
                ""
            };
            assert!(shown.starts_with(scheme), "{url} is shown as {shown}");
        }
    }

    #[test]
    fn host_and_path_are_shown() {
        for url in [
            "http://host/@user/feed",
            "http://[::1]:80/a@b",
            "http://[::1]/a@b",
            "host:8080/a@b",
            "host/a@b",
            "/a@b",
            "//host/a",
            "file:///etc/a",
        ] {
            assert_eq!(RedactedUrl(url).to_string(), url);
        }
    }

    #[test]
    fn a_file_url_keeps_its_third_slash() {
        for (url, shown) in [
            ("file:///tmp/a", "file:///tmp/a"),
            ("FILE:///tmp/a?secret", "FILE:///tmp/a"),
            ("file://host/a", "file://host/a"),
            ("http:///host/a", "http://host/a"),
        ] {
            assert_eq!(RedactedUrl(url).to_string(), shown);
        }
    }
}
