//! Redirects (RFC 9110, section 15.4; WHATWG Fetch, section 4.4, "HTTP-redirect fetch").

use everstream_core::RedirectProblem;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, LOCATION,
};
use http::{HeaderMap, Method};
use url::Url;

/// How many redirects are followed by default.
pub const MAX_REDIRECTS: usize = 10;

/// Whether this status redirects. 300 and 304 don't: they have no single target.
///
/// ```
/// use everstream_http::policy::is_redirect;
///
/// assert!(is_redirect(307));
/// assert!(!is_redirect(304));
/// ```
pub const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The URL that the response of `base` redirects to.
///
/// # Errors
///
/// If `followed` has reached `limit`, if there is no usable `Location`, or if it isn't an http or https
/// URL.
///
/// ```
/// use everstream_core::RedirectProblem;
/// use everstream_http::policy::redirect_target;
/// use http::{HeaderMap, HeaderValue, header::LOCATION};
/// use url::Url;
///
/// let base = Url::parse("https://example.com/a/feed")?;
/// let mut headers = HeaderMap::new();
/// assert_eq!(redirect_target(&base, &headers, 0, 10), Err(RedirectProblem::BadLocation));
/// headers.insert(LOCATION, HeaderValue::from_static("../b"));
/// let target = redirect_target(&base, &headers, 0, 10);
/// assert_eq!(target.unwrap().as_str(), "https://example.com/b");
/// assert_eq!(redirect_target(&base, &headers, 10, 10), Err(RedirectProblem::TooMany(10)));
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn redirect_target(
    base: &Url,
    headers: &HeaderMap,
    followed: usize,
    limit: usize,
) -> Result<Url, RedirectProblem> {
    if followed >= limit {
        return Err(RedirectProblem::TooMany(limit));
    }
    let location = headers.get(LOCATION).ok_or(RedirectProblem::BadLocation)?;
    let location = std::str::from_utf8(location.as_bytes()).ok();
    match location.and_then(|location| base.join(location).ok()) {
        Some(target) if matches!(target.scheme(), "http" | "https") => Ok(target),
        Some(_) => Err(RedirectProblem::Scheme),
        None => Err(RedirectProblem::BadLocation),
    }
}

/// Changes a request as a redirect with this status requires. `true`: the body is sent again.
///
/// 301 and 302 turn POST into GET, and 303 turns everything but GET and HEAD into GET; the body and the
/// headers that describe it are dropped. 307 and 308 change nothing.
///
/// ```
/// use everstream_http::policy::rewrite;
/// use http::{HeaderMap, Method};
///
/// let (mut method, mut headers) = (Method::POST, HeaderMap::new());
/// assert!(rewrite(307, &mut method, &mut headers));
/// assert_eq!(method, Method::POST);
/// assert!(!rewrite(303, &mut method, &mut headers));
/// assert_eq!(method, Method::GET);
/// ```
pub fn rewrite(status: u16, method: &mut Method, headers: &mut HeaderMap) -> bool {
    let becomes_get = match status {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    };
    if becomes_get {
        *method = Method::GET;
        for about_body in [
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_LOCATION,
            CONTENT_TYPE,
        ] {
            headers.remove(about_body);
        }
    }
    !becomes_get
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn location_is_resolved_as_in_browsers() {
        let ok = |target: &str| Ok(Url::parse(target).unwrap());
        let table = [
            ("/b", ok("https://h/b")),
            ("b?c#d", ok("https://h/a/b?c#d")),
            ("//o/x", ok("https://o/x")),
            ("http://o:81", ok("http://o:81/")),
            ("HTTPS://O/", ok("https://o/")),
            ("", ok("https://h/a/feed?q")),
            ("?r", ok("https://h/a/feed?r")),
            (" /b ", ok("https://h/b")),
            ("/ä", ok("https://h/%C3%A4")),
            ("ftp://o/", Err(RedirectProblem::Scheme)),
            ("javascript:alert(1)", Err(RedirectProblem::Scheme)),
            ("file:///etc/passwd", Err(RedirectProblem::Scheme)),
            ("https://", Err(RedirectProblem::BadLocation)),
            ("https://o:99999/", Err(RedirectProblem::BadLocation)),
            ("https://[::1", Err(RedirectProblem::BadLocation)),
        ];
        let base = Url::parse("https://h/a/feed?q").unwrap();
        for (location, expected) in table {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(location.as_bytes()).unwrap();
            headers.insert(LOCATION, value);
            assert_eq!(
                redirect_target(&base, &headers, 0, 1),
                expected,
                "{location}"
            );
        }
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(b"/\xff").unwrap());
        let not_utf8 = redirect_target(&base, &headers, 0, 1);
        assert_eq!(not_utf8, Err(RedirectProblem::BadLocation));
    }

    #[test]
    fn a_limit_of_zero_follows_no_redirect() {
        let base = Url::parse("https://h/").unwrap();
        let none = redirect_target(&base, &HeaderMap::new(), 0, 0);
        assert_eq!(none, Err(RedirectProblem::TooMany(0)));
    }

    #[test]
    fn the_status_determines_method_and_body() {
        let (get, head, post, put) = (Method::GET, Method::HEAD, Method::POST, Method::PUT);
        let table = [
            (301, &post, &get, false),
            (302, &post, &get, false),
            (303, &post, &get, false),
            (307, &post, &post, true),
            (308, &post, &post, true),
            (301, &put, &put, true),
            (302, &put, &put, true),
            (303, &put, &get, false),
            (303, &get, &get, true),
            (303, &head, &head, true),
        ];
        for (status, before, after, keeps_body) in table {
            let mut method = before.clone();
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            assert_eq!(rewrite(status, &mut method, &mut headers), keeps_body);
            assert_eq!(
                (&method, headers.len()),
                (after, usize::from(keeps_body)),
                "{status}"
            );
        }
    }
}
