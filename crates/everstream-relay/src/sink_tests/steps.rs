//! What the checks do with a sink: once, or until it works.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use super::LIMIT;
use crate::{AppendError, Held, Record, Sink, SinkError, Tail};

pub(super) fn record(id: Option<&str>, event: &str, data: &str) -> Record {
    Record::new(id.map(str::to_owned), event, data, SystemTime::now())
}

pub(super) fn tail_at(pos: u64) -> Tail {
    Tail {
        pos,
        id: Some(pos.to_string()),
    }
}

/// Opens it, also if the engine has to be asked again.
pub(super) async fn open<S: Sink>(sink: &mut S, recent: usize) -> Held {
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
pub(super) async fn tail<S: Sink>(sink: &mut S) -> Tail {
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
pub(super) async fn append<S: Sink>(sink: &mut S, after: &Tail, batch: &[Record]) -> Tail {
    match sink.append(after, batch).await {
        Ok(end) => append_rest(sink, after, batch, end).await,
        Err(error) => panic!("after {after:?}: {error}"),
    }
}

/// Continues until `end` is the end of the batch.
pub(super) async fn append_rest<S: Sink>(
    sink: &mut S,
    after: &Tail,
    batch: &[Record],
    mut end: Tail,
) -> Tail {
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

pub(super) async fn assert_conflicts<S: Sink>(sink: &mut S, after: &Tail) {
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

/// Polls it at most `polls` times.
pub(super) async fn abandoned_after<F: Future>(
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
