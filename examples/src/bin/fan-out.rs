//! A service that follows one stream and forwards it to any number of browsers.
//!
//! `fan-out UPSTREAM-URL [ADDRESS]` serves `/events`, at 127.0.0.1:3000 by default.
//!
//! A browser that reconnects gets the events it missed, as far as they are kept. If they don't reach back
//! to its id, an event of the type `gap` tells it to reload everything. A browser that reads too slowly
//! is disconnected, so that it doesn't delay others; it reconnects by itself. A comment every 15 s (or
//! `KEEP_ALIVE` seconds) keeps proxies from closing idle connections.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Event, Http, SseClient};
use everstream_core::{EncodeError, Encoder};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};

/// How many events are kept for browsers that reconnect.
const HISTORY: usize = 1000;

/// How many events a browser may fall behind.
const MAX_LAG: usize = 256;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprint!("fan-out: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(url) = args.next() else {
        return Err("usage: fan-out UPSTREAM-URL [ADDRESS]".into());
    };
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3000".into());
    let keep_alive = match std::env::var("KEEP_ALIVE") {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.parse()?)?,
        Err(_) => Duration::from_secs(15),
    };
    let hub = Arc::new(Hub::default());
    let service = Router::new()
        .route("/events", get(events))
        .with_state((hub.clone(), keep_alive));
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    println!("http://{}/events", listener.local_addr()?);

    let mut client = SseClient::builder(Http::new(url))
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
        .build()?;
    let handle = client.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            handle.close();
        }
    });
    let publisher = hub.clone();
    let following = tokio::spawn(async move {
        let outcome = loop {
            match client.next_event().await {
                Some(Ok(event)) => publisher.publish(&event),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        // Ends all responses; the server waits for them before it stops.
        publisher.close();
        outcome
    });
    let shutdown = hub.clone();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move { shutdown.closed().await })
        .await?;
    Ok(following.await??)
}

async fn events(
    State((hub, keep_alive)): State<(Arc<Hub>, Duration)>,
    headers: HeaderMap,
) -> Response {
    let last_event_id = headers
        .get("last-event-id")
        .and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
    let Some((missed, live)) = hub.join(last_event_id) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let body = stream::unfold(Some((missed, live)), move |state| async move {
        let (missed, mut live) = state?;
        if !missed.is_empty() {
            return Some((Ok(missed), Some((Bytes::new(), live))));
        }
        let next = match tokio::time::timeout(keep_alive, live.recv()).await {
            Ok(Ok(event)) => event,
            // The browser is too far behind, or the service is stopping: end the response.
            Ok(Err(_)) => return None,
            Err(_) => Bytes::from_static(b":\n\n"),
        };
        Some((Ok::<_, Infallible>(next), Some((missed, live))))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

/// The recent events, and the channel to the connected browsers.
struct Hub {
    inner: Mutex<Inner>,
}

struct Inner {
    /// The encoded events that have an id, oldest first.
    history: VecDeque<(String, Bytes)>,
    /// `None` once the service stops. Each event is encoded once and shared by all receivers.
    live: Option<Sender<Bytes>>,
}

impl Default for Hub {
    fn default() -> Hub {
        let inner = Mutex::new(Inner {
            history: VecDeque::with_capacity(HISTORY),
            live: Some(Sender::new(MAX_LAG)),
        });
        Hub { inner }
    }
}

impl Hub {
    fn publish(&self, event: &Event) {
        let wire = encoded(|encoder| encoder.event(event));
        let mut inner = self.lock();
        if let Some(id) = event.id().filter(|id| !id.is_empty()) {
            if inner.history.len() == HISTORY {
                inner.history.pop_front();
            }
            inner.history.push_back((id.to_owned(), wire.clone()));
        }
        if let Some(live) = &inner.live {
            // An error means that no browser is connected.
            _ = live.send(wire);
        }
    }

    /// Returns the events that a browser missed, and a receiver for all later ones. Both under one lock,
    /// so that no event falls in between.
    fn join(&self, last_event_id: Option<&str>) -> Option<(Bytes, Receiver<Bytes>)> {
        let inner = self.lock();
        let live = inner.live.as_ref()?.subscribe();
        // Browsers get an id immediately, so that they can resume even if the connection breaks before
        // their first event.
        let newest = inner.history.back().map(|(id, _)| id.as_str());
        let position = inner
            .history
            .iter()
            .rposition(|(id, _)| Some(id.as_str()) == last_event_id);
        let missed = match (last_event_id, position) {
            (Some(_), Some(position)) => inner
                .history
                .iter()
                .skip(position + 1)
                .flat_map(|(_, wire)| wire.iter().copied())
                .collect(),
            (Some(_), None) => encoded(|encoder| encoder.event(&Event::new("gap", "", newest))),
            (None, _) => encoded(|encoder| newest.map_or(Ok(()), |id| encoder.id(id))),
        };
        Some((missed, live))
    }

    fn close(&self) {
        self.lock().live = None;
    }

    async fn closed(&self) {
        let receiver = self.lock().live.as_ref().map(Sender::subscribe);
        if let Some(mut receiver) = receiver {
            while !matches!(
                receiver.recv().await,
                Err(broadcast::error::RecvError::Closed)
            ) {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encoded(write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>) -> Bytes {
    let mut encoder = Encoder::new();
    if let Err(error) = write(&mut encoder) {
        // Unreachable in practice: everything decoded from a stream can be encoded again.
        eprintln!("skipped: {error}");
    }
    Bytes::from(encoder.into_string())
}
