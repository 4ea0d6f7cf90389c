//! The statements in the page for consumers, executed in their order.

use everstream_engines::{Postgres, Redis};
use everstream_relay::sink_tests::numbered;
use everstream_relay::{PostgresSink, RedisSink, Sink};

const PAGE: &str = include_str!("../guides/consumers.md");

/// The blocks of that language, one after the other.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = PAGE.split(&fence).skip(1);
    let blocks = blocks.map(|it| it.split("```").next().unwrap().to_owned());
    blocks.collect()
}

async fn fill(mut sink: impl Sink) {
    let held = sink.open(0).await.unwrap();
    sink.append(&held.tail, &numbered(1..=6)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_for_postgres_work() {
    let postgres = Postgres::start();
    let url = format!("{}&table=events&feed=orders", postgres.url());
    fill(PostgresSink::from_url(&url).unwrap()).await;
    let (client, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let [read, failover, retention, again] = &blocks("sql")[..] else {
        panic!("{:?}", blocks("sql"));
    };
    let rows = client.query(read.as_str(), &[]).await.unwrap();
    let positions: Vec<i64> = rows.iter().map(|it| it.get(0)).collect();
    assert_eq!(positions, [5, 6]);
    let mut statements = failover.split_inclusive(';');
    let seen = client
        .query_one(statements.next().unwrap(), &[])
        .await
        .unwrap();
    assert_eq!(seen.get::<_, String>(0), "4");
    let cursor = client
        .query_one(statements.next().unwrap(), &[])
        .await
        .unwrap();
    let cursor: (i64, String) = (cursor.get(0), cursor.get(1));
    assert_eq!(cursor, (6, "6".to_owned()));
    client.batch_execute(retention).await.unwrap();
    client.batch_execute(again).await.unwrap();
    // From the beginning.
    fill(PostgresSink::from_url(&url).unwrap()).await;
    let rows = client.query(read.as_str(), &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_redis_work() {
    let redis = Redis::start();
    let url = format!("{}?key=orders", redis.url());
    fill(RedisSink::from_url(&url).unwrap()).await;
    let client = ::redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut answers = Vec::new();
    for line in blocks("redis").iter().flat_map(|it| it.lines()) {
        let mut words = line.split(' ');
        let mut command = ::redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        let answer: ::redis::Value = command.query(&mut connection).unwrap();
        answers.push(format!("{answer:?}"));
    }
    let [read, _, group, last, cursor, trimmed, deleted] = &answers[..] else {
        panic!("{answers:?}");
    };
    for all in [read, group, last] {
        assert_eq!(all.matches("sse-pos").count(), 6, "{all}");
    }
    assert_eq!(
        cursor,
        "array([bulk-string('\"6\"'), bulk-string('\"6\"')])"
    );
    assert_eq!((trimmed.as_str(), deleted.as_str()), ("int(0)", "int(2)"));
    // From the beginning.
    fill(RedisSink::from_url(&url).unwrap()).await;
}
