//! Which requests a browser's `fetch` refuses or changes.

use http::{HeaderName, Method};

/// Whether a browser sets this request header itself and drops the program's value without an error
/// (Fetch Standard, "forbidden request-header").
///
/// ```
/// use everstream_http::policy::is_set_by_browser;
/// use http::header;
///
/// assert!(is_set_by_browser(&header::COOKIE));
/// assert!(!is_set_by_browser(&header::AUTHORIZATION));
/// ```
pub fn is_set_by_browser(name: &HeaderName) -> bool {
    let name = name.as_str();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_programs_set_are_told_from_those_of_the_browser() {
        let is_refused = |name: &str| is_set_by_browser(&name.parse().unwrap());
        for refused in [
            "Cookie",
            "Host",
            "Sec-Fetch-Mode",
            "Proxy-Authorization",
            "DNT",
            "Content-Length",
        ] {
            assert!(is_refused(refused), "{refused}");
        }
        for own in [
            "Authorization",
            "Last-Event-ID",
            "Content-Type",
            "X-Sec",
            "Cache-Control",
        ] {
            assert!(!is_refused(own), "{own}");
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
