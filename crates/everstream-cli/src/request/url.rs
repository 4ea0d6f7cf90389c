//! Completes the URL.

use std::borrow::Cow;

use crate::report::Problem;

/// curl guesses another protocol for hosts with these prefixes, if the URL has no scheme.
const OTHER_PROTOCOLS: [&str; 6] = ["ftp", "dict", "ldap", "imap", "smtp", "pop3"];

/// Adds the scheme that curl would guess.
pub(crate) fn with_scheme<'a>(
    url: &'a str,
    default: Option<&str>,
) -> Result<Cow<'a, str>, Problem> {
    if has_scheme(url) || url.is_empty() {
        return Ok(url.into());
    }
    if let Some(scheme) = default {
        return Ok(format!("{scheme}://{url}").into());
    }
    let first = url.split_once('.').map(|(first, _)| first);
    let other = OTHER_PROTOCOLS
        .into_iter()
        .find(|name| first.is_some_and(|first| first.eq_ignore_ascii_case(name)));
    match other {
        None => Ok(format!("http://{url}").into()),
        Some(name) => Err(Problem::new(format!(
            "a URL without a scheme whose host begins with {name:?} means {name}://, as in curl"
        ))
        .hint("add http:// or https://")),
    }
}

/// Whether it starts with a scheme, a colon and a slash, so that `localhost:8000` has no scheme.
pub(super) fn has_scheme(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else {
        return false;
    };
    rest.starts_with('/')
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

pub(super) fn is_http(url: &str) -> bool {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    ["http", "https"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name))
}

/// Adds this to its query.
pub(super) fn with_query(url: &str, query: &str) -> String {
    if query.is_empty() {
        return url.to_owned();
    }
    let (before, fragment) = match url.find('#') {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    let separator = match before.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, own)) if own.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{before}{separator}{query}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_guessed_as_curl_does() {
        for (url, meant) in [
            ("localhost:8000/x", "http://localhost:8000/x"),
            ("example.com", "http://example.com"),
            ("127.0.0.1/x?y=http://z", "http://127.0.0.1/x?y=http://z"),
            ("[::1]:80/", "http://[::1]:80/"),
            ("me:secret@a.test/", "http://me:secret@a.test/"),
            ("ftpserver.test/", "http://ftpserver.test/"),
            ("https://a.test/", "https://a.test/"),
            ("HTTP:/a.test/", "HTTP:/a.test/"),
            ("file:///tmp/a", "file:///tmp/a"),
        ] {
            assert_eq!(with_scheme(url, None).unwrap(), meant);
        }
        assert_eq!(with_scheme("a/", Some("https")).unwrap(), "https://a/");
        assert!(with_scheme("ftp.a.test/x", None).is_err());
        assert!(with_scheme("FTP.a.test/x", None).is_err());
        assert!(with_scheme("ftp.a.test/x", Some("http")).is_ok());
    }

    #[test]
    fn a_query_is_added_before_the_fragment() {
        for (url, expected) in [
            ("http://a/", "http://a/?q"),
            ("http://a/?", "http://a/?q"),
            ("http://a/?x", "http://a/?x&q"),
            ("http://a/?x&", "http://a/?x&q"),
            ("http://a/?x#f?", "http://a/?x&q#f?"),
            ("http://a/#f", "http://a/?q#f"),
        ] {
            assert_eq!(with_query(url, "q"), expected);
        }
    }
}
