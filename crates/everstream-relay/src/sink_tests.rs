//! Tests for your own [`Sink`]: whether it keeps what its trait promises.
//!
//! Implement [`Log`] for a fixture that makes writers of named logs and reads what they hold, and call
//! [`all`] in a test of tokio with several threads. Each check uses logs of its own. A check that fails
//! panics; [`all`] prints the name of each before it begins.
//!
//! Nothing here kills or stops an engine. Do that in tests of your own: an engine that doesn't answer has
//! to end in [`AppendError::Unknown`] in time, and what was sent to it must lose the comparison when it
//! comes late.

#![allow(clippy::panic)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use crate::{AppendError, Held, Record, Sink, SinkError, Tail};

/// Far more than anything here takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// The largest id that is tried: what many servers accept as one line of a header.
const LARGE_ID: usize = 64 << 10;

/// Makes writers, and reads what they have written.
///
/// ```
/// use everstream_relay::{PostgresSink, Record, sink_tests::Log};
///
/// struct Tables;
///
/// impl Log for Tables {
///     type Sink = PostgresSink;
///
///     fn sink(&self, log: &str) -> PostgresSink {
///         let url = format!("postgres://localhost/test?table={log}&feed={log}");
///         PostgresSink::from_url(&url).expect("a good URL")
///     }
///
///     async fn records(&self, log: &str) -> Vec<Record> {
///         unimplemented!("SELECT sse_id, sse_event, data FROM {log} ORDER BY pos")
///     }
/// }
/// ```
pub trait Log: Sync {
    /// What is tested.
    type Sink: Sink + 'static;

    /// A writer of the log with this name. A log that no writer has opened yet is absent.
    fn sink(&self, log: &str) -> Self::Sink;

    /// All records of that log, in order. Their times aren't compared.
    fn records(&self, log: &str) -> impl Future<Output = Vec<Record>> + Send;
}

/// Runs every check.
///
/// ```no_run
/// use everstream_relay::{Record, Sink, sink_tests};
///
/// # use everstream_relay::{AppendError, Held, SinkError, Tail};
/// # struct MySink;
/// # impl MySink { fn new(_: String) -> MySink { MySink } }
/// # impl Sink for MySink {
/// #     async fn open(&mut self, _: usize) -> Result<Held, SinkError> { Ok(Held::default()) }
/// #     async fn tail(&mut self) -> Result<Tail, SinkError> { Ok(Tail::default()) }
/// #     async fn append(&mut self, _: &Tail, _: &[Record]) -> Result<Tail, AppendError> {
/// #         Err(AppendError::Conflict)
/// #     }
/// # }
/// # async fn read_table(_: &str) -> Vec<Record> { Vec::new() }
/// struct Fixture;
///
/// impl sink_tests::Log for Fixture {
///     type Sink = MySink;
///
///     fn sink(&self, log: &str) -> MySink {
///         MySink::new(format!("my://localhost/{log}"))
///     }
///
///     async fn records(&self, log: &str) -> Vec<Record> {
///         read_table(log).await
///     }
/// }
///
/// #[tokio::test(flavor = "multi_thread")]
/// async fn my_sink_keeps_the_promises() {
///     sink_tests::all(&Fixture).await;
/// }
/// ```
pub async fn all<L: Log>(log: &L) {
    macro_rules! checks {
        ($($check:ident),* $(,)?) => {
            $(
                println!("check {}", stringify!($check));
                $check(log).await;
            )*
        };
    }
    checks!(
        an_absent_log_is_created_empty,
        records_are_stored_in_order,
        another_position_conflicts,
        another_id_conflicts,
        records_without_ids_are_stored,
        the_ids_of_the_last_records_are_returned,
        a_writer_that_reopens_continues,
        a_large_batch_is_stored_from_its_beginning,
        odd_texts_are_stored_unchanged,
        what_cannot_be_stored_is_rejected_with_its_index,
        a_dropped_append_leaves_a_beginning_of_its_batch,
        two_writers_store_each_record_once,
    );
}

/// Several writers open a log that isn't there at the same time: each finds it empty.
async fn an_absent_log_is_created_empty<L: Log>(log: &L) {
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let mut sink = log.sink("absent");
            tokio::spawn(async move {
                let held = open(&mut sink, 10).await;
                (held.tail, held.recent, tail(&mut sink).await)
            })
        })
        .collect();
    for task in opening {
        let Ok(opened) = task.await else {
            panic!("a writer failed while others opened the log too");
        };
        assert_eq!(opened, (Tail::default(), Vec::new(), Tail::default()));
    }
    assert_eq!(log.records("absent").await, []);
}

/// Positions begin with 1, and the tail follows each append. An empty batch changes nothing.
async fn records_are_stored_in_order<L: Log>(log: &L) {
    let mut sink = log.sink("order");
    open(&mut sink, 0).await;
    let end = append(&mut sink, &Tail::default(), &numbered(1..=3)).await;
    assert_eq!(end, tail_at(3));
    assert_eq!(append(&mut sink, &end, &[]).await, end, "an empty batch");
    let end = append(&mut sink, &end, &numbered(4..=5)).await;
    assert_eq!(end, tail_at(5));
    assert_eq!(tail(&mut sink).await, end);
    assert_holds(log, "order", &numbered(1..=5)).await;
}

/// An append after an earlier position, or a later one, changes nothing.
async fn another_position_conflicts<L: Log>(log: &L) {
    let mut sink = log.sink("position");
    open(&mut sink, 0).await;
    let end = append(&mut sink, &Tail::default(), &numbered(1..=3)).await;
    for pos in [0, 2, 4, 1000] {
        let after = Tail {
            pos,
            id: end.id.clone(),
        };
        assert_conflicts(&mut sink, &after).await;
    }
    assert_conflicts(&mut sink, &Tail::default()).await;
    assert_conflicts(&mut sink, &tail_at(2)).await;
    assert_eq!(tail(&mut sink).await, end);
    // The writer isn't broken afterwards.
    append(&mut sink, &end, &numbered(4..=4)).await;
    assert_holds(log, "position", &numbered(1..=4)).await;
}

/// The position alone isn't enough: writers that are told different events disagree about the id.
async fn another_id_conflicts<L: Log>(log: &L) {
    let mut sink = log.sink("id");
    open(&mut sink, 0).await;
    let with_id = |pos, id: Option<&str>| Tail {
        pos,
        id: id.map(str::to_owned),
    };
    assert_conflicts(&mut sink, &with_id(0, Some("1"))).await;
    let end = append(&mut sink, &Tail::default(), &numbered(1..=3)).await;
    for id in [None, Some("2"), Some("33"), Some("")] {
        assert_conflicts(&mut sink, &with_id(3, id)).await;
    }
    let mut other = log.sink("id");
    open(&mut other, 0).await;
    assert_conflicts(&mut other, &with_id(3, Some("other"))).await;
    append(&mut other, &end, &numbered(4..=4)).await;
    assert_holds(log, "id", &numbered(1..=4)).await;
}

/// A feed without ids, and one that has some: the tail's id is that of the last record, or none.
async fn records_without_ids_are_stored<L: Log>(log: &L) {
    let mut sink = log.sink("no-ids");
    open(&mut sink, 0).await;
    let mut records = numbered(1..=4);
    records[0].id = None;
    records[1].id = None;
    records[3].id = None;
    let end = append(&mut sink, &Tail::default(), &records[..2]).await;
    assert_eq!((end.pos, &end.id), (2, &None));
    assert_eq!(tail(&mut sink).await, end);
    let end = append(&mut sink, &end, &records[2..3]).await;
    assert_eq!(end, tail_at(3));
    let end = append(&mut sink, &end, &records[3..]).await;
    assert_eq!((end.pos, &end.id), (4, &None));
    let held = open(&mut log.sink("no-ids"), 10).await;
    assert_eq!((held.tail, held.recent), (end, vec!["3".to_owned()]));
    assert_conflicts(&mut sink, &tail_at(4)).await;
    assert_holds(log, "no-ids", &records).await;
}

/// The last ones, the oldest first; fewer if there are fewer.
async fn the_ids_of_the_last_records_are_returned<L: Log>(log: &L) {
    let mut sink = log.sink("recent");
    open(&mut sink, 0).await;
    append(&mut sink, &Tail::default(), &numbered(1..=100)).await;
    for (count, first) in [(0, 101), (1, 100), (4, 97), (70, 31), (100, 1), (1000, 1)] {
        let held = open(&mut log.sink("recent"), count).await;
        let expected: Vec<String> = (first..=100).map(|it: u64| it.to_string()).collect();
        assert_eq!(held.recent, expected, "of {count}");
        assert_eq!(held.tail, tail_at(100));
    }
}

/// A new writer continues where another one ended, which then is too late.
async fn a_writer_that_reopens_continues<L: Log>(log: &L) {
    let mut first = log.sink("reopen");
    open(&mut first, 0).await;
    let early = append(&mut first, &Tail::default(), &numbered(1..=3)).await;
    let mut second = log.sink("reopen");
    let held = open(&mut second, 0).await;
    assert_eq!(held.tail, early);
    let end = append(&mut second, &early, &numbered(4..=6)).await;
    assert_conflicts(&mut first, &early).await;
    assert_eq!(tail(&mut first).await, end);
    // Opening again is no harm.
    assert_eq!(open(&mut first, 0).await.tail, end);
    let end = append(&mut first, &end, &numbered(7..=7)).await;
    assert_conflicts(&mut second, &tail_at(6)).await;
    drop(second);
    assert_eq!(open(&mut log.sink("reopen"), 0).await.tail, end);
    assert_holds(log, "reopen", &numbered(1..=7)).await;
}

/// All of it, or its beginning: then the tail says how much, and the rest can follow.
async fn a_large_batch_is_stored_from_its_beginning<L: Log>(log: &L) {
    let mut sink = log.sink("large-batch");
    open(&mut sink, 0).await;
    let records = numbered(1..=6000);
    append(&mut sink, &Tail::default(), &records).await;
    assert_holds(log, "large-batch", &records).await;
}

/// Spaces, other scripts, characters that engines use themselves, and texts that are empty or long.
async fn odd_texts_are_stored_unchanged<L: Log>(log: &L) {
    let mut sink = log.sink("odd");
    open(&mut sink, 0).await;
    let texts = [
        " leading",
        "trailing ",
        " ",
        "\t",
        "größer",
        "日本語 🦀",
        "\u{feff}bom",
        "\u{7f}\u{1}",
        "a'b\"c\\d",
        "100%25",
        "%00",
        "{tag}",
        "a:b",
        "NULL",
        "\\x41",
        "$1",
    ];
    let mut records = Vec::new();
    for text in texts {
        records.push(record(Some(text), text, text));
    }
    records.push(record(Some("empty"), "message", ""));
    records.push(record(Some("lines"), "message", "a\nb\n\nc\n"));
    let end = append(&mut sink, &Tail::default(), &records).await;
    assert_eq!(end.id.as_deref(), Some("lines"));
    for record in &records.clone() {
        // As the tail too.
        let end = tail(&mut sink).await;
        let end = append(&mut sink, &end, std::slice::from_ref(record)).await;
        assert_eq!(end.id, record.id);
        let held = open(&mut log.sink("odd"), 1).await;
        assert_eq!((held.tail, held.recent.first()), (end, record.id.as_ref()));
        records.push(record.clone());
    }
    assert_holds(log, "odd", &records).await;
}

/// U+0000, ids and types of 64 KiB, and data above the limit: stored unchanged, or rejected with the
/// index, and then nothing of the batch is stored.
async fn what_cannot_be_stored_is_rejected_with_its_index<L: Log>(log: &L) {
    let mut sink = log.sink("rejected");
    let limit = open(&mut sink, 0).await.max_record_bytes;
    let large = "x".repeat(LARGE_ID);
    let wide = "日".repeat(LARGE_ID / 3);
    let mut doubtful = vec![
        (record(Some("nul"), "message", "a\0b"), false),
        (record(Some("nul"), "a\0b", "data"), false),
        (record(Some(&large), "message", "large id"), false),
        (record(Some(&wide), "message", "wide id"), false),
        (record(Some("type"), &large, "large type"), false),
    ];
    if let Some(limit) = limit {
        doubtful.push((record(Some("full"), "message", &"x".repeat(limit)), false));
        let too_large = "x".repeat(limit + 1);
        doubtful.push((record(Some("too large"), "message", &too_large), true));
    }
    let mut stored = Vec::new();
    for (doubtful, has_to_fail) in doubtful {
        let (id, bytes) = (doubtful.id.clone(), doubtful.data.len());
        let shown = id.as_deref().unwrap_or_default();
        let shown = format!("id {:.9}, data of {bytes} bytes", shown);
        let before = tail(&mut sink).await;
        let batch = [
            record(Some("before"), "message", "before"),
            doubtful,
            record(Some("after"), "message", "after"),
        ];
        match sink.append(&before, &batch).await {
            Ok(end) => {
                assert!(!has_to_fail, "{shown}: it was stored, above the limit");
                let end = append_rest(&mut sink, &before, &batch, end).await;
                assert_eq!(end.pos, before.pos + 3, "{shown}");
                stored.extend(batch);
            }
            Err(AppendError::Rejected { index, why }) => {
                assert_eq!(index, 1, "{shown}: {why}");
                assert!(!why.is_empty());
                assert_eq!(tail(&mut sink).await, before, "{shown}");
                // The others are fine.
                let others = [batch[0].clone(), batch[2].clone()];
                append(&mut sink, &before, &others).await;
                stored.extend(others);
            }
            Err(other) => panic!("{shown}: {other:?}"),
        }
    }
    assert_holds(log, "rejected", &stored).await;
}

/// The relay drops an append when it ends: the tail then says what was stored.
async fn a_dropped_append_leaves_a_beginning_of_its_batch<L: Log>(log: &L) {
    const WANTED: u64 = 300;
    let mut sink = log.sink("dropped");
    let mut end = open(&mut sink, 0).await.tail;
    let mut round = 0;
    let began = Instant::now();
    while end.pos < WANTED {
        assert!(began.elapsed() < LIMIT, "only {} were stored", end.pos);
        round += 1;
        let batch = numbered(end.pos + 1..=end.pos + 7);
        // After more and more steps of it, and every fourth one not at all.
        let polls = if round % 4 == 0 { u32::MAX } else { round % 13 };
        let outcome = {
            let appending = pin!(sink.append(&end, &batch));
            abandoned_after(appending, polls).await
        };
        if round % 3 == 0 {
            sink = log.sink("dropped");
        }
        let now = match outcome {
            Some(Ok(end)) => end,
            Some(Err(AppendError::Rejected { why, .. })) => panic!("{why}"),
            // Also `Conflict`: an earlier append came late.
            Some(Err(_)) | None => tail(&mut sink).await,
        };
        assert!(now.pos >= end.pos, "the tail went back to {now:?}");
        end = now;
    }
    // The last one may still be on its way: an append that succeeds comes after it.
    let end = finish(&mut sink, end.pos + 10).await;
    assert_holds(log, "dropped", &numbered(1..=end)).await;
}

/// At full speed, from the same feed. One of them wins the first append, and the other one loses it.
async fn two_writers_store_each_record_once<L: Log>(log: &L) {
    const WANTED: u64 = 2000;
    let mut writers = Vec::new();
    for _ in 0..2 {
        let mut sink = log.sink("two");
        let end = open(&mut sink, 0).await.tail;
        writers.push((sink, end));
    }
    let began = Instant::now();
    let tasks: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(writer, (mut sink, mut end))| {
            tokio::spawn(async move {
                let mut conflicts = 0;
                let mut round = writer as u64;
                while end.pos < WANTED {
                    assert!(began.elapsed() < LIMIT, "only {} were stored", end.pos);
                    round += 1;
                    let last = WANTED.min(end.pos + 1 + round % 16);
                    match sink.append(&end, &numbered(end.pos + 1..=last)).await {
                        Ok(now) => end = now,
                        Err(AppendError::Conflict) => {
                            conflicts += 1;
                            end = tail(&mut sink).await;
                        }
                        Err(AppendError::Rejected { why, .. }) => panic!("{why}"),
                        Err(_) => end = tail(&mut sink).await,
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        match task.await {
            Ok(count) => conflicts += count,
            Err(error) => panic!("a writer failed: {error}"),
        }
    }
    assert_holds(log, "two", &numbered(1..=WANTED)).await;
    assert!(conflicts > 0, "both writers appended after the empty log");
}

/// Record `n` has the id `n`, so that writers agree about each position.
///
/// ```
/// let records = everstream_relay::sink_tests::numbered(3..=4);
/// assert_eq!(records[1].id.as_deref(), Some("4"));
/// ```
pub fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Record> {
    let record = |n: u64| record(Some(&n.to_string()), "tick", &format!("event {n}"));
    numbers.into_iter().map(record).collect()
}

/// Appends records of [`numbered`] until the log has at least `wanted`, whatever fails meanwhile. Returns
/// how many it has. Panics if that takes a minute.
///
/// ```no_run
/// # async fn example(mut sink: impl everstream_relay::Sink) {
/// // After a restart of the engine, say.
/// let end = everstream_relay::sink_tests::finish(&mut sink, 100).await;
/// assert!(end >= 100);
/// # }
/// ```
pub async fn finish<S: Sink>(sink: &mut S, wanted: u64) -> u64 {
    let began = Instant::now();
    let mut end = tail(sink).await;
    while end.pos < wanted {
        assert!(began.elapsed() < LIMIT, "only {} were stored", end.pos);
        match sink.append(&end, &numbered(end.pos + 1..=wanted)).await {
            Ok(now) => end = now,
            Err(AppendError::Rejected { why, .. }) => panic!("{why}"),
            Err(_) => end = tail(sink).await,
        }
    }
    end.pos
}

/// Panics if the log holds something else.
///
/// ```no_run
/// use everstream_relay::sink_tests::{Log, assert_holds, numbered};
///
/// # async fn example(log: impl Log) {
/// assert_holds(&log, "my-log", &numbered(1..=100)).await;
/// # }
/// ```
pub async fn assert_holds<L: Log>(log: &L, name: &str, expected: &[Record]) {
    let found = log.records(name).await;
    let comparable = |it: &Record| (it.id.clone(), it.event.clone(), it.data.clone());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let pos = at + 1;
        assert_eq!(comparable(found), comparable(expected), "{name}: at {pos}");
    }
    assert_eq!(found.len(), expected.len(), "{name}: the number of records");
}

fn record(id: Option<&str>, event: &str, data: &str) -> Record {
    Record::new(id.map(str::to_owned), event, data, SystemTime::now())
}

fn tail_at(pos: u64) -> Tail {
    Tail {
        pos,
        id: Some(pos.to_string()),
    }
}

/// Opens it, also if the engine has to be asked again.
async fn open<S: Sink>(sink: &mut S, recent: usize) -> Held {
    let began = Instant::now();
    loop {
        match sink.open(recent).await {
            Ok(held) => return held,
            Err(SinkError::Unavailable(error)) if began.elapsed() >= LIMIT => panic!("{error}"),
            Err(SinkError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The same for the tail.
async fn tail<S: Sink>(sink: &mut S) -> Tail {
    let began = Instant::now();
    loop {
        match sink.tail().await {
            Ok(tail) => return tail,
            Err(SinkError::Unavailable(error)) if began.elapsed() >= LIMIT => panic!("{error}"),
            Err(SinkError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Appends all of it, in as many steps as the sink wants.
async fn append<S: Sink>(sink: &mut S, after: &Tail, batch: &[Record]) -> Tail {
    match sink.append(after, batch).await {
        Ok(end) => append_rest(sink, after, batch, end).await,
        Err(error) => panic!("after {after:?}: {error}"),
    }
}

/// Continues until `end` is the end of the batch.
async fn append_rest<S: Sink>(sink: &mut S, after: &Tail, batch: &[Record], mut end: Tail) -> Tail {
    loop {
        let Some(stored) = end.pos.checked_sub(after.pos) else {
            panic!("after {after:?} the log ends with {end:?}");
        };
        let stored = usize::try_from(stored).unwrap_or(usize::MAX);
        assert!(
            stored <= batch.len(),
            "{stored} of {} were stored",
            batch.len()
        );
        let last = batch[..stored].last().map_or(&after.id, |it| &it.id);
        assert_eq!(&end.id, last, "the id at {}", end.pos);
        if stored == batch.len() {
            return end;
        }
        let now = match sink.append(&end, &batch[stored..]).await {
            Ok(now) => now,
            Err(error) => panic!("after {end:?}: {error}"),
        };
        assert!(now.pos > end.pos, "nothing was stored, without an error");
        end = now;
    }
}

async fn assert_conflicts<S: Sink>(sink: &mut S, after: &Tail) {
    let before = tail(sink).await;
    match sink
        .append(after, &[record(Some("loser"), "message", "")])
        .await
    {
        Err(AppendError::Conflict) => {}
        Err(other) => panic!("after {after:?}: {other}, instead of a conflict"),
        Ok(_) => panic!("an append after {after:?} was accepted at {before:?}"),
    }
    assert_eq!(tail(sink).await, before);
}

/// Polls it so many times at most.
async fn abandoned_after<F: Future>(
    mut future: std::pin::Pin<&mut F>,
    polls: u32,
) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
