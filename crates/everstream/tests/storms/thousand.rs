//! A thousand clients lose one server at the same moment.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{Connection, SseClient, connect_fn, retry_delay};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

const CLIENTS: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Seeds {
    /// As in real use: each client's own, and other ones in every run.
    Own,
    /// From 1 on.
    Fixed,
}

/// When each client connects again, from the moment that the server was lost.
pub(crate) fn first_reconnects(seeds: Seeds, said: &'static str) -> Vec<Duration> {
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
                let first = stream::iter([Ok::<_, io::Error>(said)]);
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
                let again = times.lock().unwrap()[1];
                again - lost
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

/// How many come in each slice of this length, from the first to the last that has any.
pub(crate) fn slices(times: &[Duration], length: Duration) -> Vec<(Duration, usize)> {
    let index = |time: &Duration| u32::try_from(time.as_micros() / length.as_micros()).unwrap();
    let (first, last) = (index(&times[0]), index(&times[times.len() - 1]));
    let count = |at| times.iter().filter(|time| index(time) == at).count();
    (first..=last).map(|at| (length * at, count(at))).collect()
}

/// In 10 ms 20 clients are to be expected, or 7 where it is spread over 1.5 s; more than `most` would
/// come in less than one run of a million.
fn assert_spread(times: &[Duration], from: u64, to: u64, most: usize) {
    assert_eq!(times.len() as u64, CLIENTS);
    let (first, last) = (times[0], times[times.len() - 1]);
    // tokio's timer counts whole milliseconds.
    assert!(first >= Duration::from_millis(from), "{first:?}");
    assert!(last <= Duration::from_millis(to + 2), "{last:?}");
    for (at, count) in slices(times, Duration::from_millis(10)) {
        assert!(count <= most, "{count} clients in the 10 ms from {at:?} on");
    }
}

#[test]
fn a_thousand_clients_come_back_spread_over_half_the_base() {
    for seeds in [Seeds::Own, Seeds::Fixed] {
        assert_spread(&first_reconnects(seeds, ":\n"), 500, 1000, 50);
    }
}

#[test]
fn a_thousand_clients_never_come_back_before_the_server_said() {
    for seeds in [Seeds::Own, Seeds::Fixed] {
        assert_spread(&first_reconnects(seeds, "retry: 3000\n"), 3000, 4500, 30);
    }
}
