//! The one timer of a client, for waits and for read deadlines, which never coincide.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use everstream_core::Timestamp;
use tokio::time::{Instant, Sleep};

/// How long to go on listening after a read deadline has passed. A runtime that was kept from
/// running has bytes waiting in the kernel; they are seen in this time.
const GRACE: Duration = Duration::from_millis(20);

/// A timer that is looked at this much later than it was due wasn't waited for.
const LATE: Duration = Duration::from_millis(5);

/// But after so many of them the runtime has run often enough. Otherwise one who looks in for a
/// moment now and then, and does other things in between, would never notice silence.
const MISSED: u32 = 3;

#[derive(Default)]
pub(crate) struct Timer {
    /// It belongs to the runtime that it was made in, and would panic when that is gone. The client
    /// may be polled in another one each time, so that the timer is made anew in its place.
    sleep: Option<Pin<Box<Sleep>>>,
    silence: Silence,
}

/// How far the verdict has come that nothing was received in time.
#[derive(Clone, Copy, Default)]
enum Silence {
    /// The deadline is ahead.
    #[default]
    Accepted,
    /// It has passed, and this is the end of the time of grace after it; so many were missed.
    Grace { end: Instant, missed: u32 },
    /// That has passed as well, perhaps at the very moment at which bytes were seen: the task that
    /// brings them has its turn before the verdict.
    LastTurn,
}

impl Timer {
    pub(crate) fn poll_until(
        &mut self,
        epoch: Instant,
        until: Timestamp,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.poll_at(far_enough(epoch, until.elapsed()), cx)
    }

    /// There was a sign of life.
    pub(crate) fn forget_deadline(&mut self) {
        self.silence = Silence::Accepted;
    }

    /// Ready when the deadline has passed, and the runtime has had the time to bring in what came
    /// before it. Look for bytes before each call.
    pub(crate) fn poll_deadline(
        &mut self,
        epoch: Instant,
        deadline: Timestamp,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            self.silence = match self.silence {
                Silence::Accepted => {
                    ready!(self.poll_at(far_enough(epoch, deadline.elapsed()), cx));
                    Silence::Grace {
                        end: Instant::now() + GRACE,
                        missed: 0,
                    }
                }
                Silence::Grace { end, missed } => {
                    ready!(self.poll_at(end, cx));
                    if end.elapsed() < LATE || missed >= MISSED {
                        self.silence = Silence::LastTurn;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // Nobody waited for it.
                    Silence::Grace {
                        end: Instant::now() + GRACE,
                        missed: missed + 1,
                    }
                }
                Silence::LastTurn => {
                    self.silence = Silence::Accepted;
                    return Poll::Ready(());
                }
            }
        }
    }

    fn poll_at(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let anew = tokio::time::sleep_until(due);
        match &mut self.sleep {
            Some(sleep) => {
                sleep.set(anew);
                sleep.as_mut().poll(cx)
            }
            none => none.insert(Box::pin(anew)).as_mut().poll(cx),
        }
    }
}

/// An instant that can be represented; the clock has an end, and delays may be set to be endless.
fn far_enough(epoch: Instant, elapsed: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    epoch
        .checked_add(elapsed.min(FAR))
        .unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
}
