//! The log, with the feature `tracing`.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{Action, Attempt, Error, Http, SseClient, blocking, error_strategy, retry_delay};
use everstream_testing::{Reply, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::certs::{Authority, Validity};
use super::client::{both, in_child};
use super::tls_server::TlsServer;

// In child processes, because tracing caches for the whole process whether a call site is enabled, and
// other tests reach the same call sites without a subscriber.

/// Records every event of all crates and levels as `message field=value ...`.
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
        let metadata = event.metadata();
        let source = metadata.target().split("::").next().unwrap_or_default();
        let line = format!("{source} {}: {line}", metadata.level());
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Log {
    /// Returns everstream's lines of one level.
    fn everstream_lines(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let start = format!("everstream {level}: ");
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(&start))
            .map(String::from)
            .collect()
    }
}

/// Starts a server with one dropped connection, one clean end, and a 503.
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
        .enqueue(
            Reply::stream()
                .event_with_id("2", "data-is-private")
                .send("data: unfinished\n"),
        )
        .enqueue(
            Reply::status(503)
                .header("Set-Cookie", "id=hunter2")
                .header("Retry-After", "7"),
        );
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
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::ZERO))
        .error_strategy(error_strategy::reconnect())
}

fn assert_logged(log: &Log, server: &Server) {
    let url = server.url("/feed");
    let connected = format!("connected to {url}, status 200");
    let info = log.everstream_lines(Level::INFO);
    assert_eq!(
        info,
        [
            connected.clone(),
            format!("{connected}, resuming after id \"1\""),
            "the stream ended; reconnecting in 0.0 s".to_owned()
        ]
    );
    assert_eq!(
        log.everstream_lines(Level::WARN),
        [
            "the server closed the connection mid-response; retrying in 0.0 s".to_owned(),
            "discarded 17 bytes of an unfinished event: the stream ended before its blank line"
                .to_owned(),
            format!("{url} answered with status 503 (Retry-After: 7 s); not retried automatically"),
        ]
    );
    let lines = log.everstream_lines(Level::DEBUG);
    let connecting = lines.iter().filter(|line| line.starts_with("connecting"));
    let connecting: Vec<_> = connecting.collect();
    assert_eq!(connecting.len(), 3, "{lines:#?}");
    assert!(connecting[1].contains("\"1\""), "the id to resume from");
    let reads = log.everstream_lines(Level::TRACE);
    assert!(
        reads.iter().any(|line| line.starts_with("received")),
        "{reads:#?}"
    );
    // Checks the lines of all crates, including reqwest's and hyper's.
    for line in log.0.lock().unwrap().iter() {
        assert!(!line.contains("hunter2"), "{line}");
        assert!(!line.contains("data-is-private"), "{line}");
    }
}

#[test]
fn the_async_client_logs_connections_but_no_secrets() {
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
    assert_logged(&log, &server);
    #[cfg(feature = "cookies")]
    assert_eq!(server.requests()[1].header("cookie"), Some("id=hunter2"));
}

#[test]
fn the_blocking_client_logs_connections_but_no_secrets() {
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
    assert_logged(&log, &server);
    #[cfg(feature = "cookies")]
    assert_eq!(server.requests()[1].header("cookie"), Some("id=hunter2"));
}

/// The certificate isn't trusted on the second attempt.
#[test]
fn retrying_an_untrusted_certificate_is_a_warning() {
    in_child("logging::child_that_retries_an_untrusted_certificate", &[]);
}

/// Returns the warnings logged for these replies, up to the first that contains `last`.
fn warnings(replies: Vec<Reply>, method: &'static str, last: &str) -> Vec<String> {
    let server = Server::start();
    for reply in replies {
        server.enqueue(reply);
    }
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let mut client = blocking::SseClient::builder(Http::new(server.url("/")).method(method))
            .initial_retry_delay(Duration::ZERO)
            .error_strategy(error_strategy::always_continue())
            .build()
            .unwrap();
        while !log
            .everstream_lines(Level::WARN)
            .iter()
            .any(|line| line.contains(last))
        {
            if client.next_action().is_none() {
                break;
            }
        }
    });
    log.everstream_lines(Level::WARN)
}

#[test]
fn warnings_are_readable_lines() {
    in_child("logging::child_with_warnings", &[]);
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
            log.everstream_lines(Level::WARN),
            [
                "the certificate of localhost is not trusted: unknown issuer; retrying in 0.0 s",
                "retrying although the certificate is not trusted, because an earlier connection \
                 succeeded; on the first attempt this would be final"
            ]
        );
    });
}

#[test]
#[ignore = "for a child process"]
fn child_with_warnings() {
    let error = Reply::stream().send("{\n  \"error\": \"\u{1b}[31moverloaded\"\n}");
    assert_eq!(
        warnings(vec![error], "GET", "no events"),
        [
            "the response had no events; it began with: {\\n  \"error\": \"\\u{1b}[31moverloaded\"\\n}"
        ]
    );
    assert_eq!(
        warnings(vec![Reply::stream().event("a")], "POST", "isn't safe"),
        [
            "the stream ended; the request isn't safe to repeat, so it isn't sent again \
             (repeat_unsafe and resume_with_get change that)"
        ]
    );
    let lines = warnings(
        vec![Reply::stream().event("a").drop_connection()],
        "POST",
        "isn't safe",
    );
    assert_eq!(
        lines,
        [
            "the server closed the connection mid-response; the request isn't safe to repeat, so it isn't \
             sent again (repeat_unsafe and resume_with_get change that)"
        ]
    );
    let lines = warnings(
        vec![
            Reply::status(503).header("Retry-After", "0"),
            Reply::stream().event("a").drop_connection(),
        ],
        "GET",
        "mid-response",
    );
    assert!(
        lines[0].ends_with(" answered with status 503 (Retry-After: 0 s); retrying in 0.0 s"),
        "{lines:#?}"
    );

    let server = Server::start();
    server.enqueue(Reply::stream().event("a").stall());
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let mut client = blocking::SseClient::builder(server.url("/"))
            .initial_retry_delay(Duration::ZERO)
            .build()
            .unwrap();
        client.next_event();
        client.interrupt();
        client.next_action();
    });
    let info = log.everstream_lines(Level::INFO);
    assert_eq!(info.last().unwrap(), "interrupted; reconnecting in 0.0 s");

    // A port on which nothing listens: a common first run.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let mut client = blocking::SseClient::builder(format!("http://{address}/"))
            .retry_delay_strategy(everstream::retry_delay::backoff().jitter(0.0))
            .build()
            .unwrap();
        client.next_action();
    });
    let refused = format!("connection refused by {address}; retrying in 1.0 s");
    assert_eq!(log.everstream_lines(Level::WARN), [refused]);
}
