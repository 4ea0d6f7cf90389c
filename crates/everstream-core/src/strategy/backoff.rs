//! Exponential backoff with jitter.

use core::time::Duration;

use super::delay::{BaseDelay, RetryDelayStrategy};

/// How far [`backoff`] grows by default: 30 s. A longer base, by the user or the
/// server, is kept as it is and doesn't grow.
///
/// ```
/// use everstream_core::retry_delay::{self, BaseDelay, DEFAULT_MAX_DELAY, RetryDelayStrategy};
/// use std::time::Duration;
///
/// let mut strategy = retry_delay::backoff().jitter(0.0);
/// let base = BaseDelay::configured(Duration::from_secs(20));
/// assert_eq!(strategy.apply(base), base.delay);
/// assert_eq!(strategy.apply(base), DEFAULT_MAX_DELAY);
///
/// let mut strategy = retry_delay::backoff().jitter(0.0);
/// let hour = BaseDelay::configured(Duration::from_secs(3600));
/// assert_eq!(strategy.apply(hour), hour.delay);
/// assert_eq!(strategy.apply(hour), hour.delay);
/// ```
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(30);

/// After a clean end the server is asked again after this time at the earliest, unless it asked for
/// another with `retry:`. It is what browsers wait, and leaves room for polling.
const POLL_DELAY: Duration = Duration::from_secs(3);

/// How far a delay that the server asked for grows while it ends its responses cleanly without a new id.
const UNCHANGED_POLL_DELAY: Duration = Duration::from_secs(1);

/// Exponential backoff with jitter: the default.
///
/// The n-th delay in a row is the base, multiplied n times, at most the cap. Jitter shortens it by up
/// to half, so that the clients of a server that restarts don't reconnect at the same moment. If the
/// server asked for the base with `retry:`, it isn't asked before: jitter lengthens that delay instead.
/// The *default* cap of 30 s yields to a longer base.
///
/// # After a clean end
///
/// A server that is polled ends each response cleanly: with a last chunk, a full `Content-Length` or
/// END_STREAM. If the response delivered an event, an id or a comment, the delay is:
///
/// | the last event id | with `retry:` | without |
/// |---|---|---|
/// | has changed since the request | `retry:` | 3 s, or a longer base |
/// | is the same | grows from `retry:` up to 1 s, or a longer `retry:` | grows from the base up to 3 s, or a longer base |
///
/// Jitter lengthens these delays by up to half, and never shortens them. A clean end never resets the
/// backoff: the delay after a refused connection is as long as before it. A response that ends with its
/// connection isn't a clean end.
///
/// With [`max_delay`](Backoff::max_delay), [`no_max_delay`](Backoff::no_max_delay) or
/// [`multiplier`](Backoff::multiplier), or another
/// [`retry_delay_reset_threshold`](crate::SessionConfig::retry_delay_reset_threshold) than 60 s, clean
/// ends are treated like faults, and only a connection of that threshold resets the backoff.
///
/// ```
/// use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
/// use std::time::Duration;
///
/// let mut strategy = retry_delay::backoff();
/// let first = strategy.apply(BaseDelay::configured(Duration::from_secs(1)));
/// assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&first));
/// ```
pub fn backoff() -> Backoff {
    Backoff {
        max_delay: Cap::Default,
        multiplier: 2.0,
        jitter: 0.5,
        factor: 1.0,
        is_built_in: true,
        random: None,
    }
}

/// See [`backoff`].
///
/// ```
/// use everstream_core::SessionConfig;
/// use everstream_core::retry_delay::{self, Backoff};
/// use std::time::Duration;
///
/// let gentle: Backoff = retry_delay::backoff().multiplier(1.5).max_delay(Duration::from_secs(60));
/// let mut config = SessionConfig::default();
/// config.retry_delay_strategy = Box::new(gentle);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    max_delay: Cap,
    /// At least 1.
    multiplier: f64,
    /// From 0 to 1.
    jitter: f64,
    /// What the base is multiplied with the next time.
    factor: f64,
    /// The user set neither a cap nor a multiplier.
    is_built_in: bool,
    random: Option<SplitMix64>,
}

#[derive(Debug, Clone, Copy)]
enum Cap {
    Default,
    User(Duration),
    None,
}

impl Backoff {
    /// Caps the delay, whatever the server asks for. Default: 30 s, which yields to a longer base. Any
    /// value, also 30 s, turns off the [delays after a clean end](backoff#after-a-clean-end) and
    /// the reset after a connection of 25 s.
    ///
    /// ```
    /// # use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// # use std::time::Duration;
    /// let mut strategy = retry_delay::backoff().max_delay(Duration::from_secs(5)).jitter(0.0);
    /// let asked = BaseDelay::from_server(Duration::from_secs(60));
    /// assert_eq!(strategy.apply(asked), Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = Cap::User(max_delay);
        self.is_built_in = false;
        self
    }

    /// Removes the cap. This turns off the same as [`max_delay`](Self::max_delay).
    ///
    /// ```
    /// # use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// # use std::time::Duration;
    /// let mut strategy = retry_delay::backoff().no_max_delay().jitter(0.0);
    /// let minute = BaseDelay::configured(Duration::from_secs(60));
    /// assert_eq!(strategy.apply(minute), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn no_max_delay(mut self) -> Self {
        self.max_delay = Cap::None;
        self.is_built_in = false;
        self
    }

    /// How much longer each delay is than the one before. Default: 2. Less than 1, and what isn't
    /// a number, counts as 1. Any value turns off the same as [`max_delay`](Self::max_delay).
    ///
    /// ```
    /// # use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// # use std::time::Duration;
    /// let mut strategy = retry_delay::backoff().multiplier(1.0).jitter(0.0);
    /// let base = BaseDelay::configured(Duration::from_secs(1));
    /// strategy.apply(base);
    /// assert_eq!(strategy.apply(base), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn multiplier(mut self, multiplier: f64) -> Self {
        // `max` returns the number if the other isn't one.
        self.multiplier = multiplier.max(1.0);
        self.is_built_in = false;
        self
    }

    /// How much of the delay is random, from 0 to 1. Default: 0.5. Values outside are brought to
    /// the nearer end; what isn't a number counts as 0.
    ///
    /// ```
    /// # use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// # use std::time::Duration;
    /// let mut strategy = retry_delay::backoff().jitter(0.25);
    /// let delay = strategy.apply(BaseDelay::configured(Duration::from_secs(1)));
    /// assert!(delay >= Duration::from_millis(750));
    /// ```
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter.is_nan() {
            0.0
        } else {
            jitter.clamp(0.0, 1.0)
        };
        self
    }

    /// Makes the random part the same in every run, for tests. By default a client chooses a seed.
    ///
    /// ```
    /// # use everstream_core::retry_delay::{self, BaseDelay, RetryDelayStrategy};
    /// # use std::time::Duration;
    /// let base = BaseDelay::configured(Duration::from_secs(1));
    /// let delay = |seed| retry_delay::backoff().with_seed(seed).apply(base);
    /// assert_eq!(delay(1), delay(1));
    /// assert_ne!(delay(1), delay(2));
    /// ```
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.random = Some(SplitMix64(seed));
        self
    }

    /// A random delay from `low` to `high`.
    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let random = self.random.get_or_insert(SplitMix64(0)).next_unit();
        low.saturating_add(multiply(high.saturating_sub(low), random))
            .min(high)
    }
}

impl RetryDelayStrategy for Backoff {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        let asked = base.asked();
        let cap = match self.max_delay {
            // What the user or the server asked for is worth more than a default.
            Cap::Default => DEFAULT_MAX_DELAY.max(base.delay),
            Cap::User(max_delay) => max_delay,
            Cap::None => Duration::MAX,
        };
        // Rounding must not make it shorter than what the server asked for.
        let full = multiply(base.delay, self.factor).max(base.delay).min(cap);
        // Finite, so that it can be multiplied with a base of zero.
        self.factor = (self.factor * self.multiplier).min(f64::MAX);

        let (mut low, mut high) = (full.saturating_sub(multiply(full, self.jitter)), full);
        // A cap below what the server asked for is the user's decision, and spread as any other.
        if asked <= full {
            low = low.max(asked);
            let room = asked.saturating_add(multiply(asked, self.jitter));
            high = high.max(room.min(self.cap().unwrap_or(Duration::MAX)));
        }
        self.between(low, high)
    }

    fn apply_after_clean_end(&mut self, base: BaseDelay, id_changed: bool) -> Duration {
        if !self.is_built_in {
            return self.apply(base);
        }
        let least = match (base.from_server, id_changed) {
            (true, true) => Duration::ZERO,
            (true, false) => UNCHANGED_POLL_DELAY,
            (false, _) => POLL_DELAY,
        };
        let limit = base.delay.max(least);
        let full = match id_changed {
            true => limit,
            false => {
                let full = multiply(base.delay, self.factor).clamp(base.delay, limit);
                // A refusal after hours of polling goes on from there, and not from the cap.
                let reaches_limit = limit.as_secs_f64() / base.delay.as_secs_f64();
                let grown = (self.factor * self.multiplier).min(reaches_limit);
                self.factor = self.factor.max(grown.min(f64::MAX));
                full
            }
        };
        let room = multiply(full, self.jitter);
        match base.is_limited {
            true => self.between(full.saturating_sub(room), full),
            false => self.between(full, full.saturating_add(room)),
        }
    }

    fn resets_after_delivery(&self) -> bool {
        self.is_built_in
    }

    fn reset(&mut self) {
        self.factor = 1.0;
    }

    fn cap(&self) -> Option<Duration> {
        match self.max_delay {
            Cap::User(max_delay) => Some(max_delay),
            Cap::Default | Cap::None => None,
        }
    }

    fn seed(&mut self, seed: u64) {
        self.random.get_or_insert(SplitMix64(seed));
    }
}

/// Saturates, where `Duration::mul_f64` would panic.
fn multiply(delay: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// From 0 to 1, both included for all practical purposes.
    fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // The 53 upper bits are what an f64 holds exactly.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}
