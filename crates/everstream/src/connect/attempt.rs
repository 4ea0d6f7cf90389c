//! A request that is about to be sent, and the checks of its parts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

#[cfg(not(target_family = "wasm"))]
use ::http::{
    HeaderMap, HeaderName,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use ::http::{HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{BoxError, Fault, RedactedUrl};

use super::Url;
#[cfg(target_family = "wasm")]
use super::browser::{HeaderMap, append_query, parse_header, parse_method, parse_url, set_query};
use crate::error::{Error, message};

/// A request that is about to be sent, for
/// [`Http::before_attempt`](crate::Http::before_attempt) to change.
///
/// [`header`](Self::header) and [`query`](Self::query) add; every other method replaces, as in
/// [`Http`](crate::Http). An invalid change fails the attempt with a fault that names the setting.
///
/// ```
/// use everstream::{Attempt, Http, blocking::SseClient};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
/// # let url = server.url("/feed");
///
/// let http = Http::new(&url).before_attempt(|attempt: Attempt| async {
///     let number = attempt.number().to_string();
///     Ok::<_, std::io::Error>(attempt.bearer_token("fresh").query("attempt", number))
/// });
/// SseClient::new(http)?.start()?;
/// # let request = &server.requests()[0];
/// # assert_eq!(request.header("authorization"), Some("Bearer fresh"));
/// # assert_eq!(request.target, "/feed?attempt=1");
/// # Ok::<(), everstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Attempt {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The user's headers, without the defaults.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) number: u64,
    pub(super) last_event_id: Option<String>,
    /// The first invalid change.
    pub(super) problem: Option<Arc<str>>,
}

/// A header of the user's settings.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone)]
pub(super) struct Header {
    pub(super) name: String,
    /// `None` if it isn't valid as a header value.
    pub(super) value: Option<HeaderValue>,
    pub(super) sensitive: bool,
}

#[cfg(not(target_family = "wasm"))]
impl Header {
    pub(super) fn new(name: &str, value: Option<HeaderValue>, sensitive: bool) -> Self {
        Header {
            name: name.into(),
            value,
            sensitive,
        }
    }
}

impl Attempt {
    /// Checks the parts of a request, or returns what is wrong with them.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn new(
        url: &str,
        query: &[(String, String)],
        method: &str,
        headers: &[Header],
        body: Option<Bytes>,
    ) -> Result<Self, Error> {
        let mut url = parse_url(url)?;
        if !query.is_empty() {
            append_query(&mut url, query);
        }
        let mut map = HeaderMap::new();
        for header in headers {
            let (name, value) = parse_header(&header.name, header.value.clone(), header.sensitive)?;
            map.append(name, value);
        }
        Ok(Attempt {
            method: parse_method(method)?,
            url,
            headers: map,
            body,
            number: 0,
            last_event_id: None,
            problem: None,
        })
    }

    /// The number of this attempt, counted from 1 over the client's lifetime.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     if attempt.number() > 1 {
    ///         println!("attempt {}", attempt.number());
    ///     }
    ///     Ok::<_, std::io::Error>(attempt)
    /// });
    /// # drop(http);
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The method. GET if the attempt resumes a stream that was requested by another method
    /// ([`resume_with_get`](crate::Builder::resume_with_get)); then neither the body nor headers that
    /// describe it are sent.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/mcp").method("POST").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(match attempt.method() {
    ///         "POST" => attempt.header("idempotency-key", "a9c1"),
    ///         _ => attempt,
    ///     })
    /// });
    /// # drop(http);
    /// ```
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The id that will be sent as `Last-Event-ID`, if it is valid as a header value.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     // For a server that expects it in the query.
    ///     let id = attempt.last_event_id().unwrap_or_default().to_owned();
    ///     Ok::<_, std::io::Error>(attempt.query("since", id))
    /// });
    /// # drop(http);
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The URL. Its query may contain secrets.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     assert!(attempt.url().starts_with("https:"));
    ///     Ok::<_, std::io::Error>(attempt)
    /// });
    /// # drop(http);
    /// ```
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Replaces the URL.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     let mirror = format!("https://mirror{}.example.com/feed", attempt.number() % 3);
    ///     Ok::<_, std::io::Error>(attempt.set_url(mirror))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_url(self, url: impl AsRef<str>) -> Self {
        self.change(|attempt| {
            attempt.url = parse_url(url.as_ref())?;
            Ok(())
        })
    }

    /// Sets the method. See [`Http::method`](crate::Http::method).
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(match attempt.number() {
    ///         1 => attempt.set_method("POST").set_body("subscribe"),
    ///         _ => attempt,
    ///     })
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_method(self, method: impl AsRef<str>) -> Self {
        self.change(|attempt| {
            attempt.method = parse_method(method.as_ref())?;
            Ok(())
        })
    }

    /// Sets the body. It doesn't set `Content-Type`.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").method("POST").before_attempt(|attempt| async {
    ///     let body = format!("attempt={}", attempt.number());
    ///     Ok::<_, std::io::Error>(attempt.set_body(body))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Bytes::from(body.into()));
        self
    }

    /// Adds a parameter to the URL's query. Earlier parameters of the same name are kept.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.query("topic", "a").query("topic", "b"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn query(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.change(|attempt| {
            append_query(&mut attempt.url, &[(name.as_ref(), value.as_ref())]);
            Ok(())
        })
    }

    /// Sets a parameter of the URL's query, replacing all earlier ones of the same name.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.set_query("token", "fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_query(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.change(|attempt| {
            set_query(&mut attempt.url, name.as_ref(), value.as_ref());
            Ok(())
        })
    }

    /// Adds a header, like [`Http::header`](crate::Http::header). Earlier headers of the same name are kept.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.header("x-topic", "a").header("x-topic", "b"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        let value = value.try_into().ok();
        self.change(|attempt| {
            let (name, value) = parse_header(name.as_ref(), value, false)?;
            attempt.headers.append(name, value);
            Ok(())
        })
    }

    /// Sets a header, replacing all earlier ones of the same name.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     let number = attempt.number();
    ///     Ok::<_, std::io::Error>(attempt.set_header("x-attempt", number))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.replace_header(name.as_ref(), value.try_into().ok(), false)
    }

    /// Sets a header that is a secret, replacing all earlier ones of the same name. See
    /// [`Http::sensitive_header`](crate::Http::sensitive_header).
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.set_sensitive_header("x-api-key", "fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn set_sensitive_header(
        self,
        name: impl AsRef<str>,
        value: impl TryInto<HeaderValue>,
    ) -> Self {
        self.replace_header(name.as_ref(), value.try_into().ok(), true)
    }

    /// Sets `Authorization: Bearer` with this token, replacing all earlier `Authorization` headers.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.bearer_token("fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn bearer_token(self, token: impl fmt::Display) -> Self {
        self.set_header("authorization", format!("Bearer {token}"))
    }

    fn change(mut self, change: impl FnOnce(&mut Self) -> Result<(), Error>) -> Self {
        if let Err(error) = change(&mut self) {
            self.problem.get_or_insert_with(|| error.to_string().into());
        }
        self
    }

    fn replace_header(self, name: &str, value: Option<HeaderValue>, sensitive: bool) -> Self {
        self.change(|attempt| {
            let (name, value) = parse_header(name, value, sensitive)?;
            attempt.headers.insert(name, value);
            Ok(())
        })
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number)
            .field("method", &self.method)
            .field("url", &RedactedUrl(self.url.as_str()))
            .field("last_event_id", &self.last_event_id)
            .finish_non_exhaustive()
    }
}

/// A function that is called before every attempt, and may change the attempt or fail it.
pub(super) type Hook = dyn Fn(Attempt) -> HookFuture + Send + Sync;
type HookFuture = Pin<Box<dyn Future<Output = Result<Attempt, Fault>> + Send>>;

/// Converts what the user's function returned: the attempt to send, or why it can't be sent.
pub(super) fn hook_result(result: Result<Attempt, BoxError>) -> Result<Attempt, Fault> {
    let attempt = result.map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => Fault::Setup(error),
    })?;
    match &attempt.problem {
        Some(problem) => Err(Fault::Setup(message(problem))),
        None => Ok(attempt),
    }
}

#[cfg(not(target_family = "wasm"))]
pub(super) fn parse_url(url: &str) -> Result<Url, Error> {
    let shown = RedactedUrl(url);
    let parsed =
        Url::parse(url).map_err(|error| Error::config("url", format!("{shown:?}: {error}")))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        other => {
            let problem = format!("{shown:?}: the scheme {other} isn't http or https");
            Err(Error::config("url", problem))
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn append_query(url: &mut Url, pairs: &[(impl AsRef<str>, impl AsRef<str>)]) {
    url.query_pairs_mut().extend_pairs(pairs);
}

/// Replaces all parameters of this name.
#[cfg(not(target_family = "wasm"))]
fn set_query(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(other, _)| other != name)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(name, value);
}

#[cfg(not(target_family = "wasm"))]
pub(super) fn parse_method(method: &str) -> Result<Method, Error> {
    Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::config("method", format!("{method:?} isn't a method")))
}

/// `value` is `None` if it isn't valid as a header value.
#[cfg(not(target_family = "wasm"))]
pub(super) fn parse_header(
    name: &str,
    value: Option<HeaderValue>,
    sensitive: bool,
) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::config("header", format!("{name:?} isn't a valid header name")))?;
    // With a wrong length, the server would wait for more, or take the next request for part of the body.
    if parsed == CONTENT_LENGTH || parsed == TRANSFER_ENCODING {
        let problem = format!("{name:?} is computed from the body and can't be set");
        return Err(Error::config("header", problem));
    }
    // The message doesn't quote the value, which may be a secret.
    let mut value = value.ok_or_else(|| {
        Error::config(
            "header",
            format!("the value of {name:?} contains control characters"),
        )
    })?;
    // This marks what the user declared as sensitive; `everstream_http::exchange` adds credentials.
    value.set_sensitive(sensitive || value.is_sensitive());
    Ok((parsed, value))
}
