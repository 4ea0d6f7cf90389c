//! When the next connection is due: rules 4, 5 and 6.
//!
//! The strategy turns a base into a delay. What is decided here: which base, whether the backoff
//! resets, and what the connection that was lost has to do with it.

use alloc::boxed::Box;
use core::time::Duration;

use crate::config::{DEFAULT_RESET_THRESHOLD, Settings};
use crate::event_id::is_sendable_id;
use crate::strategy::delay::BaseDelay;
use crate::time::Timestamp;

/// A connection that delivered something resets the built-in backoff after this time, a connection
/// that delivered nothing only after the threshold. Proxies that cut idle or long responses do so
/// after 30 s or later, so that a stream behind one doesn't wait longer each time.
const DELIVERING_CONNECTION: Duration = Duration::from_secs(25);

/// The delay before the next connection, and what it depends on.
pub(crate) struct Schedule {
    base: BaseDelay,
    growth: Growth,
    next_retry_delay: Duration,
    /// Earliest time of the next attempt.
    due: Timestamp,

    // The connection, if there is one.
    opened: Timestamp,
    /// It delivered an event, an id or a comment.
    delivered: bool,
    /// The `Last-Event-ID` of its request.
    sent_id: Option<Box<str>>,
    /// It was interrupted, which computed the delay before all of its bytes were decoded.
    interrupted: Option<Interrupted>,
}

/// How far the delays have grown since the backoff was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// There was no delay.
    None,
    Grown,
    /// They grow for the second time: the server changed the base meanwhile.
    ResetUsed,
}

#[derive(Debug, Clone, Copy)]
struct Interrupted {
    /// Before the delay of this connection.
    growth: Growth,
    /// The base has changed since then.
    base_changed: bool,
}

/// How a connection, or an attempt at one, was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss<'a> {
    pub(crate) at: Timestamp,
    /// It was a connection, rather than an attempt.
    pub(crate) was_open: bool,
    /// The server ended it, and the framing proves that the body is complete.
    pub(crate) clean_end: bool,
    pub(crate) retry_after: Option<Duration>,
    /// As it is now.
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

    /// A connection was made, by a request with this id if it could be sent.
    pub(crate) fn connected(&mut self, now: Timestamp, last_event_id: Option<&str>) {
        self.opened = now;
        self.delivered = false;
        self.sent_id = sendable(last_event_id).map(Box::from);
    }

    /// The stream is complete: nothing waits for the next connection.
    pub(crate) fn completed(&mut self) {
        self.sent_id = None;
        self.interrupted = None;
    }

    /// The connection delivered an event, an id or a comment.
    #[inline(always)]
    pub(crate) fn delivered(&mut self) {
        self.delivered = true;
    }

    /// Rule 6: a changed value restarts the delay, once until a connection lasts; a repeated one
    /// doesn't. Or else a server that says `retry: 100` and hangs up, or 100 and 101 in turns, would
    /// switch the backoff off.
    pub(crate) fn retry_received(&mut self, config: &mut Settings, delay: Duration) {
        let (least, most) = (config.min_server_retry_delay, config.max_server_retry_delay);
        let base = BaseDelay::from_server_within(delay, least, most);
        if self.base == base {
            return;
        }
        self.base = base;
        // It was sent before an interruption, so that the delay of that one isn't growth.
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

    /// The user interrupted the connection, and gets the delay at once. [`lost`](Self::lost)
    /// follows when all of its bytes are decoded.
    pub(crate) fn interrupted(&mut self, config: &mut Settings, loss: &Loss<'_>) {
        let growth = match self.resets(config, loss) {
            true => Growth::None,
            false => self.growth,
        };
        self.next_retry_delay = self.delay(config, loss);
        self.interrupted = Some(Interrupted {
            growth,
            base_changed: false,
        });
    }

    /// The connection, or the attempt, has ended, and all of its bytes are decoded.
    pub(crate) fn lost(&mut self, config: &mut Settings, loss: &Loss<'_>) {
        match self.interrupted.take() {
            None => self.next_retry_delay = self.delay(config, loss),
            // The server asked for another delay before the interruption. The strategy isn't asked
            // again, but neither is the server before the time that it asked for.
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
    fn delay(&mut self, config: &mut Settings, loss: &Loss<'_>) -> Duration {
        if self.resets(config, loss) {
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
    fn resets(&self, config: &Settings, loss: &Loss<'_>) -> bool {
        let lasted = loss.at.saturating_duration_since(self.opened);
        let delivering = has_default_threshold(config)
            && config.retry_delay_strategy.resets_after_delivery()
            && self.has_delivered(loss.was_open, loss.last_event_id);
        let threshold = match delivering {
            true => DELIVERING_CONNECTION,
            false => config.retry_delay_reset_threshold,
        };
        loss.was_open && lasted >= threshold
    }

    /// The id of an event that was too large, and left out, is an id too.
    fn has_delivered(&self, was_open: bool, last_event_id: Option<&str>) -> bool {
        was_open && (self.delivered || self.has_changed_id(last_event_id))
    }

    /// Whether the next request resumes elsewhere than that of this connection did. Ids that can't be
    /// sent make no difference to the server.
    fn has_changed_id(&self, last_event_id: Option<&str>) -> bool {
        sendable(last_event_id) != self.sent_id.as_deref()
    }

    /// A wait was interrupted, and stays as long as it was.
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

/// A user who sets another threshold decides when the backoff resets.
fn has_default_threshold(config: &Settings) -> bool {
    config.retry_delay_reset_threshold == DEFAULT_RESET_THRESHOLD
}

fn sendable(id: Option<&str>) -> Option<&str> {
    id.filter(|id| is_sendable_id(id))
}
