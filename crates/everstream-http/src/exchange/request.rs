//! The request of an attempt.

use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::{http1, policy};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A request, except for its body.
///
/// ```
/// use everstream_http::exchange::Request;
/// use http::{HeaderMap, Method};
///
/// let request = Request {
///     method: Method::GET,
///     url: "https://example.com/feed".parse()?,
///     headers: HeaderMap::new(),
///     has_body: false,
/// };
/// assert_eq!(request.url.path(), "/feed");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target URL.
    pub url: Url,
    /// The headers. Without a `Host` header, the host of the URL is sent.
    pub headers: HeaderMap,
    /// Whether the request has the attempt's body. Redirects may drop the body.
    pub has_body: bool,
}

impl Request {
    /// A GET request for an event stream, with `Accept: text/event-stream` and
    /// `Cache-Control: no-cache`.
    ///
    /// ```
    /// use everstream_http::exchange::Request;
    ///
    /// let request = Request::event_stream("https://example.com/feed".parse()?);
    /// assert_eq!(request.headers["accept"], "text/event-stream");
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn event_stream(url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Request {
            method: Method::GET,
            url,
            headers,
            has_body: false,
        }
    }

    /// Sets `Last-Event-ID` if there is an id that can be sent, see
    /// [`last_event_id_header`](policy::last_event_id_header).
    ///
    /// ```
    /// use everstream_http::exchange::Request;
    ///
    /// let mut request = Request::event_stream("https://example.com/feed".parse()?);
    /// request.set_last_event_id(Some("42"));
    /// request.set_last_event_id(None);
    /// assert_eq!(request.headers["last-event-id"], "42");
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn set_last_event_id(&mut self, id: Option<&str>) {
        if let Some(id) = id.and_then(policy::last_event_id_header) {
            self.headers.insert(LAST_EVENT_ID, id);
        }
    }

    /// Turns this request into the GET that resumes its stream, see
    /// [`rewrite_to_resume`](policy::rewrite_to_resume).
    ///
    /// ```
    /// use everstream_http::exchange::Request;
    /// use http::{HeaderMap, Method};
    ///
    /// let request = Request {
    ///     method: Method::POST,
    ///     url: "https://example.com/mcp".parse()?,
    ///     headers: HeaderMap::new(),
    ///     has_body: true,
    /// };
    /// let resumed = request.resumed();
    /// assert_eq!((resumed.method, resumed.has_body), (Method::GET, false));
    /// # Ok::<(), url::ParseError>(())
    /// ```
    #[must_use]
    pub fn resumed(mut self) -> Self {
        policy::rewrite_to_resume(&mut self.method, &mut self.headers);
        self.has_body = false;
        self
    }

    /// The head of the request in HTTP/1.1, see [`write_request`](http1::write_request).
    ///
    /// ```
    /// use everstream_http::exchange::Request;
    ///
    /// let request = Request::event_stream("http://example.com/feed".parse()?);
    /// assert!(request.to_http1(None, None).starts_with(b"GET /feed HTTP/1.1\r\n"));
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn to_http1(
        &self,
        through_proxy: Option<Option<&HeaderValue>>,
        body: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        let (method, url, headers) = (&self.method, &self.url, &self.headers);
        http1::write_request(&mut head, method, url, through_proxy, headers, body);
        head
    }
}
