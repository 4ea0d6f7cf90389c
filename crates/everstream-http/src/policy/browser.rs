//! Which requests a browser's `fetch` refuses or changes.

use http::Method;

/// Whether this is a valid header name (RFC 9110, section 5.6.2): what `http::HeaderName` accepts, without
/// its table of known names, which would be a large part of a small program for the browser.
///
/// ```
/// use everstream_http::policy::is_header_name;
///
/// assert!(is_header_name("X-Team"));
/// assert!(!is_header_name("x team"));
/// ```
pub fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether a browser sets this request header itself and drops the program's value without an error
/// (Fetch Standard, "forbidden request-header"). The name is in lower case.
///
/// ```
/// use everstream_http::policy::is_set_by_browser;
///
/// assert!(is_set_by_browser("cookie"));
/// assert!(!is_set_by_browser("authorization"));
/// ```
pub fn is_set_by_browser(name: &str) -> bool {
    matches!(
        name,
        "accept-charset"
            | "accept-encoding"
            | "access-control-request-headers"
            | "access-control-request-method"
            | "connection"
            | "content-length"
            | "cookie"
            | "cookie2"
            | "date"
            | "dnt"
            | "expect"
            | "host"
            | "keep-alive"
            | "origin"
            | "referer"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "user-agent"
            | "via"
    ) || name.starts_with("proxy-")
        || name.starts_with("sec-")
}

/// Whether `fetch` refuses this method (Fetch Standard, "forbidden method").
///
/// ```
/// use everstream_http::policy::is_refused_by_browser;
/// use http::Method;
///
/// assert!(is_refused_by_browser(&Method::TRACE));
/// assert!(!is_refused_by_browser(&Method::POST));
/// ```
pub fn is_refused_by_browser(method: &Method) -> bool {
    let name = method.as_str();
    ["CONNECT", "TRACE", "TRACK"]
        .iter()
        .any(|refused| name.eq_ignore_ascii_case(refused))
}

/// The method that `fetch` sends for this one: it converts some to upper case (Fetch Standard, "normalize a
/// method").
///
/// ```
/// use everstream_http::policy::method_sent_by_browser;
/// use http::Method;
///
/// let method = |name: &str| method_sent_by_browser(Method::from_bytes(name.as_bytes()).unwrap());
/// assert_eq!(method("get"), Method::GET);
/// assert_eq!(method("patch").as_str(), "patch");
/// ```
pub fn method_sent_by_browser(method: Method) -> Method {
    let normalized = [
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::POST,
        Method::PUT,
    ];
    let name = method.as_str();
    let same = |it: &Method| it.as_str().eq_ignore_ascii_case(name);
    normalized.into_iter().find(same).unwrap_or(method)
}

/// Whether a request with this header to another origin needs a preflight request (Fetch Standard,
/// "CORS-safelisted request-header", for headers that programs set). The name is in lower case.
///
/// ```
/// use everstream_http::policy::needs_preflight;
///
/// assert!(needs_preflight("last-event-id", b"1"));
/// assert!(needs_preflight("content-type", b"application/json"));
/// assert!(!needs_preflight("content-type", b"text/plain"));
/// assert!(!needs_preflight("accept", b"text/event-stream"));
/// ```
pub fn needs_preflight(name: &str, value: &[u8]) -> bool {
    match name {
        "accept" | "accept-language" | "content-language" => false,
        "content-type" => {
            !(value.starts_with(b"text/plain")
                || value.starts_with(b"multipart/form-data")
                || value.starts_with(b"application/x-www-form-urlencoded"))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn headers_of_the_browser_differ_from_those_of_programs() {
        for refused in [
            "cookie",
            "host",
            "sec-fetch-mode",
            "proxy-authorization",
            "dnt",
            "content-length",
        ] {
            assert!(is_set_by_browser(refused), "{refused}");
        }
        for own in [
            "authorization",
            "last-event-id",
            "content-type",
            "x-sec",
            "cache-control",
        ] {
            assert!(!is_set_by_browser(own), "{own}");
        }
    }

    #[test]
    fn header_names_are_those_of_the_crate_http() {
        assert!(!is_header_name(""));
        for code in 0..=0x2ff_u32 {
            let Some(character) = char::from_u32(code) else {
                continue;
            };
            for name in [format!("{character}"), format!("x{character}y")] {
                let expected = HeaderName::from_bytes(name.as_bytes()).is_ok();
                assert_eq!(is_header_name(&name), expected, "{name:?}");
            }
        }
    }

    #[test]
    fn methods_that_fetch_refuses_are_known_in_any_case() {
        for refused in ["CONNECT", "trace", "Track"] {
            assert!(
                is_refused_by_browser(&refused.parse().unwrap()),
                "{refused}"
            );
        }
        for allowed in ["GET", "POST", "PATCH", "QUERY"] {
            assert!(
                !is_refused_by_browser(&allowed.parse().unwrap()),
                "{allowed}"
            );
        }
    }
}
