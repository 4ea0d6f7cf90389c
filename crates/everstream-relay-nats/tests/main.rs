//! The sink of NATS JetStream, with a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test
#![cfg(unix)]

#[path = "../../everstream-relay/tests/engine_faults.rs"]
mod engine_faults;

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use everstream_engines::{Certificates, Nats, Proxy, Target};
use everstream_relay::sink_tests::{self, Log, assert_holds, numbered};
use everstream_relay::{AppendError, Record, Sink, Tail};
use everstream_relay_nats::NatsSink;
use futures_util::StreamExt;

use engine_faults::{PATIENCE, SHORT, engine_tests, unusable};

struct Feeds {
    url: String,
    limit: Duration,
}

impl Feeds {
    fn of(nats: &Nats) -> Feeds {
        Feeds::with_limit(nats, PATIENCE)
    }

    fn with_limit(nats: &Nats, limit: Duration) -> Feeds {
        let url = nats.url();
        Feeds { url, limit }
    }

    fn proxied(nats: &Nats) -> Proxy {
        Proxy::start(Target::Port(nats.port()))
    }

    fn late(proxy: &Proxy, stream: &str) -> NatsSink {
        sink(&format!("nats://127.0.0.1:{}", proxy.port()), stream)
    }

    async fn context(&self) -> Context {
        jetstream::new(async_nats::connect(&self.url).await.unwrap())
    }

    /// With what a test says about it.
    async fn create(&self, stream: &str, change: impl FnOnce(&mut Config)) {
        let mut config = Config {
            name: stream.to_owned(),
            subjects: vec![stream.to_owned()],
            ..Config::default()
        };
        change(&mut config);
        self.context().await.create_stream(config).await.unwrap();
    }
}

fn sink(url: &str, stream: &str) -> NatsSink {
    NatsSink::from_url(&format!("{url}/{stream}")).unwrap()
}

/// What a consumer does to read a header.
fn decoded(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_str().trim();
    let value = percent_encoding::percent_decode_str(value);
    Some(value.decode_utf8().unwrap().into_owned())
}

impl Log for Feeds {
    type Sink = NatsSink;

    fn sink(&self, log: &str) -> NatsSink {
        sink(&self.url, log).timeout(self.limit)
    }

    async fn records(&self, log: &str) -> Vec<Record> {
        let mut stream = self.context().await.get_stream(log).await.unwrap();
        let state = stream.info().await.unwrap().state.clone();
        let mut records = Vec::new();
        for pos in state.first_sequence.max(1)..=state.last_sequence {
            let message = stream.get_raw_message(pos).await.unwrap();
            let headers = &message.headers;
            assert_eq!(decoded(headers, "sse-pos").unwrap(), pos.to_string());
            let event = decoded(headers, "sse-event").unwrap();
            let data = String::from_utf8(message.payload.to_vec()).unwrap();
            let id = decoded(headers, "sse-id");
            records.push(Record::new(id, event, data, SystemTime::UNIX_EPOCH));
        }
        records
    }
}

engine_tests!(Nats, Feeds);

/// The other writer has stored fewer messages than are late: the number that one of those expects is the
/// last one. Sequence numbers alone would let it in.
#[tokio::test(flavor = "multi_thread")]
async fn late_messages_do_not_follow_those_of_another_writer() {
    let nats = Nats::start();
    let (feeds, proxy) = (Feeds::of(&nats), Feeds::proxied(&nats));
    let mut zombie = Feeds::late(&proxy, "gap").timeout(SHORT);
    zombie.open(0).await.unwrap();
    let end = zombie
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    proxy.hold();
    zombie.append(&end, &numbered(4..=40)).await.unwrap_err();
    let mut other = feeds.sink("gap");
    let end = other.append(&end, &numbered(4..=6)).await.unwrap();
    proxy.release();
    let end = other.append(&end, &numbered(7..=7)).await.unwrap();
    assert_eq!(end.pos, 7);
    assert_holds(&feeds, "gap", &numbered(1..=7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_cannot_be_used_are_told_with_the_reason() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    feeds
        .create("queue", |it| it.retention = RetentionPolicy::WorkQueue)
        .await;
    feeds
        .create("interest", |it| it.retention = RetentionPolicy::Interest)
        .await;
    feeds
        .create("wild", |it| it.subjects = vec!["wild.>".into()])
        .await;
    feeds.create("other", |_| {}).await;
    // The client has to stay until the answer is there.
    let context = feeds.context().await;
    let publishing = context.publish("other", "no relay's".into()).await;
    publishing.unwrap().await.unwrap();
    for (stream, told) in [
        ("queue", "removes messages that consumers acknowledged"),
        ("interest", "its retention policy has to be limits"),
        ("wild", "has the subjects wild.>"),
        ("other", "messages that no relay wrote"),
        ("new?replicas=3", "replicas > 1 not supported"),
        ("clash?subject=other", "subjects overlap"),
    ] {
        let why = unusable(feeds.sink(stream)).await;
        assert!(why.contains(told), "{stream}: {why}");
    }
    let mut sink = feeds.sink("wild?subject=wild.news");
    sink.open(0).await.unwrap();
    sink.append(&Tail::default(), &numbered(1..=2))
        .await
        .unwrap();
    assert_holds(&feeds, "wild", &numbered(1..=2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_stores_the_beginning_and_then_nothing() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    let full = |it: &mut Config| {
        it.max_messages = 5;
        it.discard = async_nats::jetstream::stream::DiscardPolicy::New;
    };
    feeds.create("full", full).await;
    let mut sink = feeds.sink("full");
    let end = sink
        .append(&Tail::default(), &numbered(1..=9))
        .await
        .unwrap();
    assert_eq!(end.pos, 5);
    let failed = sink.append(&end, &numbered(6..=9)).await.unwrap_err();
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
    assert!(
        failed.to_string().contains("maximum messages exceeded"),
        "{failed}"
    );
    assert_eq!(sink.tail().await.unwrap(), end);
    let context = feeds.context().await;
    context
        .get_stream("full")
        .await
        .unwrap()
        .purge()
        .keep(3)
        .await
        .unwrap();
    let end = sink.append(&end, &numbered(6..=7)).await.unwrap();
    assert_eq!(end.pos, 7);
    let records = feeds.records("full").await;
    let ids: Vec<_> = records.iter().map(|it| it.id.clone().unwrap()).collect();
    assert_eq!(ids, ["3", "4", "5", "6", "7"]);
}

/// The position survives, the id doesn't. A writer that knows the id continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_keeps_the_position_only() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    let mut writer = feeds.sink("purged");
    let end = writer
        .append(&Tail::default(), &numbered(1..=5))
        .await
        .unwrap();
    let context = feeds.context().await;
    context
        .get_stream("purged")
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();
    let held = feeds.sink("purged").open(3).await.unwrap();
    assert_eq!(
        (held.tail.pos, held.tail.id, held.recent),
        (5, None, vec![])
    );
    // So that a writer that waits for events doesn't take it for another one's.
    assert_eq!(writer.tail().await.unwrap(), end);
    assert_eq!(writer.open(3).await.unwrap().tail, end);
    let end = writer.append(&end, &numbered(6..=6)).await.unwrap();
    let mut other = feeds.sink("purged");
    assert_eq!(other.open(3).await.unwrap().tail, end);
    other.append(&end, &numbered(7..=7)).await.unwrap();
}

/// The last message is older than the server remembers ids, and the server was restarted.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_continues_when_the_server_has_forgotten_the_ids() {
    let mut nats = Nats::start();
    let feeds = Feeds::of(&nats);
    feeds
        .create("short", |it| {
            it.duplicate_window = Duration::from_millis(100)
        })
        .await;
    let mut sink = feeds.sink("short");
    let mut end = sink
        .append(&Tail::default(), &numbered(1..=5))
        .await
        .unwrap();
    for next in [6, 7] {
        let old = SystemTime::now();
        while old.elapsed().unwrap() < Duration::from_millis(200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        nats.restart();
        end = sink_tests_append(&mut sink, &end, next).await;
    }
    assert_holds(&feeds, "short", &numbered(1..=7)).await;
}

/// As the relay does: after an unknown outcome the tail says what was stored.
async fn sink_tests_append(sink: &mut NatsSink, end: &Tail, wanted: u64) -> Tail {
    let now = sink_tests::finish(sink, wanted).await;
    assert!(now > end.pos);
    sink.tail().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tokens_are_checked() {
    let nats = Nats::start_with(&["--user", "relay", "--pass", "sec:ret@"]);
    let host = nats.url().replace("nats://", "");
    let of = |login: &str| NatsSink::from_url(&format!("nats://{login}{host}/NEWS")).unwrap();
    of("relay:sec%3Aret%40@").open(0).await.unwrap();
    of("relay@").password("sec:ret@").open(0).await.unwrap();
    for wrong in [of("relay:wrong@"), of("token@"), of("")] {
        let why = unusable(wrong).await;
        assert!(why.to_lowercase().contains("authorization"), "{why}");
    }
    drop(nats);
    let nats = Nats::start_with(&["--auth", "token"]);
    let host = nats.url().replace("nats://", "");
    let of = |login: &str| NatsSink::from_url(&format!("nats://{login}{host}/NEWS")).unwrap();
    of("token@").open(0).await.unwrap();
    of("").token("token").open(0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_final_if_tls_is_demanded() {
    let nats = Nats::start();
    let url = nats.url().replace("nats://", "tls://");
    unusable(sink(&url, "NEWS")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_verify_the_server() {
    let certificates = Certificates::new();
    let nats = Nats::start_with(&[
        "--tls",
        "--tlscert",
        certificates.certificate().to_str().unwrap(),
        "--tlskey",
        certificates.key().to_str().unwrap(),
    ]);
    let of = |host: &str| NatsSink::from_url(&format!("{host}:{}/NEWS", nats.port())).unwrap();
    let ca = std::fs::read(certificates.ca()).unwrap();
    // A server may demand it too.
    for host in ["tls://localhost", "nats://localhost"] {
        let mut trusting = of(host).root_certificates(&*ca);
        let end = trusting.open(0).await.unwrap().tail;
        let next = end.pos + 1;
        trusting.append(&end, &numbered(next..=next)).await.unwrap();
    }
    let why = unusable(of("tls://localhost")).await;
    assert!(why.contains("certificate"), "{why}");
    let why = unusable(of("tls://127.0.0.1").root_certificates(ca)).await;
    assert!(why.contains("certificate"), "{why}");
    let why = unusable(of("tls://localhost").root_certificates("x")).await;
    assert!(why.contains("root certificates can't be used"), "{why}");
}

/// The client alone would try one of them.
#[tokio::test(flavor = "multi_thread")]
async fn all_servers_of_the_url_are_tried() {
    let nats = Nats::start();
    let dead = everstream_engines::free_port();
    let url = format!("nats://127.0.0.1:{dead},127.0.0.1:{}/NEWS", nats.port());
    for _ in 0..20 {
        NatsSink::from_url(&url).unwrap().open(0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_stream_that_is_absent_is_empty_and_creates_nothing() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    assert_eq!(feeds.sink("absent").tail().await.unwrap(), Tail::default());
    assert!(feeds.context().await.get_stream("absent").await.is_err());
}

/// As the page for consumers shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_from_a_position() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    let mut sink = feeds.sink("ORDERS");
    sink.append(&Tail::default(), &numbered(1..=6))
        .await
        .unwrap();
    let stream = feeds.context().await.get_stream("ORDERS").await.unwrap();
    let config = pull::OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: 5 },
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for position in [5, 6] {
        let message = messages.next().await.unwrap().unwrap();
        assert_eq!(message.info().unwrap().stream_sequence, position);
        assert_eq!(message.payload, format!("event {position}"));
        let headers = message.headers.as_ref().unwrap();
        assert_eq!(decoded(headers, "sse-id").unwrap(), position.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_may_be_cloudevents_too() {
    let nats = Nats::start();
    let feeds = Feeds::of(&nats);
    let mut sink = feeds
        .sink("CE")
        .source("https://example.com/feed")
        .cloudevents();
    let mut records = numbered(1..=2);
    records[0].id = Some("a \"b\"".to_owned());
    records[1].id = None;
    sink.append(&Tail::default(), &records).await.unwrap();
    // The relay reads its own headers.
    assert_holds(&feeds, "CE", &records).await;
    let stream = feeds.context().await.get_stream("CE").await.unwrap();
    for (pos, id) in [(1, "a%20%22b%22"), (2, "2")] {
        let headers = stream.get_raw_message(pos).await.unwrap().headers;
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "https://example.com/feed"),
            ("ce-type", "tick"),
        ] {
            assert_eq!(headers.get(name).unwrap().as_str(), value);
        }
    }
}

#[test]
fn an_invalid_url_is_explained() {
    for url in [
        "nats://host/NEWS",
        "nats://user:secret@one:4222,two:4222/NEWS?subject=news.eu&replicas=3",
        "tls://token@host/my-news?creds=/etc/relay.creds",
    ] {
        assert!(NatsSink::from_url(url).is_ok(), "{url}");
    }
    for (url, told) in [
        ("redis://u:secret@host/NEWS", "isn't nats:// or tls://"),
        (
            "nats://u:secret@host",
            "lacks the stream: nats://host/STREAM",
        ),
        ("nats://u:secret@host/a.b", "isn't the name of a stream"),
        ("nats://u:secret@host/a/b", "isn't the name of a stream"),
        ("nats://u:secret@/NEWS", "has no host"),
        ("nats://one,,two/NEWS", "has no host"),
        ("nats://u:secret@one:99999/NEWS", "isn't a list of hosts"),
        ("nats://h/NEWS?subject=a.*", "subject without wildcards"),
        ("nats://h/NEWS?replicas=7", "from 1 to 5"),
        ("nats://u:secret@h/NEWS?key=x", "no parameter \"key\""),
    ] {
        let error = NatsSink::from_url(url).unwrap_err().to_string();
        assert!(error.contains(told), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let sink = NatsSink::from_url("nats://u:secret@host/NEWS").unwrap();
    assert!(!format!("{sink:?}").contains("secret"), "{sink:?}");
}
