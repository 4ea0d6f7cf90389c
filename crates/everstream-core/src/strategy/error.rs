//! Whether to reconnect after a fault.
//!
//! ```
//! use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
//! use everstream_core::{Fault, Timestamp};
//!
//! let mut strategy = error_strategy::continue_with_max_attempts(1);
//! let (refused, now) = (Fault::Connect("refused".into()), Timestamp::default());
//! assert_eq!(strategy.apply(Some(&refused), now), Verdict::Continue);
//! assert_eq!(strategy.apply(Some(&refused), now), Verdict::Fail);
//! strategy.reset(); // as after a successful connection
//! assert_eq!(strategy.apply(Some(&refused), now), Verdict::Continue);
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::failure::Failure;
use crate::fault::Fault;
use crate::time::Timestamp;

/// What to do after a fault.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
/// use everstream_core::{Fault, Timestamp};
///
/// let mut strategy = error_strategy::from_fn(|fault| match fault {
///     Some(fault) if fault.is_timeout() => Verdict::Continue,
///     _ => Verdict::Fail,
/// });
/// let refused = Fault::Connect("refused".into());
/// assert_eq!(strategy.apply(Some(&refused), Timestamp::default()), Verdict::Fail);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third possibility
pub enum Verdict {
    /// Stop: the error is returned or, after a clean end, the iteration ends.
    Fail,
    /// Report the fault, wait and reconnect.
    Continue,
}

/// Decides whether to reconnect after a fault.
///
/// A strategy may keep state over consecutive faults. [`reset`](Self::reset) restores its initial state,
/// and is called after every successful connection.
///
/// ```
/// use everstream_core::error_strategy::{ErrorStrategy, Verdict};
/// use everstream_core::{Fault, Timestamp};
///
/// /// Retries timeouts only.
/// struct Patient;
///
/// impl ErrorStrategy for Patient {
///     fn apply(&mut self, fault: Option<&Fault>, _now: Timestamp) -> Verdict {
///         match fault {
///             Some(fault) if fault.is_timeout() => Verdict::Continue,
///             _ => Verdict::Fail,
///         }
///     }
/// }
/// ```
pub trait ErrorStrategy: Send {
    /// Decides. `fault` is `None` if the server ended the connection cleanly, or if the user interrupted
    /// it.
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict;

    /// A connection was established: earlier faults no longer count.
    ///
    /// ```
    /// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
    ///
    /// let mut strategy = error_strategy::continue_with_max_attempts(1);
    /// strategy.apply(None, Default::default());
    /// strategy.reset();
    /// assert_eq!(strategy.apply(None, Default::default()), Verdict::Continue);
    /// ```
    fn reset(&mut self) {}

    /// The stream ends, whatever the next call of [`apply`](Self::apply) returns. For strategies that log
    /// their decisions. `not_repeated`: the reason is that the request isn't safe to repeat and the server
    /// may have acted on it. Otherwise the server has rejected the GET that should have resumed the stream.
    ///
    /// ```
    /// use everstream_core::Timestamp;
    /// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
    ///
    /// let mut strategy = error_strategy::always_continue();
    /// strategy.stream_ends(true);
    /// assert_eq!(strategy.apply(None, Timestamp::default()), Verdict::Continue);
    /// ```
    fn stream_ends(&mut self, not_repeated: bool) {
        _ = not_repeated;
    }
}

impl ErrorStrategy for Box<dyn ErrorStrategy> {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        (**self).apply(fault, now)
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn stream_ends(&mut self, not_repeated: bool) {
        (**self).stream_ends(not_repeated);
    }
}

/// Reconnects as `EventSource` does: the default.
///
/// Continues after a dropped, refused or timed-out connection and after a clean end. Fails on a status
/// that isn't 2xx, on 204, on a wrong content type, on a redirect that can't be followed, on an event
/// that is too large, and if a setting, a hook or a custom source fails.
///
/// An untrusted certificate, or a proxy that requires other credentials, is final until a connection has
/// succeeded, because the settings are wrong. After that they are retried with a warning
/// ([`Fault::retry_warning`]), because a server or proxy may be misconfigured for a while.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
/// use everstream_core::{ErrorResponse, Fault, Timestamp};
///
/// let mut strategy = error_strategy::reconnect().or_on_status([429, 503]);
/// let now = Timestamp::default();
/// let mut answer = |status| {
///     strategy.apply(Some(&Fault::Status(Box::new(ErrorResponse::new(status)))), now)
/// };
/// assert_eq!(answer(503), Verdict::Continue);
/// assert_eq!(answer(404), Verdict::Fail);
/// ```
pub fn reconnect() -> Reconnect {
    Reconnect {
        statuses: Vec::new(),
        has_connected: false,
    }
}

/// The statuses that are worth a retry: 408, 425, 429, 500, 502, 503 and 504, and the non-standard 520 to
/// 524 and 529 that proxies such as Cloudflare and overloaded services send.
///
/// ```
/// use everstream_core::error_strategy::{reconnect, TRANSIENT_STATUSES};
///
/// let strategy = reconnect().or_on_status(TRANSIENT_STATUSES);
/// # _ = strategy;
/// ```
pub const TRANSIENT_STATUSES: [u16; 13] = [
    408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529,
];

/// See [`reconnect`].
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Reconnect, Verdict};
/// use everstream_core::{Fault, Timestamp};
///
/// let mut strategy: Reconnect = error_strategy::reconnect();
/// let (broken, now) = (Fault::Read("reset".into()), Timestamp::default());
/// assert_eq!(strategy.apply(Some(&broken), now), Verdict::Continue);
/// assert_eq!(strategy.apply(Some(&Fault::Incomplete), now), Verdict::Fail);
/// ```
#[derive(Debug, Clone)]
pub struct Reconnect {
    statuses: Vec<u16>,
    /// Whether a connection has succeeded with these settings.
    has_connected: bool,
}

impl Reconnect {
    /// Also continues after these statuses.
    ///
    /// ```
    /// # use everstream_core::error_strategy::reconnect;
    /// let strategy = reconnect().or_on_status([503]);
    /// # _ = strategy;
    /// ```
    #[must_use]
    pub fn or_on_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses.extend(statuses);
        self
    }
}

impl ErrorStrategy for Reconnect {
    fn apply(&mut self, fault: Option<&Fault>, _now: Timestamp) -> Verdict {
        let failure = fault.and_then(Fault::failure);
        if !self.has_connected && failure.is_some_and(Failure::needs_other_settings) {
            return Verdict::Fail;
        }
        match fault {
            None
            | Some(
                Fault::Connect(_)
                | Fault::ConnectTimeout(_)
                | Fault::Request(_)
                | Fault::ResponseTimeout(_)
                | Fault::Read(_)
                | Fault::ReadTimeout(_),
            ) => Verdict::Continue,
            Some(Fault::Status(response)) if self.statuses.contains(&response.status) => {
                Verdict::Continue
            }
            Some(_) => Verdict::Fail,
        }
    }

    /// A connection was established.
    fn reset(&mut self) {
        self.has_connected = true;
    }
}

/// Stops at every fault and at every clean end.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
///
/// let mut strategy = error_strategy::always_fail();
/// assert_eq!(strategy.apply(None, Default::default()), Verdict::Fail);
/// ```
pub fn always_fail() -> Always {
    Always(Verdict::Fail)
}

/// Never gives up: if the server doesn't come back, the client retries forever.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
///
/// let mut strategy = error_strategy::always_continue();
/// assert_eq!(strategy.apply(None, Default::default()), Verdict::Continue);
/// ```
pub fn always_continue() -> Always {
    Always(Verdict::Continue)
}

/// See [`always_fail`] and [`always_continue`].
///
/// ```
/// use everstream_core::error_strategy::{self, Always, ErrorStrategy, Verdict};
///
/// fn strategy(once: bool) -> Always {
///     if once { error_strategy::always_fail() } else { error_strategy::always_continue() }
/// }
/// assert_eq!(strategy(true).apply(None, Default::default()), Verdict::Fail);
/// assert_eq!(strategy(false).apply(None, Default::default()), Verdict::Continue);
/// ```
#[derive(Debug, Clone)]
pub struct Always(Verdict);

impl ErrorStrategy for Always {
    fn apply(&mut self, _fault: Option<&Fault>, _now: Timestamp) -> Verdict {
        self.0
    }
}

/// Continues after this many consecutive faults, and fails at the next. A successful connection resets
/// the count.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
///
/// let mut strategy = error_strategy::continue_with_max_attempts(0);
/// assert_eq!(strategy.apply(None, Default::default()), Verdict::Fail);
/// ```
pub fn continue_with_max_attempts(max_attempts: u32) -> MaxAttempts {
    MaxAttempts {
        max_attempts,
        faults: 0,
    }
}

/// See [`continue_with_max_attempts`].
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, MaxAttempts, Verdict};
///
/// let mut strategy: MaxAttempts = error_strategy::continue_with_max_attempts(1);
/// let mut verdict = || strategy.apply(None, Default::default());
/// assert_eq!([verdict(), verdict()], [Verdict::Continue, Verdict::Fail]);
/// ```
#[derive(Debug, Clone)]
pub struct MaxAttempts {
    max_attempts: u32,
    faults: u32,
}

impl ErrorStrategy for MaxAttempts {
    fn apply(&mut self, _fault: Option<&Fault>, _now: Timestamp) -> Verdict {
        if self.faults >= self.max_attempts {
            return Verdict::Fail;
        }
        self.faults += 1;
        Verdict::Continue
    }

    fn reset(&mut self) {
        self.faults = 0;
    }
}

/// Continues until this much time has passed since the first of several consecutive faults, then fails.
/// A successful connection resets the time.
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
/// use everstream_core::Timestamp;
/// use std::time::Duration;
///
/// let mut strategy = error_strategy::continue_with_time_limit(Duration::from_secs(60));
/// let now = Timestamp::default();
/// assert_eq!(strategy.apply(None, now), Verdict::Continue);
/// assert_eq!(strategy.apply(None, now + Duration::from_secs(60)), Verdict::Fail);
/// ```
pub fn continue_with_time_limit(max_time: Duration) -> TimeLimit {
    TimeLimit {
        max_time,
        first: None,
    }
}

/// See [`continue_with_time_limit`].
///
/// ```
/// use everstream_core::error_strategy::{self, ErrorStrategy, TimeLimit, Verdict};
/// use everstream_core::Timestamp;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let mut strategy: TimeLimit = error_strategy::continue_with_time_limit(minute);
/// let first = Timestamp::default();
/// strategy.apply(None, first);
/// strategy.reset(); // a connection was established: the time starts again with the next fault
/// assert_eq!(strategy.apply(None, first + minute), Verdict::Continue);
/// ```
#[derive(Debug, Clone)]
pub struct TimeLimit {
    max_time: Duration,
    first: Option<Timestamp>,
}

impl ErrorStrategy for TimeLimit {
    fn apply(&mut self, _fault: Option<&Fault>, now: Timestamp) -> Verdict {
        let first = *self.first.get_or_insert(now);
        if now.saturating_duration_since(first) < self.max_time {
            Verdict::Continue
        } else {
            Verdict::Fail
        }
    }

    fn reset(&mut self) {
        self.first = None;
    }
}

/// Creates a strategy from a closure. Closures can't be reset: to keep state over consecutive faults,
/// implement [`ErrorStrategy`].
///
/// ```
/// use everstream_core::error_strategy::{self, Verdict};
///
/// let strategy = error_strategy::from_fn(|fault| match fault {
///     Some(fault) if fault.status() == Some(404) => Verdict::Fail,
///     _ => Verdict::Continue,
/// });
/// # _ = strategy;
/// ```
pub fn from_fn<F>(decide: F) -> FromFn<F>
where
    F: FnMut(Option<&Fault>) -> Verdict + Send,
{
    FromFn(decide)
}

/// See [`from_fn`].
///
/// ```
/// use everstream_core::SessionConfig;
/// use everstream_core::error_strategy::{self, FromFn, Verdict};
///
/// let strategy: FromFn<_> = error_strategy::from_fn(|_fault| Verdict::Continue);
/// let mut config = SessionConfig::default();
/// config.error_strategy = Box::new(strategy);
/// ```
#[derive(Clone)]
pub struct FromFn<F>(F);

impl<F> ErrorStrategy for FromFn<F>
where
    F: FnMut(Option<&Fault>) -> Verdict + Send,
{
    fn apply(&mut self, fault: Option<&Fault>, _now: Timestamp) -> Verdict {
        (self.0)(fault)
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error_strategy::FromFn(..)")
    }
}
