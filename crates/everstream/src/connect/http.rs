//! The settings of a request, as users write them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
#[cfg(not(target_family = "wasm"))]
use std::sync::atomic::AtomicBool;

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use everstream_core::{BoxError, RedactedUrl};
#[cfg(not(target_family = "wasm"))]
use everstream_http::policy::HeaderScope;

use super::attempt::{Attempt, Hook, hook_result};
#[cfg(target_family = "wasm")]
use super::browser::Header;
#[cfg(not(target_family = "wasm"))]
use super::transport::Transport;
use super::{ClientContext, ConnectStrategy, ConnectionClient, Settings};
#[cfg(not(target_family = "wasm"))]
use super::{HttpClient, attempt::Header};
use crate::error::Error;

/// The upper bound of [`Http::error_body_limit`].
const MAX_ERROR_BODY: usize = 8 << 20;

/// Connects over HTTP: the request, and how to send it.
///
/// Settings are checked when a client is built; the error names the invalid one. Of headers, query
/// parameters, hooks, resolved addresses and root certificates there can be several, so their methods add.
/// Every other method replaces what it set before. [`Attempt`] has the same rule.
///
/// To follow many streams, clone one `Http` and call [`set_url`](Self::set_url) on each clone: in async
/// clients, clones share the TLS configuration, and HTTP/2 connections within a tokio runtime. Each
/// HTTP/1.1 request opens its own connection.
///
/// ```
/// use everstream::{Http, SseClient};
///
/// let client = SseClient::new(
///     Http::new("https://api.example.com/v1/chat")
///         .method("POST")
///         .bearer_token("secret")
///         .body(r#"{"stream": true}"#)
///         .header("content-type", "application/json"),
/// )?;
/// # Ok::<(), everstream::Error>(())
/// ```
///
/// Methods and headers may also be types of the crate `http`:
///
/// ```
/// use everstream::Http;
/// use http::{HeaderValue, Method, header};
///
/// let http = Http::new("https://api.example.com/v1/chat")
///     .method(Method::POST)
///     .header(header::ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
/// # drop(http);
/// ```
#[derive(Clone)]
pub struct Http {
    // Both are pointers, because tasks store an `Http` by value and clients share its settings.
    pub(super) url: Arc<String>,
    pub(super) settings: Arc<Settings>,
}

impl Http {
    /// Creates a GET request for this URL. User info in the URL becomes an `Authorization` header.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed");
    /// # drop(http);
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Http {
            url: Arc::new(url.into()),
            settings: Arc::default(),
        }
    }

    /// Replaces the URL.
    ///
    /// ```
    /// let all = everstream::Http::new("").header("x-team", "a");
    /// let one = all.clone().set_url("https://example.com/feed/1");
    /// # drop(one);
    /// ```
    #[must_use]
    pub fn set_url(mut self, url: impl Into<String>) -> Self {
        self.url = Arc::new(url.into());
        self
    }

    /// Adds a parameter to the URL's query. Earlier parameters of the same name are kept.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").query("topic", "a b");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn query(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|settings| settings.query.push((name.into(), value.into())))
    }

    /// Sets the method, from a string or a `http::Method`. Default: GET. For methods that aren't safe (RFC
    /// 9110, section 9.2.1), see [`Builder::repeat_unsafe`](crate::Builder::repeat_unsafe). Methods are
    /// case-sensitive: `get` is sent as it is, and isn't safe; only browsers send it as `GET`.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").method("POST");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn method(self, method: impl AsRef<str>) -> Self {
        self.with(|settings| settings.set_method(method.as_ref()))
    }

    /// Adds a header, from strings, bytes or the types of the crate `http`. Earlier headers of the same
    /// name are kept.
    ///
    /// `Accept`, `Accept-Encoding`, `Cache-Control` and `User-Agent` replace the client's defaults.
    /// `Last-Event-ID` is replaced once the client knows an id.
    ///
    /// When a redirect leads to another origin, the header isn't sent there, unless it is one that describes
    /// the request or the expected response, such as `Accept`: see [`header_scope`](Self::header_scope).
    /// `Authorization`, `Cookie` and `Proxy-Authorization` count as [sensitive](Self::sensitive_header).
    /// `Host` replaces that of the URL; over HTTP/2 it is sent as `:authority`.
    ///
    /// `Content-Length` and `Transfer-Encoding` follow from the body: setting them makes `build` fail.
    /// `Connection`, `Expect`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer` and `Upgrade` are never
    /// sent, because the client manages its connections.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").header("x-team", "a");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.add_header(name.as_ref(), value.try_into().ok(), false)
    }

    /// Adds a header that is a secret: it is never printed, and never sent to another origin, whatever
    /// [`header_scope`](Self::header_scope) says.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .sensitive_header("x-api-key", "secret");
    /// # drop(http);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn sensitive_header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.add_header(name.as_ref(), value.try_into().ok(), true)
    }

    /// Adds these headers, like [`header`](Self::header). A value marked as sensitive is treated as a
    /// [secret](Self::sensitive_header).
    ///
    /// ```
    /// use everstream::Http;
    /// use http::{HeaderMap, HeaderValue, header};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
    /// let http = Http::new("https://example.com/feed").headers(headers);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|settings| {
            for (name, value) in &headers {
                let header = Header::new(name.as_str(), Some(value.clone()), false);
                settings.headers.push(header);
            }
        })
    }

    /// Sets `Authorization: Bearer` with this token, replacing all earlier `Authorization` headers.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").bearer_token("secret");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn bearer_token(self, token: impl fmt::Display) -> Self {
        self.with(|settings| {
            let is_other = |header: &Header| !header.name.eq_ignore_ascii_case("authorization");
            settings.headers.retain(is_other);
        })
        .header("authorization", format!("Bearer {token}"))
    }

    /// Sets `Authorization: Basic` with this user and password (RFC 7617), replacing the URL's user info.
    /// A user name with a colon makes `build` fail. If an `Authorization` header is set, that takes
    /// precedence.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").basic_auth("me", "secret");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn basic_auth(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.with(|settings| settings.set_basic_auth(user.into(), password.into()))
    }

    /// Removes a header that the client sends by default. Headers that you set are still sent. The defaults
    /// are `Accept`, `Accept-Encoding`, `Cache-Control`, `User-Agent`, and the `Content-Type` of `json`
    /// (feature `json`).
    ///
    /// ```
    /// # use everstream::{Http, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/feed");
    /// let http = Http::new(&url).without_default_header("user-agent");
    /// SseClient::new(http)?.start()?;
    /// # assert_eq!(server.requests()[0].header("user-agent"), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn without_default_header(self, name: impl Into<String>) -> Self {
        self.with(|settings| settings.omitted.push(name.into()))
    }

    fn add_header(self, name: &str, value: Option<HeaderValue>, sensitive: bool) -> Self {
        let header = Header::new(name, value, sensitive);
        self.with(|settings| settings.headers.push(header))
    }

    /// Sets the body. It doesn't set `Content-Type`.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").method("POST").body("q=1");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.with(|settings| {
            settings.body = Some(Bytes::from(body.into()));
            settings.body_problem = None;
            settings.body_is_json = false;
        })
    }

    /// Sends this value as JSON, by POST, with the `Content-Type` `application/json` unless a
    /// [header](Self::header) sets another one.
    ///
    /// ```
    /// let prompt = serde_json::json!({"stream": true, "messages": []});
    /// let http = everstream::Http::new("https://example.com/chat").json(&prompt);
    /// # drop(http);
    /// ```
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json(self, body: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self
                .method("POST")
                .body(body)
                .with(|settings| settings.body_is_json = true),
            Err(error) => {
                self.with(|settings| settings.body_problem = Some(error.to_string().into()))
            }
        }
    }

    /// Calls this function before every attempt, to set a fresh token, or another URL, query, method or
    /// body. The attempt that it returns is sent. Whether the request may be repeated depends on the method
    /// of that attempt: see [`Builder::repeat_unsafe`](crate::Builder::repeat_unsafe).
    ///
    /// If this is called more than once, the functions run in that order, each with the attempt that the one
    /// before returned.
    ///
    /// If the function returns an error, the attempt fails with [`Fault::Setup`](crate::Fault::Setup). As no
    /// request was sent, any request can be retried, if the error strategy says so. A
    /// [`Fault`](crate::Fault) is passed on unchanged; [`Fault::Request`](crate::Fault::Request) means that
    /// the server may have received a request.
    ///
    /// ```
    /// use everstream::{Attempt, Http};
    ///
    /// async fn fresh_token() -> Result<String, std::io::Error> {
    ///     Ok("secret".into())
    /// }
    ///
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt: Attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.bearer_token(fresh_token().await?))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn before_attempt<F, Fut, E>(self, hook: F) -> Self
    where
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Attempt, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let hook: Arc<Hook> = Arc::new(move |attempt| {
            let prepared = hook(attempt);
            Box::pin(async { hook_result(prepared.await.map_err(Into::into)) })
        });
        self.with(|settings| {
            settings.hook = Some(match settings.hook.take() {
                Some(first) => in_order(first, hook),
                None => hook,
            });
        })
    }

    /// Sets how many redirects are followed in a row. Default: 10. Your headers aren't sent once
    /// a redirect leads to another origin: see [`header_scope`](Self::header_scope).
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").redirect_limit(0);
    /// # drop(http);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn redirect_limit(self, limit: usize) -> Self {
        self.with(|settings| settings.redirect_limit = limit)
    }

    /// Sets which headers are withheld when a redirect leads to another origin. Default: [`HeaderScope::All`].
    /// [`Start::withheld_headers`](crate::Start::withheld_headers) names the withheld headers.
    ///
    /// ```
    /// use everstream::{HeaderScope, Http};
    ///
    /// let http = Http::new("https://example.com/feed")
    ///     .header("x-team", "a") // not a secret: other origins may see it
    ///     .header_scope(HeaderScope::Sensitive);
    /// # drop(http);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn header_scope(self, scope: HeaderScope) -> Self {
        self.with(|settings| settings.header_scope = scope)
    }

    /// Accepts responses with any `Content-Type`, or none. Default: false. Any type but `text/event-stream`
    /// is then [`Fault::ContentType`](crate::Fault::ContentType), as the standard requires.
    ///
    /// Use this for servers that send an event stream as `text/plain`, for example. Other responses, such
    /// as an HTML page, are then also parsed as event streams, and most likely yield no events. The body is
    /// decoded as UTF-8, whatever charset the header names. Statuses and redirects are handled as usual.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").any_content_type(true);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn any_content_type(self, any: bool) -> Self {
        self.with(|settings| settings.any_content_type = any)
    }

    /// Sets how many bytes of the body of an error response are kept, for
    /// [`ErrorResponse::body`](crate::ErrorResponse::body). Default: 1024; at most 8 MiB.
    ///
    /// Reading the body takes at most 2 s, whatever the limit is.
    ///
    /// ```
    /// use everstream::{Http, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::status(404).send("no such feed, ".repeat(100)).end());
    /// # let url = server.url("/feed");
    ///
    /// let http = Http::new(&url).error_body_limit(64 * 1024);
    /// let error = SseClient::new(http)?.start().unwrap_err();
    /// let response = error.fault().and_then(|fault| fault.response()).unwrap();
    /// assert_eq!(response.body.len(), 1400);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[must_use]
    pub fn error_body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.error_body = bytes.min(MAX_ERROR_BODY))
    }

    /// Stores the cookies that servers set, and sends them back. Default: off.
    ///
    /// Meant for load balancers that use a cookie for session affinity. Cookies are stored from all
    /// responses, including redirects and errors, and sent with redirected requests and reconnects. They
    /// are kept in memory only. Clones made after this call share them, and so do the clients of each clone.
    ///
    /// The rules are those of RFC 6265; as in browsers, cookies ignore the port. In addition:
    ///
    /// - A `Cookie` [header](Self::header) that you set takes precedence over stored cookies of the same
    ///   names, and precedes the others.
    /// - `Secure` cookies are sent over `https`, and to `localhost` and loopback addresses.
    /// - There is no list of public suffixes: a cookie for `com` is refused, one for `co.uk` isn't.
    /// - At most 50 cookies per domain and 300 in total are kept; the least recently used one is evicted.
    ///   `Set-Cookie` headers of more than 4 KiB are ignored, and a request has at most 8 KiB of cookies.
    ///
    /// With a custom [`client`](Self::client) that follows redirects itself, cookies of the redirected
    /// responses aren't stored.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").cookies(true);
    /// # drop(http);
    /// ```
    #[cfg(all(feature = "cookies", not(target_family = "wasm")))]
    #[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
    #[must_use]
    pub fn cookies(self, enabled: bool) -> Self {
        self.with(|settings| match enabled {
            true => _ = settings.cookies.get_or_insert_default(),
            false => settings.cookies = None,
        })
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn with_transport(self, change: impl FnOnce(&mut Transport)) -> Self {
        self.with(|settings| {
            change(Arc::make_mut(&mut settings.transport));
            // Don't share connections that were opened with other settings.
            settings.shared = Arc::default();
        })
    }
}

#[cfg(not(target_family = "wasm"))]
impl Http {
    pub(super) fn create(&self, context: ClientContext) -> Result<HttpClient, Error> {
        let settings = &self.settings;
        if let Some(problem) = &settings.body_problem {
            return Err(Error::config("body", &**problem));
        }
        let attempt = settings.attempt(&self.url)?;
        if cfg!(not(feature = "__tls"))
            && !settings.has_custom_client()
            && attempt.url.scheme() == "https"
        {
            let problem = "https needs a feature for TLS: rustls, rustls-no-provider or native-tls";
            return Err(Error::config("url", problem));
        }
        Ok(HttpClient {
            url: self.url.clone(),
            connections: settings.connections(context)?,
            settings: settings.clone(),
            repeatable: Arc::new(AtomicBool::new(attempt.method.is_safe())),
            attempts: 0,
        })
    }
}

impl From<&str> for Http {
    fn from(url: &str) -> Self {
        Http::new(url)
    }
}

impl From<&String> for Http {
    fn from(url: &String) -> Self {
        Http::new(url)
    }
}

impl From<String> for Http {
    fn from(url: String) -> Self {
        Http::new(url)
    }
}

impl From<&url::Url> for Http {
    fn from(url: &url::Url) -> Self {
        Http::new(url.as_str())
    }
}

impl From<url::Url> for Http {
    fn from(url: url::Url) -> Self {
        Http::new(url)
    }
}

#[cfg(not(target_family = "wasm"))]
impl ConnectStrategy for Http {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(self.create(context)?))
    }
}

#[cfg(target_family = "wasm")]
impl ConnectStrategy for Http {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(self.create()?))
    }
}

/// Runs one hook after the other.
fn in_order(first: Arc<Hook>, second: Arc<Hook>) -> Arc<Hook> {
    Arc::new(move |attempt| {
        let (prepared, second) = (first(attempt), second.clone());
        Box::pin(async move { second(prepared.await?).await })
    })
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("method", &self.settings.method)
            .field("url", &RedactedUrl(&self.url))
            .finish_non_exhaustive()
    }
}
