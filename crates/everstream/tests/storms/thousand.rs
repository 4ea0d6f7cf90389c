//! A thousand clients lose the same server at the same moment, once or repeatedly.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{Connection, SseClient, connect_fn, retry_delay};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

const CLIENTS: u64 = 1000;

/// How long a server keeps crashing, and the minute from which connections count.
const MINUTES: u64 = 10;
const COUNTED_FROM: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Seeds {
    /// Each client's own random seed, as in real use.
    Random,
    /// 1, 2, 3 and so on.
    Fixed,
}

/// Returns when each client reconnects, counted from the moment the server was lost. `body` is what the
/// server sent before.
pub(crate) fn first_reconnects(seeds: Seeds, body: &'static str) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let lost = Instant::now() + Duration::from_secs(90);
        let mut clients = Vec::new();
        for number in 1..=CLIENTS {
            let times = Arc::new(Mutex::new(Vec::new()));
            let log = times.clone();
            let connect = connect_fn(move |_| {
                log.lock().unwrap().push(Instant::now());
                let first = stream::iter([Ok::<_, io::Error>(body)]);
                let until = stream::once(async move {
                    sleep_until(lost).await;
                    Err(io::ErrorKind::ConnectionReset.into())
                });
                async { Ok::<_, io::Error>(Connection::from_stream(first.chain(until))) }
            });
            let mut builder = SseClient::builder(connect);
            if seeds == Seeds::Fixed {
                builder = builder.retry_delay_strategy(retry_delay::backoff().with_seed(number));
            }
            let mut client = builder.build().unwrap();
            clients.push(tokio::spawn(async move {
                while times.lock().unwrap().len() < 2 {
                    client.next_action().await;
                }
                let reconnected = times.lock().unwrap()[1];
                reconnected - lost
            }));
        }
        let mut times = Vec::new();
        for client in clients {
            times.push(client.await.unwrap());
        }
        times.sort();
        times
    })
}

/// A server that crashes repeatedly, and restarts immediately.
pub(crate) struct CrashLoop {
    /// The time from one crash to the next.
    pub(crate) every: Duration,
    /// The most connections allowed in one second and in 100 ms, in minutes 6 to 10.
    pub(crate) most_in_a_second: usize,
    pub(crate) most_in_100_ms: usize,
}

pub(crate) const CRASH_LOOPS: [CrashLoop; 2] = [
    CrashLoop {
        every: Duration::from_secs(6),
        most_in_a_second: 100,
        most_in_100_ms: 30,
    },
    // A connection of 25 s that delivered an event resets the backoff, so all clients reconnect
    // within 500 ms, as after a single crash.
    CrashLoop {
        every: Duration::from_secs(30),
        most_in_a_second: CLIENTS as usize,
        most_in_100_ms: 300,
    },
];

/// Returns when a thousand clients connect in minutes 6 to 10, in order.
pub(crate) fn reconnects_in_a_crash_loop(seeds: Seeds, every: Duration) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let times = Arc::new(Mutex::new(Vec::new()));
        let mut clients = Vec::new();
        for number in 1..=CLIENTS {
            let log = times.clone();
            let connect = connect_fn(move |_| {
                let now = began.elapsed();
                log.lock().unwrap().push(now);
                let crashes = now.as_millis() / every.as_millis() + 1;
                let next = every * u32::try_from(crashes).unwrap();
                let first = stream::iter([Ok::<_, io::Error>("data: x\n\n")]);
                let until = stream::once(async move {
                    sleep_until(began + next).await;
                    Err(io::ErrorKind::ConnectionReset.into())
                });
                async { Ok::<_, io::Error>(Connection::from_stream(first.chain(until))) }
            });
            let mut builder = SseClient::builder(connect);
            if seeds == Seeds::Fixed {
                builder = builder.retry_delay_strategy(retry_delay::backoff().with_seed(number));
            }
            let mut client = builder.build().unwrap();
            clients.push(tokio::spawn(async move {
                while let Some(Ok(_)) = client.next_action().await {}
            }));
        }
        sleep_until(began + Duration::from_secs(60 * MINUTES)).await;
        clients.iter().for_each(|client| client.abort());
        let mut times = times.lock().unwrap().clone();
        let counted = Duration::from_secs(60 * COUNTED_FROM)..Duration::from_secs(60 * MINUTES);
        times.retain(|time| counted.contains(time));
        times.sort();
        times
    })
}

/// Returns the most connections in any slice of this length.
pub(crate) fn peak(times: &[Duration], length: Duration) -> usize {
    let counts = slices(times, length).into_iter().map(|(_, count)| count);
    counts.max().unwrap()
}

/// Counts the connections in each slice of this length, from the first to the last nonempty slice.
pub(crate) fn slices(times: &[Duration], length: Duration) -> Vec<(Duration, usize)> {
    let index = |time: &Duration| u32::try_from(time.as_micros() / length.as_micros()).unwrap();
    let (first, last) = (index(&times[0]), index(&times[times.len() - 1]));
    let mut counts = vec![0; (last - first + 1) as usize];
    times
        .iter()
        .for_each(|time| counts[(index(time) - first) as usize] += 1);
    (first..=last).map(|at| length * at).zip(counts).collect()
}

/// On average, 20 clients reconnect per 10 ms, or 7 if they are spread over 1.5 s. `most` is so high that
/// less than one run in a million exceeds it.
fn assert_spread(times: &[Duration], from: u64, to: u64, most: usize) {
    assert_eq!(times.len() as u64, CLIENTS);
    let (first, last) = (times[0], times[times.len() - 1]);
    // tokio's timer rounds to whole milliseconds.
    assert!(first >= Duration::from_millis(from), "{first:?}");
    assert!(last <= Duration::from_millis(to + 2), "{last:?}");
    for (at, count) in slices(times, Duration::from_millis(10)) {
        assert!(count <= most, "{count} clients in the 10 ms from {at:?} on");
    }
}

#[test]
fn a_thousand_clients_reconnect_spread_over_half_the_base_delay() {
    for seeds in [Seeds::Random, Seeds::Fixed] {
        assert_spread(&first_reconnects(seeds, ":\n"), 500, 1000, 50);
    }
}

#[test]
fn a_thousand_clients_never_reconnect_before_the_server_asked() {
    for seeds in [Seeds::Random, Seeds::Fixed] {
        assert_spread(&first_reconnects(seeds, "retry: 3000\n"), 3000, 4500, 30);
    }
}

#[test]
fn a_crash_looping_server_is_not_flooded_unless_connections_lasted() {
    for seeds in [Seeds::Random, Seeds::Fixed] {
        for crashes in &CRASH_LOOPS {
            let times = reconnects_in_a_crash_loop(seeds, crashes.every);
            let second = peak(&times, Duration::from_secs(1));
            let tenth = peak(&times, Duration::from_millis(100));
            let what = format!("every {:?}, {seeds:?}: {second}, {tenth}", crashes.every);
            assert!(second <= crashes.most_in_a_second, "{what}");
            assert!(tenth <= crashes.most_in_100_ms, "{what}");
            // The bounds of a single client, for all of them.
            let counted = (MINUTES - COUNTED_FROM) * CLIENTS;
            assert!(times.len() as u64 <= 4 * counted, "{what}");
            assert!(times.len() as u64 >= counted, "{what}: clients gave up");
        }
    }
}
