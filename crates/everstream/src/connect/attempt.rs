//! One request to be, and how its parts are checked.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{BoxError, RedactedUrl};
use url::Url;

use crate::error::Error;

/// A request that is about to be sent, for
/// [`Http::before_attempt`](crate::Http::before_attempt) to change.
///
/// [`header`](Self::header) and [`query`](Self::query) add to what is there; every other method
/// replaces, as in [`Http`](crate::Http). A change that can't be made fails the attempt with a fault
/// that names it.
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
    /// Without defaults.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) number: u64,
    pub(super) last_event_id: Option<String>,
    /// The first change that can't be made.
    pub(super) problem: Option<Arc<str>>,
}

impl Attempt {
    /// Which attempt of this client it is, from 1.
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

    /// The method: GET, if the attempt resumes a stream that was requested by another one
    /// ([`resume_with_get`](crate::Builder::resume_with_get)). There is no body then, and headers that
    /// describe one aren't sent.
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

    /// The id that will be sent as `Last-Event-ID`, unless it can't be a header's value.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     // For a server that wants it in the query.
    ///     let id = attempt.last_event_id().unwrap_or_default().to_owned();
    ///     Ok::<_, std::io::Error>(attempt.query("since", id))
    /// });
    /// # drop(http);
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The URL. It may hold secrets in its query.
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

    /// Sets the body. Its `Content-Type` is for you to set.
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

    /// Adds a parameter to the URL's query. Earlier ones of the same name stay.
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
            let mut query = attempt.url.query_pairs_mut();
            query.append_pair(name.as_ref(), value.as_ref());
            Ok(())
        })
    }

    /// Sets a parameter of the URL's query, instead of every earlier one of the same name.
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
            let others: Vec<(String, String)> = attempt
                .url
                .query_pairs()
                .filter(|(own, _)| own != name.as_ref())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            attempt
                .url
                .query_pairs_mut()
                .clear()
                .extend_pairs(others)
                .append_pair(name.as_ref(), value.as_ref());
            Ok(())
        })
    }

    /// Adds a header: see [`Http::header`](crate::Http::header). Earlier ones of the same name stay.
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

    /// Sets a header, instead of every earlier one of the same name.
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

    /// Sets a header that is a secret, instead of every earlier one of the same name: see
    /// [`Http::sensitive_header`](crate::Http::sensitive_header).
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.set_sensitive_header("x-api-key", "fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn set_sensitive_header(
        self,
        name: impl AsRef<str>,
        value: impl TryInto<HeaderValue>,
    ) -> Self {
        self.replace_header(name.as_ref(), value.try_into().ok(), true)
    }

    /// Sets `Authorization: Bearer` with this token, instead of every earlier `Authorization` header.
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

/// Called before every attempt: it may change the attempt, or fail it.
pub(super) type Hook = dyn Fn(Attempt) -> HookFuture + Send + Sync;
type HookFuture = Pin<Box<dyn Future<Output = Result<Attempt, BoxError>> + Send>>;

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

pub(super) fn parse_method(method: &str) -> Result<Method, Error> {
    Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::config("method", format!("{method:?} isn't a method")))
}

/// `None` as the value: it can't be one.
pub(super) fn parse_header(
    name: &str,
    value: Option<HeaderValue>,
    sensitive: bool,
) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::config("header", format!("{name:?} can't be a header's name")))?;
    // A length that isn't the body's leaves the server waiting for the rest, or the next request in it.
    if parsed == CONTENT_LENGTH || parsed == TRANSFER_ENCODING {
        let problem = format!("{name:?} follows from the body and can't be set");
        return Err(Error::config("header", problem));
    }
    // The value isn't shown: it may be a secret.
    let mut value = value.ok_or_else(|| {
        Error::config(
            "header",
            format!("the value of {name:?} holds control characters"),
        )
    })?;
    // Credentials are sensitive anyway, see `everstream_http::exchange`; this is what the user says.
    value.set_sensitive(sensitive || value.is_sensitive());
    Ok((parsed, value))
}
