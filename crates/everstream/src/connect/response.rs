//! What the response to a request is: [`Http::send`], redirects, the body of an error.

use std::fmt;
use std::sync::Arc;

use ::http::{HeaderMap, Method, Version};
use everstream_core::{ErrorResponse, Fault, RedactedUrl, Start};
use everstream_http::policy::{content_coding, is_redirect};

use super::client::{PendingAttempt, connection};
use super::connections;
use super::decode::CODINGS;
use super::{ClientContext, ConnectRequest, Connection, Http};

impl Http {
    /// Sends the request once, follows redirects, and returns the response, whether or not it is an
    /// event stream.
    ///
    /// For servers that answer the same request with a stream or with a document, as servers of the
    /// Model Context Protocol do, and for programs that examine servers. To follow a stream, build an
    /// [`SseClient`](crate::SseClient) instead: it reconnects and resumes.
    ///
    /// `request` has the id to resume from, and how long to wait for the response.
    ///
    /// # Errors
    ///
    /// [`Fault::Setup`] if a setting can't be used, or if there is no tokio runtime,
    /// [`Fault::Redirect`] if a redirect can't be followed, and any other fault
    /// if there is no response.
    ///
    /// ```
    /// use everstream::{ConnectRequest, Http};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::status(200).header("Content-Type", "application/json").send("{}").end());
    /// # let url = server.url("/mcp");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let http = Http::new(&url)
    ///     .method("POST")
    ///     .header("accept", "application/json, text/event-stream")
    ///     .header("content-type", "application/json")
    ///     .body(r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#);
    /// let response = http.send(ConnectRequest::default()).await?;
    /// if response.is_event_stream() {
    ///     let stream = response.into_connection().await?;
    ///     // ...
    /// #   drop(stream);
    /// } else {
    ///     let mut document = Vec::new();
    ///     let mut body = response.into_body()?;
    ///     while let Some(chunk) = body.next_chunk().await {
    ///         document.extend_from_slice(chunk?.as_ref());
    ///     }
    ///     assert_eq!(document, b"{}");
    /// }
    /// # Ok::<_, everstream::Fault>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub async fn send(&self, request: ConnectRequest) -> Result<Response, Fault> {
        let mut client = self
            .create(ClientContext::default())
            .map_err(|error| Fault::Setup(error.into()))?;
        let mut attempt = client.prepare(request).await?;
        let request = attempt.exchange().request();
        let (method, request_headers) = (request.method.clone(), request.headers.clone());
        let response = attempt.response().await?;
        if is_redirect(response.status) {
            // One that can't be followed.
            let other = || Fault::Source("the redirect wasn't followed".into());
            return Err(attempt
                .into_connection(response)
                .await
                .err()
                .unwrap_or_else(other));
        }
        let is_event_stream = attempt.is_streaming();
        let exchange = attempt.exchange();
        let mut start = Start::new(response.status);
        let headers = response.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
        start.headers = Some(headers.collect());
        start.url = Some(exchange.request().url.to_string());
        start.attempt = 1;
        let withheld = exchange.withheld().iter();
        start.withheld_headers = withheld.map(|name| name.to_string()).collect();
        Ok(Response {
            start,
            method,
            request_headers,
            is_event_stream,
            response,
            attempt,
        })
    }

    /// Calls this after each redirect that is followed, before the next request. Default: nothing is
    /// called.
    ///
    /// It sees the redirects of every connection, also those that lead to an error.
    ///
    /// ```
    /// use everstream::{Http, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.enqueue(Reply::redirect(307, "/v2/feed"));
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/feed");
    ///
    /// let http = Http::new(&url).on_redirect(|redirect| {
    ///     assert_eq!(redirect.status, 307);
    ///     assert!(redirect.to.ends_with("/v2/feed"));
    /// });
    /// SseClient::new(http)?.start()?;
    /// # assert_eq!(server.request_count(), 2);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[must_use]
    pub fn on_redirect(self, report: impl Fn(&Redirect) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.on_redirect = Some(Arc::new(report)))
    }

    /// Calls this each time an attempt has a connection, before the request is sent. Over HTTP/2 that may be
    /// a shared one. Useful to show where an attempt waits.
    ///
    /// ```
    /// use everstream::{Http, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.enqueue(Reply::stream().event("hello").end());
    /// # let url = server.url("/feed");
    ///
    /// let http = Http::new(&url).on_connected(|| println!("connected, waiting for the response"));
    /// SseClient::new(http)?.start()?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[must_use]
    pub fn on_connected(self, report: impl Fn() + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.on_connected = Some(Arc::new(report)))
    }
}

/// The response to [`Http::send`], whatever it is. Dropping it closes the connection.
///
/// ```
/// use everstream::{ConnectRequest, Http};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::status(404));
/// # let url = server.url("/feed");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let response = Http::new(&url).send(ConnectRequest::default()).await?;
/// assert_eq!(response.start().status, Some(404));
/// assert!(!response.is_event_stream());
/// # Ok::<_, everstream::Fault>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Response {
    start: Start,
    method: Method,
    request_headers: HeaderMap,
    is_event_stream: bool,
    response: connections::Response,
    attempt: PendingAttempt,
}

impl Response {
    /// Its status, headers and URL.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The version of HTTP that the server used.
    pub fn version(&self) -> Version {
        self.response.version
    }

    /// The method of the request, before any redirect.
    pub fn request_method(&self) -> &Method {
        &self.method
    }

    /// The headers of the request, before any redirect, including the defaults. Values that are
    /// secrets are [marked](http::HeaderValue::is_sensitive).
    ///
    /// Missing are `Host` and those that follow from the body, and over a custom client whatever that
    /// adds.
    pub fn request_headers(&self) -> &HeaderMap {
        &self.request_headers
    }

    /// Whether a client would read it as an event stream, by its status, content type and content
    /// coding.
    pub fn is_event_stream(&self) -> bool {
        self.is_event_stream
    }

    /// The event stream, as a client reads it.
    ///
    /// # Errors
    ///
    /// If the response [isn't one](Self::is_event_stream): the fault that a client gets, with the first
    /// KiB of the body.
    pub async fn into_connection(self) -> Result<Connection, Fault> {
        self.attempt.into_connection(self.response).await
    }

    /// The body, decoded, whatever the response is.
    ///
    /// # Errors
    ///
    /// [`Fault::ContentEncoding`] if the body is in a content coding that
    /// isn't compiled in.
    pub fn into_body(self) -> Result<Connection, Fault> {
        match content_coding(&self.response.headers, CODINGS) {
            Ok(coding) => Ok(connection(self.start, self.response.body, coding)),
            Err(_) => {
                let mut response = ErrorResponse::new(self.response.status);
                response.headers = self.start.headers.unwrap_or_default();
                response.url = self.start.url.unwrap_or_default();
                response.withheld_headers = self.start.withheld_headers;
                Err(Fault::ContentEncoding(Box::new(response)))
            }
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("start", &self.start)
            .field("version", &self.response.version)
            .finish_non_exhaustive()
    }
}

/// A redirect that was followed, for [`Http::on_redirect`].
///
/// ```
/// use everstream::Http;
///
/// let http = Http::new("https://example.com/feed").on_redirect(|redirect| {
///     eprintln!("status {}: redirected to {}", redirect.status, redirect.to);
/// });
/// # drop(http);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The status code.
    pub status: u16,
    /// The URL that redirects. It may hold secrets in its query.
    pub from: String,
    /// The URL that it redirects to. It may hold secrets in its query.
    pub to: String,
}

impl Redirect {
    /// Creates a redirect, to test a function for [`Http::on_redirect`].
    ///
    /// ```
    /// use everstream::Redirect;
    ///
    /// fn leaves_the_host(redirect: &Redirect) -> bool {
    ///     !redirect.to.starts_with("https://example.com/")
    /// }
    /// let redirect = Redirect::new(307, "https://example.com/feed", "https://example.org/feed");
    /// assert!(leaves_the_host(&redirect));
    /// ```
    pub fn new(status: u16, from: impl Into<String>, to: impl Into<String>) -> Self {
        Redirect {
            status,
            from: from.into(),
            to: to.into(),
        }
    }
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect")
            .field("status", &self.status)
            .field("from", &RedactedUrl(&self.from))
            .field("to", &RedactedUrl(&self.to))
            .finish()
    }
}

/// Called after each redirect.
pub(super) type OnRedirect = dyn Fn(&Redirect) + Send + Sync;
