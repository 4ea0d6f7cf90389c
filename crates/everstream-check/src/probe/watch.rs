//! Reads a stream for a while.

use std::time::{Duration, Instant};

use everstream::Connection;
use everstream_http::message_with_cause;

use super::Prober;
use crate::anatomy::Anatomy;
use crate::observed::{End, Stream};
use crate::options::Progress;

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(250);

impl Prober<'_> {
    /// Reads until `enough` has arrived, or until `limit` after the response.
    pub(super) async fn watch(
        &self,
        connection: &mut Connection,
        answered: Instant,
        limit: Duration,
        shown: bool,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Stream {
        let mut anatomy = Anatomy::new();
        let mut stop = self.stop.clone();
        let mut last = answered;
        let progress = |anatomy: &Anatomy| {
            if shown {
                self.options.progress(&Progress::Watching {
                    elapsed: answered.elapsed(),
                    limit,
                    events: anatomy.events().len(),
                    comments: anatomy.comments(),
                });
            }
        };
        progress(&anatomy);
        let end = loop {
            if anatomy.is_full() || enough(&anatomy) {
                break End::Open;
            }
            let now = Instant::now();
            let mut wait = limit.saturating_sub(now - answered);
            if let Some(silence) = self.options.read_timeout {
                wait = wait.min(silence.saturating_sub(now - last));
            }
            let chunk = tokio::select! {
                biased;
                chunk = connection.next_chunk() => chunk,
                () = tokio::time::sleep(wait.min(TICK)) => {
                    if wait <= TICK {
                        break End::Open;
                    }
                    progress(&anatomy);
                    continue;
                }
                _ = stop.wait_for(Option::is_some) => break End::Open,
            };
            last = Instant::now();
            match chunk {
                Some(Ok(bytes)) => anatomy.take(bytes.as_ref(), answered.elapsed()),
                Some(Err(fault)) => break End::Broke(message_with_cause(&fault)),
                None => break End::Ended,
            }
            // A server that sends without a pause must not get around the limits. It keeps this task busy, so
            // that no timer of the task runs until it waits.
            if answered.elapsed() >= limit {
                break End::Open;
            }
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                _ = stop.wait_for(Option::is_some).await;
                break End::Open;
            }
        };
        anatomy.end(end, answered.elapsed())
    }
}
