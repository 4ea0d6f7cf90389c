//! The sink of PostgreSQL.

use std::fs;
use std::time::{Duration, SystemTime};

use everstream_engines::{Certificates, Postgres, Proxy, Target};
use everstream_relay::sink_tests::{self, Log, assert_holds, numbered};
use everstream_relay::{AppendError, PostgresSink, Record, Sink, SinkError, Tail};
use tokio_postgres::{Client, NoTls};

use crate::engine_faults::{PATIENCE, engine_tests, unusable};

const MAX_RECORD: usize = 1 << 20;

struct Feeds {
    url: String,
    limit: Duration,
}

impl Feeds {
    fn of(postgres: &Postgres) -> Feeds {
        Feeds::with_limit(postgres, PATIENCE)
    }

    fn with_limit(postgres: &Postgres, limit: Duration) -> Feeds {
        let url = postgres.url();
        Feeds { url, limit }
    }

    fn proxied(postgres: &Postgres) -> Proxy {
        let socket = format!(".s.PGSQL.{}", postgres.port());
        Proxy::start(Target::Unix(postgres.folder().join(socket)))
    }

    fn late(proxy: &Proxy, feed: &str) -> PostgresSink {
        let port = proxy.port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        sink(&url, feed)
    }

    async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

fn sink(url: &str, feed: &str) -> PostgresSink {
    let url = format!("{url}&table=log-{feed}&feed={feed}");
    PostgresSink::from_url(&url)
        .unwrap()
        .max_record_bytes(MAX_RECORD)
}

impl Log for Feeds {
    type Sink = PostgresSink;

    fn sink(&self, log: &str) -> PostgresSink {
        sink(&self.url, log).timeout(self.limit)
    }

    async fn records(&self, log: &str) -> Vec<Record> {
        let columns = "sse_id, sse_event, data, received_at, pos";
        let sql = format!("SELECT {columns} FROM \"log-{log}\" ORDER BY pos");
        let rows = self.client().await.query(&sql, &[]).await.unwrap();
        let mut records = Vec::new();
        for row in rows {
            let event: String = row.get(1);
            let data: String = row.get(2);
            records.push(Record::new(row.get(0), event, data, row.get(3)));
            assert_eq!(row.get::<_, i64>(4), records.len() as i64);
        }
        records
    }
}

engine_tests!(Postgres, Feeds);

/// There the loser of two updates gets an error instead of no row.
#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_them_with_serializable_transactions() {
    let postgres = Postgres::start_with(&["default_transaction_isolation=serializable"]);
    let feeds = Feeds::of(&postgres);
    sink_tests::all(&feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_record_is_stored() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let mut sink = feeds.sink("times");
    sink.open(0).await.unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_764_444_444_123_456);
    let record = Record::new(None, "message", "", time);
    sink.append(&Tail::default(), &[record]).await.unwrap();
    assert_eq!(feeds.records("times").await[0].received_at, time);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_survives_retention() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let mut writer = feeds.sink("retention");
    writer.open(0).await.unwrap();
    let end = writer
        .append(&Tail::default(), &numbered(1..=9))
        .await
        .unwrap();
    let client = feeds.client().await;
    client
        .execute("DELETE FROM \"log-retention\" WHERE pos < 8", &[])
        .await
        .unwrap();
    let held = feeds.sink("retention").open(5).await.unwrap();
    assert_eq!(
        (held.tail, held.recent),
        (end.clone(), vec!["8".to_owned(), "9".to_owned()])
    );
    client
        .execute("DELETE FROM \"log-retention\"", &[])
        .await
        .unwrap();
    let held = feeds.sink("retention").open(5).await.unwrap();
    assert_eq!((held.tail, held.recent), (end.clone(), vec![]));
    assert_eq!(
        writer.append(&end, &numbered(10..=10)).await.unwrap().pos,
        10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_cannot_be_used_are_told_with_the_reason() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let of = |parameters: &str| {
        let url = format!("{}&{parameters}", postgres.url());
        PostgresSink::from_url(&url).unwrap()
    };
    feeds.sink("a").open(0).await.unwrap();
    let why = unusable(of("table=log-a&feed=b")).await;
    assert!(why.contains("belongs to the feed \"a\""), "{why}");
    let why = unusable(of("table=other&feed=a")).await;
    assert!(why.contains("is stored in the table \"log-a\""), "{why}");
    let client = feeds.client().await;
    let insert = "INSERT INTO \"log-a\" VALUES (1, 'x', 'x', 'x', now())";
    client.execute(insert, &[]).await.unwrap();
    let why = unusable(of("table=log-a&feed=a")).await;
    assert!(why.contains("has rows after position 0"), "{why}");
    // A writer that is already there can't store it, and says so.
    let mut sink = of("table=log-a&feed=a");
    let failed = sink
        .append(&Tail::default(), &numbered(1..=1))
        .await
        .unwrap_err();
    assert!(matches!(failed, AppendError::Unusable(_)), "{failed}");
    assert!(failed.to_string().contains("duplicate key"), "{failed}");
    client
        .batch_execute("DELETE FROM everstream_cursors")
        .await
        .unwrap();
    let failed = feeds.sink("a").tail().await.unwrap_err().to_string();
    assert!(failed.contains("has no row in"), "{failed}");

    client
        .batch_execute("CREATE TABLE wrong (pos text, sse_id text)")
        .await
        .unwrap();
    let why = unusable(of("table=wrong&feed=c")).await;
    assert!(
        why.contains("operator does not exist") || why.contains("type"),
        "{why}"
    );
    let create = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    client.batch_execute(create).await.unwrap();
    let url = postgres.url().replace("///postgres?", "///latin?");
    let why = unusable(sink_of(&url)).await;
    assert!(why.contains("encoding is LATIN1"), "{why}");
    let url = postgres.url().replace("///postgres?", "///absent?");
    let why = unusable(sink_of(&url)).await;
    assert!(why.contains("\"absent\" does not exist"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_log_that_nobody_has_created_is_empty_and_creates_nothing() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    assert_eq!(feeds.sink("new").tail().await.unwrap(), Tail::default());
    let client = feeds.client().await;
    let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(tables, 0);
    // The cursors of other feeds change nothing.
    feeds.sink("other").open(0).await.unwrap();
    assert_eq!(feeds.sink("new").tail().await.unwrap(), Tail::default());
    let taken = format!("{}&table=log-other&feed=new", postgres.url());
    let failed = PostgresSink::from_url(&taken).unwrap().tail().await;
    let failed = failed.unwrap_err().to_string();
    assert!(failed.contains("belongs to the feed \"other\""), "{failed}");
    // A log that this writer has opened doesn't become empty by being removed.
    let mut opened = feeds.sink("new");
    opened.open(0).await.unwrap();
    client
        .batch_execute("DROP TABLE \"log-new\", everstream_cursors")
        .await
        .unwrap();
    let failed = opened.tail().await.unwrap_err();
    assert!(matches!(failed, SinkError::Unusable(_)), "{failed}");
}

/// The reason is reported before an append fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_log_that_cannot_be_created_says_why() {
    let postgres = Postgres::start();
    let client = Feeds::of(&postgres).client().await;
    client
        .batch_execute(
            "CREATE ROLE reader LOGIN; CREATE SCHEMA feeds; GRANT USAGE ON SCHEMA feeds TO reader",
        )
        .await
        .unwrap();
    let reader = postgres.url().replace("user=postgres", "user=reader");
    for (url, table, told) in [
        (
            postgres.url(),
            "absent.events",
            "the schema \"absent\" doesn't exist",
        ),
        (
            reader.clone(),
            "feeds.events",
            "may not create them in the schema \"feeds\"",
        ),
        // Of PostgreSQL 15 and newer.
        (
            reader,
            "events",
            "may not create them in the schema \"public\"",
        ),
    ] {
        let url = format!("{url}&table={table}&feed=news");
        let mut sink = PostgresSink::from_url(&url).unwrap();
        let failed = sink.tail().await.unwrap_err();
        assert!(matches!(failed, SinkError::Unusable(_)), "{failed}");
        assert!(failed.to_string().contains(told), "{failed}");
        // It is right.
        unusable(sink).await;
    }
}

/// Another writer creates a table while this one is about to: it waits for the other's transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_writer_creates_at_the_same_time_is_used() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let (other, watching) = (feeds.client().await, feeds.client().await);
    for table in [
        "\"log-race\" (pos bigint PRIMARY KEY, sse_id text, sse_event text NOT NULL, data text NOT NULL,
            received_at timestamptz NOT NULL)",
        "everstream_cursors (feed text PRIMARY KEY, events text NOT NULL UNIQUE, pos bigint NOT NULL,
            last_id text)",
    ] {
        let drop = "DROP TABLE IF EXISTS \"log-race\", everstream_cursors";
        other.batch_execute(drop).await.unwrap();
        let create = format!("BEGIN; CREATE TABLE {table}");
        other.batch_execute(&create).await.unwrap();
        let mut sink = feeds.sink("race");
        let opening = tokio::spawn(async move { sink.open(0).await.map(|held| held.tail) });
        let waits = "SELECT FROM pg_stat_activity
            WHERE application_name = 'everstream-relay' AND wait_event_type = 'Lock'";
        let began = std::time::Instant::now();
        while watching.query(waits, &[]).await.unwrap().is_empty() {
            assert!(began.elapsed() < PATIENCE, "it doesn't wait");
        }
        other.batch_execute("COMMIT").await.unwrap();
        assert_eq!(opening.await.unwrap().unwrap(), Tail::default());
    }
}

/// A type isn't a table, although it takes the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_with_the_name_of_the_table_is_told() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let create = "CREATE DOMAIN \"log-taken\" AS text";
    feeds.client().await.batch_execute(create).await.unwrap();
    let why = unusable(feeds.sink("taken")).await;
    assert!(why.contains("type \"log-taken\" already exists"), "{why}");
}

/// The losers of `CREATE TABLE` get one of several errors, by chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn writers_that_start_together_create_the_tables_once() {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 40;
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let client = feeds.client().await;
    let mut sinks: Vec<_> = (0..WRITERS).map(|_| feeds.sink("together")).collect();
    for round in 0..ROUNDS {
        // So that they are connected, and begin at the same time.
        for sink in &mut sinks {
            sink.tail().await.unwrap();
        }
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(WRITERS));
        let opening = sinks.into_iter().map(|mut sink| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                let opened = sink.open(0).await;
                (sink, opened)
            })
        });
        let opening: Vec<_> = opening.collect();
        sinks = Vec::new();
        for task in opening {
            let (_, opened) = task.await.unwrap();
            assert_eq!(opened.unwrap().tail, Tail::default(), "round {round}");
            sinks.push(feeds.sink("together"));
        }
        let drop = "DROP TABLE \"log-together\", everstream_cursors";
        client.batch_execute(drop).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_missing_or_wrong_is_final() {
    let postgres = Postgres::start_prepared(&[], |data| {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
    });
    let client = Feeds::of(&postgres).client().await;
    client
        .batch_execute("CREATE ROLE relay LOGIN SUPERUSER PASSWORD 'secret'")
        .await
        .unwrap();
    let url = format!(
        "postgres://relay@127.0.0.1:{}/postgres?sslmode",
        postgres.port()
    );
    let plain = sink_of(&format!("{url}=disable"));
    plain.password("secret").open(0).await.unwrap();
    let why = unusable(sink_of(&format!("{url}=disable"))).await;
    assert!(why.contains("password missing"), "{why}");
    let why = unusable(sink_of(&format!("{url}=disable")).password("wrong")).await;
    assert!(why.contains("password authentication failed"), "{why}");
    let why = unusable(sink_of(&format!("{url}=require")).password("secret")).await;
    assert!(why.contains("does not support TLS"), "{why}");
}

fn sink_of(url: &str) -> PostgresSink {
    sink(url, "feed")
}

/// A writer's role needs no right to create tables, once they are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_few_rights_is_enough() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    feeds.sink("rights").open(0).await.unwrap();
    let client = feeds.client().await;
    let grants = "CREATE ROLE writer LOGIN;
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        GRANT SELECT, INSERT ON \"log-rights\" TO writer;
        GRANT SELECT, INSERT, UPDATE ON everstream_cursors TO writer";
    client.batch_execute(grants).await.unwrap();
    let url = postgres.url().replace("user=postgres", "user=writer");
    let mut writer = sink(&url, "rights");
    let held = writer.open(1).await.unwrap();
    writer.append(&held.tail, &numbered(1..=2)).await.unwrap();
    assert_holds(&feeds, "rights", &numbered(1..=2)).await;
    // Without them it's told, and nothing is stored.
    client
        .batch_execute("REVOKE INSERT ON \"log-rights\" FROM writer")
        .await
        .unwrap();
    let end = writer.tail().await.unwrap();
    let failed = writer.append(&end, &numbered(3..=3)).await.unwrap_err();
    assert!(matches!(failed, AppendError::Unusable(_)), "{failed}");
    assert!(failed.to_string().contains("permission denied"), "{failed}");
    assert_eq!(writer.tail().await.unwrap(), end);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_verify_the_server() {
    let certificates = Certificates::new();
    let postgres = Postgres::start_prepared(
        &[
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
        ],
        |data| {
            // With the permissions.
            fs::copy(certificates.certificate(), data.join("server.crt")).unwrap();
            fs::copy(certificates.key(), data.join("server.key")).unwrap();
            let rules = "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n";
            fs::write(data.join("pg_hba.conf"), rules).unwrap();
        },
    );
    let root = certificates.ca();
    let url = |host: &str, rest: &str| {
        format!(
            "postgres://postgres@{host}:{}/postgres?{rest}",
            postgres.port()
        )
    };
    let trusted = format!("sslrootcert={}", root.display());
    let feeds = Feeds::of(&postgres);
    let mut first = sink(
        &url("localhost", &format!("sslmode=verify-full&{trusted}")),
        "tls",
    );
    first.open(0).await.unwrap();
    first
        .append(&Tail::default(), &numbered(1..=2))
        .await
        .unwrap();
    // It is used also if it isn't demanded.
    sink(&url("localhost", &trusted), "tls")
        .open(0)
        .await
        .unwrap();
    // The authority isn't in a file.
    let ca = fs::read(&root).unwrap();
    let verified = sink(&url("localhost", "sslmode=verify-full"), "tls");
    verified.root_certificates(&*ca).open(0).await.unwrap();
    let other_name = sink(&url("127.0.0.1", "sslmode=verify-full"), "tls");
    let failed = unusable(other_name.root_certificates(ca)).await;
    assert!(failed.contains("certificate"), "{failed}");
    let no_root = sink(&url("localhost", "sslmode=verify-full"), "tls");
    let failed = unusable(no_root.root_certificates("x")).await;
    assert!(failed.contains("contains no certificate"), "{failed}");
    assert_holds(&feeds, "tls", &numbered(1..=2)).await;
    for (url, told) in [
        (url("localhost", "sslmode=require"), "certificate"),
        (url("127.0.0.1", &trusted), "certificate"),
        (url("localhost", "sslmode=disable"), "no encryption"),
        (
            url("localhost", "sslrootcert=/absent"),
            "sslrootcert=/absent",
        ),
    ] {
        let failed = unusable(sink(&url, "tls")).await;
        assert!(failed.contains(told), "{url}: {failed}");
    }
}

/// The session ends while the statement waits for a lock: it may have been executed, as far as the writer
/// knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_ends_is_an_unknown_outcome() {
    let postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let mut sink = feeds.sink("ended").timeout(Duration::from_secs(60));
    sink.open(0).await.unwrap();
    let (locking, watching) = (feeds.client().await, feeds.client().await);
    locking
        .batch_execute("BEGIN; SELECT FROM everstream_cursors FOR UPDATE")
        .await
        .unwrap();
    let appending = tokio::spawn(async move {
        let failed = sink.append(&Tail::default(), &numbered(1..=3)).await;
        (sink, failed.unwrap_err())
    });
    let began = std::time::Instant::now();
    let end_it = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'everstream-relay' AND wait_event_type = 'Lock'";
    while watching.query(end_it, &[]).await.unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "it doesn't wait");
    }
    let (mut sink, failed) = appending.await.unwrap();
    assert!(matches!(failed, AppendError::Unknown(_)), "{failed}");
    locking.batch_execute("ROLLBACK").await.unwrap();
    let end = sink.tail().await.unwrap();
    assert_eq!(end, Tail::default());
    sink.append(&end, &numbered(1..=3)).await.unwrap();
    assert_holds(&feeds, "ended", &numbered(1..=3)).await;
}
