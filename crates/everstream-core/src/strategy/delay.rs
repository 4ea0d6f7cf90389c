//! How long to wait before the next connection.
//!
//! ```
//! use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
//! use std::time::Duration;
//!
//! let mut strategy = retry_delay::backoff().jitter(0.0);
//! let base = BaseDelay::configured(Duration::from_secs(1));
//! assert_eq!(strategy.apply(base), Duration::from_secs(1));
//! assert_eq!(strategy.apply(base), Duration::from_secs(2));
//! strategy.reset(); // as after a connection that lasted
//! assert_eq!(strategy.apply(base), Duration::from_secs(1));
//! ```

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

pub use super::backoff::{Backoff, DEFAULT_MAX_DELAY, backoff};

/// The delay before backoff and jitter.
///
/// ```
/// use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let mut strategy = retry_delay::from_fn(|base| {
///     if base.from_server { base.delay } else { base.delay * 2 }
/// });
/// assert_eq!(strategy.apply(BaseDelay::configured(second)), second * 2);
/// assert_eq!(strategy.apply(BaseDelay::from_server(second)), second);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseDelay {
    /// The delay itself.
    pub delay: Duration,
    /// Whether the delay is from a `retry:` field of the server, rather than from the configuration.
    pub from_server: bool,
    /// Whether the server asked for more than
    /// [`max_server_retry_delay`](crate::SessionConfig::max_server_retry_delay).
    pub(super) is_limited: bool,
}

impl BaseDelay {
    /// A delay that the user configured.
    ///
    /// ```
    /// # use everstream_core::retry_delay::BaseDelay;
    /// # use std::time::Duration;
    /// assert!(!BaseDelay::configured(Duration::from_secs(1)).from_server);
    /// ```
    pub fn configured(delay: Duration) -> Self {
        BaseDelay {
            delay,
            from_server: false,
            is_limited: false,
        }
    }

    /// A delay that the server asked for.
    ///
    /// ```
    /// # use everstream_core::retry_delay::BaseDelay;
    /// # use std::time::Duration;
    /// assert!(BaseDelay::from_server(Duration::from_secs(1)).from_server);
    /// ```
    pub fn from_server(delay: Duration) -> Self {
        BaseDelay {
            delay,
            from_server: true,
            is_limited: false,
        }
    }

    /// A delay that the server asked for, clamped to the user's limits. If they contradict each other, the
    /// minimum takes precedence.
    pub(crate) fn from_server_within(delay: Duration, min: Duration, max: Duration) -> Self {
        BaseDelay {
            is_limited: delay > max && min <= max,
            ..BaseDelay::from_server(delay.min(max).max(min))
        }
    }

    /// The minimum delay that the server asked for. If it was limited by the user, there is none: jitter
    /// shortens the delay, as without `retry:`.
    pub(super) fn server_minimum(self) -> Duration {
        match self.from_server && !self.is_limited {
            true => self.delay,
            false => Duration::ZERO,
        }
    }
}

/// Decides how long to wait before the next connection.
///
/// A strategy may keep state over consecutive faults. [`reset`](Self::reset) restores its initial state.
/// It is called after a connection that lasted and, once until the next such connection, when the server
/// changes the base. The strategy is asked once for each connection, or attempt, that was lost.
///
/// A strategy that wraps [`Backoff`] must delegate all methods. Otherwise it gets the default
/// [`apply_after_clean_end`](Self::apply_after_clean_end) and
/// [`resets_after_delivery`](Self::resets_after_delivery).
///
/// ```
/// use everstream_core::retry_delay::{BaseDelay, RetryDelayStrategy};
/// use std::time::Duration;
///
/// /// One second more each time.
/// #[derive(Default)]
/// struct Linear(u32);
///
/// impl RetryDelayStrategy for Linear {
///     fn apply(&mut self, base: BaseDelay) -> Duration {
///         self.0 += 1;
///         base.delay + Duration::from_secs(1) * (self.0 - 1)
///     }
///     fn reset(&mut self) {
///         self.0 = 0;
///     }
/// }
/// ```
pub trait RetryDelayStrategy: Send {
    /// The delay after this fault.
    fn apply(&mut self, base: BaseDelay) -> Duration;

    /// The delay after a clean end: the framing proves that the response is complete
    /// ([`Ending::Complete`](crate::Ending::Complete)), and the response delivered an event, an id or a
    /// comment. `id_changed` says whether the next request will resume from a different id than the last.
    ///
    /// Called instead of [`apply`](Self::apply), but only if [`retry_delay_reset_threshold`] has its
    /// default. By default it calls `apply`.
    ///
    /// [`retry_delay_reset_threshold`]: crate::SessionConfig::retry_delay_reset_threshold
    ///
    /// ```
    /// use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// use std::time::Duration;
    ///
    /// let mut strategy = retry_delay::backoff().jitter(0.0);
    /// let base = BaseDelay::from_server(Duration::from_millis(200));
    /// for _ in 0..3 {
    ///     assert_eq!(strategy.apply_after_clean_end(base, true), base.delay);
    /// }
    /// ```
    fn apply_after_clean_end(&mut self, base: BaseDelay, id_changed: bool) -> Duration {
        _ = id_changed;
        self.apply(base)
    }

    /// Whether a connection of 25 s that delivered an event, an id or a comment resets this strategy,
    /// as a connection that lasts for [`retry_delay_reset_threshold`] does. Has no effect unless that
    /// threshold has its default. Default: no.
    ///
    /// [`retry_delay_reset_threshold`]: crate::SessionConfig::retry_delay_reset_threshold
    ///
    /// ```
    /// use everstream_core::retry_delay::{self, RetryDelayStrategy};
    ///
    /// assert!(retry_delay::backoff().resets_after_delivery());
    /// assert!(!retry_delay::backoff().multiplier(3.0).resets_after_delivery());
    /// assert!(!retry_delay::from_fn(|base| base.delay).resets_after_delivery());
    /// ```
    fn resets_after_delivery(&self) -> bool {
        false
    }

    /// Restores the initial state.
    fn reset(&mut self) {}

    /// The longest delay that the *user* allows, even if a server asks for more with `Retry-After`.
    /// `None`: no limit.
    ///
    /// ```
    /// use everstream_core::retry_delay::{self, RetryDelayStrategy};
    /// use std::time::Duration;
    ///
    /// assert_eq!(retry_delay::backoff().cap(), None);
    /// let short = Duration::from_secs(5);
    /// assert_eq!(retry_delay::backoff().max_delay(short).cap(), Some(short));
    /// ```
    fn cap(&self) -> Option<Duration> {
        None
    }

    /// Offers a seed to a strategy that uses random numbers and has no seed yet. A session calls this
    /// once, when it is created.
    ///
    /// ```
    /// use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// use std::time::Duration;
    ///
    /// let base = BaseDelay::configured(Duration::from_secs(1));
    /// let (mut one, mut other) = (retry_delay::backoff(), retry_delay::backoff().with_seed(7));
    /// one.seed(7);
    /// other.seed(8); // ignored: it already has a seed
    /// assert_eq!(one.apply(base), other.apply(base));
    /// ```
    fn seed(&mut self, _seed: u64) {}
}

impl RetryDelayStrategy for Box<dyn RetryDelayStrategy> {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        (**self).apply(base)
    }

    fn apply_after_clean_end(&mut self, base: BaseDelay, id_changed: bool) -> Duration {
        (**self).apply_after_clean_end(base, id_changed)
    }

    fn resets_after_delivery(&self) -> bool {
        (**self).resets_after_delivery()
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn cap(&self) -> Option<Duration> {
        (**self).cap()
    }

    fn seed(&mut self, seed: u64) {
        (**self).seed(seed);
    }
}

/// Creates a strategy from a closure, which gets the base delay. Closures can't be reset: to keep state
/// over consecutive faults, implement [`RetryDelayStrategy`].
///
/// ```
/// use everstream_core::retry_delay::{self, RetryDelayStrategy, BaseDelay};
/// use std::time::Duration;
///
/// let mut strategy = retry_delay::from_fn(|base| base.delay * 3);
/// let base = BaseDelay::configured(Duration::from_secs(1));
/// assert_eq!(strategy.apply(base), Duration::from_secs(3));
/// ```
pub fn from_fn<F>(delay: F) -> FromFn<F>
where
    F: FnMut(BaseDelay) -> Duration + Send,
{
    FromFn(delay)
}

/// See [`from_fn`].
///
/// ```
/// use everstream_core::SessionConfig;
/// use everstream_core::retry_delay::{self, FromFn};
///
/// let strategy: FromFn<_> = retry_delay::from_fn(|base| base.delay);
/// let mut config = SessionConfig::default();
/// config.retry_delay_strategy = Box::new(strategy);
/// ```
#[derive(Clone)]
pub struct FromFn<F>(F);

impl<F> RetryDelayStrategy for FromFn<F>
where
    F: FnMut(BaseDelay) -> Duration + Send,
{
    fn apply(&mut self, base: BaseDelay) -> Duration {
        (self.0)(base)
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("retry_delay::FromFn(..)")
    }
}
