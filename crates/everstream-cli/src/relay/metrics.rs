//! `--metrics`: the state of a relay for Prometheus, and whether all is well.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use everstream_relay::{APPEND_BOUNDS, Monitor, Role, Snapshot};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};

use crate::report::Problem;

/// How long a client may take for its request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// After a client that can't be accepted, such as for too many open files.
const REST: Duration = Duration::from_millis(50);

/// A port for the metrics.
pub(super) struct Metrics(TcpListener);

impl Metrics {
    pub(super) fn bind(address: SocketAddr) -> Result<Metrics, Problem> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listener = bound.map_err(|error| {
            Problem::because(&format!("--metrics can't listen on {address}"), &error)
        })?;
        Ok(Metrics(listener))
    }

    /// Answers until the runtime ends.
    pub(super) fn serve(self, monitor: Monitor) {
        tokio::spawn(async move {
            loop {
                match self.0.accept().await {
                    Ok((socket, _)) => _ = tokio::spawn(answer_all(socket, monitor.clone())),
                    Err(_) => tokio::time::sleep(REST).await,
                }
            }
        });
    }
}

async fn answer_all(socket: TcpStream, monitor: Monitor) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let response = answer(request.uri().path(), &monitor.snapshot());
        async { Ok::<_, Infallible>(response) }
    });
    // A client that leaves is its own affair.
    _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

fn answer(path: &str, snapshot: &Snapshot) -> Response<String> {
    let (status, kind, body) = match path {
        "/metrics" => (
            StatusCode::OK,
            prometheus_text::CONTENT_TYPE,
            text(snapshot),
        ),
        "/healthz" if snapshot.available => {
            (StatusCode::OK, "text/plain", format!("{}\n", snapshot.role))
        }
        "/healthz" => {
            let body = "the log isn't available\n".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "text/plain", body)
        }
        _ => {
            let body = "not found: try /metrics or /healthz\n".to_owned();
            (StatusCode::NOT_FOUND, "text/plain", body)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn text(snapshot: &Snapshot) -> String {
    let mut registry = Registry::with_prefix("everstream_relay");
    let roles: Family<[(&str, &str); 1], Gauge> = Family::default();
    for role in [Role::Standby, Role::TakingOver, Role::Active] {
        let name = match role {
            Role::Standby => "standby",
            Role::TakingOver => "taking_over",
            _ => "active",
        };
        let is = i64::from(snapshot.role == role);
        roles.get_or_create(&[("role", name)]).set(is);
    }
    registry.register(
        "role",
        "1 for the relay's current role, 0 for the others",
        roles,
    );
    // The encoder ends each of these with a full stop, and counters' names with _total.
    for (name, help, number) in [
        (
            "received",
            "Events received from the feed, including repeated ones",
            snapshot.received,
        ),
        ("stored", "Events that this relay stored", snapshot.stored),
        (
            "conflicts",
            "Number of times the log's end wasn't the expected one: another writer, or a failover",
            snapshot.conflicts,
        ),
        (
            "unknown_outcomes",
            "Appends whose outcome was unknown until the log was read again",
            snapshot.unknown,
        ),
        (
            "skipped_replays",
            "Repeated events that were dropped",
            snapshot.skipped,
        ),
        (
            "rejected",
            "Events that the log can't store",
            snapshot.rejected,
        ),
        ("gaps", "Known gaps in the log", snapshot.gaps),
    ] {
        registry.register(name, help, ConstCounter::new(number));
    }
    let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    let help = "The position of the log's last event";
    registry.register("log_position", help, gauge(snapshot.tail.pos));
    let help = "Events waiting to be stored";
    registry.register("waiting_events", help, gauge(snapshot.waiting as u64));
    let help = "1 if the log answered the last request";
    registry.register("log_available", help, gauge(snapshot.available.into()));
    let lag = snapshot.lag.unwrap_or_default().as_secs_f64();
    let help = "Age of the oldest event that isn't known to be stored";
    registry.register("lag_seconds", help, ConstGauge::new(lag));
    if let Some(last) = snapshot.last_event {
        let age = SystemTime::now().duration_since(last).unwrap_or_default();
        let help = "Time since the last event was received";
        registry.register(
            "last_event_age_seconds",
            help,
            ConstGauge::new(age.as_secs_f64()),
        );
    }
    registry.register_collector(Box::new(AppendTimes(snapshot.clone())));
    let mut text = String::new();
    // Strings can always be written to.
    _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// How long appends take, as a histogram.
#[derive(Debug)]
struct AppendTimes(Snapshot);

impl Collector for AppendTimes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let AppendTimes(snapshot) = self;
        let bounds = APPEND_BOUNDS.iter().map(Duration::as_secs_f64);
        let buckets: Vec<_> = bounds.zip(snapshot.append_buckets).collect();
        let name = "append_seconds";
        let help = "Duration of successful appends";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let sum = snapshot.append_time.as_secs_f64();
        metric.encode_histogram::<NoLabelSet>(sum, snapshot.appends, &buckets, None)
    }
}
