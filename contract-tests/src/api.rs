//! What the harness can ask for, and whether it asks properly.

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
use crate::stream::{Face, Settings, StartError, Stream};

/// What a harness may test, in its words.
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

/// The largest request, for streams that are asked for with a large body.
const REQUEST_SIZE: usize = 64 << 20;

/// What all requests share.
pub(crate) struct Service {
    face: Face,
    /// The async clients of all streams share its connection pool.
    http: Http,
    callbacks: reqwest::Client,
    streams: Mutex<HashMap<u64, Stream>>,
    last_stream: AtomicU64,
    quit: watch::Sender<bool>,
}

impl Service {
    /// A service without streams.
    pub(crate) fn new(face: Face) -> reqwest::Result<Service> {
        Ok(Service {
            face,
            // The harness's servers are reached directly, whatever the environment says.
            http: Http::new("").no_proxy(),
            callbacks: callback::client()?,
            streams: Mutex::default(),
            last_stream: AtomicU64::new(0),
            quit: watch::Sender::new(false),
        })
    }

    /// Returns when the harness wants the process to exit.
    pub(crate) async fn quit_requested(&self) {
        // It ends early only if the sender is dropped, which is here.
        _ = self.quit.subscribe().wait_for(|quit| *quit).await;
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u64, Stream>> {
        // An entry is there or not: nothing is left half done under the lock.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service as a whole. Other methods are answered with 405, other paths with 404.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(capabilities).post(create).delete(quit))
        .route("/streams/{id}", post(command).delete(close))
        .layer(DefaultBodyLimit::max(REQUEST_SIZE))
        .with_state(service)
}

/// Why a request isn't carried out.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

fn bad_request(problem: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, problem.into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
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

/// `POST /`. Fields that are not known are ignored: harnesses grow.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
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
) -> Result<impl IntoResponse, Refusal> {
    let wanted: Wanted = parse(&body)?;
    let callbacks = Callbacks {
        client: service.callbacks.clone(),
        url: check_callback_url(&wanted.callback_url)?,
        tag: wanted.tag.clone(),
    };
    let settings = wanted.settings(&service.http)?;
    let stream = Stream::start(service.face, settings, callbacks).map_err(|error| match error {
        StartError::Client(error @ Error::Config { .. }) => bad_request(error.to_string()),
        StartError::Client(error) => internal(&error),
        StartError::Thread(error) => internal(&error),
    })?;
    let id = service.last_stream.fetch_add(1, Ordering::Relaxed) + 1;
    service.streams().insert(id, stream);
    Ok((StatusCode::CREATED, [(LOCATION, format!("/streams/{id}"))]))
}

impl Wanted {
    fn settings(self, http: &Http) -> Result<Settings, Refusal> {
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

fn check_callback_url(url: &str) -> Result<String, Refusal> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(url.into()),
        Ok(_) => Err(bad_request("callbackUrl isn't an HTTP URL")),
        Err(error) => Err(bad_request(format!("callbackUrl isn't a URL: {error}"))),
    }
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, callback::chain(error))
}

/// `POST <Location>`.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
enum Command {
    Restart,
}

async fn command(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let streams = service.streams();
    let stream = parse_id(&id).and_then(|id| streams.get(&id));
    let stream = stream.ok_or_else(|| unknown(&id))?;
    match parse(&body)? {
        Command::Restart => match stream.restart() {
            Ok(()) => Ok(StatusCode::ACCEPTED),
            Err(Finished) => Err(Refusal(
                StatusCode::CONFLICT,
                "the stream is over: the server has ended it for good".into(),
            )),
        },
    }
}

async fn close(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let stream = parse_id(&id).and_then(|id| service.streams().remove(&id));
    let stream = stream.ok_or_else(|| unknown(&id))?;
    drop(stream);
    Ok(StatusCode::NO_CONTENT)
}

fn parse_id(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn unknown(id: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no stream {id:?}"))
}
