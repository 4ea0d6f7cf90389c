//! The async client's waits, on tokio's paused clock. Needs no feature.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{
    Action, ConnectStrategy, Connection, Ending, Fault, SseClient, connect_fn, error_strategy,
    retry_delay,
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, advance};

/// The times of connections since the beginning of the test, on the paused clock.
#[derive(Clone)]
struct Log {
    began: Instant,
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Log {
    fn new() -> Log {
        Log {
            began: Instant::now(),
            times: Arc::default(),
        }
    }

    fn note(&self) {
        self.times.lock().unwrap().push(self.began.elapsed());
    }

    /// Returns the times between the entries in seconds, rounded to tenths.
    fn gaps(&self) -> Vec<f64> {
        let times = self.times.lock().unwrap();
        let gap = |pair: &[Duration]| (pair[1] - pair[0]).as_secs_f64();
        times
            .windows(2)
            .map(gap)
            .map(|gap| (gap * 10.0).round() / 10.0)
            .collect()
    }
}

/// Returns a strategy that logs every attempt and connects by its number, counted from 0.
fn logged(
    log: &Log,
    connect: impl Fn(usize) -> Result<Connection, io::Error> + Send + Sync + 'static,
) -> impl ConnectStrategy {
    let log = log.clone();
    connect_fn(move |_| {
        let number = log.times.lock().unwrap().len();
        log.note();
        let connection = connect(number);
        async { connection }
    })
}

fn refused(_: usize) -> Result<Connection, io::Error> {
    Err(io::ErrorKind::ConnectionRefused.into())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn expect_fault(client: &mut SseClient) -> Option<Fault> {
    match client.next_action().await {
        Some(Ok(Action::Fault(fault))) => Some(fault),
        Some(Ok(Action::End(_))) => None,
        other => panic!("expected a fault, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn delays_double_up_to_30_seconds() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
        .build()
        .unwrap();
    for _ in 0..8 {
        expect_fault(&mut client).await;
    }
    assert_eq!(log.gaps(), [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn the_first_delay_varies_from_client_to_client() {
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let log = Log::new();
        let mut client = SseClient::new(logged(&log, refused)).unwrap();
        expect_fault(&mut client).await;
        expect_fault(&mut client).await;
        let times = log.times.lock().unwrap().clone();
        let first = times[1] - times[0];
        assert!((Duration::from_millis(499)..=Duration::from_millis(1002)).contains(&first));
        firsts.push(first);
    }
    firsts.sort();
    firsts.dedup();
    assert!(firsts.len() > 10, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_does_not_wait_twice() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
        .build()
        .unwrap();
    expect_fault(&mut client).await;
    advance(seconds(7)).await;
    let began = Instant::now();
    expect_fault(&mut client).await;
    assert_eq!(began.elapsed().as_secs(), 3);
    advance(seconds(60)).await;
    let began = Instant::now();
    expect_fault(&mut client).await;
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_connection_resets_the_delays() {
    let log = Log::new();
    // The third connection lasts a minute.
    let make = |number| {
        let lasts = seconds(if number == 2 { 60 } else { 0 });
        let comment = stream::once(async move {
            tokio::time::sleep(lasts).await;
            Ok::<_, io::Error>(":\n")
        });
        Ok(Connection::from_stream(comment))
    };
    let mut client = SseClient::builder(logged(&log, make))
        .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
        .build()
        .unwrap();
    let mut faults = 0;
    while faults < 5 {
        match client.next_action().await.unwrap().unwrap() {
            Action::Fault(fault) => panic!("{fault}"),
            Action::End(_) => faults += 1,
            _ => {}
        }
    }
    assert_eq!(log.gaps(), [1.0, 2.0, 61.0, 2.0]);
}

/// Returns a function for connections that send `body` (by number), then end after `lasts`.
fn lasting(
    lasts: Duration,
    ending: Ending,
    body: fn(usize) -> String,
) -> impl Fn(usize) -> Result<Connection, io::Error> {
    move |number| {
        let first = stream::iter([Ok::<_, io::Error>(body(number))]);
        let rest = stream::once(async move {
            tokio::time::sleep(lasts).await;
            Ok(String::new())
        });
        Ok(Connection::from_stream(first.chain(rest)).with_ending(ending))
    }
}

/// Returns the times between the first six connections of a client with default settings.
async fn gaps(
    make: impl Fn(usize) -> Result<Connection, io::Error> + Send + Sync + 'static,
) -> Vec<f64> {
    let log = Log::new();
    let mut client = SseClient::new(logged(&log, make)).unwrap();
    while log.times.lock().unwrap().len() < 6 {
        client.next_action().await.unwrap().unwrap();
    }
    log.gaps()
}

#[tokio::test(start_paused = true)]
async fn delays_do_not_grow_behind_a_proxy_that_cuts_after_50_seconds() {
    let body = |_| "retry: 1000\ndata: x\n\n".to_owned();
    for ending in [Ending::Unproven, Ending::Complete] {
        let gaps = gaps(lasting(seconds(50), ending, body)).await;
        let in_time = |gap: &f64| (51.0..=51.5).contains(gap);
        assert!(gaps.iter().all(in_time), "{ending:?}: {gaps:?}");
    }
    // The same with only comments.
    let gaps = gaps(lasting(seconds(50), Ending::Unproven, |_| ":\n".into())).await;
    assert!(
        gaps.iter().all(|gap| (50.5..=51.0).contains(gap)),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_polled_server_is_polled_at_its_interval() {
    let new_id = |number| format!("retry: 200\nid: {number}\ndata: x\n\n");
    let gaps_of = |ending, body| gaps(lasting(Duration::ZERO, ending, body));
    let clean = gaps_of(Ending::Complete, new_id).await;
    assert!(
        clean.iter().all(|gap| (0.2..=0.3).contains(gap)),
        "{clean:?}"
    );
    // An unproven end: 0.2 s, doubled each time.
    let unproven = gaps_of(Ending::Unproven, new_id).await;
    assert!(unproven[4] >= 1.6, "{unproven:?}");
    // Without `retry:`.
    let clean = gaps_of(Ending::Complete, |number| format!("id: {number}\n\n")).await;
    assert!(
        clean.iter().all(|gap| (3.0..=4.5).contains(gap)),
        "{clean:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_publishes_a_delay_and_an_unread_retry_extends_it() {
    let log = Log::new();
    let make = |_| {
        let first = stream::iter([Ok::<_, io::Error>("data: a\n\nretry: 9000\n\n")]);
        Ok(Connection::from_stream(first.chain(stream::pending())))
    };
    let mut client = SseClient::builder(logged(&log, make))
        .retry_delay_strategy(retry_delay::backoff().jitter(0.0))
        .build()
        .unwrap();
    client.next_event().await.unwrap().unwrap();
    client.interrupt();
    assert_eq!(client.next_retry_delay(), seconds(1));
    client.next_event().await.unwrap().unwrap();
    assert_eq!(log.gaps(), [9.0]);
}

#[tokio::test(start_paused = true)]
async fn a_base_delay_of_123_seconds_does_not_double() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .initial_retry_delay(seconds(123))
        .build()
        .unwrap();
    for _ in 0..6 {
        expect_fault(&mut client).await;
    }
    let gaps = log.gaps();
    assert!(
        gaps.iter().all(|gap| (61.5..=123.0).contains(gap)),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_during_backoff_does_not_shorten_the_delay() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
        .build()
        .unwrap();
    let handle = client.handle();
    expect_fault(&mut client).await;
    let interrupter = tokio::spawn(async move {
        tokio::time::sleep(seconds(4)).await;
        handle.interrupt();
    });
    let began = Instant::now();
    assert!(expect_fault(&mut client).await.is_none());
    assert_eq!(began.elapsed().as_secs(), 4);
    interrupter.await.unwrap();
    expect_fault(&mut client).await;
    assert_eq!(log.gaps(), [10.0]);
}

#[tokio::test(start_paused = true)]
async fn a_handle_returns_the_same_delay_as_the_client() {
    let client = |error_strategy: Box<dyn error_strategy::ErrorStrategy>| {
        SseClient::builder(logged(&Log::new(), refused))
            .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
            .error_strategy(error_strategy)
            .build()
            .unwrap()
    };
    let mut continuing = client(Box::new(error_strategy::always_continue()));
    let handle = continuing.handle();
    assert_eq!(handle.next_retry_delay(), Duration::ZERO);
    expect_fault(&mut continuing).await;
    assert_eq!(handle.next_retry_delay(), seconds(10));
    let interrupter = continuing.handle();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(4)).await;
        interrupter.interrupt();
    });
    expect_fault(&mut continuing).await;
    assert_eq!(continuing.next_retry_delay(), seconds(6));
    assert_eq!(handle.next_retry_delay(), seconds(6));

    let mut failing = client(Box::new(error_strategy::always_fail()));
    assert!(failing.next_action().await.unwrap().is_err());
    assert_eq!(failing.handle().next_retry_delay(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_the_backoff() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::MAX))
        .build()
        .unwrap();
    let handle = client.handle();
    expect_fault(&mut client).await;
    tokio::spawn(async move {
        tokio::time::sleep(seconds(4)).await;
        handle.close();
    });
    let began = Instant::now();
    assert!(client.next_action().await.is_none());
    assert_eq!(began.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_ends_consecutive_faults() {
    let log = Log::new();
    let mut client = SseClient::builder(logged(&log, refused))
        .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
        .error_strategy(error_strategy::continue_with_time_limit(seconds(35)))
        .build()
        .unwrap();
    assert!(client.start().await.unwrap_err().is_connect());
    assert_eq!(log.gaps(), [10.0; 4]);
}

#[tokio::test(start_paused = true)]
async fn the_read_timeout_ends_an_idle_connection() {
    let log = Log::new();
    // A comment every 50 s for five times, then nothing.
    let make = |_| {
        let comments = stream::iter(0..5).then(|_| async {
            tokio::time::sleep(seconds(50)).await;
            Ok::<_, io::Error>(":\n")
        });
        Ok(Connection::from_stream(comments.chain(stream::pending())))
    };
    let mut client = SseClient::builder(logged(&log, make))
        .read_timeout(seconds(60))
        .build()
        .unwrap();
    let began = Instant::now();
    assert!(client.start().await.is_ok());
    let fault = loop {
        if let Action::Fault(fault) = client.next_action().await.unwrap().unwrap() {
            break fault;
        }
    };
    assert!(matches!(fault, Fault::ReadTimeout(limit) if limit == seconds(60)));
    assert_eq!(began.elapsed().as_secs(), 5 * 50 + 60);
}

#[tokio::test(start_paused = true)]
async fn the_read_timeout_counts_from_the_start_of_the_read() {
    let log = Log::new();
    let make = |_| {
        let first = stream::iter([Ok::<_, io::Error>("data: a\n\n")]);
        Ok(Connection::from_stream(first.chain(stream::pending())))
    };
    let mut client = SseClient::builder(logged(&log, make))
        .read_timeout(seconds(60))
        .build()
        .unwrap();
    client.next_event().await.unwrap().unwrap();
    advance(seconds(1000)).await;
    let began = Instant::now();
    assert!(matches!(
        expect_fault(&mut client).await,
        Some(Fault::ReadTimeout(_))
    ));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn the_read_timeout_applies_to_reads_in_slices() {
    let log = Log::new();
    let make = |_| {
        Ok(Connection::from_stream(
            stream::pending::<io::Result<&str>>(),
        ))
    };
    let mut client = SseClient::builder(logged(&log, make))
        .read_timeout(seconds(60))
        .build()
        .unwrap();
    client.start().await.unwrap();
    client.next_action().await.unwrap().unwrap();
    let began = Instant::now();
    let fault = loop {
        let slice = Duration::from_millis(100);
        if let Ok(action) = tokio::time::timeout(slice, client.next_action()).await {
            break action;
        }
        assert!(began.elapsed() < seconds(120), "no read timeout");
    };
    assert!(matches!(
        fault,
        Some(Ok(Action::Fault(Fault::ReadTimeout(_))))
    ));
    assert_eq!(began.elapsed().as_secs(), 60);
}
