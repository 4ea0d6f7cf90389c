//! Exponential backoff with jitter.

use core::time::Duration;

use super::delay::{BaseDelay, RetryDelayStrategy};

/// The default cap of [`backoff`]: 30 s. A longer base, from the user or the server, is used
/// unchanged and doesn't grow.
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

/// After a clean end without `retry:`, the delay with a new id, and the cap of the growing delay without
/// one. Browsers wait about this long, and it is short enough for polling.
const POLL_DELAY: Duration = Duration::from_secs(3);

/// The cap of the delay that grows from `retry:` while responses end cleanly without a new id.
const UNCHANGED_POLL_DELAY: Duration = Duration::from_secs(1);

/// Exponential backoff with jitter: the default.
///
/// The first delay is the base; each further delay in a row is multiplied once more, up to the cap.
/// Jitter shortens a delay by up to half, so that the clients of a restarting server don't all reconnect
/// at the same moment. If the base is the server's `retry:`, the client never reconnects earlier than
/// that: jitter lengthens that delay instead. A base longer than the *default* cap of 30 s takes
/// precedence.
///
/// # After a clean end
///
/// Some servers end each response and expect another request. If the framing proves that a response is
/// complete ([`Ending::Complete`](crate::Ending::Complete)), and it delivered an event, an id or a
/// comment, the delay is at most 3 s, or the base if that is longer; jitter lengthens it by up to half.
/// The guide "Reconnecting and resuming" of the crate `everstream` has the delays. Such an end doesn't
/// reset the backoff.
///
/// [`max_delay`](Backoff::max_delay), [`no_max_delay`](Backoff::no_max_delay),
/// [`multiplier`](Backoff::multiplier) and a
/// [`retry_delay_reset_threshold`](crate::SessionConfig::retry_delay_reset_threshold) other than 60 s turn
/// this off. Then only a connection that lasts for the threshold resets the backoff.
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
    /// What the base is multiplied by the next time.
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
    /// Caps the delay, whatever the server asks for. Default: 30 s, or a longer base. Setting any value,
    /// even 30 s, turns off the [delays after a clean end](backoff#after-a-clean-end) and the reset after
    /// a connection of 25 s.
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

    /// Removes the cap. This also turns off what [`max_delay`](Self::max_delay) turns off.
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

    /// The factor by which each delay is longer than the one before. Default: 2. Values below 1, and NaN,
    /// count as 1. Setting any value also turns off what [`max_delay`](Self::max_delay) turns off.
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
        // `max` ignores NaN.
        self.multiplier = multiplier.max(1.0);
        self.is_built_in = false;
        self
    }

    /// The fraction of the delay that is random, from 0 to 1. Default: 0.5. Values outside are clamped;
    /// NaN counts as 0.
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

    /// Makes the jitter the same in every run, for tests. By default a client chooses a seed.
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
        let minimum = base.server_minimum();
        let cap = match self.max_delay {
            // What the user or the server asked for takes precedence over a default.
            Cap::Default => DEFAULT_MAX_DELAY.max(base.delay),
            Cap::User(max_delay) => max_delay,
            Cap::None => Duration::MAX,
        };
        // Rounding must not make the delay shorter than what the server asked for.
        let full = multiply(base.delay, self.factor).max(base.delay).min(cap);
        // Finite, so that multiplying it by a base of zero isn't NaN.
        self.factor = (self.factor * self.multiplier).min(f64::MAX);

        let (mut low, mut high) = (full.saturating_sub(multiply(full, self.jitter)), full);
        // If the user's cap is below what the server asked for, jitter works as without `retry:`.
        if minimum <= full {
            low = low.max(minimum);
            let room = minimum.saturating_add(multiply(minimum, self.jitter));
            high = high.max(room.min(self.cap().unwrap_or(Duration::MAX)));
        }
        self.between(low, high)
    }

    fn apply_after_clean_end(&mut self, base: BaseDelay, id_changed: bool) -> Duration {
        if !self.is_built_in {
            return self.apply(base);
        }
        let minimum = match (base.from_server, id_changed) {
            (true, true) => Duration::ZERO,
            (true, false) => UNCHANGED_POLL_DELAY,
            (false, _) => POLL_DELAY,
        };
        let limit = base.delay.max(minimum);
        let full = match id_changed {
            true => limit,
            false => {
                let full = multiply(base.delay, self.factor).clamp(base.delay, limit);
                // A refused connection after hours of polling continues from here, not from the cap.
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

/// Saturates; `Duration::mul_f64` would panic.
fn multiply(delay: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// From 0 to 1, practically inclusive.
    fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // An f64 holds 53 bits exactly.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}
