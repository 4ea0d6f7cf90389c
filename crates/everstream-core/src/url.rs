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
/// assert_eq!(RedactedUrl("http://user:p@ss/w@example.com/").to_string(), "http://...");
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(
    /// The whole URL.
    pub &'a str,
);

/// Parsers treat any number of slashes of either kind as two, and skip the rest of these.
const SLASHES: &[u8] = b"/\\\t\r\n";
const END_OF_AUTHORITY: &[u8] = b"/\\?#";

/// Where the first of these characters is, or the end of the text.
fn position(text: &str, characters: &[u8]) -> usize {
    let found = text.bytes().position(|byte| characters.contains(&byte));
    found.unwrap_or(text.len())
}

/// Splits at a place that is always valid, without the code that would report that it isn't.
fn split(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Whether this can be a host, with a port or without.
fn is_host(authority: &str) -> bool {
    let mut parts = authority.as_bytes().rsplitn(2, |byte| *byte == b':');
    let port = parts.next().unwrap_or_default();
    let host = parts.next();
    // The colons of an IPv6 address are between brackets.
    let is_ipv6 = authority.as_bytes().first() == Some(&b'[');
    is_ipv6 && port.last() == Some(&b']')
        || host.is_none_or(|host| {
            let is_port = !port.is_empty() && port.iter().all(u8::is_ascii_digit);
            is_port && (is_ipv6 || !host.contains(&b':'))
        })
}

/// Whether a URL can begin with this scheme. A user or a query before the first slash isn't one.
fn is_scheme(scheme: &str) -> bool {
    scheme.strip_suffix(':').is_some_and(|name| {
        let mut bytes = name.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parsers skip leading white space.
        let url = self.0.trim_start();
        let (scheme, path) = split(url, position(url, SLASHES));
        let (scheme, rest, path_only) = match scheme.is_empty() || is_scheme(scheme) {
            true if !path.is_empty() => {
                let slashes = path.bytes().take_while(|byte| SLASHES.contains(byte));
                let slashes = slashes.count();
                (
                    scheme,
                    split(path, slashes).1,
                    scheme.is_empty() && slashes == 1,
                )
            }
            // As people type it: without a scheme.
            _ => ("", url, false),
        };
        if rest.len() < url.len() {
            f.write_str(scheme)?;
            f.write_str(match scheme.eq_ignore_ascii_case("file:") {
                // Without a host, the third slash begins the path.
                true if path.starts_with("///") => "///",
                _ if path_only => "/",
                _ => "//",
            })?;
        }
        // User info ends at the last '@' before the path (WHATWG URL, authority state).
        let (authority, after) = split(rest, position(rest, END_OF_AUTHORITY));
        let user_info = authority.bytes().rposition(|byte| byte == b'@');
        let may_continue = user_info.is_some() || !is_host(authority);
        let host = match user_info {
            _ if path_only => 0,
            // The password may contain one of these characters unescaped, so where it ends is unknown.
            _ if may_continue && position(after, b"@") < after.len() => {
                return f.write_str("...");
            }
            Some(at) => at + 1,
            None => 0,
        };
        let (_, shown) = split(rest, host);
        f.write_str(split(shown, position(shown, b"?#")).0)
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
            "http://user:p@secret/x@host/x",
            "http://user:p@secret?x@host/x",
            "http://user:]/secret@host/x",
            "http://user:x:8/secret@host/x",
            "http:/\t/user:secret@host/x",
            "http:\n//user:secret@host/x",
            "user:sec:/secret@host/x",
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
    fn a_url_in_a_query_is_not_where_the_url_begins() {
        for url in ["host/a?b=secret&to=http://c", "host/a#b=secret&to=http://c"] {
            assert_eq!(RedactedUrl(url).to_string(), "host/a");
        }
        for url in ["host?b=secret&to=http://c", "host#b=secret&to=http:/c"] {
            assert_eq!(RedactedUrl(url).to_string(), "host");
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
