//! When the next connection is due: rules 4, 5 and 6.
//!
//! The strategy turns a base into a delay. This module decides which base it gets and whether the
//! backoff resets, depending on the connection that was lost.

use alloc::boxed::Box;
use core::time::Duration;

use crate::config::{DEFAULT_RESET_THRESHOLD, Settings};
use crate::event_id::is_sendable_id;
use crate::strategy::delay::BaseDelay;
use crate::time::Timestamp;

/// A connection that delivered something resets the built-in backoff after this time; one that
/// delivered nothing, only after the threshold. Proxies cut idle or long responses after 30 s or later,
/// so the backoff of a stream behind one doesn't grow.
const RESET_AFTER_DELIVERY: Duration = Duration::from_secs(25);

/// The delay before the next connection, and what it depends on.
pub(crate) struct Schedule {
    base: BaseDelay,
    growth: Growth,
    next_retry_delay: Duration,
    /// Earliest time of the next attempt.
    due: Timestamp,

    // The connection, if there is one.
    opened: Timestamp,
    /// The connection delivered an event, an id or a comment.
    delivered: bool,
    /// The `Last-Event-ID` of its request.
    sent_id: Option<Box<str>>,
    /// Set if the connection was interrupted: the delay was then computed before all bytes were decoded.
    interrupted: Option<Interrupted>,
}

/// How far the delays have grown since the backoff was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// There was no delay yet.
    None,
    Grown,
    /// The server has changed the base, and the delays are growing again.
    ResetUsed,
}

#[derive(Debug, Clone, Copy)]
struct Interrupted {
    /// The growth before the delay of this connection.
    growth: Growth,
    /// The server has changed the base since then.
    base_changed: bool,
}

/// How a connection, or an attempt at one, was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss<'a> {
    pub(crate) at: Timestamp,
    /// A connection was lost, rather than an attempt.
    pub(crate) was_open: bool,
    /// The server ended it, and the framing proves that the body is complete.
    pub(crate) clean_end: bool,
    pub(crate) retry_after: Option<Duration>,
    /// The current one.
    pub(crate) last_event_id: Option<&'a str>,
}

impl Schedule {
    pub(crate) fn new(initial_retry_delay: Duration) -> Self {
        Schedule {
            base: BaseDelay::configured(initial_retry_delay),
            growth: Growth::None,
            next_retry_delay: Duration::ZERO,
            due: Timestamp::default(),
            opened: Timestamp::default(),
            delivered: false,
            sent_id: None,
            interrupted: None,
        }
    }

    /// A connection was established. Its request carried this id if the id is sendable.
    pub(crate) fn connected(&mut self, now: Timestamp, last_event_id: Option<&str>) {
        self.opened = now;
        self.delivered = false;
        self.sent_id = sendable_id(last_event_id).map(Box::from);
    }

    /// The stream is complete: no connection is due.
    pub(crate) fn completed(&mut self) {
        self.sent_id = None;
        self.interrupted = None;
    }

    /// The connection delivered an event, an id or a comment.
    #[inline(always)]
    pub(crate) fn delivered(&mut self) {
        self.delivered = true;
    }

    /// Rule 6: a changed value resets the backoff, once until a connection lasts; a repeated value
    /// doesn't. Otherwise a server that sends `retry: 100` and hangs up, or alternates between 100 and
    /// 101, would disable the backoff.
    pub(crate) fn retry_received(&mut self, config: &mut Settings, delay: Duration) {
        let (min, max) = (config.min_server_retry_delay, config.max_server_retry_delay);
        let base = BaseDelay::from_server_within(delay, min, max);
        if self.base == base {
            return;
        }
        self.base = base;
        // The field was sent before the interruption, so the delay of the interruption isn't growth.
        let growth = match &mut self.interrupted {
            Some(interrupted) => {
                interrupted.base_changed = true;
                &mut interrupted.growth
            }
            None => &mut self.growth,
        };
        if *growth == Growth::Grown {
            *growth = Growth::ResetUsed;
            self.growth = Growth::ResetUsed;
            config.retry_delay_strategy.reset();
        }
    }

    /// The user interrupted the connection; the delay must be known at once. [`lost`](Self::lost)
    /// follows when all bytes of the connection are decoded.
    pub(crate) fn interrupted(&mut self, config: &mut Settings, loss: &Loss<'_>) {
        let growth = match self.resets_backoff(config, loss) {
            true => Growth::None,
            false => self.growth,
        };
        self.next_retry_delay = self.compute_delay(config, loss);
        self.interrupted = Some(Interrupted {
            growth,
            base_changed: false,
        });
    }

    /// The connection, or the attempt, has ended, and all of its bytes are decoded.
    pub(crate) fn lost(&mut self, config: &mut Settings, loss: &Loss<'_>) {
        match self.interrupted.take() {
            None => self.next_retry_delay = self.compute_delay(config, loss),
            // The server changed `retry:` before the interruption. The strategy isn't asked again, but
            // the delay is at least what the server asked for.
            Some(interrupted) if interrupted.base_changed => {
                let cap = config.retry_delay_strategy.cap().unwrap_or(Duration::MAX);
                let asked = self.base.delay.min(cap);
                self.next_retry_delay = self.next_retry_delay.max(asked);
            }
            Some(_) => {}
        }
        self.sent_id = None;
        self.due = loss.at + self.next_retry_delay;
    }

    /// Rules 4, 5 and 6.
    fn compute_delay(&mut self, config: &mut Settings, loss: &Loss<'_>) -> Duration {
        if self.resets_backoff(config, loss) {
            self.growth = Growth::None;
            config.retry_delay_strategy.reset();
        }
        if self.growth == Growth::None {
            self.growth = Growth::Grown;
        }
        let after_clean_end = loss.clean_end
            && has_default_threshold(config)
            && self.has_delivered(loss.was_open, loss.last_event_id);
        let id_changed = self.has_changed_id(loss.last_event_id);
        let strategy = &mut config.retry_delay_strategy;
        let delay = match after_clean_end {
            true => strategy.apply_after_clean_end(self.base, id_changed),
            false => strategy.apply(self.base),
        };
        let asked = loss
            .retry_after
            .unwrap_or_default()
            .min(config.max_retry_after)
            .min(strategy.cap().unwrap_or(Duration::MAX));
        delay.max(asked)
    }

    /// Whether the connection resets the backoff.
    fn resets_backoff(&self, config: &Settings, loss: &Loss<'_>) -> bool {
        let lasted = loss.at.saturating_duration_since(self.opened);
        let delivering = has_default_threshold(config)
            && config.retry_delay_strategy.resets_after_delivery()
            && self.has_delivered(loss.was_open, loss.last_event_id);
        let threshold = match delivering {
            true => RESET_AFTER_DELIVERY,
            false => config.retry_delay_reset_threshold,
        };
        loss.was_open && lasted >= threshold
    }

    /// The id of a skipped event counts too.
    fn has_delivered(&self, was_open: bool, last_event_id: Option<&str>) -> bool {
        was_open && (self.delivered || self.has_changed_id(last_event_id))
    }

    /// Whether the next request sends another id than the request of this connection did. The server
    /// doesn't see ids that can't be sent.
    fn has_changed_id(&self, last_event_id: Option<&str>) -> bool {
        sendable_id(last_event_id) != self.sent_id.as_deref()
    }

    /// A wait was interrupted; the time when it ends stays the same.
    pub(crate) fn wait_interrupted(&mut self, now: Timestamp) {
        self.next_retry_delay = self.due.saturating_duration_since(now);
    }

    pub(crate) fn next_retry_delay(&self) -> Duration {
        self.next_retry_delay
    }

    pub(crate) fn due(&self) -> Timestamp {
        self.due
    }
}

/// With another threshold, the user alone decides when the backoff resets.
fn has_default_threshold(config: &Settings) -> bool {
    config.retry_delay_reset_threshold == DEFAULT_RESET_THRESHOLD
}

fn sendable_id(id: Option<&str>) -> Option<&str> {
    id.filter(|id| is_sendable_id(id))
}
