//! An open connection to any kind of source.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use everstream_core::{Ending, Fault, Headers, Start};
use futures_core::Stream;

#[cfg(feature = "http")]
use super::Body;

/// An open connection: the bytes of a stream, and what is known about the response.
///
/// Create one from a [stream](Self::from_stream), an [async reader](Self::from_async_read), a
/// [reader](Self::from_read) or an [iterator](Self::from_iterator). Dropping it closes the connection.
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

/// What remains of a connection once its start has been delivered. Dropping it closes the connection.
pub(crate) struct Chunks {
    source: Source,
    ending: Ending,
    /// The end or an error was received, after which a stream must not be polled.
    ended: bool,
    /// Boxed because most connections have none.
    hooks: Option<Box<Hooks>>,
}

/// What the author of a source added to a connection.
#[derive(Default)]
struct Hooks {
    closer: Option<Box<dyn FnOnce() + Send>>,
    ending: Option<Box<dyn Fn() -> Ending + Send>>,
}

pub(super) enum Source {
    /// By far the most common source, so it isn't boxed.
    #[cfg(feature = "http")]
    Body(Body),
    Any(Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>),
}

impl Connection {
    pub(super) fn new(bytes: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Self {
        Self::from_source(Source::Any(Box::pin(bytes)))
    }

    pub(super) fn from_source(source: Source) -> Self {
        Connection {
            start: Start::default(),
            chunks: Chunks {
                source,
                ending: Ending::Unproven,
                ended: false,
                hooks: None,
            },
        }
    }

    /// Sets the status, headers and URL that the start of the stream reports.
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
        self.start.headers = Some(headers);
        self.start.url = Some(url.into());
        self
    }

    /// Sets the headers that the start of the stream reports, for sources that know nothing else of the
    /// response.
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
        self.start.headers = Some(headers);
        self
    }

    /// Sets everything that the start of the stream reports, for sources that wrap a connection and
    /// for responses of which only a part is known. The client overwrites `attempt`.
    ///
    /// ```
    /// use everstream::{Connection, Start};
    ///
    /// let inner = Connection::from_read(std::io::Cursor::new("data: x\n\n"));
    /// let mut start = inner.start().clone();
    /// start.status = Some(200);
    /// let connection = inner.with_start(start);
    /// assert_eq!(connection.start().status, Some(200));
    /// ```
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets the names of request headers that were withheld, because a redirect led to another origin than
    /// the one they were meant for.
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

    /// Sets what the end of the bytes proves. Default: [`Ending::Unproven`].
    ///
    /// Set [`Ending::Complete`] if the source reports a truncated body as an error, as HTTP with a final
    /// chunk does.
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
        self.chunks.set_ending(ending);
        self
    }

    /// Like [`with_ending`](Self::with_ending), for sources that know only at the end what it proves. The
    /// function is called when the bytes have ended. If the source was closed by another thread, return
    /// [`Ending::Unproven`].
    ///
    /// ```
    /// use everstream::{Connection, Ending};
    ///
    /// let recorded = std::io::Cursor::new("data: x\n\n");
    /// let connection = Connection::from_read(recorded).with_ending_fn(|| Ending::Complete);
    /// assert_eq!(connection.ending(), Ending::Complete);
    /// ```
    #[must_use]
    pub fn with_ending_fn(mut self, ending: impl Fn() -> Ending + Send + 'static) -> Self {
        self.chunks.hooks().ending = Some(Box::new(ending));
        self
    }

    /// Sets a function that is called once when the client has finished with the connection: at its end,
    /// after a fault, at interrupt and close. It should unblock a pending read.
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
        self.chunks.hooks().closer = Some(Box::new(closer));
        self
    }

    /// What the start of the stream reports.
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

    /// What the end of the bytes proves. A source that wraps a connection passes it on with
    /// [`with_ending`](Self::with_ending).
    ///
    /// ```
    /// use everstream::{Connection, Ending};
    ///
    /// let connection = Connection::from_read(std::io::Cursor::new("data: x\n\n"));
    /// assert_eq!(connection.ending(), Ending::Unproven);
    /// ```
    pub fn ending(&self) -> Ending {
        self.chunks.ending()
    }

    /// Reads the next bytes, never empty. Returns `None` at a clean end, and always after an end or an
    /// error. Cancel-safe: dropping the future loses no bytes. For strategies that wrap other strategies.
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
        let hook = self.hooks.as_ref().and_then(|hooks| hooks.ending.as_ref());
        hook.map_or(self.ending, |ending| ending())
    }

    fn set_ending(&mut self, ending: Ending) {
        self.ending = ending;
        if let Some(hooks) = &mut self.hooks {
            hooks.ending = None;
        }
    }

    fn hooks(&mut self) -> &mut Hooks {
        self.hooks.get_or_insert_default()
    }

    /// Polls for the next bytes, never empty; `None` at a clean end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match &mut self.source {
            #[cfg(feature = "http")]
            Source::Body(body) => body.poll_bytes(cx),
            Source::Any(bytes) => bytes.as_mut().poll_next(cx),
        };
        self.ended = matches!(next, Poll::Ready(None | Some(Err(_))));
        #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
        if self.ended && matches!(&self.source, Source::Body(body) if body.hid_reset()) {
            self.set_ending(Ending::Unproven);
        }
        next
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Some(closer) = self.hooks.take().and_then(|hooks| hooks.closer) {
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
