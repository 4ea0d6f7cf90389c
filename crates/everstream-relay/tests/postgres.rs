//! The sink of PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use everstream_engines::{Postgres, Proxy, Target};
use everstream_relay::sink_tests::{self, Log, assert_holds, numbered};
use everstream_relay::{AppendError, PostgresSink, Record, Sink, SinkError, Tail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_postgres::{Client, NoTls};

use crate::engine_faults;

/// Far more than anything takes that is answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tests of an engine that doesn't answer wait for this, again and again.
const LIMIT: Duration = Duration::from_secs(2);

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

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_a_sink() {
    let postgres = Postgres::start();
    sink_tests::all(&Feeds::of(&postgres)).await;
}

/// There the loser of two updates gets an error instead of no row.
#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_them_with_serializable_transactions() {
    let postgres = Postgres::start_with(&["default_transaction_isolation=serializable"]);
    let feeds = Feeds::of(&postgres);
    sink_tests::all(&feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_twice_when_it_is_killed_under_load() {
    let mut postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    engine_faults::killed_under_load(&feeds, &mut postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_an_unknown_outcome_in_time() {
    let mut postgres = Postgres::start();
    let feeds = Feeds::with_limit(&postgres, LIMIT);
    engine_faults::stopped_and_continued(&feeds, &mut postgres, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_executed_late_loses() {
    let postgres = Postgres::start();
    let socket = format!(".s.PGSQL.{}", postgres.port());
    let proxy = Proxy::start(Target::Unix(postgres.folder().join(socket)));
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        proxy.port()
    );
    let late = |feed: &str| sink(&url, feed).timeout(LIMIT);
    engine_faults::late_appends_lose(&Feeds::of(&postgres), &proxy, late).await;
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

/// What `Unusable` says.
async fn unusable(mut sink: PostgresSink) -> String {
    match sink.open(0).await {
        Err(SinkError::Unusable(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
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
    assert!(why.contains("is that of the feed \"a\""), "{why}");
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
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
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
    assert!(failed.contains("is that of the feed \"other\""), "{failed}");
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
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
    assert!(failed.to_string().contains("permission denied"), "{failed}");
    assert_eq!(writer.tail().await.unwrap(), end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut postgres = Postgres::start();
    let feeds = Feeds::of(&postgres);
    let mut sink = feeds.sink("gone");
    sink.open(0).await.unwrap();
    postgres.kill();
    let mut new = feeds.sink("gone");
    let failed = new.open(0).await.unwrap_err();
    assert!(matches!(failed, SinkError::Unavailable(_)), "{failed}");
    let failed = new
        .append(&Tail::default(), &numbered(1..=1))
        .await
        .unwrap_err();
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
    postgres.restart();
    new.append(&Tail::default(), &numbered(1..=1))
        .await
        .unwrap();
    assert_eq!(sink.tail().await.unwrap().pos, 1);
}

/// A private CA, a certificate for `localhost`, and a folder for the CA's.
pub(crate) fn certificates() -> (String, String, String) {
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    (ca.pem(), certificate.pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_verify_the_server() {
    let (ca, certificate, key) = certificates();
    let postgres = Postgres::start_prepared(
        &[
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
        ],
        |data| {
            fs::write(data.join("server.crt"), certificate).unwrap();
            fs::write(data.join("server.key"), key).unwrap();
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(data.join("server.key"), private).unwrap();
            let rules = "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n";
            fs::write(data.join("pg_hba.conf"), rules).unwrap();
        },
    );
    let root: PathBuf = postgres.folder().join("ca.pem");
    fs::write(&root, ca).unwrap();
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
