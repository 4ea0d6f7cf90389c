//! What is logged, with the feature `tracing`.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{Action, Attempt, Error, Http, SseClient, blocking, error_strategy};
use everstream_testing::{Reply, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::certs::{Authority, Validity};
use super::client::{both, in_child};
use super::tls_server::TlsServer;

// In a process of their own, because whether a place logs at all is remembered for the whole
// process, and other tests come to the same places without a subscriber.

/// Keeps every event as `message field=value ...`, of all crates and levels.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        event.record(&mut Line(&mut line));
        let about = event.metadata();
        let from = about.target().split("::").next().unwrap_or_default();
        let line = format!("{from} {}: {line}", about.level());
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Log {
    /// The lines of everstream itself, of one level.
    fn own(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let start = format!("everstream {level}: ");
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(&start))
            .map(String::from)
            .collect()
    }
}

/// One drop, one return, and the end.
fn server() -> Server {
    let server = Server::start();
    server
        .enqueue(
            Reply::stream()
                .header("Set-Cookie", "id=hunter2")
                .event_with_id("1", "data-is-private")
                .content_length(10_000)
                .drop_connection(),
        )
        .enqueue(Reply::stream().event_with_id("2", "data-is-private"))
        .enqueue(Reply::status(503).header("Set-Cookie", "id=hunter2"));
    server
}

fn builder(server: &Server) -> everstream::Builder {
    let url = server
        .url("/feed?token=hunter2")
        .replace("http://", "http://user:hunter2@");
    let http = Http::new(url)
        .sensitive_header("X-Api-Key", "hunter2")
        .before_attempt(|attempt: Attempt| async {
            Ok::<_, Error>(attempt.query("fresh", "hunter2"))
        });
    #[cfg(feature = "cookies")]
    let http = http.cookies(true);
    SseClient::builder(http)
        .initial_retry_delay(Duration::ZERO)
        .error_strategy(error_strategy::reconnect())
}

fn assert_told(log: &Log) {
    let lines = log.own(Level::DEBUG);
    let told: Vec<&str> = lines
        .iter()
        .map(|line| {
            line.split_once(' ')
                .map_or(line.as_str(), |(message, _)| message)
        })
        .collect();
    assert_eq!(
        told,
        [
            "connecting",
            "connected",
            "disconnected",
            "connecting",
            "connected",
            "disconnected",
            "connecting",
            "gave",
        ],
        "{lines:#?}"
    );
    let reads = log.own(Level::TRACE);
    assert!(
        reads.iter().any(|line| line.starts_with("received")),
        "{reads:#?}"
    );
    let has = |start: &str, part: &str| {
        lines
            .iter()
            .any(|line| line.starts_with(start) && line.contains(part))
    };
    assert!(
        has("connecting", "\"1\""),
        "the id to resume from: {lines:#?}"
    );
    assert!(has("connected", "200"), "the status: {lines:#?}");
    assert!(has("disconnected", "Read"), "the reason: {lines:#?}");
    assert!(has("gave up", "503"), "the reason: {lines:#?}");
    // Of all crates: reqwest's and hyper's lines go to the same place.
    for line in log.0.lock().unwrap().iter() {
        assert!(!line.contains("hunter2"), "{line}");
        assert!(!line.contains("data-is-private"), "{line}");
    }
}

#[test]
fn the_async_client_tells_what_happens_and_no_secret() {
    in_child("logging::child_of_the_async_client", &[]);
}

#[test]
#[ignore = "for a child process"]
fn child_of_the_async_client() {
    let server = server();
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut client = builder(&server).build().unwrap();
            while let Some(Ok(_)) = client.next_event().await {}
        });
    });
    assert_told(&log);
    #[cfg(feature = "cookies")]
    assert_eq!(server.requests()[1].header("cookie"), Some("id=hunter2"));
}

#[test]
fn the_blocking_client_tells_what_happens_and_no_secret() {
    in_child("logging::child_of_the_blocking_client", &[]);
}

#[test]
#[ignore = "for a child process"]
fn child_of_the_blocking_client() {
    let server = server();
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let builder: everstream::Builder<blocking::SseClient> = builder(&server).into();
        let mut client = builder.build().unwrap();
        while let Some(Ok(_)) = client.next_event() {}
    });
    assert_told(&log);
    #[cfg(feature = "cookies")]
    assert_eq!(server.requests()[1].header("cookie"), Some("id=hunter2"));
}

/// A stream whose server is reached by TLS, but for the second time with a certificate that isn't
/// trusted.
#[test]
fn retrying_what_would_be_final_at_first_is_a_warning() {
    in_child("logging::child_that_retries_an_untrusted_certificate", &[]);
}

#[test]
#[ignore = "for a child process"]
fn child_that_retries_an_untrusted_certificate() {
    let (server, authority) = (Server::start(), Authority::new());
    server.otherwise(Reply::stream().event("hello").end());
    let tls = [&authority, &Authority::new()].map(|authority| {
        let leaf = authority.server(&["localhost"], Validity::Now);
        TlsServer::start(leaf.config(&["http/1.1"]), &server)
    });
    both(|kind| {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            let urls = tls.each_ref().map(|tls| tls.url("/"));
            let http = Http::new(&urls[0])
                .root_certificates(authority.pem())
                .before_attempt(move |attempt: Attempt| {
                    let url = &urls[usize::from(attempt.number() == 2)];
                    std::future::ready(Ok::<_, Error>(attempt.set_url(url)))
                });
            let builder = SseClient::builder(http)
                .initial_retry_delay(Duration::ZERO)
                .error_strategy(error_strategy::reconnect());
            let mut client = kind.build(builder);
            let mut events = 0;
            while events < 2 {
                match client.next() {
                    Some(Ok(Action::Event(_))) => events += 1,
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        });
        assert_eq!(
            log.own(Level::WARN),
            [
                "retrying although the certificate is not trusted, because an earlier connection \
              succeeded; on the first attempt this would be final \
              fault=the certificate of localhost is not trusted: unknown issuer"
            ]
        );
    });
}
