//! Which headers may follow a redirect to another origin.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use everstream_core::RedactedUrl;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

/// `Last-Event-ID` has no constant in the crate `http`.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Which of the user's headers stay with the origin that they were set for.
///
/// ```
/// assert_eq!(
///     everstream_http::policy::HeaderScope::default(),
///     everstream_http::policy::HeaderScope::All
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderScope {
    /// Credentials, and values that are marked with [`HeaderValue::set_sensitive`].
    Sensitive,
    /// Every header except the usual ones of an event stream request, such as `Accept`. They still follow
    /// an upgrade of the same host from `http` to `https` on the default ports, unless they are marked
    /// with [`HeaderValue::set_sensitive`]. This is the default.
    #[default]
    All,
}

/// Headers that describe the expected response or the body. They are sent to every origin.
const FOR_EVERY_ORIGIN: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    LAST_EVENT_ID,
    USER_AGENT,
];

/// Whether this header contains credentials.
///
/// ```
/// use everstream_http::policy::is_credential;
/// use http::header::{ACCEPT, AUTHORIZATION};
///
/// assert!(is_credential(&AUTHORIZATION));
/// assert!(!is_credential(&ACCEPT));
/// ```
pub fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name)
}

/// Removes the headers that must not follow a redirect from one URL to another, and returns their names.
///
/// The origin is scheme, host and port (RFC 6454). A `Host` header from the user is removed too, but not
/// returned. Removed headers are not restored, even if a later redirect leads back to the first origin.
///
/// `pinned` are headers that don't even follow an upgrade to `https`, see [`HeaderScope::All`].
///
/// ```
/// use everstream_http::policy::{HeaderScope, withhold};
/// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
/// use url::Url;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
/// let from = Url::parse("https://example.com/feed")?;
/// let to = Url::parse("https://example.org/feed")?;
/// assert!(withhold(&mut headers, &from, &from, HeaderScope::Sensitive, &[]).is_empty());
/// let withheld = withhold(&mut headers, &from, &to, HeaderScope::Sensitive, &[]);
/// assert_eq!(withheld, [AUTHORIZATION]);
/// assert!(headers.is_empty());
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn withhold(
    headers: &mut HeaderMap,
    from: &Url,
    to: &Url,
    scope: HeaderScope,
    pinned: &[HeaderName],
) -> Vec<HeaderName> {
    if from.origin() == to.origin() {
        return Vec::new();
    }
    headers.remove(HOST);
    let upgrade = scope == HeaderScope::All && is_upgrade(from, to);
    let mut withheld: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        let stays = match upgrade {
            true => pinned.contains(name),
            false => {
                value.is_sensitive()
                    || is_credential(name)
                    || (scope == HeaderScope::All && !FOR_EVERY_ORIGIN.contains(name))
            }
        };
        if stays && !withheld.contains(name) {
            withheld.push(name.clone());
        }
    }
    for name in &withheld {
        headers.remove(name);
    }
    withheld
}

/// Whether this is a redirect from `http://host` to `https://host`, both on the default port.
fn is_upgrade(from: &Url, to: &Url) -> bool {
    let is_default = |url: &Url| url.port().is_none();
    (from.scheme(), to.scheme()) == ("http", "https")
        && from.host_str() == to.host_str()
        && is_default(from)
        && is_default(to)
}

/// A message that names the headers which were not sent to this URL, because that may be why its server
/// rejects the request. `None`: there are none.
///
/// ```
/// use everstream_http::policy::withheld_message;
///
/// let names = ["x-api-key".to_owned()];
/// assert_eq!(
///     withheld_message(&names, "https://b.example/").unwrap(),
///     "X-Api-Key was not sent to https://b.example/: it was set for another origin"
/// );
/// assert_eq!(withheld_message(&[], "https://b.example/"), None);
/// ```
pub fn withheld_message(names: &[String], url: &str) -> Option<String> {
    let (verb, pronoun) = match names {
        [] => return None,
        [_] => ("was", "it was"),
        _ => ("were", "they were"),
    };
    let names: Vec<String> = names.iter().map(|name| header_case(name)).collect();
    Some(format!(
        "{} {verb} not sent to {}: {pronoun} set for another origin",
        names.join(", "),
        RedactedUrl(url)
    ))
}

/// `X-Api-Key`, as people write it.
fn header_case(name: &str) -> String {
    let mut begins = true;
    let cased = name.chars().map(|letter| {
        let cased = match begins {
            true => letter.to_ascii_uppercase(),
            false => letter,
        };
        begins = letter == '-';
        cased
    });
    cased.collect()
}

/// Removes user info from a URL and turns it into Basic authentication (RFC 7617), unless there already
/// is an `Authorization` header.
///
/// ```
/// use everstream_http::policy::user_info_to_authorization;
/// use http::{HeaderMap, header::AUTHORIZATION};
///
/// let mut url = url::Url::parse("https://user:p%40ss@example.com/feed")?;
/// let mut headers = HeaderMap::new();
/// user_info_to_authorization(&mut url, &mut headers);
/// assert_eq!(url.as_str(), "https://example.com/feed");
/// assert_eq!(headers[AUTHORIZATION], "Basic dXNlcjpwQHNz");
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn user_info_to_authorization(url: &mut Url, headers: &mut HeaderMap) {
    if url.username().is_empty() && url.password().is_none() {
        return;
    }
    if !headers.contains_key(AUTHORIZATION) {
        let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
        pair.push(b':');
        pair.extend(percent_decode_str(url.password().unwrap_or_default()));
        let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
        // Base64 is a valid value.
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }
    // These can't fail: http and https URLs can have user info.
    _ = url.set_username("");
    _ = url.set_password(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut token = HeaderValue::from_static("secret");
        token.set_sensitive(true);
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(LAST_EVENT_ID, HeaderValue::from_static("7"));
        headers.insert(HOST, HeaderValue::from_static("mine"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        headers.insert(COOKIE, HeaderValue::from_static("a=secret"));
        headers.insert("x-token", token);
        headers.insert("x-team", HeaderValue::from_static("blue"));
        headers
    }

    fn left(from: &str, to: &str, scope: HeaderScope) -> Vec<String> {
        let mut headers = headers();
        let withheld = withhold(&mut headers, &url(from), &url(to), scope, &[]);
        let mut left: Vec<String> = headers.keys().map(|name| name.to_string()).collect();
        left.sort();
        for name in withheld {
            assert!(!headers.contains_key(&name) && name != HOST, "{name}");
        }
        left
    }

    const EVERYWHERE: [&str; 2] = ["accept", "last-event-id"];

    #[test]
    fn within_an_origin_every_header_follows() {
        for scope in [HeaderScope::Sensitive, HeaderScope::All] {
            for (from, to) in [
                ("https://a.test/x", "https://a.test/y?z"),
                ("https://a.test/", "https://a.test:443/"),
                ("https://A.test/", "https://a.TEST/"),
                ("http://a.test:80/", "http://a.test/"),
                ("http://[::1]:8000/", "http://[0:0::1]:8000/"),
            ] {
                assert_eq!(left(from, to, scope).len(), 7, "{from} {to}");
            }
        }
    }

    #[test]
    fn secrets_do_not_follow_to_another_origin() {
        for to in [
            "http://a.test/",
            "https://a.test:444/",
            "https://b.test/",
            "https://www.a.test/",
            "https://a.test./",
            "https://127.0.0.1/",
        ] {
            let sensitive = left("https://a.test/", to, HeaderScope::Sensitive);
            assert_eq!(sensitive, ["accept", "last-event-id", "x-team"], "{to}");
            assert_eq!(
                left("https://a.test/", to, HeaderScope::All),
                EVERYWHERE,
                "{to}"
            );
        }
    }

    #[test]
    fn with_scope_all_the_users_headers_follow_an_upgrade_to_https() {
        let upgraded = left("http://a.test/", "https://a.test/", HeaderScope::All);
        assert_eq!(upgraded.len(), 6, "all but Host: {upgraded:?}");
        let sensitive = left("http://a.test/", "https://a.test/", HeaderScope::Sensitive);
        assert_eq!(sensitive, ["accept", "last-event-id", "x-team"]);
        for (from, to) in [
            ("http://a.test:8080/", "https://a.test/"),
            ("http://a.test/", "https://a.test:8443/"),
            ("http://a.test/", "https://b.test/"),
            ("https://a.test/", "http://a.test/"),
        ] {
            assert_eq!(left(from, to, HeaderScope::All), EVERYWHERE, "{from} {to}");
        }
    }

    #[test]
    fn a_pinned_header_does_not_follow_the_upgrade_to_https() {
        let (from, to) = (url("http://a.test/"), url("https://a.test/"));
        let (mut headers, pinned) = (headers(), [HeaderName::from_static("x-token")]);
        let withheld = withhold(&mut headers, &from, &to, HeaderScope::All, &pinned);
        assert_eq!(withheld, pinned);
        assert!(headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn the_withheld_message_names_all_headers_and_no_secret() {
        let names = ["authorization", "x-api-key"].map(str::to_owned);
        assert_eq!(
            withheld_message(&names, "https://b.test/feed?token=secret").unwrap(),
            "Authorization, X-Api-Key were not sent to https://b.test/feed: they were set for \
             another origin"
        );
    }

    #[test]
    fn user_info_is_percent_decoded_and_never_replaces_a_header() {
        let table = [
            ("http://u:p@h/", Some("Basic dTpw")),
            ("http://u@h/", Some("Basic dTo=")),
            ("http://:p@h/", Some("Basic OnA=")),
            ("http://%C3%A4:%3A@h/", Some("Basic w6Q6Og==")),
            ("http://h/", None),
        ];
        for (text, expected) in table {
            let (mut url, mut headers) = (url(text), HeaderMap::new());
            user_info_to_authorization(&mut url, &mut headers);
            let value = headers.get(AUTHORIZATION);
            assert_eq!(value.map(|it| it.to_str().unwrap()), expected, "{text}");
            assert!(value.is_none_or(HeaderValue::is_sensitive));
            assert_eq!(url.as_str(), "http://h/");
        }
        let (mut url, mut headers) = (url("http://u:p@h/"), HeaderMap::new());
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer mine"));
        user_info_to_authorization(&mut url, &mut headers);
        assert_eq!(headers[AUTHORIZATION], "Bearer mine");
        assert_eq!(url.as_str(), "http://h/");
    }
}
