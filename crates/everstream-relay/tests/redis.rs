//! The sink of Redis.

use std::fs;
use std::time::Duration;

use ::redis::{Connection, FromRedisValue};
use everstream_engines::{Certificates, Proxy, Redis, Target, free_port};
use everstream_relay::sink_tests::{self, Log, assert_holds, numbered};
use everstream_relay::{AppendError, Record, RedisSink, Sink, Tail};

use crate::engine_faults::{PATIENCE, engine_tests, unusable};

const MAX_RECORD: usize = 1 << 20;

struct Feeds {
    url: String,
    limit: Duration,
}

impl Feeds {
    fn of(redis: &Redis) -> Feeds {
        Feeds::with_limit(redis, PATIENCE)
    }

    fn with_limit(redis: &Redis, limit: Duration) -> Feeds {
        let url = redis.url();
        Feeds { url, limit }
    }

    fn proxied(redis: &Redis) -> Proxy {
        Proxy::start(Target::Unix(redis.folder().join("socket")))
    }

    fn late(proxy: &Proxy, key: &str) -> RedisSink {
        sink(&format!("redis://127.0.0.1:{}/", proxy.port()), key)
    }

    fn client(&self) -> Connection {
        let client = ::redis::Client::open(&*self.url).unwrap();
        client.get_connection().unwrap()
    }

    fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.client()).unwrap()
    }
}

fn sink(url: &str, key: &str) -> RedisSink {
    let sink = RedisSink::from_url(&format!("{url}?key={key}")).unwrap();
    sink.max_record_bytes(MAX_RECORD)
}

impl Log for Feeds {
    type Sink = RedisSink;

    fn sink(&self, log: &str) -> RedisSink {
        sink(&self.url, log).timeout(self.limit)
    }

    async fn records(&self, log: &str) -> Vec<Record> {
        let entries: Vec<(String, Vec<String>)> = self.ask(&["XRANGE", log, "-", "+"]);
        let mut records = Vec::new();
        for (_, fields) in entries {
            let field = |name: &str| {
                let mut pairs = fields.chunks(2);
                pairs.find(|it| it[0] == name).map(|it| it[1].clone())
            };
            let (event, data) = (field("sse-event").unwrap(), field("data").unwrap());
            let time = std::time::SystemTime::UNIX_EPOCH;
            records.push(Record::new(field("sse-id"), event, data, time));
            assert_eq!(field("sse-pos").unwrap(), records.len().to_string());
        }
        records
    }
}

engine_tests!(Redis, Feeds);

/// A script isn't rolled back. So what could fail in the middle fails before anything is written.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_types_are_told_before_anything_is_written() {
    let redis = Redis::start();
    let feeds = Feeds::of(&redis);
    for (key, stream, cursor) in [
        (
            "a",
            vec!["SET", "a", "text"],
            vec!["HSET", "{a}:cursor", "pos", "0"],
        ),
        (
            "b",
            vec!["XADD", "b", "*", "x", "y"],
            vec!["SET", "{b}:cursor", "text"],
        ),
        (
            "c",
            vec!["LPUSH", "c", "x"],
            vec!["LPUSH", "{c}:cursor", "x"],
        ),
    ] {
        let _: ::redis::Value = feeds.ask(&stream);
        let _: ::redis::Value = feeds.ask(&cursor);
        let dump = |it: &str| -> Vec<u8> { feeds.ask(&["DUMP", it]) };
        let cursor = format!("{{{key}}}:cursor");
        let before = (dump(key), dump(&cursor));
        let why = unusable(feeds.sink(key)).await;
        assert!(why.contains("WRONGTYPE"), "{why}");
        let mut sink = feeds.sink(key);
        let failed = sink
            .append(&Tail::default(), &numbered(1..=3))
            .await
            .unwrap_err();
        assert!(matches!(failed, AppendError::Unusable(_)), "{failed}");
        assert_eq!((dump(key), dump(&cursor)), before);
    }
}

/// A stream of something else, or whose cursor was removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_its_cursor_is_told() {
    let redis = Redis::start();
    let feeds = Feeds::of(&redis);
    let mut writer = feeds.sink("news");
    let end = writer
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    let _: i64 = feeds.ask(&["DEL", "{news}:cursor"]);
    let why = unusable(feeds.sink("news")).await;
    assert!(
        why.contains("which says where it ends, is missing"),
        "{why}"
    );
    for after in [end, Tail::default()] {
        let failed = writer.append(&after, &numbered(4..=4)).await.unwrap_err();
        assert!(matches!(failed, AppendError::Unusable(_)), "{failed}");
    }
    assert_holds(&feeds, "news", &numbered(1..=3)).await;
}

/// The rights for one of the keys are missing: the other one isn't changed either.
#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_store_nothing() {
    let redis = Redis::start();
    let feeds = Feeds::of(&redis);
    let mut setup = feeds.sink("news");
    let end = setup
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    for missing in ["-hset", "-xadd"] {
        let user = [
            "ACL", "SETUSER", "writer", "reset", "on", ">secret", "~*", "+@all", "-config", missing,
        ];
        let _: String = feeds.ask(&user);
        let socket = redis.folder().join("socket");
        let url = format!("redis+unix://{}?key=news&user=writer", socket.display());
        let mut writer = RedisSink::from_url(&url).unwrap().password("secret");
        assert_eq!(writer.open(0).await.unwrap().tail, end);
        let failed = writer.append(&end, &numbered(4..=9)).await.unwrap_err();
        assert!(
            matches!(failed, AppendError::Unusable(_)),
            "{missing}: {failed}"
        );
        assert!(!failed.to_string().contains("user_script"), "{failed}");
        assert_eq!(setup.tail().await.unwrap(), end);
        assert_holds(&feeds, "news", &numbered(1..=3)).await;
        let wrong = RedisSink::from_url(&url).unwrap().password("wrong");
        unusable(wrong).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist_is_final() {
    let port = everstream_engines::free_port().to_string();
    let _redis = Redis::start_with(&["--port", &port]);
    let of = |url: &str| RedisSink::from_url(url).unwrap();
    of(&format!("redis://127.0.0.1:{port}/3?key=news"))
        .open(0)
        .await
        .unwrap();
    let why = unusable(of(&format!("redis://127.0.0.1:{port}/99?key=news"))).await;
    assert!(why.contains("out of range"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_verify_the_server() {
    let certificates = Certificates::new();
    let port = free_port().to_string();
    let redis = Redis::start_with(&[
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        certificates.certificate().to_str().unwrap(),
        "--tls-key-file",
        certificates.key().to_str().unwrap(),
    ]);
    let of =
        |host: &str| RedisSink::from_url(&format!("rediss://{host}:{port}/0?key=news")).unwrap();
    let ca = fs::read(certificates.ca()).unwrap();
    let mut trusting = of("localhost").root_certificates(&*ca);
    trusting.open(0).await.unwrap();
    trusting
        .append(&Tail::default(), &numbered(1..=2))
        .await
        .unwrap();
    assert_holds(&Feeds::of(&redis), "news", &numbered(1..=2)).await;
    let why = unusable(of("localhost")).await;
    assert!(why.contains("certificate"), "{why}");
    let why = unusable(of("127.0.0.1").root_certificates(ca)).await;
    assert!(why.contains("certificate"), "{why}");
    let why = unusable(of("localhost").root_certificates("x")).await;
    assert!(why.contains("contains no certificate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_the_server_rejects_the_largest_record() {
    let redis = Redis::start_with(&["--proto-max-bulk-len", "1mb"]);
    let feeds = Feeds::of(&redis);
    let mut sink = feeds.sink("large").max_record_bytes(64 << 20);
    let mut batch = numbered(1..=3);
    batch[1].data = "x".repeat((1 << 20) + 1);
    match sink.append(&Tail::default(), &batch).await {
        Err(AppendError::Rejected { index: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    let held = sink.open(0).await.unwrap();
    assert_eq!(
        (held.tail, held.max_record_bytes),
        (Tail::default(), Some(1 << 20))
    );
    sink.append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    assert_holds(&feeds, "large", &numbered(1..=3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_stores_nothing_until_there_is_room() {
    let redis = Redis::start();
    let feeds = Feeds::of(&redis);
    let mut sink = feeds.sink("full");
    let end = sink
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    let _: String = feeds.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let failed = sink.append(&end, &numbered(4..=9)).await.unwrap_err();
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
    assert!(failed.to_string().contains("OOM"), "{failed}");
    assert_eq!(sink.tail().await.unwrap(), end);
    let _: String = feeds.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    sink.append(&end, &numbered(4..=9)).await.unwrap();
    assert_holds(&feeds, "full", &numbered(1..=9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_are_in_one_slot_of_a_cluster() {
    let redis = Redis::start_with(&["--cluster-enabled", "yes"]);
    let feeds = Feeds::of(&redis);
    let _: String = feeds.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let began = std::time::Instant::now();
    while !feeds
        .ask::<String>(&["CLUSTER", "INFO"])
        .contains("cluster_state:ok")
    {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the cluster isn't ready"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for key in ["news", "{eu}news", "a{eu}b", "a:b"] {
        let mut sink = feeds.sink(key);
        let held = sink.open(0).await.unwrap();
        sink.append(&held.tail, &numbered(1..=2)).await.unwrap();
        assert_holds(&feeds, key, &numbered(1..=2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_survives_retention_and_the_source_is_stored() {
    let redis = Redis::start();
    let feeds = Feeds::of(&redis);
    let mut sink = feeds.sink("news").source("https://example.com/feed");
    let end = sink
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    let entries: Vec<(String, Vec<String>)> = feeds.ask(&["XRANGE", "news", "-", "+"]);
    let fields = &entries[0].1;
    let source = ["sse-source", "https://example.com/feed"];
    assert!(fields.chunks(2).any(|it| it == source), "{fields:?}");
    let _: i64 = feeds.ask(&["XTRIM", "news", "MAXLEN", "0"]);
    let held = feeds.sink("news").open(5).await.unwrap();
    assert_eq!((held.tail, held.recent), (end.clone(), vec![]));
    assert_eq!(sink.append(&end, &numbered(4..=4)).await.unwrap().pos, 4);
}

/// The replica has less than was acknowledged: records and cursor go back together, writers notice it, and
/// the feed's events are stored again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_a_replica_that_lags_the_rest_is_stored_again() {
    let port = free_port().to_string();
    let mut primary = Redis::start_with(&["--port", &port, "--repl-diskless-sync-delay", "0"]);
    let replica = Redis::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]);
    let (before, after) = (Feeds::of(&primary), Feeds::of(&replica));
    let mut writer = before.sink("news");
    let mut end = Tail::default();
    let began = std::time::Instant::now();
    let has_entries = || after.ask::<i64>(&["XLEN", "news"]) > 0;
    while end.pos == 0 || !has_entries() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the replica gets nothing"
        );
        end = writer
            .append(&end, &numbered(end.pos + 1..=end.pos + 7))
            .await
            .unwrap();
    }
    let _: String = after.ask(&["REPLICAOF", "NO", "ONE"]);
    for _ in 0..3 {
        end = writer
            .append(&end, &numbered(end.pos + 1..=end.pos + 7))
            .await
            .unwrap();
    }
    primary.kill();
    let mut writer = after.sink("news");
    let failed = writer
        .append(&end, &numbered(end.pos + 1..=end.pos + 1))
        .await
        .unwrap_err();
    assert!(matches!(failed, AppendError::Conflict), "{failed}");
    let old = writer.open(0).await.unwrap().tail;
    assert!(old.pos < end.pos, "{old:?}");
    assert_holds(&after, "news", &numbered(1..=old.pos)).await;
    let all = sink_tests::finish(&mut writer, end.pos + 10).await;
    assert_holds(&after, "news", &numbered(1..=all)).await;
}

/// A server that cuts off each of its responses, or isn't Redis.
fn answering(response: &'static str) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            _ = socket.read(&mut [0; 4096]);
            _ = socket.write_all(response.as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn a_response_that_is_cut_off_is_final_only_if_that_repeats() {
    use everstream_relay::SinkError;
    for response in ["*3\r\n$5\r\nab", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let mut sink = sink(&format!("redis://127.0.0.1:{}/", answering(response)), "a");
        for _ in 0..2 {
            let error = sink.open(0).await.unwrap_err();
            assert!(matches!(error, SinkError::Unavailable(_)), "{error:?}");
        }
        let error = sink.open(0).await.unwrap_err();
        assert!(
            matches!(error, SinkError::Unusable(_)),
            "{response}: {error:?}"
        );
    }
}
