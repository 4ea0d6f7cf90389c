//! The server of the idle streams: a separate process, which prints its address.
//!
//! `GET /idle` is answered with `hello`, then the stream waits. After `GET /start` each stream gets an
//! event with the time once a second, and the streams are spread evenly over the second. `GET /drop/M`
//! drops all other connections, and is answered when M streams have reconnected.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;

use crate::tls::Serve;
use crate::{Outcome, sys};

#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    tls: Serve,
}

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 16_384;
/// More than the number of streams.
const STREAMS: u32 = 1 << 20;

const GOLDEN_RATIO: f64 = 1.618_033_988_749_895;

/// How long the streams may take to reconnect.
const PATIENCE: Duration = Duration::from_secs(120);

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

struct State {
    /// Whether the streams get an event a second.
    started: watch::Sender<bool>,
    /// How often all connections were dropped.
    drops: watch::Sender<u32>,
    /// Times of the connections since the last drop.
    accepted: Mutex<Vec<Instant>>,
    /// Streams since the last drop.
    begun: AtomicUsize,
}

impl State {
    fn accepted(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn run(options: &Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    runtime.block_on(listen(options))
}

async fn listen(options: &Options) -> Outcome {
    let acceptor = options.tls.config()?.map(TlsAcceptor::from);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}://{}", options.tls.scheme(), listener.local_addr()?);

    let state = Arc::new(State {
        started: watch::channel(false).0,
        drops: watch::channel(0).0,
        accepted: Mutex::default(),
        begun: AtomicUsize::new(0),
    });
    loop {
        let (connection, _) = listener.accept().await?;
        state.accepted().push(Instant::now());
        connection.set_nodelay(true)?;
        // A client may be killed with thousands of connections; none of them may linger.
        connection.set_zero_linger()?;
        tokio::spawn(greet(connection, acceptor.clone(), state.clone()));
    }
}

async fn greet(connection: TcpStream, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    match acceptor {
        None => serve(connection, state).await,
        Some(acceptor) => {
            if let Ok(connection) = acceptor.accept(connection).await {
                serve(connection, state).await;
            }
        }
    }
}

async fn serve(connection: impl AsyncRead + AsyncWrite + Unpin + 'static, state: Arc<State>) {
    let mut drops = state.drops.subscribe();
    let spared = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| answer(request, state.clone(), spared.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(connection), service));
    loop {
        tokio::select! {
            _ = &mut serving => return,
            _ = drops.changed() => if !spared.load(Ordering::Relaxed) { return },
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    spared: Arc<AtomicBool>,
) -> Result<Response<Body>, Infallible> {
    let mut parts = request.uri().path().split('/').skip(1);
    let what = parts.next().unwrap_or_default().to_owned();
    let body = match what.as_str() {
        "drop" => {
            spared.store(true, Ordering::Relaxed);
            let number = parts.next().and_then(|part| part.parse().ok());
            let said = dropped(&state, number.unwrap_or(1)).await;
            said_once(said).boxed()
        }
        "start" => {
            state.started.send_replace(true);
            said_once("started".into()).boxed()
        }
        _ => {
            let number = state.begun.fetch_add(1, Ordering::Relaxed);
            // Evenly spread, for any number of streams.
            let phase = Duration::from_secs_f64((number as f64 * GOLDEN_RATIO).fract());
            let ticks = ticks(state.started.subscribe(), phase);
            hello().chain(ticks).boxed()
        }
    };
    let body = body
        .map(|text: String| Ok(Frame::data(Bytes::from(text))))
        .boxed();
    let mut response = Response::new(StreamBody::new(body));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

fn said_once(text: String) -> impl stream::Stream<Item = String> + Send {
    stream::once(std::future::ready(text))
}

fn hello() -> impl stream::Stream<Item = String> + Send {
    said_once("data: hello\n\n".into())
}

fn ticks(
    mut started: watch::Receiver<bool>,
    phase: Duration,
) -> impl stream::Stream<Item = String> + Send {
    let ticking = async move {
        // The stream ends with the server.
        let _ = started.wait_for(|started| *started).await;
        stream::unfold(interval(phase), |mut interval| async {
            interval.tick().await;
            let stamp = sys::now().unwrap_or(0);
            Some((format!("data: {stamp}\n\n"), interval))
        })
    };
    stream::once(ticking).flatten()
}

const SECOND: Duration = Duration::from_secs(1);

/// A tick a second, `phase` after the beginning of each second of the clock.
fn interval(phase: Duration) -> tokio::time::Interval {
    let clock = Duration::from_nanos(sys::now().unwrap_or(0));
    let first = tokio::time::Instant::now() + until_first_tick(clock, phase);
    let mut interval = tokio::time::interval_at(first, SECOND);
    // After a stall of the server, events would arrive together, which is cheaper.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

/// The first tick, within two seconds. If the phase has passed in this second, the tick is in the next
/// one: an immediate tick would put all such streams into one burst.
fn until_first_tick(clock: Duration, phase: Duration) -> Duration {
    let passed = Duration::from_nanos(clock.subsec_nanos().into());
    SECOND + phase - passed
}

/// Seconds until that many streams had reconnected, and the most connections within a second and within
/// a tenth of a second.
async fn dropped(state: &State, streams: usize) -> String {
    state.begun.store(0, Ordering::Relaxed);
    state.accepted().clear();
    let start = Instant::now();
    state.drops.send_modify(|drops| *drops += 1);
    while state.begun.load(Ordering::Relaxed) < streams {
        if start.elapsed() > PATIENCE {
            return "not all streams reconnected".into();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let taken = start.elapsed().as_secs_f64();
    let accepted = state.accepted();
    let most = |window: Duration| {
        let since = |from: usize| {
            let within = |at: &&Instant| at.duration_since(accepted[from]) < window;
            accepted[from..].iter().take_while(within).count()
        };
        (0..accepted.len()).map(since).max().unwrap_or(0)
    };
    let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
    format!("{taken} {} {}", most(second), most(tenth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_spread_evenly_whenever_the_streams_start() {
        for started in [7_000, 7_001, 7_500, 7_999].map(Duration::from_millis) {
            for phase in [0, 1, 499, 500, 999].map(Duration::from_millis) {
                let first = started + until_first_tick(started, phase);
                assert_eq!(first.as_millis() % 1000, phase.as_millis());
                assert!(first > started && first - started < 2 * SECOND);
            }
        }
    }
}
