//! The clock and the timers of tokio.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;

pub(crate) use tokio::time::Instant;

use crate::error::OutsideRuntime;

/// Wakes a task at a point in time.
#[derive(Default)]
pub(crate) struct Alarm {
    /// Reset before every poll, because a `Sleep` belongs to the runtime in which it was created and
    /// panics once that is gone, and each poll of a client may happen in a different runtime.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `due` has passed.
    pub(crate) fn poll_at(
        &mut self,
        due: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutsideRuntime>> {
        OutsideRuntime::check()?;
        let restarted = tokio::time::sleep_until(due);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.set(restarted);
                sleep
            }
            none => none.insert(Box::pin(restarted)),
        };
        sleep.as_mut().poll(cx).map(Ok)
    }

    /// Wakes the task after the others that are ready.
    #[expect(clippy::unused_self, reason = "in the browser, it takes a timeout")]
    pub(crate) fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}
