//! What each sink has to do: keep the promises of a sink, also when its engine is killed, stopped, or
//! executes late. The sinks of other crates are tested with this file too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use everstream_engines::{Engine, Proxy};
use everstream_relay::sink_tests::{Log, assert_holds, finish, numbered};
use everstream_relay::{AppendError, Record, Sink, SinkError, Tail};

/// Far more than anything here takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// Far more than anything takes that is answered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Tests of an engine that doesn't answer wait for this, again and again. More than a busy machine takes for
/// an answer.
pub(crate) const SHORT: Duration = Duration::from_secs(3);

/// The tests that every engine has. `$logs` is a [`Log`] with these functions: `with_limit` makes it for an
/// engine and the time limit of its sinks, `proxied` starts a proxy, `late` makes a sink that connects
/// through it.
macro_rules! engine_tests {
    ($engine:ident, $logs:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn it_keeps_the_promises_of_a_sink() {
            let engine = $engine::start();
            let logs = $logs::with_limit(&engine, crate::engine_faults::PATIENCE);
            everstream_relay::sink_tests::all(&logs).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn nothing_is_lost_or_twice_when_it_is_killed_under_load() {
            let mut engine = $engine::start();
            let logs = $logs::with_limit(&engine, crate::engine_faults::PATIENCE);
            crate::engine_faults::killed_under_load(&logs, &mut engine).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_stopped_server_is_an_unknown_outcome_in_time() {
            let mut engine = $engine::start();
            let limit = crate::engine_faults::SHORT;
            let logs = $logs::with_limit(&engine, limit);
            crate::engine_faults::stopped_and_continued(&logs, &mut engine, limit).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn an_append_that_is_executed_late_loses() {
            let engine = $engine::start();
            let proxy = $logs::proxied(&engine);
            let logs = $logs::with_limit(&engine, crate::engine_faults::PATIENCE);
            let late = |log: &str| $logs::late(&proxy, log).timeout(crate::engine_faults::SHORT);
            crate::engine_faults::late_appends_lose(&logs, &proxy, late).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_server_that_is_not_there_is_unavailable() {
            let mut engine = $engine::start();
            let logs = $logs::with_limit(&engine, crate::engine_faults::PATIENCE);
            crate::engine_faults::killed_and_back(&logs, &mut engine).await;
        }
    };
}
pub(crate) use engine_tests;

/// What `Unusable` says when the log is opened.
pub(crate) async fn unusable(mut sink: impl Sink) -> String {
    match sink.open(0).await {
        Err(SinkError::Unusable(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Nobody listens: trying again may help, and does when the engine is back.
pub(crate) async fn killed_and_back<L: Log>(log: &L, engine: &mut Engine) {
    let mut old = log.sink("gone");
    old.open(0).await.unwrap();
    engine.kill();
    let mut new = log.sink("gone");
    let failed = new.open(0).await.unwrap_err();
    assert!(matches!(failed, SinkError::Unavailable(_)), "{failed}");
    let batch = numbered(1..=1);
    let failed = new.append(&Tail::default(), &batch).await.unwrap_err();
    assert!(matches!(failed, AppendError::Unavailable(_)), "{failed}");
    engine.restart();
    new.append(&Tail::default(), &batch).await.unwrap();
    assert_eq!(wait_for(&mut old, 1).await, 1);
}

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
        let pos = sink.tail().await.map_or(0, |it| it.pos);
        if pos >= wanted {
            return pos;
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
    for _ in 0..2 {
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
        assert!(began.elapsed() < limit * 4 + LIMIT, "{:?}", began.elapsed());
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
