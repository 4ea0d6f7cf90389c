//! Time as the session sees it: an argument, never a clock.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, as the duration since a start that the driver chooses.
///
/// The driver reads a monotonic clock; the session only compares timestamps. Addition saturates.
///
/// ```
/// use everstream_core::Timestamp;
/// use std::time::{Duration, Instant};
///
/// let started = Instant::now();
/// let now = Timestamp::since_start(started.elapsed());
/// let later = now + Duration::from_secs(1);
/// assert_eq!(later.saturating_duration_since(now), Duration::from_secs(1));
/// assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The point in time this long after the start.
    ///
    /// ```
    /// # use everstream_core::Timestamp;
    /// # use std::time::Duration;
    /// assert!(Timestamp::since_start(Duration::from_secs(1)) > Timestamp::default());
    /// ```
    pub const fn since_start(elapsed: Duration) -> Self {
        Timestamp(elapsed)
    }

    /// The time since the start.
    ///
    /// ```
    /// # use everstream_core::Timestamp;
    /// # use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Timestamp::since_start(second).elapsed(), second);
    /// ```
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// The time since `earlier`; zero if `earlier` is later.
    ///
    /// ```
    /// # use everstream_core::Timestamp;
    /// # use std::time::Duration;
    /// let now = Timestamp::default();
    /// assert_eq!(now.saturating_duration_since(now), Duration::ZERO);
    /// ```
    pub const fn saturating_duration_since(self, earlier: Timestamp) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, delay: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(delay))
    }
}

/// The time from the second to the first; zero if the first is earlier.
///
/// ```
/// # use everstream_core::Timestamp;
/// # use std::time::Duration;
/// let (now, second) = (Timestamp::default(), Duration::from_secs(1));
/// assert_eq!((now + second) - now, second);
/// assert_eq!(now - (now + second), Duration::ZERO);
/// ```
impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Timestamp) -> Duration {
        self.saturating_duration_since(earlier)
    }
}
