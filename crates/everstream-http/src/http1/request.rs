//! Requests as bytes.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

/// `Keep-Alive` and `Proxy-Connection` have no constants in the crate `http`.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether a header belongs to the connection rather than to the request. Such a header is never sent as
/// the user set it, over any version of HTTP.
///
/// | header | rule |
/// |---|---|
/// | `Content-Length` | computed from the body |
/// | `Transfer-Encoding`, `Trailer` | not sent: a body always has a length |
/// | `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade` | not sent: the client manages its connections. A header named in `Connection` is sent like any other |
/// | `Expect` | not sent: the client doesn't wait for `100 Continue` |
/// | `Host` | the user's, or the host of the URL; over HTTP/2 it is `:authority` |
///
/// ```
/// use everstream_http::http1::is_managed_header;
/// use http::header::{ACCEPT, CONTENT_LENGTH, HOST};
///
/// assert!(is_managed_header(&CONTENT_LENGTH));
/// assert!(!is_managed_header(&HOST));
/// assert!(!is_managed_header(&ACCEPT));
/// ```
pub fn is_managed_header(name: &HeaderName) -> bool {
    [
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
}

/// Writes the head of a request (RFC 9112, sections 2 and 3). Send the body after it, unencoded.
///
/// For a request to a proxy, `through_proxy` is `Some` and contains the value of `Proxy-Authorization`,
/// if any. The target is then the whole URL without user info and fragment (absolute-form), otherwise
/// path and query (origin-form). `Host` is the user's or the URL's, with a port unless it is the default
/// one. The head can't contain injected line ends or NUL: the types rule them out.
///
/// ```
/// use everstream_http::http1::write_request;
/// use http::{HeaderMap, HeaderValue, Method, header::ACCEPT};
/// use url::Url;
///
/// let url = Url::parse("http://example.com/feed?since=7#top")?;
/// let mut headers = HeaderMap::new();
/// headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
/// let mut out = Vec::new();
/// write_request(&mut out, &Method::GET, &url, None, &headers, None);
/// let expected = "GET /feed?since=7 HTTP/1.1\r\nhost: example.com\r\naccept: text/event-stream\r\n\r\n";
/// assert_eq!(out, expected.as_bytes());
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn write_request(
    out: &mut Vec<u8>,
    method: &Method,
    url: &Url,
    through_proxy: Option<Option<&HeaderValue>>,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    if through_proxy.is_some() {
        let end = url[..url::Position::AfterQuery].len();
        let begin = url[..url::Position::BeforeUsername].len();
        let host = url[..url::Position::BeforeHost].len();
        out.extend_from_slice(&url.as_str().as_bytes()[..begin]);
        out.extend_from_slice(&url.as_str().as_bytes()[host..end]);
    } else {
        out.extend_from_slice(url[url::Position::BeforePath..url::Position::AfterQuery].as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match headers.get(HOST) {
        Some(host) => write_header(out, &HOST, host.as_bytes()),
        None => write_header(out, &HOST, authority(url).as_bytes()),
    }
    for (name, value) in headers {
        if *name != HOST && !is_managed_header(name) {
            write_header(out, name, value.as_bytes());
        }
    }
    if let Some(Some(authorization)) = through_proxy {
        write_header(out, &PROXY_AUTHORIZATION, authorization.as_bytes());
    }
    // Without a body, methods that usually have one send a length of 0 (RFC 9110, section 8.6).
    let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    let length = body.map_or(0, <[u8]>::len);
    if length > 0 || expects_body {
        write_header(out, &CONTENT_LENGTH, length.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a CONNECT request for a tunnel to this URL's host (RFC 9110, section 9.3.6).
///
/// ```
/// use everstream_http::http1::write_connect;
/// use url::Url;
///
/// let mut out = Vec::new();
/// write_connect(&mut out, &Url::parse("https://[::1]/feed")?, None);
/// assert_eq!(out, b"CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\n\r\n");
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn write_connect(out: &mut Vec<u8>, url: &Url, authorization: Option<&HeaderValue>) {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let target = format!("{host}:{port}");
    out.extend_from_slice(b"CONNECT ");
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_header(out, &HOST, target.as_bytes());
    if let Some(authorization) = authorization {
        write_header(out, &PROXY_AUTHORIZATION, authorization.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Host and port of the URL, without a default port.
pub(crate) fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

fn write_header(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, CONTENT_TYPE};

    use super::*;

    fn written(method: Method, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut out = Vec::new();
        write_request(
            &mut out,
            &method,
            &Url::parse(url).unwrap(),
            None,
            &map,
            body,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn golden_requests() {
        let accept = [("Accept", "text/event-stream")];
        assert_eq!(
            written(Method::GET, "https://example.com", &accept, None),
            "GET / HTTP/1.1\r\nhost: example.com\r\naccept: text/event-stream\r\n\r\n"
        );
        assert_eq!(
            written(Method::POST, "http://h:8080/a?b", &accept, Some(b"{}")),
            "POST /a?b HTTP/1.1\r\nhost: h:8080\r\naccept: text/event-stream\r\ncontent-length: 2\r\n\r\n"
        );
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            let text = written(method, "http://h/", &[], None);
            assert!(text.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{text}");
        }
        for method in [Method::GET, Method::DELETE] {
            assert!(!written(method, "http://h/", &[], None).contains("content-length"));
        }
        assert!(
            written(Method::DELETE, "http://h/", &[], Some(b"x")).contains("content-length: 1")
        );
    }

    #[test]
    fn the_host_header_omits_a_default_port() {
        for (url, host) in [
            ("http://h:80/", "h"),
            ("https://h:443/", "h"),
            ("https://h:80/", "h:80"),
            ("http://[::1]:8000/", "[::1]:8000"),
            ("http://[0:0:0::1]/", "[::1]"),
            ("http://user:pw@h/", "h"),
            ("http://BÜCHER.test/", "xn--bcher-kva.test"),
            ("http://h./", "h."),
        ] {
            let text = written(Method::GET, url, &[], None);
            assert!(
                text.starts_with(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n")),
                "{text}"
            );
        }
        let text = written(Method::GET, "http://h/", &[("Host", "mine")], None);
        assert_eq!(text, "GET / HTTP/1.1\r\nhost: mine\r\n\r\n");
        assert!(
            Url::parse("http://[fe80::1%25eth0]/").is_err(),
            "a zone id is rejected"
        );
    }

    #[test]
    fn connection_headers_are_not_sent() {
        let managed = [
            ("Connection", "keep-alive"),
            ("Content-Length", "99"),
            ("Expect", "100-continue"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
        ];
        let text = written(Method::POST, "http://h/", &managed, Some(b"abc"));
        assert_eq!(
            text,
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n"
        );
    }

    #[test]
    fn line_ends_cannot_be_injected() {
        for bad in ["a\rb", "a\nb", "a\0b", "a\r\nb"] {
            assert!(HeaderValue::from_bytes(bad.as_bytes()).is_err());
            assert!(HeaderName::from_bytes(bad.as_bytes()).is_err());
            assert!(Method::from_bytes(bad.as_bytes()).is_err());
        }
        let text = written(Method::GET, "http://h/a\r\nb\0c?d\ne \u{e4}", &[], None);
        assert!(
            text.starts_with("GET /ab%00c?de%20%C3%A4 HTTP/1.1\r\nhost: h\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_proxy_gets_the_whole_url_without_user_info_and_fragment() {
        let url = Url::parse("http://user:pw@h:81/a?b#c").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("x"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("y"));
        let authorization = HeaderValue::from_static("Basic dTpw");
        let mut out = Vec::new();
        let through = Some(Some(&authorization));
        write_request(&mut out, &Method::GET, &url, through, &headers, None);
        let expected = "GET http://h:81/a?b HTTP/1.1\r\nhost: h:81\r\naccept: x\r\n\
             content-type: y\r\nproxy-authorization: Basic dTpw\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn connect_sends_host_and_port() {
        let mut out = Vec::new();
        let url = Url::parse("https://user:pw@h:8443/a?b").unwrap();
        write_connect(&mut out, &url, Some(&HeaderValue::from_static("Basic x")));
        let expected =
            "CONNECT h:8443 HTTP/1.1\r\nhost: h:8443\r\nproxy-authorization: Basic x\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
