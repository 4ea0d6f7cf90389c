//! The number of events in each of the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

/// How many seconds are remembered.
const HISTORY: usize = 60;

/// How many whole seconds the rate covers.
const WINDOW: usize = 5;

/// Counts per second, the newest last. Times are counted from the start of the program.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    counts: VecDeque<u64>,
    /// The second of the last count.
    second: u64,
}

impl Rates {
    pub(super) fn count(&mut self, now: Duration) {
        self.advance(now);
        if let Some(last) = self.counts.back_mut() {
            *last += 1;
        }
    }

    fn advance(&mut self, now: Duration) {
        if self.counts.is_empty() {
            self.second = now.as_secs();
            self.counts.push_back(0);
        }
        let passed = now.as_secs().saturating_sub(self.second);
        for _ in 0..passed.min(HISTORY as u64) {
            self.counts.push_back(0);
        }
        self.second += passed;
        let old = self.counts.len().saturating_sub(HISTORY + 1);
        self.counts.drain(..old);
    }

    /// The counts of the last whole seconds, the newest last; 0 before the first event.
    fn whole(&self, now: Duration, seconds: usize) -> Vec<u64> {
        let passed = usize::try_from(now.as_secs().saturating_sub(self.second)).unwrap_or(HISTORY);
        // The last count isn't final before its second has ended.
        let over = self.counts.len().saturating_sub(usize::from(passed == 0));
        let silent = passed.saturating_sub(1).min(seconds);
        let mut counts: Vec<u64> = std::iter::repeat_n(0, silent)
            .chain(self.counts.iter().take(over).rev().copied())
            .chain(std::iter::repeat(0))
            .take(seconds)
            .collect();
        counts.reverse();
        counts
    }

    /// Events per second, of the last five seconds, or of all if there were fewer.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        let seconds = usize::try_from(now.as_secs())
            .unwrap_or(WINDOW)
            .clamp(1, WINDOW);
        self.whole(now, seconds).iter().sum::<u64>() as f64 / seconds as f64
    }

    /// A bar per second, relative to the highest count.
    pub(super) fn sparkline(&self, now: Duration, columns: usize) -> String {
        const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let counts = self.whole(now, columns.min(HISTORY));
        let highest = counts.iter().max().copied().unwrap_or(0).max(1);
        let height = |count: &u64| {
            let eighths = count.saturating_mul(8).div_ceil(highest);
            HEIGHTS[usize::try_from(eighths).unwrap_or(8).min(8)]
        };
        counts.iter().map(height).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_rate_is_that_of_the_last_five_whole_seconds() {
        let mut rates = Rates::default();
        assert_eq!(rates.rate(at(0.0)), 0.0);
        for tenth in 0..100 {
            rates.count(at(f64::from(tenth) / 10.0));
        }
        assert_eq!(rates.rate(at(9.9)), 10.0);
        assert_eq!(rates.rate(at(10.0)), 10.0);
        // Two of the five had no events.
        assert_eq!(rates.rate(at(12.5)), 6.0);
        assert_eq!(rates.rate(at(1e9)), 0.0);
    }

    #[test]
    fn each_second_is_one_bar() {
        let mut rates = Rates::default();
        for (second, count) in [(0, 8), (1, 4), (2, 1), (4, 2)] {
            for _ in 0..count {
                rates.count(at(f64::from(second) + 0.5));
            }
        }
        assert_eq!(rates.sparkline(at(4.9), 6), "  █▄▁ ");
        assert_eq!(rates.sparkline(at(5.0), 6), " █▄▁ ▂");
        assert_eq!(rates.sparkline(at(8.0), 6), "▄ █   ");
        assert_eq!(rates.sparkline(at(90.0), 4), "    ");
    }

    #[test]
    fn memory_is_bounded() {
        let mut rates = Rates::default();
        for second in 0..10_000 {
            rates.count(at(f64::from(second) * 7.0));
        }
        assert!(rates.counts.len() <= HISTORY + 1);
        assert_eq!(rates.sparkline(at(69_993.0), 500).chars().count(), HISTORY);
    }
}
