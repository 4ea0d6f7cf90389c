//! Ten minutes of each scenario with the async client, on tokio's paused clock.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use everstream::{Connection, Ending, ErrorResponse, Fault, SseClient, connect_fn, retry_delay};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use super::scenarios::{Answer, Body, End, SCENARIOS, Scenario};

const MINUTES: u64 = 10;
const SEEDS: RangeInclusive<u64> = 1..=50;
/// Fewer seeds where the server is polled and gets thousands of connections.
const SEEDS_IF_POLLED: RangeInclusive<u64> = 1..=10;

/// Returns the times of all connections in ten minutes.
pub(crate) fn connections(scenario: &Scenario, seed: u64) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let times = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (scenario.answer, times.clone());
        let connect = connect_fn(move |_| {
            let mut log = log.lock().unwrap();
            let connection = connection(answer(log.len()));
            log.push(began.elapsed());
            async { connection }
        });
        let strategy = retry_delay::backoff().with_seed(seed);
        let builder = SseClient::builder(connect).retry_delay_strategy(strategy);
        let mut client = scenario.settings(builder).build().unwrap();
        let ten_minutes = Duration::from_secs(60 * MINUTES);
        _ = timeout(ten_minutes, async {
            while let Some(Ok(_)) = client.next_action().await {}
        })
        .await;
        drop(client);
        let mut times = times.lock().unwrap().clone();
        times.retain(|time| *time < ten_minutes);
        times
    })
}

fn connection(answer: Answer) -> Result<Connection, Fault> {
    match answer {
        Answer::Refused => Err(Fault::Connect("refused".into())),
        Answer::HangUp => Err(Fault::Request("closed".into())),
        Answer::Stream(body) => Ok(stream(body)),
        Answer::Unavailable { retry_after } => {
            let mut response = ErrorResponse::new(503);
            response.retry_after = retry_after.then_some(Duration::ZERO);
            Err(Fault::Status(Box::new(response)))
        }
    }
}

fn stream(Body { bytes, lasts, end }: Body) -> Connection {
    let bytes = stream::iter([Ok(bytes)]);
    let rest = stream::once(async move {
        sleep(lasts).await;
        match end {
            End::Broken => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            End::Clean | End::Closed => Ok(String::new()),
        }
    });
    Connection::from_stream(bytes.chain(rest)).with_ending(match end {
        End::Clean => Ending::Complete,
        End::Closed | End::Broken => Ending::Unproven,
    })
}

/// The connections in each minute, for each scenario and seed. Lazy, because it takes seconds.
pub(crate) static COUNTS: LazyLock<Vec<Vec<Vec<usize>>>> = LazyLock::new(|| {
    let counts = |scenario: &Scenario| {
        let seeds = match scenario.is_polled() {
            true => SEEDS_IF_POLLED,
            false => SEEDS,
        };
        let counts = seeds.map(|seed| per_minute(&connections(scenario, seed)));
        counts.collect()
    };
    SCENARIOS.iter().map(counts).collect()
});

/// Counts the connections in each minute.
fn per_minute(times: &[Duration]) -> Vec<usize> {
    let in_minute = |minute| {
        let times = times.iter();
        times.filter(|time| time.as_secs() / 60 == minute).count()
    };
    (0..MINUTES).map(in_minute).collect()
}

#[test]
fn clients_connect_no_more_often_than_the_delays_allow() {
    for (scenario, counts) in SCENARIOS.iter().zip(&*COUNTS) {
        let most = (scenario.most)();
        for (seed, counts) in (1..).zip(counts) {
            let what = format!("{}, seed {seed}: {counts:?}", scenario.name);
            assert!(counts[0] >= 1 && counts[0] <= most, "{what}, bound {most}");
            assert!(
                counts[1..]
                    .iter()
                    .all(|count| *count <= scenario.most_later),
                "{what}, bound {} later",
                scenario.most_later
            );
            // The client doesn't give up either, unless it should.
            assert!(
                counts[1..]
                    .iter()
                    .all(|count| *count >= scenario.least_later),
                "{what}, at least {} later",
                scenario.least_later
            );
        }
    }
}
