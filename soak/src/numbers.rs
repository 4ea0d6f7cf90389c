//! Random numbers that are reproducible from a seed.

use std::time::Duration;

/// SplitMix64: small, and good enough to choose faults and texts.
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    /// A different sequence for each combination of parts.
    pub(crate) fn new(parts: &[u64]) -> Self {
        let mut numbers = Numbers(0x5EED);
        for part in parts {
            numbers.0 ^= part.wrapping_mul(0xD6E8_FEB8_6659_FD93);
            numbers.0 = numbers.next();
        }
        numbers
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// At least `start`, less than `end`.
    pub(crate) fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end.saturating_sub(start) as u64) as usize
    }

    /// True with a probability of one in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Exponentially distributed: the time until an event that doesn't depend on the past.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        mean.mul_f64(-(1.0 - unit).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_give_equal_numbers_and_others_differ() {
        let first = |parts: &[u64]| Numbers::new(parts).next();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1, 2]), first(&[1, 3]));
    }

    #[test]
    fn random_times_have_the_mean_that_was_asked_for() {
        let mut numbers = Numbers::new(&[7]);
        let mean = Duration::from_secs(10);
        let sum: Duration = (0..10_000).map(|_| numbers.around(mean)).sum();
        let measured = sum.as_secs_f64() / 10_000.0;
        assert!((9.0..11.0).contains(&measured), "{measured}");
    }
}
