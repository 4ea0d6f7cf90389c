//! HTTP/2 (RFC 9113), over connections that the requests to an origin share.
//!
//! The crate `h2` is driven without hyper: hyper hands a request to its connection through a channel,
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
use super::net::{ConnectError, Connected, Io, Versions};

/// What a server may send of one stream before it is read. A reader that stops holds this much.
const STREAM_WINDOW: u32 = 256 << 10;

/// What a server may send of all streams: the most there can be, so that streams that aren't read
/// leave room for the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How often a connection with streams is asked whether it is alive, and how long the answer may take.
/// A connection without streams is released at that time.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The connections of one `Http`, by origin and runtime.
pub(super) struct Pool {
    origins: Mutex<HashMap<Key, Arc<Origin>>>,
    /// The origins that refuse HTTP/2, whatever they negotiate.
    requires_http1: Mutex<HashSet<String>>,
    pings: bool,
}

/// A connection is shared within the runtime that drives it: the clients of another one would wait
/// for it while it rests.
type Key = (String, Option<runtime::Id>);

#[derive(Default)]
struct Origin {
    connections: Mutex<Vec<Shared>>,
    /// Held while a connection is made, so that the others wait for it and share it.
    connecting: tokio::sync::Mutex<()>,
    /// It doesn't negotiate HTTP/2, so that there is nothing to wait for.
    is_http1: AtomicBool,
}

#[derive(Clone)]
struct Shared {
    requests: SendRequest<Bytes>,
    /// It takes no more requests. The streams that it has may continue.
    closed: Arc<AtomicBool>,
    /// As many as there are streams, and one.
    streams: Arc<()>,
}

/// Where one request can be sent.
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
        // A hook may ask ever new hosts, and a program may start ever new runtimes: the connections of
        // one that is gone are closed.
        origins.retain(|_, origin| Arc::strong_count(origin) > 1 || origin.is_worth_keeping());
        origins.entry(key).or_default().clone()
    }

    pub(super) fn require_http1(&self, url: &Url) {
        lock(&self.requires_http1).insert(url.origin().ascii_serialization());
    }

    /// A connection with room for another stream, or a new one.
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
        // A task of its own, because the others wait for it: the caller may stop to poll this future,
        // and keep it.
        let mut connecting = AbortOnDrop(tokio::spawn(async move {
            let _others_wait = origin.connecting.lock().await;
            match origin.acquire() {
                Some(sender) => Ok(Opened::Shared(sender)),
                None => origin.connect(connect(versions), pings).await,
            }
        }));
        (&mut connecting.0).await.unwrap_or_else(|_| {
            let message = "the runtime is shutting down";
            Err(Failure::new(FailureKind::Other, message).into())
        })
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
        // Also if the server takes no stream yet: then the request waits for it.
        let sender = shared.sender();
        lock(&self.connections).push(shared);
        Ok(Opened::Shared(sender))
    }

    /// Room for a stream on one of its connections.
    fn acquire(&self) -> Option<Sender> {
        let mut connections = lock(&self.connections);
        // One that takes no stream at all is of no use, and others would follow it.
        let is_useless = |it: &Shared| it.is_idle() && it.room() == 0;
        connections.retain(|it| !it.is_closed() && !is_useless(it));
        let has_room = |it: &&Shared| Arc::strong_count(&it.streams) <= it.room();
        connections.iter().find(has_room).map(Shared::sender)
    }

    fn is_worth_keeping(&self) -> bool {
        lock(&self.connections).iter().any(|it| !it.is_closed())
    }
}

/// Nothing that is done under these locks panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn new(io: Io, origin: &Arc<Origin>, pings: bool) -> Result<Self, ConnectError> {
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Until the server has said how many it takes: one too many would wait for another to end.
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
        // It lives as long as the runtime of the client that made it.
        let closes = CloseOnDrop(shared.closed.clone());
        let keep_alive = pings.then(|| KeepAlive::new(&shared, origin));
        tokio::spawn(async move {
            let _closes = closes;
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

    /// Whether it has no streams.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.streams) == 1
    }

    /// How many streams the server takes at a time.
    fn room(&self) -> usize {
        self.requests.current_max_send_streams()
    }
}

struct CloseOnDrop(Arc<AtomicBool>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Moves the frames of all streams, until the connection ends or is found dead.
async fn serve(mut connection: Connection<Io, Bytes>, mut keep_alive: Option<KeepAlive>) {
    let mut pings = connection.ping_pong();
    poll_fn(|cx| {
        if let (Some(keep_alive), Some(pings)) = (&mut keep_alive, &mut pings) {
            if keep_alive.poll_dead(pings, cx).is_ready() {
                return Poll::Ready(());
            }
        }
        // Each stream is told what became of it.
        Pin::new(&mut connection).poll(cx).map(drop)
    })
    .await;
}

/// Asks a connection from time to time whether it is alive, and lets go of one without streams: it ends
/// in an orderly way when nobody can use it any more.
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

    /// Ready if it is dead.
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
                self.let_go();
            }
            self.waiting_for_pong = has_streams && pings.send_ping(Ping::opaque()).is_ok();
            let limit = match self.waiting_for_pong {
                true => PING_TIMEOUT,
                false => PING_INTERVAL,
            };
            self.timer.as_mut().reset(Instant::now() + limit);
        }
    }

    fn let_go(&self) {
        let Some(origin) = self.origin.upgrade() else {
            return;
        };
        let is_own = |it: &Shared| std::ptr::eq(Arc::as_ptr(&it.streams), self.streams.as_ptr());
        // Senders are given out under this lock.
        lock(&origin.connections).retain(|it| !(is_own(it) && it.is_idle()));
    }
}

#[cfg(test)]
#[path = "http2/pool_tests.rs"]
mod tests;
