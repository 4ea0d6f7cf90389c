//! Engines that are killed, stopped, and that execute late: what each sink has to survive. The sinks of
//! other crates are tested with this file too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use everstream_engines::{Engine, Proxy};
use everstream_relay::sink_tests::{Log, assert_holds, finish, numbered};
use everstream_relay::{AppendError, Record, Sink, SinkError, Tail};

/// Far more than anything here takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// Two writers, and an engine that is killed in the middle and comes back with its data: each record once,
/// in order, and nothing that was acknowledged is lost.
pub(crate) async fn killed_under_load<L: Log>(log: &L, engine: &mut Engine) {
    const KILLS: u64 = 2;
    let (stopping, failures) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut watcher = log.sink("killed");
    watcher.open(0).await.unwrap();
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let sink = log.sink("killed");
            tokio::spawn(write_until(sink, stopping.clone(), failures.clone()))
        })
        .collect();
    let mut wanted = 0;
    for _ in 0..KILLS {
        wanted = wait_for(&mut watcher, wanted + 200).await;
        engine.kill();
        // They notice.
        let before = failures.load(Ordering::SeqCst);
        let began = Instant::now();
        while failures.load(Ordering::SeqCst) < before + 2 {
            assert!(began.elapsed() < LIMIT, "nobody noticed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        engine.restart();
    }
    wait_for(&mut watcher, wanted + 200).await;
    stopping.store(true, Ordering::SeqCst);
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged = writer.await.unwrap().max(acknowledged);
    }
    let end = finish(&mut watcher, acknowledged).await;
    assert_holds(log, "killed", &numbered(1..=end)).await;
}

/// Returns the highest position that was acknowledged.
async fn write_until<S: Sink>(
    mut sink: S,
    stopping: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
) -> u64 {
    let (mut end, mut acknowledged) = (Tail::default(), 0);
    while !stopping.load(Ordering::SeqCst) {
        match sink
            .append(&end, &numbered(end.pos + 1..=end.pos + 8))
            .await
        {
            Ok(now) => {
                acknowledged = now.pos;
                end = now;
                continue;
            }
            Err(AppendError::Rejected { why, .. }) => panic!("{why}"),
            Err(AppendError::Conflict) => {}
            Err(_) => {
                failures.fetch_add(1, Ordering::SeqCst);
            }
        }
        match sink.tail().await {
            Ok(now) => {
                assert!(now.pos >= acknowledged, "{acknowledged} was lost: {now:?}");
                end = now;
            }
            Err(SinkError::Unavailable(_)) => {
                failures.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

async fn wait_for<S: Sink>(sink: &mut S, wanted: u64) -> u64 {
    let began = Instant::now();
    loop {
        if let Ok(tail) = sink.tail().await {
            if tail.pos >= wanted {
                return tail.pos;
            }
        }
        assert!(began.elapsed() < LIMIT, "not {wanted} yet");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An engine that doesn't answer: everything ends in time, an append with an unknown outcome. When it
/// continues, the tail says which it was, and the writer continues too. The sinks' time limit is `limit`.
pub(crate) async fn stopped_and_continued<L: Log>(log: &L, engine: &mut Engine, limit: Duration) {
    let mut sink = log.sink("stopped");
    sink.open(0).await.unwrap();
    let mut end = sink
        .append(&Tail::default(), &numbered(1..=3))
        .await
        .unwrap();
    for _ in 0..3 {
        engine.stop();
        let began = Instant::now();
        let batch = numbered(end.pos + 1..=end.pos + 4);
        let failed = sink.append(&end, &batch).await.unwrap_err();
        assert!(matches!(failed, AppendError::Unknown(_)), "{failed}");
        // A new connection isn't answered either: nothing of this was stored.
        let failed = sink.append(&end, &batch).await.unwrap_err();
        let is_open = matches!(
            failed,
            AppendError::Unknown(_) | AppendError::Unavailable(_)
        );
        assert!(is_open, "{failed}");
        let failed = sink.tail().await.unwrap_err();
        assert!(matches!(failed, SinkError::Unavailable(_)), "{failed}");
        let failed = log.sink("stopped").open(10).await.unwrap_err();
        assert!(matches!(failed, SinkError::Unavailable(_)), "{failed}");
        assert!(
            began.elapsed() < limit * 4 + Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        engine.resume();
        let now = wait_for(&mut sink, end.pos).await;
        assert!((end.pos..=end.pos + 4).contains(&now), "{now}");
        finish(&mut sink, end.pos + 9).await;
        end = sink.tail().await.unwrap();
    }
    assert_holds(log, "stopped", &numbered(1..=end.pos)).await;
}

/// What was sent by a writer that has given it up is executed late, when another writer, or the same one,
/// has continued: it loses. `late` makes sinks that connect through the proxy.
pub(crate) async fn late_appends_lose<L: Log, S: Sink>(
    log: &L,
    proxy: &Proxy,
    late: impl Fn(&str) -> S,
) {
    for (name, same_writer) in [("late-other", false), ("late-same", true)] {
        let mut zombie = late(name);
        zombie.open(0).await.unwrap();
        let end = zombie
            .append(&Tail::default(), &numbered(1..=3))
            .await
            .unwrap();
        proxy.hold();
        let lost = zombie.append(&end, &numbered(4..=9)).await.unwrap_err();
        assert!(matches!(lost, AppendError::Unknown(_)), "{lost}");
        let mut next = numbered(4..=5);
        for record in &mut next {
            *record = Record::new(record.id.clone(), "new", "in time", record.received_at);
        }
        let now = match same_writer {
            true => {
                assert_eq!(zombie.tail().await.unwrap(), end);
                zombie.append(&end, &next).await.unwrap()
            }
            false => {
                let mut other = log.sink(name);
                assert_eq!(other.open(0).await.unwrap().tail, end);
                other.append(&end, &next).await.unwrap()
            }
        };
        proxy.release();
        let mut expected = numbered(1..=3);
        expected.extend(next);
        assert_holds(log, name, &expected).await;
        assert_eq!(zombie.tail().await.unwrap(), now);
        let more = numbered(6..=6);
        zombie.append(&now, &more).await.unwrap();
        expected.extend(more);
        assert_holds(log, name, &expected).await;
    }
}
