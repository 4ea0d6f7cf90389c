//! The clock and the timers of tokio.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;

pub(crate) use tokio::time::Instant;

/// Wakes a task at a point in time.
#[derive(Default)]
pub(crate) struct Alarm {
    /// Reset before every poll, because a `Sleep` belongs to the runtime in which it was created and
    /// panics once that is gone, and each poll of a client may happen in a different runtime.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `due` has passed.
    pub(crate) fn poll_at(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let restarted = tokio::time::sleep_until(due);
        match &mut self.sleep {
            Some(sleep) => {
                sleep.set(restarted);
                sleep.as_mut().poll(cx)
            }
            none => none.insert(Box::pin(restarted)).as_mut().poll(cx),
        }
    }
}
