//! Whole relays, over HTTP and a log in memory.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::SseClient;
use everstream_relay::{
    AppendError, Config, End, Error, Failure, Held, MemorySink, Record, Relay, Role, Sink,
    SinkError, Snapshot, Tail,
};
use everstream_testing::{Reply, Server};

/// How long something may take that should happen soon.
const LIMIT: Duration = Duration::from_secs(60);

fn quick() -> Config {
    let mut config = Config::default();
    config.takeover = Duration::from_millis(300);
    config.poll = Duration::from_millis(20);
    config
}

/// A feed that resumes after the id that is asked for: `count` events, then silence.
fn serve(server: &Server, count: u64) {
    server.otherwise_with(move |request| {
        let last = request
            .header("last-event-id")
            .and_then(|id| id.parse().ok());
        let first = last.unwrap_or(0) + 1;
        let events: String = (first..=count)
            .map(|id| format!("id: {id}\ndata: event {id}\n\n"))
            .collect();
        Reply::stream().send(events).stall()
    });
}

fn ids(sink: &MemorySink) -> Vec<u64> {
    let records = sink.records();
    let ids = records.iter().map(|it| it.id.as_deref().unwrap_or("0"));
    ids.map(|id| id.parse().unwrap()).collect()
}

async fn until(
    relay: Relay<
        impl Sink + 'static,
        impl FnMut() -> Result<everstream::Builder, everstream::Error>,
    >,
    mut done: impl FnMut(&Snapshot) -> bool,
) -> (Result<End, Error>, Snapshot) {
    let (stopper, mut monitor) = (relay.stopper(), relay.monitor());
    let watch = async {
        while let Some(snapshot) = monitor.changed().await {
            if done(&snapshot) {
                stopper.stop();
            }
        }
        monitor.snapshot()
    };
    let both = async { tokio::join!(relay.run(), watch) };
    tokio::time::timeout(LIMIT, both).await.expect("an end")
}

#[tokio::test]
async fn a_relay_stores_a_feed_and_the_next_one_continues() {
    let server = Server::start();
    serve(&server, 500);
    let (sink, url) = (MemorySink::new(), server.url("/"));
    let relay = Relay::new(quick(), sink.clone(), || Ok(SseClient::builder(&url)));
    let (end, snapshot) = until(relay, |it| it.stored >= 500).await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!((snapshot.stored, snapshot.tail.pos), (500, 500));
    assert!(snapshot.appends < 100 && snapshot.last_event.is_some());

    serve(&server, 700);
    let relay = Relay::new(quick(), sink.clone(), || Ok(SseClient::builder(&url)));
    until(relay, |it| it.stored >= 200).await.0.unwrap();
    assert_eq!(ids(&sink), (1..=700).collect::<Vec<_>>());
    assert_eq!(sink.records()[699].data, "event 700");
}

#[tokio::test]
async fn of_two_relays_one_is_the_standby_and_takes_over() {
    let server = Server::start();
    serve(&server, 100);
    let (sink, url) = (MemorySink::new(), server.url("/"));
    let feed = || Ok(SseClient::builder(&url));
    let mut first = pin!(until(Relay::new(quick(), sink.clone(), feed), |_| false));
    let second = Relay::new(quick(), sink.clone(), feed);
    let mut monitor = second.monitor();
    // The first one has stored everything before there is a second one.
    let stored = async {
        while sink.records().len() < 100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut first => panic!("it has ended"),
        () = stored => {}
    }
    let mut second = pin!(until(second, |it| it.stored >= 50));
    let standby = async { while monitor.changed().await.unwrap().tail.pos < 100 {} };
    tokio::select! {
        _ = &mut first => panic!("it has ended"),
        _ = &mut second => panic!("it has ended"),
        () = standby => {}
    }
    // The first one no longer runs, and doesn't know it.
    serve(&server, 150);
    server.drop_connections();
    let (end, snapshot) = second.await;
    assert_eq!((end.unwrap(), snapshot.role), (End::Stopped, Role::Active));
    assert_eq!(ids(&sink), (1..=150).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_feed_that_refuses_to_resume_is_an_error_with_the_id() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let mut sink = MemorySink::new();
    let record = Record::new(Some("gone".into()), "message", "", std::time::UNIX_EPOCH);
    sink.append(&Tail::default(), &[record]).await.unwrap();
    let url = server.url("/");
    let relay = Relay::new(quick(), sink, || Ok(SseClient::builder(&url)));
    let (end, _) = until(relay, |_| false).await;
    let error = end.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the feed can't be followed after id gone"
    );
    assert!(matches!(error, Error::Feed { error, .. } if error.status() == Some(404)));
}

#[tokio::test]
async fn a_feed_without_ids_is_refused_unless_it_is_allowed() {
    let server = Server::start();
    server.otherwise(Reply::stream().send("data: a\n\ndata: b\n\n").stall());
    let (sink, url) = (MemorySink::new(), server.url("/"));
    let relay = Relay::new(quick(), sink.clone(), || Ok(SseClient::builder(&url)));
    let (end, _) = until(relay, |_| false).await;
    assert!(matches!(end, Err(Error::Failure(Failure::NoIds { .. }))));

    let mut config = quick();
    config.no_ids = true;
    let relay = Relay::new(config, sink.clone(), || Ok(SseClient::builder(&url)));
    until(relay, |it| it.stored == 2).await.0.unwrap();
    assert_eq!(sink.records().len(), 2);
}

/// Its appends wait until they are let through.
#[derive(Clone)]
struct Gate {
    sink: MemorySink,
    waiting: Arc<Mutex<usize>>,
    open: Arc<tokio::sync::Notify>,
}

impl Sink for Gate {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        self.sink.open(recent).await
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        self.sink.tail().await
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        *self.waiting.lock().unwrap() += batch.len();
        self.open.notified().await;
        self.sink.append(after, batch).await
    }
}

#[tokio::test]
async fn a_relay_that_is_stopped_finishes_its_batch() {
    let server = Server::start();
    serve(&server, 5000);
    let gate = Gate {
        sink: MemorySink::new(),
        waiting: Arc::default(),
        open: Arc::default(),
    };
    let url = server.url("/");
    let relay = Relay::new(quick(), gate.clone(), || Ok(SseClient::builder(&url)));
    // The buffer is full behind the batch: nothing more is read.
    let limit = Config::default();
    let open = gate.open.clone();
    let (end, snapshot) = until(relay, |it| {
        let full = it.waiting == limit.batch + limit.buffer;
        if full {
            open.notify_one();
        }
        full
    })
    .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(snapshot.stored, 256);
    assert_eq!(ids(&gate.sink), (1..=256).collect::<Vec<_>>());
    assert_eq!(*gate.waiting.lock().unwrap(), 256);
}
