//! Where the bytes come from: HTTP, or a source of the user's own.

#[cfg(feature = "http")]
mod attempt;
#[cfg(feature = "http")]
mod buffer;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod connections;
mod custom;
#[cfg(feature = "http")]
mod decode;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "http")]
mod net;
#[cfg(feature = "__probe")]
mod probe;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "http")]
mod settings;
#[cfg(feature = "http")]
mod transport;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use everstream_core::{Ending, Fault, Headers, Start};
use futures_core::Stream;

use crate::error::Error;

#[cfg(feature = "http")]
pub use attempt::Attempt;
pub use custom::{ConnectFn, connect_fn};
#[cfg(feature = "http")]
pub use everstream_http::policy::parse_retry_after;
#[cfg(feature = "http")]
pub use http::{AddressFamily, Http, HttpVersion};
#[cfg(feature = "__probe")]
pub use probe::{Hop, Probe};

/// How a client obtains its bytes. It is immutable, and can serve any number of clients.
///
/// [`Http`] is one; [`connect_fn`] makes one from a closure. Strategies work alike in the async and
/// in the blocking client.
///
/// ```
/// use everstream::{
///     ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
///     Error, blocking::SseClient, error_strategy,
/// };
///
/// /// Says what it was resumed from, and ends.
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
    /// Makes the part that belongs to one client. It is called once for each, when it is built;
    /// nothing connects yet.
    ///
    /// # Errors
    ///
    /// If a setting can't be used.
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error>;
}

/// What makes all connections of one client.
///
/// ```
/// use everstream::{ConnectFuture, ConnectRequest, Connection, ConnectionClient};
///
/// /// Hands out its one answer again and again.
/// struct Canned(Option<&'static str>);
///
/// impl ConnectionClient for Canned {
///     fn connect(&mut self, _request: ConnectRequest) -> ConnectFuture {
///         let answer = self.0.unwrap_or_default();
///         Box::pin(async move { Ok(Connection::from_read(answer.as_bytes())) })
///     }
///     fn is_repeatable(&self) -> bool {
///         true // to ask again changes nothing
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
    /// Begins an attempt. Dropping the future abandons it.
    ///
    /// The future runs inside a tokio runtime with a timer.
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture;

    /// Whether a request may be repeated although the server may have acted on it: true for GET
    /// and other safe methods. Default: true. It is called when the client is built, and again after
    /// each attempt, about the request of that attempt.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Whether it heeds [`ConnectRequest::resume_with_get`]. A source that doesn't is never asked to
    /// resume by GET, so that [`Builder::resume_with_get`](crate::Builder::resume_with_get) has no
    /// effect. Default: false.
    fn can_resume_with_get(&self) -> bool {
        false
    }

    /// Releases what it holds: the client is closed. It is called once at most, and not by a drop.
    fn close(&mut self) {}
}

/// The future of a connection.
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

/// For whom a strategy makes a [`ConnectionClient`].
///
/// ```
/// assert!(!everstream::ClientContext::default().blocking);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientContext {
    /// Whether it is the blocking client: its runtime runs only while somebody reads.
    pub blocking: bool,
}

impl ClientContext {
    /// For the async client, or for the blocking one.
    ///
    /// ```
    /// assert!(everstream::ClientContext::new(true).blocking);
    /// ```
    pub fn new(blocking: bool) -> Self {
        ClientContext { blocking }
    }
}

/// What a connection is asked for.
///
/// ```
/// assert_eq!(everstream::ConnectRequest::default().last_event_id, None);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// The id to resume from, as the server sent it. It may hold characters that can't be in a
    /// header.
    pub last_event_id: Option<String>,
    /// How long silence is accepted, also before the response.
    pub read_timeout: Option<Duration>,
    /// Send a GET without a body instead of the user's request, to resume after the last event id
    /// ([`Builder::resume_with_get`](crate::Builder::resume_with_get)). It is only true for a client
    /// that [can](ConnectionClient::can_resume_with_get).
    pub resume_with_get: bool,
}

impl ConnectRequest {
    /// A request to resume after this id, or from wherever the server begins; its other fields may be
    /// set afterwards.
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

/// An open connection: bytes to come, and what is known about it.
///
/// Made from a [stream](Self::from_stream), an [async reader](Self::from_async_read), a
/// [reader](Self::from_read) or an [iterator](Self::from_iterator). Dropping it closes it.
///
/// ```
/// use everstream::{Connection, blocking::SseClient, connect_fn};
///
/// let strategy = connect_fn(|_request| async {
///     let chunks = ["data: hel", "lo\n\n"].map(Ok::<_, std::io::Error>);
///     Ok::<_, std::io::Error>(Connection::from_iterator(chunks))
/// });
/// let mut client = SseClient::new(strategy)?;
/// assert_eq!(client.next_event().unwrap()?.data(), "hello");
/// # Ok::<(), everstream::Error>(())
/// ```
pub struct Connection {
    pub(crate) start: Start,
    pub(crate) chunks: Chunks,
}

/// What is left of a connection once its start is delivered. Dropping it closes the connection.
pub(crate) struct Chunks {
    source: Source,
    ending: Ending,
    /// The end or an error was received. A stream needn't support a poll after that.
    over: bool,
    closer: Option<Box<dyn FnOnce() + Send>>,
}

enum Source {
    /// Nearly every one is it, and needs no allocation.
    #[cfg(feature = "http")]
    Body(connections::Body),
    Any(Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>),
}

impl Connection {
    fn new(bytes: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Self {
        Self::from_source(Source::Any(Box::pin(bytes)))
    }

    fn from_source(source: Source) -> Self {
        Connection {
            start: Start::default(),
            chunks: Chunks {
                source,
                ending: Ending::Unproven,
                over: false,
                closer: None,
            },
        }
    }

    /// Adds what the start of the stream tells: status, headers and URL.
    ///
    /// ```
    /// use everstream::{Connection, Headers};
    ///
    /// let bytes = std::io::Cursor::new("data: x\n\n");
    /// let headers = Headers::from_iter([("server", "mine")]);
    /// let connection = Connection::from_read(bytes).with_response(200, headers, "unix:/feed");
    /// # drop(connection);
    /// ```
    #[must_use]
    pub fn with_response(mut self, status: u16, headers: Headers, url: impl Into<String>) -> Self {
        self.start.status = Some(status);
        self.start.headers = headers;
        self.start.url = Some(url.into());
        self
    }

    /// Adds the headers of a response of which nothing else is known.
    ///
    /// ```
    /// use everstream::{Connection, Headers};
    ///
    /// let bytes = std::io::Cursor::new("data: x\n\n");
    /// let headers = Headers::from_iter([("server", "mine")]);
    /// let connection = Connection::from_read(bytes).with_headers(headers);
    /// # drop(connection);
    /// ```
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.start.headers = headers;
        self
    }

    /// Names the headers that were not sent to the URL that answered, because a redirect led to
    /// another origin than the one they were meant for.
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let bytes = std::io::Cursor::new("data: x\n\n");
    /// let connection = Connection::from_read(bytes).with_withheld_headers(["x-api-key"]);
    /// assert_eq!(connection.start().withheld_headers, ["x-api-key"]);
    /// ```
    #[must_use]
    pub fn with_withheld_headers(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.start.withheld_headers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Says that the source knows its end: it reports a body of which a part is missing as an error, as
    /// HTTP with a last chunk does. Otherwise an end proves nothing ([`Ending::Unproven`]).
    ///
    /// ```
    /// use everstream::{Connection, Ending};
    ///
    /// let recorded = std::io::Cursor::new("data: x\n\n");
    /// let connection = Connection::from_read(recorded).with_ending(Ending::Complete);
    /// # drop(connection);
    /// ```
    #[must_use]
    pub fn with_ending(mut self, ending: Ending) -> Self {
        self.chunks.ending = ending;
        self
    }

    /// Adds a function that is called once when the client is done with the connection: at its
    /// end, after a fault, at interrupt and close. It should unblock a pending read.
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let bytes = std::io::Cursor::new("data: x\n\n");
    /// let connection = Connection::from_read(bytes).with_closer(|| println!("closed"));
    /// # drop(connection);
    /// ```
    #[must_use]
    pub fn with_closer(mut self, closer: impl FnOnce() + Send + 'static) -> Self {
        self.chunks.closer = Some(Box::new(closer));
        self
    }

    /// What the start of the stream tells.
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let connection = Connection::from_read(std::io::Cursor::new("data: x\n\n"));
    /// assert_eq!(connection.start().status, None);
    /// ```
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// What the end of the bytes proves: for sources that wrap a connection, which pass it on with
    /// [`with_ending`](Self::with_ending).
    ///
    /// ```
    /// use everstream::{Connection, Ending};
    ///
    /// let connection = Connection::from_read(std::io::Cursor::new("data: x\n\n"));
    /// assert_eq!(connection.ending(), Ending::Unproven);
    /// ```
    pub fn ending(&self) -> Ending {
        self.chunks.ending
    }

    /// The next bytes, never empty; `None` at the orderly end, and always after it or after an
    /// error. For strategies that wrap others: dropping the future loses nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Fault> {
    /// use everstream::Connection;
    ///
    /// let mut connection = Connection::from_async_read(&b"data: x\n\n"[..]);
    /// let mut bytes = 0;
    /// while let Some(chunk) = connection.next_chunk().await {
    ///     bytes += chunk?.as_ref().len();
    /// }
    /// assert_eq!(bytes, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_chunk(&mut self) -> Option<Result<impl AsRef<[u8]> + use<>, Fault>> {
        std::future::poll_fn(|cx| self.chunks.poll_next(cx)).await
    }
}

impl Chunks {
    /// What the end of the bytes proves.
    pub(crate) fn ending(&self) -> Ending {
        self.ending
    }

    /// The next bytes, never empty; `None` at the orderly end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = match &mut self.source {
            #[cfg(feature = "http")]
            Source::Body(body) => body.poll_bytes(cx),
            Source::Any(bytes) => bytes.as_mut().poll_next(cx),
        };
        self.over = matches!(next, Poll::Ready(None | Some(Err(_))));
        #[cfg(feature = "reqwest")]
        if self.over && matches!(&self.source, Source::Body(body) if body.hid_reset()) {
            self.ending = Ending::Unproven;
        }
        next
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Some(closer) = self.closer.take() {
            closer();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// What a client can be made from: a strategy, or, with the feature `http`, a URL: a string or a
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
    message = "a client can't be made from `{Self}`",
    note = "it takes a `ConnectStrategy`, or, with the feature `http`, a URL as `&str`, `String` or `url::Url`"
)]
pub trait IntoConnectStrategy {
    /// The strategy.
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
