//! Waits of the async client, on a clock that the tests move. No feature is needed.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{
    Action, ConnectStrategy, Connection, Ending, Fault, SseClient, connect_fn, error_strategy,
    retry_delay,
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, advance};

/// Times since the beginning of the test, in the clock that stands still unless everybody waits.
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

    /// The times between the entries, to the tenth of a second.
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

/// Notes every attempt, and makes each connection by its number from 0.
fn noted(
    log: &Log,
    make: impl Fn(usize) -> Result<Connection, io::Error> + Send + Sync + 'static,
) -> impl ConnectStrategy {
    let log = log.clone();
    connect_fn(move |_| {
        let number = log.times.lock().unwrap().len();
        log.note();
        let made = make(number);
        async { made }
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
        other => panic!("a fault was expected, and it was {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn delays_double_up_to_30_seconds() {
    let log = Log::new();
    let mut client = SseClient::builder(noted(&log, refused))
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
        let mut client = SseClient::new(noted(&log, refused)).unwrap();
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
    let mut client = SseClient::builder(noted(&log, refused))
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
async fn a_connection_that_lasts_starts_the_delays_anew() {
    let log = Log::new();
    // The third lasts a minute.
    let make = |number| {
        let lasts = seconds(if number == 2 { 60 } else { 0 });
        let silence = stream::once(async move {
            tokio::time::sleep(lasts).await;
            Ok::<_, io::Error>(":\n")
        });
        Ok(Connection::from_stream(silence))
    };
    let mut client = SseClient::builder(noted(&log, make))
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

/// What such a connection says at first, and when it ends, by its number from 0.
fn lasting(
    lasts: Duration,
    ending: Ending,
    said: fn(usize) -> String,
) -> impl Fn(usize) -> Result<Connection, io::Error> {
    move |number| {
        let first = stream::iter([Ok::<_, io::Error>(said(number))]);
        let rest = stream::once(async move {
            tokio::time::sleep(lasts).await;
            Ok(String::new())
        });
        Ok(Connection::from_stream(first.chain(rest)).with_ending(ending))
    }
}

/// The times between the first six connections of a client with the default settings.
async fn gaps(
    make: impl Fn(usize) -> Result<Connection, io::Error> + Send + Sync + 'static,
) -> Vec<f64> {
    let log = Log::new();
    let mut client = SseClient::new(noted(&log, make)).unwrap();
    while log.times.lock().unwrap().len() < 6 {
        client.next_action().await.unwrap().unwrap();
    }
    log.gaps()
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_cuts_after_50_seconds_does_not_make_the_delays_grow() {
    let said = |_| "retry: 1000\ndata: x\n\n".to_owned();
    for ending in [Ending::Unproven, Ending::Complete] {
        let gaps = gaps(lasting(seconds(50), ending, said)).await;
        let in_time = |gap: &f64| (51.0..=51.5).contains(gap);
        assert!(gaps.iter().all(in_time), "{ending:?}: {gaps:?}");
    }
    // With comments alone, too.
    let gaps = gaps(lasting(seconds(50), Ending::Unproven, |_| ":\n".into())).await;
    assert!(
        gaps.iter().all(|gap| (50.5..=51.0).contains(gap)),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_polled_server_is_asked_again_when_it_said() {
    let new_id = |number| format!("retry: 200\nid: {number}\ndata: x\n\n");
    let gaps_of = |ending, said| gaps(lasting(Duration::ZERO, ending, said));
    let clean = gaps_of(Ending::Complete, new_id).await;
    assert!(
        clean.iter().all(|gap| (0.2..=0.3).contains(gap)),
        "{clean:?}"
    );
    // An end that proves nothing: 0.2 s, doubled each time.
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
async fn an_interrupt_shows_the_next_delay_at_once_and_waits_for_what_was_asked_unread() {
    let log = Log::new();
    let make = |_| {
        let first = stream::iter([Ok::<_, io::Error>("data: a\n\nretry: 9000\n\n")]);
        Ok(Connection::from_stream(first.chain(stream::pending())))
    };
    let mut client = SseClient::builder(noted(&log, make))
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
async fn a_base_of_123_seconds_is_waited_and_does_not_double() {
    let log = Log::new();
    let mut client = SseClient::builder(noted(&log, refused))
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
async fn an_interrupt_of_the_back_off_brings_nobody_back_early() {
    let log = Log::new();
    let mut client = SseClient::builder(noted(&log, refused))
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
async fn a_handle_shows_the_delay_that_the_client_does() {
    let client = |error_strategy: Box<dyn error_strategy::ErrorStrategy>| {
        SseClient::builder(noted(&Log::new(), refused))
            .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
            .error_strategy(error_strategy)
            .build()
            .unwrap()
    };
    let mut goes_on = client(Box::new(error_strategy::always_continue()));
    let handle = goes_on.handle();
    assert_eq!(handle.next_retry_delay(), Duration::ZERO);
    expect_fault(&mut goes_on).await;
    assert_eq!(handle.next_retry_delay(), seconds(10));
    let interrupter = goes_on.handle();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(4)).await;
        interrupter.interrupt();
    });
    expect_fault(&mut goes_on).await;
    assert_eq!(goes_on.next_retry_delay(), seconds(6));
    assert_eq!(handle.next_retry_delay(), seconds(6));

    let mut gives_up = client(Box::new(error_strategy::always_fail()));
    assert!(gives_up.next_action().await.unwrap().is_err());
    assert_eq!(gives_up.handle().next_retry_delay(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_the_back_off() {
    let log = Log::new();
    let mut client = SseClient::builder(noted(&log, refused))
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
async fn a_time_limit_ends_a_row_of_faults() {
    let log = Log::new();
    let mut client = SseClient::builder(noted(&log, refused))
        .retry_delay_strategy(retry_delay::from_fn(|_| seconds(10)))
        .error_strategy(error_strategy::continue_with_time_limit(seconds(35)))
        .build()
        .unwrap();
    assert!(client.start().await.unwrap_err().is_connect());
    assert_eq!(log.gaps(), [10.0; 4]);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_when_its_time_is_over() {
    let log = Log::new();
    // A comment every 50 s for five times, then nothing.
    let make = |_| {
        let comments = stream::iter(0..5).then(|_| async {
            tokio::time::sleep(seconds(50)).await;
            Ok::<_, io::Error>(":\n")
        });
        Ok(Connection::from_stream(comments.chain(stream::pending())))
    };
    let mut client = SseClient::builder(noted(&log, make))
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
async fn silence_counts_from_the_start_of_the_read() {
    let log = Log::new();
    let make = |_| {
        let first = stream::iter([Ok::<_, io::Error>("data: a\n\n")]);
        Ok(Connection::from_stream(first.chain(stream::pending())))
    };
    let mut client = SseClient::builder(noted(&log, make))
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
async fn silence_is_noticed_by_who_reads_in_slices() {
    let log = Log::new();
    let make = |_| {
        Ok(Connection::from_stream(
            stream::pending::<io::Result<&str>>(),
        ))
    };
    let mut client = SseClient::builder(noted(&log, make))
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
        assert!(began.elapsed() < seconds(120), "it goes unnoticed");
    };
    assert!(matches!(
        fault,
        Some(Ok(Action::Fault(Fault::ReadTimeout(_))))
    ));
    assert_eq!(began.elapsed().as_secs(), 60);
}
