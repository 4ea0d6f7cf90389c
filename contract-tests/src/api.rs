//! The REST interface: routes and validation of requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use everstream::{Error, Http};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;

use crate::callback::{self, Callbacks};
use crate::control::Finished;
use crate::stream::{ClientKind, Settings, StartError, Stream};

/// What a harness may test, in its own terms.
const CAPABILITIES: [&str; 9] = [
    "comments",
    "headers",
    "last-event-id",
    "post",
    "report",
    "read-timeout",
    "restart",
    "bom",
    "server-directed-shutdown-request",
];

/// The maximum size of a request; a stream may have a large request body.
const REQUEST_SIZE: usize = 64 << 20;

/// The state that all requests share.
pub(crate) struct Service {
    client_kind: ClientKind,
    /// The async clients of all streams share its connection pool.
    http: Http,
    callbacks: reqwest::Client,
    streams: Mutex<HashMap<u64, Stream>>,
    last_stream: AtomicU64,
    quit: watch::Sender<bool>,
}

impl Service {
    /// Creates a service without streams.
    pub(crate) fn new(client_kind: ClientKind) -> reqwest::Result<Service> {
        Ok(Service {
            client_kind,
            // Connects to the harness's servers directly, whatever the environment says.
            http: Http::new("").no_proxy(),
            callbacks: callback::client()?,
            streams: Mutex::default(),
            last_stream: AtomicU64::new(0),
            quit: watch::Sender::new(false),
        })
    }

    /// Returns when the harness wants the process to exit.
    pub(crate) async fn quit_requested(&self) {
        // Fails only if the sender is dropped, but `self` owns it.
        _ = self.quit.subscribe().wait_for(|quit| *quit).await;
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u64, Stream>> {
        // The map is always consistent, even if a thread panicked while it held the lock.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All routes. Other methods get a 405, other paths a 404.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(capabilities).post(create).delete(quit))
        .route("/streams/{id}", post(command).delete(close))
        .layer(DefaultBodyLimit::max(REQUEST_SIZE))
        .with_state(service)
}

/// Why a request is rejected.
struct Rejection(StatusCode, String);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

fn bad_request(problem: impl Into<String>) -> Rejection {
    Rejection(StatusCode::BAD_REQUEST, problem.into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))
}

async fn capabilities() -> impl IntoResponse {
    let body = json!({"capabilities": CAPABILITIES});
    ([(CONTENT_TYPE, "application/json")], body.to_string())
}

async fn quit(State(service): State<Arc<Service>>) -> StatusCode {
    service.streams().clear();
    service.quit.send_replace(true);
    StatusCode::OK
}

/// The body of `POST /`. Unknown fields are ignored, because harnesses evolve.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRequest {
    stream_url: String,
    callback_url: String,
    tag: String,
    initial_delay_ms: Option<u64>,
    read_timeout_ms: Option<u64>,
    last_event_id: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    method: Option<String>,
    body: Option<String>,
}

async fn create(
    State(service): State<Arc<Service>>,
    body: Bytes,
) -> Result<impl IntoResponse, Rejection> {
    let stream_request: StreamRequest = parse(&body)?;
    let callbacks = Callbacks {
        client: service.callbacks.clone(),
        url: check_callback_url(&stream_request.callback_url)?,
        tag: stream_request.tag.clone(),
    };
    let settings = stream_request.settings(&service.http)?;
    let stream =
        Stream::start(service.client_kind, settings, callbacks).map_err(|error| match error {
            StartError::Client(error @ Error::Config { .. }) => bad_request(error.to_string()),
            StartError::Client(error) => internal(&error),
            StartError::Thread(error) => internal(&error),
        })?;
    let id = service.last_stream.fetch_add(1, Ordering::Relaxed) + 1;
    service.streams().insert(id, stream);
    Ok((StatusCode::CREATED, [(LOCATION, format!("/streams/{id}"))]))
}

impl StreamRequest {
    fn settings(self, http: &Http) -> Result<Settings, Rejection> {
        if self.read_timeout_ms == Some(0) {
            return Err(bad_request("readTimeoutMs must be at least 1"));
        }
        let mut http = http.clone().set_url(self.stream_url);
        if let Some(method) = self.method {
            http = http.method(method);
        }
        for (name, value) in self.headers.unwrap_or_default() {
            http = http.header(name, value);
        }
        if let Some(body) = self.body {
            http = http.body(body);
        }
        Ok(Settings {
            http,
            initial_delay: self.initial_delay_ms.map(Duration::from_millis),
            read_timeout: self.read_timeout_ms.map(Duration::from_millis),
            last_event_id: self.last_event_id,
        })
    }
}

fn check_callback_url(url: &str) -> Result<String, Rejection> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(url.into()),
        Ok(_) => Err(bad_request("callbackUrl isn't an HTTP URL")),
        Err(error) => Err(bad_request(format!("callbackUrl isn't a URL: {error}"))),
    }
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Rejection {
    Rejection(StatusCode::INTERNAL_SERVER_ERROR, callback::chain(error))
}

/// The body of `POST <Location>`.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
enum Command {
    Restart,
}

async fn command(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Rejection> {
    let streams = service.streams();
    let stream = parse_id(&id).and_then(|id| streams.get(&id));
    let stream = stream.ok_or_else(|| unknown(&id))?;
    match parse(&body)? {
        Command::Restart => match stream.restart() {
            Ok(()) => Ok(StatusCode::ACCEPTED),
            Err(Finished) => Err(Rejection(
                StatusCode::CONFLICT,
                "the server has ended the stream for good".into(),
            )),
        },
    }
}

async fn close(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Rejection> {
    let stream = parse_id(&id).and_then(|id| service.streams().remove(&id));
    let stream = stream.ok_or_else(|| unknown(&id))?;
    drop(stream);
    Ok(StatusCode::NO_CONTENT)
}

fn parse_id(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn unknown(id: &str) -> Rejection {
    Rejection(StatusCode::NOT_FOUND, format!("there is no stream {id:?}"))
}
