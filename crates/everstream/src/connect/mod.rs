//! Where the bytes come from: HTTP, or a custom source.

#[cfg(feature = "http")]
mod attempt;
#[cfg(all(feature = "http", target_family = "wasm"))]
mod browser;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod buffer;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod client;
mod connection;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod connections;
mod custom;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod decode;
#[cfg(feature = "http")]
mod http;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod http1;
#[cfg(all(feature = "http2", not(target_family = "wasm")))]
mod http2;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod net;
#[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
mod reqwest;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod response;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod settings;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use everstream_core::Fault;

use crate::error::Error;

#[cfg(feature = "http")]
pub use attempt::Attempt;
#[cfg(all(feature = "http", target_family = "wasm"))]
use browser::{Body, Settings, Url};
#[cfg(all(feature = "http", target_family = "wasm"))]
pub use browser::{Credentials, Response};
pub(crate) use connection::Chunks;
pub use connection::Connection;
#[cfg(feature = "http")]
use connection::Source;
pub use custom::{ConnectFn, connect_fn};
#[cfg(feature = "http")]
pub use everstream_http::policy::parse_retry_after;
#[cfg(feature = "http")]
pub use http::Http;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
pub use response::{Redirect, Response};
#[cfg(all(feature = "http", not(target_family = "wasm")))]
pub use transport::{AddressFamily, HttpVersion};
#[cfg(all(feature = "http", not(target_family = "wasm")))]
use {client::HttpClient, connections::Body, settings::Settings, url::Url};

/// Decides how clients connect. A strategy is immutable, and can serve any number of clients.
///
/// [`Http`] is the strategy for HTTP; [`connect_fn`] creates one from a closure. Strategies work the same
/// way in the async and the blocking client.
///
/// ```
/// use everstream::{
///     ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
///     Error, blocking::SseClient, error_strategy,
/// };
///
/// /// Sends one event that says which id the stream was resumed from.
/// struct Echo;
/// struct EchoClient;
///
/// impl ConnectStrategy for Echo {
///     fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
///         Ok(Box::new(EchoClient))
///     }
/// }
///
/// impl ConnectionClient for EchoClient {
///     fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
///         let bytes = format!("data: after {:?}\n\n", request.last_event_id);
///         Box::pin(async { Ok(Connection::from_read(std::io::Cursor::new(bytes))) })
///     }
/// }
///
/// let mut client = SseClient::builder(Echo).last_event_id("7").build()?;
/// assert_eq!(client.next_event().unwrap()?.data(), "after Some(\"7\")");
/// # Ok::<(), everstream::Error>(())
/// ```
pub trait ConnectStrategy: Send + Sync + 'static {
    /// Creates the part that belongs to one client. Called once per client, when the client is built. It
    /// must not connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a setting is invalid.
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error>;
}

/// Opens the connections of one client.
///
/// ```
/// use everstream::{ConnectFuture, ConnectRequest, Connection, ConnectionClient};
///
/// /// Always returns the same response.
/// struct Canned(Option<&'static str>);
///
/// impl ConnectionClient for Canned {
///     fn connect(&mut self, _request: ConnectRequest) -> ConnectFuture {
///         let answer = self.0.unwrap_or_default();
///         Box::pin(async move { Ok(Connection::from_read(answer.as_bytes())) })
///     }
///     fn is_repeatable(&self) -> bool {
///         true // repeating a request has no side effects
///     }
///     fn close(&mut self) {
///         self.0 = None;
///     }
/// }
/// let mut client = Canned(Some("data: hello\n\n"));
/// client.close();
/// assert_eq!(client.0, None);
/// ```
pub trait ConnectionClient: Send + 'static {
    /// Begins an attempt to connect. Dropping the future cancels the attempt.
    ///
    /// The future runs inside a tokio runtime with timers enabled, except in the browser.
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture;

    /// Whether a request may be repeated even if the server may have acted on it: true for GET and other
    /// safe methods. Default: true. Called when the client is built, and after each attempt, about the
    /// request of that attempt.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Whether this source supports [`ConnectRequest::resume_with_get`]. If not,
    /// [`Builder::resume_with_get`](crate::Builder::resume_with_get) has no effect. Default: false.
    fn can_resume_with_get(&self) -> bool {
        false
    }

    /// Releases resources, because the client is closed. Called at most once, and not when the client is
    /// dropped.
    fn close(&mut self) {}
}

/// The future of an attempt to connect.
///
/// ```
/// use everstream::{ConnectFuture, Connection, Fault};
///
/// fn connect(path: &'static str) -> ConnectFuture {
///     Box::pin(async move {
///         let file = std::fs::File::open(path).map_err(|error| Fault::Connect(error.into()))?;
///         Ok(Connection::from_read(file))
///     })
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # let connecting = connect("there/is/no/such/file");
/// let fault = runtime.block_on(connecting).unwrap_err();
/// assert!(fault.is_connect());
/// ```
pub type ConnectFuture = Pin<Box<dyn Future<Output = Result<Connection, Fault>> + Send>>;

/// Describes the client for which a strategy creates a [`ConnectionClient`].
///
/// ```
/// assert!(!everstream::ClientContext::default().blocking);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientContext {
    /// Whether the client is the blocking one, whose runtime runs only during reads.
    pub blocking: bool,
}

impl ClientContext {
    /// Creates the context of a blocking or an async client.
    ///
    /// ```
    /// assert!(everstream::ClientContext::new(true).blocking);
    /// ```
    pub fn new(blocking: bool) -> Self {
        ClientContext { blocking }
    }
}

/// What a client asks for when it connects.
///
/// ```
/// assert_eq!(everstream::ConnectRequest::default().last_event_id, None);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// The id to resume from, as the server sent it. It may contain characters that aren't valid in a
    /// header value.
    pub last_event_id: Option<String>,
    /// The idle timeout. It also limits the wait for the response.
    pub read_timeout: Option<Duration>,
    /// Send a GET without a body instead of the user's request, to resume after the last event id
    /// ([`Builder::resume_with_get`](crate::Builder::resume_with_get)). True only for clients that
    /// [support it](ConnectionClient::can_resume_with_get).
    pub resume_with_get: bool,
}

impl ConnectRequest {
    /// Creates a request to resume after this id, or, with `None`, to start where the server begins. Set
    /// the other fields afterwards.
    ///
    /// ```
    /// use everstream::ConnectRequest;
    ///
    /// let request = ConnectRequest::new(Some("7".into()));
    /// assert_eq!(request.last_event_id.as_deref(), Some("7"));
    /// ```
    pub fn new(last_event_id: Option<String>) -> Self {
        ConnectRequest {
            last_event_id,
            ..ConnectRequest::default()
        }
    }
}

/// What a client can be created from: a strategy, or, with the feature `http`, a URL as a string or a
/// `url::Url`.
///
/// ```
/// use everstream::{Http, SseClient};
///
/// let by_url = SseClient::new("https://example.com/feed")?;
/// let by_parsed_url = SseClient::new(url::Url::parse("https://example.com/feed")?)?;
/// let by_strategy = SseClient::new(Http::new("https://example.com/feed").header("x-team", "a"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a client can't be created from `{Self}`",
    note = "it takes a `ConnectStrategy`, or, with the feature `http`, a URL as `&str`, `String` or `url::Url`"
)]
pub trait IntoConnectStrategy {
    /// Converts into a strategy.
    ///
    /// ```
    /// use everstream::{ConnectStrategy, IntoConnectStrategy, SseClient};
    ///
    /// struct Feed(u32);
    ///
    /// impl IntoConnectStrategy for Feed {
    ///     fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
    ///         format!("https://example.com/feed/{}", self.0).into_connect_strategy()
    ///     }
    /// }
    /// let client = SseClient::new(Feed(7))?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy>;
}

impl<S: ConnectStrategy> IntoConnectStrategy for S {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(self)
    }
}

#[cfg(feature = "http")]
impl IntoConnectStrategy for &str {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(Http::from(self))
    }
}

#[cfg(feature = "http")]
impl IntoConnectStrategy for &String {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(Http::from(self))
    }
}

#[cfg(feature = "http")]
impl IntoConnectStrategy for String {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(Http::from(self))
    }
}

#[cfg(feature = "http")]
impl IntoConnectStrategy for &url::Url {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(Http::from(self))
    }
}

#[cfg(feature = "http")]
impl IntoConnectStrategy for url::Url {
    fn into_connect_strategy(self) -> Box<dyn ConnectStrategy> {
        Box::new(Http::from(self))
    }
}
