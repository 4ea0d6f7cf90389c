//! A client's only timer, used for retry delays and for read deadlines, which never coincide.
//!
//! It is set again for each wait. Leaving it set would save about 900 instructions per chunk, but the client may be
//! polled on another runtime next time.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use everstream_core::Timestamp;

use crate::clock::{Alarm, Instant};
use crate::error::OutsideRuntime;

/// How long reading continues after a read deadline. If the runtime was blocked, bytes may be
/// waiting in the kernel; they are read in this time.
const GRACE: Duration = Duration::from_millis(20);

/// A grace period that is polled this long after its end doesn't count: the runtime was blocked.
const LATE: Duration = Duration::from_millis(5);

/// How many grace periods may be missed like that. Without a limit, a program that polls only now and
/// then would never see a timeout.
const MAX_MISSED: u32 = 3;

#[derive(Default)]
pub(crate) struct Timer {
    alarm: Alarm,
    read_deadline: ReadDeadline,
}

/// The stages of a read timeout.
#[derive(Clone, Copy, Default)]
enum ReadDeadline {
    /// The deadline hasn't passed.
    #[default]
    Ahead,
    /// The deadline has passed. `end`: of the grace period. `missed`: how many grace periods passed
    /// while the runtime was blocked.
    Grace { end: Instant, missed: u32 },
    /// The grace period has passed as well. Bytes may have arrived at that very moment, so the task
    /// that delivers them runs once more before the timeout is reported.
    LastPoll,
}

impl Timer {
    pub(crate) fn poll_until(
        &mut self,
        epoch: Instant,
        until: Timestamp,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutsideRuntime>> {
        let due = saturating_instant(epoch, until.elapsed());
        self.alarm.poll_at(due, cx)
    }

    /// Wakes the task after everything else that is ready has run.
    pub(crate) fn yield_now(&mut self, cx: &mut Context<'_>) {
        self.alarm.yield_now(cx);
    }

    /// Data was received.
    pub(crate) fn reset_deadline(&mut self) {
        self.read_deadline = ReadDeadline::Ahead;
    }

    /// Ready when the deadline has passed, and the runtime has had time to deliver what arrived before
    /// it. Try to read before each call.
    pub(crate) fn poll_deadline(
        &mut self,
        epoch: Instant,
        deadline: Timestamp,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutsideRuntime>> {
        loop {
            self.read_deadline = match self.read_deadline {
                ReadDeadline::Ahead => {
                    let due = saturating_instant(epoch, deadline.elapsed());
                    ready!(self.alarm.poll_at(due, cx))?;
                    ReadDeadline::Grace {
                        end: Instant::now() + GRACE,
                        missed: 0,
                    }
                }
                ReadDeadline::Grace { end, missed } => {
                    ready!(self.alarm.poll_at(end, cx))?;
                    if end.elapsed() < LATE || missed >= MAX_MISSED {
                        self.read_deadline = ReadDeadline::LastPoll;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // The runtime was blocked.
                    ReadDeadline::Grace {
                        end: Instant::now() + GRACE,
                        missed: missed + 1,
                    }
                }
                ReadDeadline::LastPoll => {
                    self.read_deadline = ReadDeadline::Ahead;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Adds without overflow: delays may be set to `Duration::MAX`, which is beyond the clock's range.
fn saturating_instant(epoch: Instant, elapsed: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    epoch
        .checked_add(elapsed.min(FAR))
        .unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
}
