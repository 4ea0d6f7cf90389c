//! One run of a program that has the records already, and compares nothing: it doesn't know where the log
//! ends, and would store a record twice or not at all after a failure.

use std::ops::Range;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_postgres::NoTls;

use crate::{Cost, Engine, Meter, Once, Outcome, data};

/// With this many batches on their way.
pub(crate) async fn run(once: &Once, in_flight: usize) -> Outcome<Cost> {
    match once.engine {
        Engine::Postgres => postgres(once, in_flight).await,
        Engine::Redis => redis(once, in_flight).await,
        Engine::Nats => nats(once, in_flight).await,
    }
}

/// The numbers of the records in each batch.
fn batches(once: &Once) -> impl Iterator<Item = Range<u64>> + use<> {
    let (events, batch) = (once.events, once.batch);
    let starts = (1..=events).step_by(batch);
    starts.map(move |first| first..(first + batch as u64).min(events + 1))
}

/// Sends all batches.
async fn send<F>(batches: impl Iterator<Item = F>, in_flight: usize) -> Outcome<Cost>
where
    F: Future<Output = Outcome>,
{
    let meter = Meter::start()?;
    stream::iter(batches)
        .buffered(in_flight)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    meter.cost()
}

async fn postgres(once: &Once, in_flight: usize) -> Outcome<Cost> {
    let (client, connection) = tokio_postgres::connect(&once.url, NoTls).await?;
    tokio::spawn(connection);
    let table = &once.log;
    let create = format!(
        "CREATE TABLE \"{table}\" (pos bigint PRIMARY KEY, sse_id text, sse_event text NOT NULL,
            data text NOT NULL, received_at timestamptz NOT NULL)"
    );
    client.batch_execute(&create).await?;
    let insert = format!(
        "INSERT INTO \"{table}\" SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],
            $5::timestamptz[])"
    );
    let insert = client.prepare(&insert).await?;
    let (client, insert) = (&client, &insert);
    let sent = batches(once).map(|batch| async move {
        let positions: Vec<i64> = batch.clone().map(|it| it as i64).collect();
        let ids: Vec<String> = batch.clone().map(|it| it.to_string()).collect();
        let events = vec!["message"; ids.len()];
        let data: Vec<String> = batch.map(data).collect();
        let times = vec![SystemTime::now(); ids.len()];
        client
            .execute(insert, &[&positions, &ids, &events, &data, &times])
            .await?;
        Ok(())
    });
    send(sent, in_flight).await
}

async fn redis(once: &Once, in_flight: usize) -> Outcome<Cost> {
    let client = redis::Client::open(once.url.as_str())?;
    let connection = client.get_multiplexed_async_connection().await?;
    let sent = batches(once).map(|batch| {
        let mut connection = connection.clone();
        async move {
            let mut pipeline = redis::pipe();
            // One transaction: with `appendfsync always` it is written to disk once.
            pipeline.atomic();
            for number in batch {
                pipeline
                    .cmd("XADD")
                    .arg(&once.log)
                    .arg("*")
                    .arg("data")
                    .arg(data(number))
                    .arg("sse-event")
                    .arg("message")
                    .arg("sse-pos")
                    .arg(number)
                    .arg("sse-id")
                    .arg(number)
                    .ignore();
            }
            pipeline.query_async::<()>(&mut connection).await?;
            Ok(())
        }
    });
    send(sent, in_flight).await
}

async fn nats(once: &Once, in_flight: usize) -> Outcome<Cost> {
    let context = async_nats::jetstream::new(async_nats::connect(&once.url).await?);
    let config = Config {
        name: once.log.clone(),
        subjects: vec![once.log.clone()],
        ..Config::default()
    };
    context.create_stream(config).await?;
    let context = &context;
    let sent = batches(once).map(|batch| async move {
        let mut acks = Vec::new();
        for number in batch {
            let mut headers = HeaderMap::new();
            headers.insert("sse-pos", number.to_string());
            headers.insert("sse-event", "message");
            headers.insert("sse-id", number.to_string());
            let subject = once.log.clone();
            let payload = Bytes::from(data(number));
            let ack = context.publish_with_headers(subject, headers, payload);
            acks.push(ack.await?.into_future());
        }
        try_join_all(acks).await?;
        Ok(())
    });
    send(sent, in_flight).await
}
