//! Origins of URLs.

use std::net::IpAddr;

use url::Url;

/// Whether a page of this origin may send the request without CORS.
pub(super) fn is_same_origin(origin: &str, url: &str) -> bool {
    match (Url::parse(origin), Url::parse(url)) {
        (Ok(origin), Ok(url)) => origin.origin() == url.origin(),
        _ => false,
    }
}

/// Scheme, host and port of a URL as the `url` crate writes it, without user info.
pub(super) fn origin(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (scheme, host)
}

/// Whether the URL leads to this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let (_, authority) = origin(url);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts_are_recognized() {
        for url in [
            "http://localhost/",
            "http://localhost:80/x",
            "https://u:p@127.0.0.1:1/",
            "http://[::1]:80/",
            "http://a.localhost/",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://localhost@example.com/",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn an_origin_has_no_user_info() {
        assert_eq!(origin("http://u:p@a:80/x@y"), ("http", "a:80"));
        assert_eq!(origin("https://a?x"), ("https", "a"));
    }
}
