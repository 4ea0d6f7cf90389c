//! HTTP/2 (RFC 9113), over connections that requests to the same origin share.
//!
//! The crate `h2` is used without hyper: hyper passes a request to its connection through a channel,
//! where the request can get stuck if the connection ends at that moment.

mod request;

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use everstream_http::{Failure, FailureKind};
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::runtime;
use tokio::time::{Instant, Sleep};
use url::Url;

pub(super) use self::request::Body;
use self::request::failure;
use super::net::{ConnectError, Connected, Io, RUNTIME_ENDED, Versions};

/// How much a server may send on one stream before it is read: the memory that a stalled reader costs.
const STREAM_WINDOW: u32 = 256 << 10;

/// How much a server may send on all streams: the maximum, so that streams that aren't read don't block
/// the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How often a connection with streams is pinged, and how long the reply may take. A connection without
/// streams is closed instead.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The connections of one `Http`, by origin and runtime.
pub(super) struct Pool {
    origins: Mutex<HashMap<Key, Arc<Origin>>>,
    /// The origins that reject requests over HTTP/2, whatever they negotiate.
    requires_http1: Mutex<HashSet<String>>,
    pings: bool,
}

/// A connection is shared within one runtime: clients of another runtime would have to wait whenever
/// the connection's runtime isn't running.
type Key = (String, Option<runtime::Id>);

#[derive(Default)]
struct Origin {
    connections: Mutex<Vec<Shared>>,
    /// Locked while a connection is being opened, so that other requests wait for it and share it.
    connecting: tokio::sync::Mutex<()>,
    /// The origin doesn't negotiate HTTP/2, so requests needn't wait for each other.
    is_http1: AtomicBool,
}

#[derive(Clone)]
struct Shared {
    requests: SendRequest<Bytes>,
    /// The connection accepts no more requests. Its existing streams may continue.
    closed: Arc<AtomicBool>,
    /// Has one reference for each stream, and one for the connection.
    streams: Arc<()>,
}

/// Sends one request.
pub(super) struct Sender {
    requests: SendRequest<Bytes>,
    closed: Arc<AtomicBool>,
    stream: Arc<()>,
}

pub(super) enum Opened {
    Shared(Sender),
    Http1(Connected),
}

impl Pool {
    pub(super) fn new(pings: bool) -> Self {
        Pool {
            origins: Mutex::default(),
            requires_http1: Mutex::default(),
            pings,
        }
    }

    fn origin(&self, name: String) -> Arc<Origin> {
        let runtime = runtime::Handle::try_current().ok();
        let key = (name, runtime.map(|runtime| runtime.id()));
        let mut origins = lock(&self.origins);
        if let Some(origin) = origins.get(&key) {
            return origin.clone();
        }
        // Otherwise the map would grow forever in a program that keeps connecting to new hosts, or
        // keeps starting new runtimes; connections of a dropped runtime are closed.
        origins.retain(|_, origin| Arc::strong_count(origin) > 1 || origin.has_open_connection());
        origins.entry(key).or_default().clone()
    }

    pub(super) fn require_http1(&self, url: &Url) {
        lock(&self.requires_http1).insert(url.origin().ascii_serialization());
    }

    /// Returns a connection that accepts another stream, or opens one.
    pub(super) async fn open<F>(
        &self,
        url: &Url,
        versions: Versions,
        connect: impl Fn(Versions) -> F + Send + 'static,
    ) -> Result<Opened, ConnectError>
    where
        F: Future<Output = Result<Connected, ConnectError>> + Send + 'static,
    {
        let name = url.origin().ascii_serialization();
        if lock(&self.requires_http1).contains(&name) {
            return connect(Versions::Http1).await.map(Opened::Http1);
        }
        let origin = self.origin(name);
        if let Some(sender) = origin.acquire() {
            return Ok(Opened::Shared(sender));
        }
        if origin.is_http1.load(Ordering::Relaxed) {
            return origin.connect(connect(versions), self.pings).await;
        }
        let pings = self.pings;
        // In a separate task, because other requests wait for it, and the caller may stop polling this
        // future without dropping it.
        let mut connecting = AbortOnDrop(tokio::spawn(async move {
            let _connecting = origin.connecting.lock().await;
            match origin.acquire() {
                Some(sender) => Ok(Opened::Shared(sender)),
                None => origin.connect(connect(versions), pings).await,
            }
        }));
        (&mut connecting.0)
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Other, RUNTIME_ENDED).into()))
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Origin {
    async fn connect(
        self: &Arc<Self>,
        connecting: impl Future<Output = Result<Connected, ConnectError>>,
        pings: bool,
    ) -> Result<Opened, ConnectError> {
        let connected = connecting.await?;
        self.is_http1.store(!connected.is_http2, Ordering::Relaxed);
        if !connected.is_http2 {
            return Ok(Opened::Http1(connected));
        }
        let shared = Shared::new(connected.io, self, pings).await?;
        // Even if the server accepts no stream yet: the request then waits until it does.
        let sender = shared.sender();
        lock(&self.connections).push(shared);
        Ok(Opened::Shared(sender))
    }

    /// Reserves a stream on one of the origin's connections.
    fn acquire(&self) -> Option<Sender> {
        let mut connections = lock(&self.connections);
        // Connections that accept no streams at all would pile up.
        let is_useless = |shared: &Shared| shared.is_idle() && shared.max_streams() == 0;
        connections.retain(|shared| !shared.is_closed() && !is_useless(shared));
        let has_room =
            |shared: &&Shared| Arc::strong_count(&shared.streams) <= shared.max_streams();
        connections.iter().find(has_room).map(Shared::sender)
    }

    fn has_open_connection(&self) -> bool {
        lock(&self.connections)
            .iter()
            .any(|shared| !shared.is_closed())
    }
}

/// Ignores poisoning: nothing panics under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn new(io: Io, origin: &Arc<Origin>, pings: bool) -> Result<Self, ConnectError> {
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Until the server has announced its limit: a stream above the limit would have to wait for
            // another one to end.
            .initial_max_send_streams(1)
            .enable_push(false)
            .handshake(io)
            .await
            .map_err(|error| ConnectError::Failed(failure(error, "before responding")))?;
        let shared = Shared {
            requests,
            closed: Arc::default(),
            streams: Arc::default(),
        };
        // The task lives as long as the runtime of the client that opened the connection.
        let close_on_drop = CloseOnDrop(shared.closed.clone());
        let keep_alive = pings.then(|| KeepAlive::new(&shared, origin));
        tokio::spawn(async move {
            let _close_on_drop = close_on_drop;
            serve(connection, keep_alive).await;
        });
        Ok(shared)
    }

    fn sender(&self) -> Sender {
        Sender {
            requests: self.requests.clone(),
            closed: self.closed.clone(),
            stream: self.streams.clone(),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the connection has no streams.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.streams) == 1
    }

    /// How many concurrent streams the server accepts.
    fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }
}

struct CloseOnDrop(Arc<AtomicBool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs the connection until it ends or a ping isn't answered.
async fn serve(mut connection: Connection<Io, Bytes>, mut keep_alive: Option<KeepAlive>) {
    let mut pings = connection.ping_pong();
    poll_fn(|cx| {
        if let (Some(keep_alive), Some(pings)) = (&mut keep_alive, &mut pings) {
            if keep_alive.poll_dead(pings, cx).is_ready() {
                return Poll::Ready(());
            }
        }
        // h2 reports an error of the connection to each of its streams.
        Pin::new(&mut connection).poll(cx).map(drop)
    })
    .await;
}

/// Pings a connection that has streams, and releases one without streams: h2 closes it cleanly once no
/// sender refers to it.
struct KeepAlive {
    timer: Pin<Box<Sleep>>,
    waiting_for_pong: bool,
    streams: Weak<()>,
    origin: Weak<Origin>,
}

impl KeepAlive {
    fn new(shared: &Shared, origin: &Arc<Origin>) -> Self {
        KeepAlive {
            timer: Box::pin(tokio::time::sleep(PING_INTERVAL)),
            waiting_for_pong: false,
            streams: Arc::downgrade(&shared.streams),
            origin: Arc::downgrade(origin),
        }
    }

    /// Ready if the connection is dead.
    fn poll_dead(&mut self, pings: &mut PingPong, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.waiting_for_pong && pings.poll_pong(cx).is_ready() {
                self.waiting_for_pong = false;
                self.timer.as_mut().reset(Instant::now() + PING_INTERVAL);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.waiting_for_pong {
                return Poll::Ready(());
            }
            let has_streams = self.streams.strong_count() > 1;
            if !has_streams {
                self.release_if_idle();
            }
            self.waiting_for_pong = has_streams && pings.send_ping(Ping::opaque()).is_ok();
            let limit = match self.waiting_for_pong {
                true => PING_TIMEOUT,
                false => PING_INTERVAL,
            };
            self.timer.as_mut().reset(Instant::now() + limit);
        }
    }

    fn release_if_idle(&self) {
        let Some(origin) = self.origin.upgrade() else {
            return;
        };
        let is_this =
            |shared: &Shared| std::ptr::eq(Arc::as_ptr(&shared.streams), self.streams.as_ptr());
        // `acquire` holds the same lock, so an idle connection can't get a stream meanwhile.
        lock(&origin.connections).retain(|shared| !(is_this(shared) && shared.is_idle()));
    }
}

#[cfg(test)]
#[path = "http2/pool_tests.rs"]
mod tests;
