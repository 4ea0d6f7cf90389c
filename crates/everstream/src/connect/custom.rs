//! Custom sources: streams, readers, iterators, closures.

use std::fmt;
use std::future::Future;
#[cfg(not(target_family = "wasm"))]
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use everstream_core::{BoxError, Fault};
use futures_core::Stream;
#[cfg(not(target_family = "wasm"))]
use tokio::io::{AsyncRead, ReadBuf};
#[cfg(not(target_family = "wasm"))]
use tokio::task::JoinHandle;

use super::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
};
use crate::error::Error;
#[cfg(not(target_family = "wasm"))]
use crate::error::OutsideRuntime;

/// The most bytes to read at once.
#[cfg(not(target_family = "wasm"))]
const MAX_READ: usize = 16 << 10;

impl Connection {
    /// Creates a connection from an async stream of chunks.
    ///
    /// An error becomes a [`Fault::Read`]; a [`Fault`] is passed on unchanged.
    ///
    /// ```
    /// use everstream::Connection;
    /// use futures_util::stream;
    ///
    /// let chunks = stream::iter([Ok::<_, std::io::Error>("data: x\n\n")]);
    /// let connection = Connection::from_stream(chunks);
    /// # drop(connection);
    /// ```
    pub fn from_stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: AsRef<[u8]> + Send + 'static,
        E: Into<BoxError>,
    {
        Connection::new(Chunks {
            stream: Box::pin(stream),
        })
    }

    /// Creates a connection from an async reader, such as a socket.
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let connection = Connection::from_async_read(&b"data: x\n\n"[..]);
    /// # drop(connection);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn from_async_read(reader: impl AsyncRead + Send + 'static) -> Self {
        Connection::new(AsyncReader {
            reader: Box::pin(reader),
            buffer: Vec::new(),
        })
    }

    /// Creates a connection from a blocking reader, such as a file or a pipe.
    ///
    /// Every read runs on tokio's blocking thread pool, so that interrupt and close take effect
    /// immediately. A read that has already begun still occupies its thread until it returns; set a
    /// [closer](Self::with_closer) to unblock it.
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let connection = Connection::from_read(std::io::Cursor::new("data: x\n\n"));
    /// # drop(connection);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn from_read(reader: impl Read + Send + 'static) -> Self {
        let mut reader = reader;
        Connection::new(Blocking::new(move || {
            let mut buffer = vec![0; MAX_READ];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(length) => {
                        buffer.truncate(length);
                        return Some(Ok(Bytes::from(buffer)));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Some(Err(Fault::Read(error.into()))),
                }
            }
        }))
    }

    /// Creates a connection from a blocking iterator of chunks. Each call runs on tokio's blocking thread
    /// pool, like the reads of [`from_read`](Self::from_read).
    ///
    /// ```
    /// use everstream::Connection;
    ///
    /// let chunks = ["data: ", "x\n\n"].map(Ok::<_, std::io::Error>);
    /// let connection = Connection::from_iterator(chunks);
    /// # drop(connection);
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn from_iterator<I, B, E>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Result<B, E>>,
        I::IntoIter: Send + 'static,
        B: AsRef<[u8]> + Send + 'static,
        E: Into<BoxError>,
    {
        let mut chunks = chunks.into_iter();
        Connection::new(Blocking::new(move || {
            loop {
                match chunks.next()? {
                    Ok(chunk) if chunk.as_ref().is_empty() => {}
                    Ok(chunk) => return Some(Ok(Bytes::from_owner(chunk))),
                    Err(error) => return Some(Err(Fault::Read(error.into()))),
                }
            }
        }))
    }
}

struct Chunks<S> {
    stream: Pin<Box<S>>,
}

impl<S, B, E> Stream for Chunks<S>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]> + Send + 'static,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(self.stream.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if chunk.as_ref().is_empty() => continue,
                Some(Ok(chunk)) => Some(Ok(Bytes::from_owner(chunk))),
                Some(Err(error)) => Some(Err(fault_or(Fault::Read, error.into()))),
                None => None,
            });
        }
    }
}

#[cfg(not(target_family = "wasm"))]
struct AsyncReader<R> {
    reader: Pin<Box<R>>,
    /// `MAX_READ` bytes long; empty before the first read.
    buffer: Vec<u8>,
}

#[cfg(not(target_family = "wasm"))]
impl<R: AsyncRead> Stream for AsyncReader<R> {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.buffer.resize(MAX_READ, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        Poll::Ready(
            match ready!(this.reader.as_mut().poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => None,
                Ok(()) => Some(Ok(Bytes::copy_from_slice(buffer.filled()))),
                Err(error) => Some(Err(Fault::Read(error.into()))),
            },
        )
    }
}

#[cfg(not(target_family = "wasm"))]
type Chunk = Option<Result<Bytes, Fault>>;

/// Runs a blocking function on tokio's blocking thread pool, one call at a time.
#[cfg(not(target_family = "wasm"))]
struct Blocking<F> {
    /// `None` while a call is running.
    next: Option<F>,
    running: Option<JoinHandle<(F, Chunk)>>,
}

#[cfg(not(target_family = "wasm"))]
impl<F> Blocking<F> {
    fn new(next: F) -> Self {
        Blocking {
            next: Some(next),
            running: None,
        }
    }
}

/// No field is ever pinned.
#[cfg(not(target_family = "wasm"))]
impl<F> Unpin for Blocking<F> {}

#[cfg(not(target_family = "wasm"))]
impl<F: FnMut() -> Chunk + Send + 'static> Stream for Blocking<F> {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.next.is_some() {
            OutsideRuntime::check().map_err(|error| Fault::Setup(error.into()))?;
        }
        if let Some(mut next) = this.next.take() {
            this.running = Some(tokio::task::spawn_blocking(move || {
                let chunk = next();
                (next, chunk)
            }));
        }
        let Some(running) = &mut this.running else {
            return Poll::Ready(None);
        };
        let result = ready!(Pin::new(running).poll(cx));
        this.running = None;
        Poll::Ready(match result {
            Ok((next, chunk)) => {
                this.next = Some(next);
                chunk
            }
            // The source panicked, or the runtime is shutting down.
            Err(error) => Some(Err(Fault::Read(error.into()))),
        })
    }
}

/// Creates a strategy from a closure that is called for every connection.
///
/// An error becomes a [`Fault::Connect`]; a [`Fault`] is passed on unchanged.
///
/// ```
/// use everstream::{Connection, blocking::SseClient, connect_fn};
///
/// // A recorded stream.
/// # let path = std::env::temp_dir().join(format!("everstream-doc-{}", std::process::id()));
/// # std::fs::write(&path, "data: recorded\n\n").unwrap();
/// # let file = path.clone();
/// let strategy = connect_fn(move |_request| {
///     let file = std::fs::File::open(&file);
///     async { Ok::<_, std::io::Error>(Connection::from_read(file?)) }
/// });
/// let mut client = SseClient::new(strategy)?;
/// assert_eq!(client.next_event().unwrap()?.data(), "recorded");
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), everstream::Error>(())
/// ```
pub fn connect_fn<F, Fut, E>(connect: F) -> ConnectFn<F>
where
    F: Fn(ConnectRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Connection, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    ConnectFn(Arc::new(connect))
}

/// The strategy that [`connect_fn`] returns.
///
/// ```
/// use everstream::{ConnectFn, ConnectRequest, Connection, Fault, blocking::SseClient, connect_fn};
///
/// async fn connect(_request: ConnectRequest) -> Result<Connection, Fault> {
///     Ok(Connection::from_read(&b"data: hello\n\n"[..]))
/// }
/// let strategy: ConnectFn<_> = connect_fn(connect);
/// let mut client = SseClient::new(strategy)?;
/// assert_eq!(client.next_event().unwrap()?.data(), "hello");
/// # Ok::<(), everstream::Error>(())
/// ```
pub struct ConnectFn<F>(Arc<F>);

impl<F, Fut, E> ConnectStrategy for ConnectFn<F>
where
    F: Fn(ConnectRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Connection, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(ConnectFn(self.0.clone())))
    }
}

impl<F, Fut, E> ConnectionClient for ConnectFn<F>
where
    F: Fn(ConnectRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Connection, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let connecting = (self.0)(request);
        Box::pin(async {
            connecting
                .await
                .map_err(|error| fault_or(Fault::Connect, error.into()))
        })
    }
}

/// Converts an error with `other`, unless it is a fault already, as in sources that wrap another one.
fn fault_or(other: fn(BoxError) -> Fault, error: BoxError) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => other(error),
    }
}

impl<F> fmt::Debug for ConnectFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectFn(..)")
    }
}
