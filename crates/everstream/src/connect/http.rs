//! The request, and its attempts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::header::{ACCEPT, CACHE_CONTROL};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{BoxError, Fault, RedactedUrl};
use reqwest::Url;

use super::redirect;
use super::response;
use super::transport::Transport;
use super::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
};
use crate::error::Error;

pub use super::transport::HttpVersion;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The default of [`Http::redirect_limit`].
const REDIRECT_LIMIT: usize = 10;

/// Streams over HTTP.
///
/// Every setting is checked when a client is built, and the error names it. Clones share their
/// connections in async clients: to follow many streams, clone one `Http` and give each clone its
/// [`url`](Self::url).
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
#[derive(Clone)]
pub struct Http {
    url: String,
    query: Vec<(String, String)>,
    method: String,
    headers: Vec<Header>,
    body: Option<Bytes>,
    body_problem: Option<Arc<str>>,
    hook: Option<Arc<Hook>>,
    redirect_limit: usize,
    transport: Transport,
    /// Made by the first async client.
    shared: Arc<OnceLock<reqwest::Client>>,
    own: Option<reqwest::Client>,
}

#[derive(Clone)]
struct Header {
    name: String,
    value: Vec<u8>,
    sensitive: bool,
}

type Hook = dyn Fn(Attempt) -> HookFuture + Send + Sync;
type HookFuture = Pin<Box<dyn Future<Output = Result<Attempt, BoxError>> + Send>>;

impl Http {
    /// A GET request for this URL. User info in it becomes an `Authorization` header.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed");
    /// # drop(http);
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Http {
            url: url.into(),
            query: Vec::new(),
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            body_problem: None,
            hook: None,
            redirect_limit: REDIRECT_LIMIT,
            transport: Transport::default(),
            shared: Arc::default(),
            own: None,
        }
    }

    /// Replaces the URL.
    ///
    /// ```
    /// let all = everstream::Http::new("").header("x-team", "a");
    /// let one = all.clone().url("https://example.com/feed/1");
    /// # drop(one);
    /// ```
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Adds a parameter to the URL's query.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").query("topic", "a b");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets the method. Default: GET. For the ones that aren't safe (RFC 9110, section 9.2.1) see
    /// [`Builder::repeat_unsafe`](crate::Builder::repeat_unsafe).
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").method("POST");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// Adds a header. `Accept`, `Cache-Control`, `User-Agent` and `Last-Event-ID` replace what
    /// would be sent otherwise.
    ///
    /// `Authorization`, `Cookie` and `Proxy-Authorization` count as
    /// [sensitive](Self::sensitive_header).
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").header("x-team", "a");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.add_header(name.into(), value.as_ref(), false)
    }

    /// Adds a header that is a secret: it isn't printed, and it doesn't follow a redirect to
    /// another origin.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .sensitive_header("x-api-key", "secret");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn sensitive_header(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.add_header(name.into(), value.as_ref(), true)
    }

    /// Adds `Authorization: Bearer` with this token.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").bearer_token("secret");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn bearer_token(self, token: impl fmt::Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    fn add_header(mut self, name: String, value: &[u8], sensitive: bool) -> Self {
        self.headers.push(Header {
            name,
            value: value.into(),
            sensitive,
        });
        self
    }

    /// Sets the body. Its `Content-Type` is for you to add.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").method("POST").body("q=1");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Bytes::from(body.into()));
        self.body_problem = None;
        self
    }

    /// Makes it a POST of this value as JSON, with its `Content-Type`.
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
                .header("content-type", "application/json")
                .body(body),
            Err(error) => Http {
                body_problem: Some(error.to_string().into()),
                ..self
            },
        }
    }

    /// Asks this before every attempt: for a fresh token, another URL, another query. What it
    /// returns is sent.
    ///
    /// Its error fails the attempt with [`Fault::Other`]; a [`Fault`] is passed on as it is.
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
    pub fn before_attempt<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Attempt, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.hook = Some(Arc::new(move |attempt| {
            let prepared = hook(attempt);
            Box::pin(async { prepared.await.map_err(Into::into) })
        }));
        self
    }

    /// How many redirects are followed in a row. Default: 10. Credentials and sensitive headers
    /// are left out once a redirect leads to another origin.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").redirect_limit(0);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn redirect_limit(mut self, limit: usize) -> Self {
        self.redirect_limit = limit;
        self
    }

    /// How long the look-up of the name, the connection and TLS may take together. `None`: as long
    /// as the system allows. Default: 10 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .connect_timeout(Duration::from_secs(3));
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn connect_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.with_transport(|transport| transport.connect_timeout = limit.into())
    }

    /// Chooses the version of HTTP. Default: what the server offers; HTTP/1.1 in the blocking
    /// client.
    ///
    /// ```
    /// use everstream::{Http, HttpVersion};
    ///
    /// let http = Http::new("https://example.com/feed").version(HttpVersion::Http1);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn version(self, version: HttpVersion) -> Self {
        self.with_transport(|transport| transport.version = version)
    }

    /// Uses this proxy instead of the system's: `http://`, `https://`, or, with the feature
    /// `socks`, `socks5://`.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").proxy("http://localhost:3128");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.with_transport(|transport| transport.proxy = Some(Some(url.into())))
    }

    /// Uses no proxy.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").no_proxy();
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn no_proxy(self) -> Self {
        self.with_transport(|transport| transport.proxy = Some(None))
    }

    /// Trusts these certificates (PEM, one or more) besides the system's.
    ///
    /// ```no_run
    /// let ca = std::fs::read("ca.pem")?;
    /// let http = everstream::Http::new("https://example.com/feed").root_certificates(ca);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_transport(|transport| transport.tls.roots.push(pem.into()))
    }

    /// Shows this certificate (chain) to servers that ask for one; both in PEM, the key in PKCS#8.
    ///
    /// ```no_run
    /// let (certificate, key) = (std::fs::read("client.pem")?, std::fs::read("client.key")?);
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .client_certificate(certificate, key);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn client_certificate(self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.with_transport(|transport| transport.tls.identity = Some((pem.into(), key.into())))
    }

    /// Accepts any certificate. Whoever is between can read and change everything.
    ///
    /// ```
    /// let http = everstream::Http::new("https://localhost/feed").danger_accept_invalid_certs();
    /// # drop(http);
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn danger_accept_invalid_certs(self) -> Self {
        self.with_transport(|transport| transport.tls.accept_invalid_certs = true)
    }

    /// Uses your own `reqwest::Client`, with its time-outs, proxies, TLS and version; what is set
    /// here of these is ignored.
    ///
    /// Build it with `redirect(Policy::none())`: then redirects are followed here, and sensitive
    /// headers of your own are safe. A client that follows them by itself leaves out only the
    /// standard ones. In a blocking client it must not have been used in another runtime.
    ///
    /// Whether it followed a redirect before a connection was refused can't be seen, so that a
    /// request with a method that isn't safe is not repeated after a refused connection either.
    ///
    /// ```
    /// use everstream::Http;
    ///
    /// let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let http = Http::new("https://example.com/feed").client(client);
    /// # Ok::<(), reqwest::Error>(())
    /// ```
    #[must_use]
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.own = Some(client);
        self
    }

    fn with_transport(mut self, change: impl FnOnce(&mut Transport)) -> Self {
        change(&mut self.transport);
        // Connections that were made under other settings aren't shared.
        self.shared = Arc::default();
        self
    }

    fn reqwest_client(&self, context: ClientContext) -> Result<reqwest::Client, Error> {
        if let Some(own) = &self.own {
            return Ok(own.clone());
        }
        // A connection lives in the runtime that made it, and a blocking client has its own.
        if context.blocking {
            return self.transport.build(true);
        }
        match self.shared.get() {
            Some(shared) => Ok(shared.clone()),
            None => {
                let built = self.transport.build(false)?;
                Ok(self.shared.get_or_init(|| built).clone())
            }
        }
    }

    /// The request, with what is wrong with it.
    fn attempt(&self) -> Result<Attempt, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let mut attempt = Attempt {
            url: parse_url(&self.url)?,
            headers,
            number: 0,
            last_event_id: None,
            problem: None,
        };
        if !self.query.is_empty() {
            attempt.url.query_pairs_mut().extend_pairs(&self.query);
        }
        for (
            index,
            Header {
                name,
                value,
                sensitive,
            },
        ) in self.headers.iter().enumerate()
        {
            let (name, value) = parse_header(name, value, *sensitive)?;
            // The first of a name replaces a default; more of it are added.
            if self.headers[..index]
                .iter()
                .any(|earlier| name == earlier.name.as_str())
            {
                attempt.headers.append(name, value);
            } else {
                attempt.headers.insert(name, value);
            }
        }
        Ok(attempt)
    }
}

impl ConnectStrategy for Http {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        if let Some(problem) = &self.body_problem {
            return Err(Error::config("body", &**problem));
        }
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| Error::config("method", format!("{:?} isn't a method", self.method)))?;
        Ok(Box::new(HttpClient {
            client: self.reqwest_client(context)?,
            own_client: self.own.is_some(),
            template: self.attempt()?,
            method,
            body: self.body.clone(),
            hook: self.hook.clone(),
            redirect_limit: self.redirect_limit,
            connect_timeout: self.transport.connect_timeout,
        }))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("method", &self.method)
            .field("url", &RedactedUrl(&self.url))
            .finish_non_exhaustive()
    }
}

struct HttpClient {
    client: reqwest::Client,
    own_client: bool,
    template: Attempt,
    method: Method,
    body: Option<Bytes>,
    hook: Option<Arc<Hook>>,
    redirect_limit: usize,
    connect_timeout: Option<Duration>,
}

impl ConnectionClient for HttpClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        self.template.number += 1;
        let mut attempt = self.template.clone();
        attempt.last_event_id = request.last_event_id;
        let hook = self.hook.clone();
        let exchange = Exchange {
            client: self.client.clone(),
            own_client: self.own_client,
            method: self.method.clone(),
            body: self.body.clone(),
            redirect_limit: self.redirect_limit,
            connect_timeout: self.connect_timeout,
            read_timeout: request.read_timeout,
        };
        Box::pin(async move {
            if let Some(hook) = hook {
                attempt = hook(attempt)
                    .await
                    .map_err(|error| match error.downcast::<Fault>() {
                        Ok(fault) => *fault,
                        Err(error) => Fault::Other(error),
                    })?;
            }
            if let Some(problem) = attempt.problem {
                return Err(Fault::Other((&*problem).into()));
            }
            // An id that can't be a header's value is kept for the user, and not sent.
            let id = attempt
                .last_event_id
                .as_deref()
                .map(|id| HeaderValue::from_bytes(id.as_bytes()));
            if let Some(Ok(id)) = id {
                attempt.headers.insert(LAST_EVENT_ID, id);
            }
            exchange.open(attempt.url, attempt.headers).await
        })
    }

    fn is_repeatable(&self) -> bool {
        self.method.is_safe()
    }
}

/// One request, with the redirects it takes.
struct Exchange {
    client: reqwest::Client,
    own_client: bool,
    method: Method,
    body: Option<Bytes>,
    redirect_limit: usize,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
}

impl Exchange {
    async fn open(mut self, url: Url, headers: HeaderMap) -> Result<Connection, Fault> {
        let mut request = self.request(url, headers)?;
        // reqwest has turned user info into an Authorization header; from here on it is one.
        let mut headers = request.headers().clone();
        let mut followed = 0;
        loop {
            // A client of the user's own may have followed some, and doesn't tell.
            let redirected = followed > 0 || (self.own_client && !self.method.is_safe());
            let response = self.send(request).await.map_err(|fault| match redirected {
                true => redirect::fault(fault),
                false => fault,
            })?;
            if !redirect::is_redirect(response.status()) {
                return response::check(response).await;
            }
            match redirect::target(&response, followed, self.redirect_limit) {
                Ok(target) => {
                    followed += 1;
                    redirect::adapt(
                        response.status(),
                        &mut self.method,
                        &mut self.body,
                        &mut headers,
                    );
                    if !redirect::same_origin(response.url(), &target) {
                        redirect::remove_secrets(&mut headers);
                    }
                    request = self
                        .request(target, headers.clone())
                        .map_err(redirect::fault)?;
                }
                Err(problem) => {
                    let response = Box::new(response::read_error(response).await);
                    return Err(Fault::Redirect(response, problem));
                }
            }
        }
    }

    fn request(&self, url: Url, headers: HeaderMap) -> Result<reqwest::Request, Fault> {
        let mut request = self
            .client
            .request(self.method.clone(), url)
            .headers(headers);
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request
            .build()
            .map_err(|error| Fault::Other(error.without_url().into()))
    }

    async fn send(&self, request: reqwest::Request) -> Result<reqwest::Response, Fault> {
        let sent = self.client.execute(request);
        let result = match self.read_timeout {
            None => sent.await,
            Some(limit) => {
                // Silence begins when there is a connection, and that has a limit of its own.
                let whole = limit.saturating_add(self.connect_timeout.unwrap_or_default());
                tokio::time::timeout(whole, sent)
                    .await
                    .map_err(|_| Fault::ReadTimeout(limit))?
            }
        };
        result.map_err(|error| {
            // URLs hold secrets; faults are logged.
            let error = error.without_url();
            match self.connect_timeout {
                Some(limit) if error.is_connect() && error.is_timeout() => {
                    Fault::ConnectTimeout(limit)
                }
                _ if error.is_connect() => Fault::Connect(error.into()),
                _ if error.is_builder() => Fault::Other(error.into()),
                _ => Fault::Request(error.into()),
            }
        })
    }
}

/// A request that is about to be sent, for [`Http::before_attempt`] to change.
///
/// A change that can't be made fails the attempt with a fault that names it.
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
///     Ok::<_, std::io::Error>(attempt.bearer_token("fresh").query("attempt", &number))
/// });
/// SseClient::new(http)?.start()?;
/// # let request = &server.requests()[0];
/// # assert_eq!(request.header("authorization"), Some("Bearer fresh"));
/// # assert_eq!(request.target, "/feed?attempt=1");
/// # Ok::<(), everstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Attempt {
    url: Url,
    headers: HeaderMap,
    number: u64,
    last_event_id: Option<String>,
    /// The first change that can't be made.
    problem: Option<Arc<str>>,
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

    /// The id that will be sent as `Last-Event-ID`, unless it can't be a header's value.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     // For a server that wants it in the query.
    ///     let id = attempt.last_event_id().unwrap_or_default().to_owned();
    ///     Ok::<_, std::io::Error>(attempt.query("since", &id))
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
    ///     Ok::<_, std::io::Error>(attempt.with_url(&mirror))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn with_url(self, url: &str) -> Self {
        self.change(|attempt| {
            attempt.url = parse_url(url)?;
            Ok(())
        })
    }

    /// Sets a parameter of the URL's query; all earlier ones of that name go.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.query("token", "fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn query(self, name: &str, value: &str) -> Self {
        self.change(|attempt| {
            let others: Vec<(String, String)> = attempt
                .url
                .query_pairs()
                .filter(|(own, _)| own != name)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            attempt
                .url
                .query_pairs_mut()
                .clear()
                .extend_pairs(others)
                .append_pair(name, value);
            Ok(())
        })
    }

    /// Sets a header; all earlier ones of that name go.
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     let number = attempt.number().to_string();
    ///     Ok::<_, std::io::Error>(attempt.header("x-attempt", number))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|attempt| attempt.set_header(name, value.as_ref(), false))
    }

    /// Sets a header that is a secret: see [`Http::sensitive_header`].
    ///
    /// ```
    /// # use everstream::Http;
    /// let http = Http::new("https://example.com/feed").before_attempt(|attempt| async {
    ///     Ok::<_, std::io::Error>(attempt.sensitive_header("x-api-key", "fresh"))
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn sensitive_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|attempt| attempt.set_header(name, value.as_ref(), true))
    }

    /// Sets `Authorization: Bearer` with this token.
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
        self.header("authorization", format!("Bearer {token}"))
    }

    fn change(mut self, change: impl FnOnce(&mut Self) -> Result<(), Error>) -> Self {
        if let Err(error) = change(&mut self) {
            self.problem.get_or_insert_with(|| error.to_string().into());
        }
        self
    }

    fn set_header(&mut self, name: &str, value: &[u8], sensitive: bool) -> Result<(), Error> {
        let (name, value) = parse_header(name, value, sensitive)?;
        self.headers.insert(name, value);
        Ok(())
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number)
            .field("url", &RedactedUrl(self.url.as_str()))
            .field("last_event_id", &self.last_event_id)
            .finish_non_exhaustive()
    }
}

fn parse_url(url: &str) -> Result<Url, Error> {
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

fn parse_header(
    name: &str,
    value: &[u8],
    sensitive: bool,
) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::config("header", format!("{name:?} can't be a header's name")))?;
    // The value isn't shown: it may be a secret.
    let mut value = HeaderValue::from_bytes(value).map_err(|_| {
        Error::config(
            "header",
            format!("the value of {name:?} holds control characters"),
        )
    })?;
    value.set_sensitive(sensitive || redirect::is_credential(&parsed));
    Ok((parsed, value))
}
