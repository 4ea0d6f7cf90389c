//! Whether a quantity grows over the run.

/// Growth can be judged from this many samples on; there is one a second.
pub(crate) const MIN_SAMPLES: usize = 100;

/// How much a quantity may grow between the second quarter of a run and the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) factor: f64,
    pub(crate) plus: f64,
}

/// A quantity over the run. The first quarter is warm-up.
#[derive(Debug, PartialEq)]
pub(crate) struct Trend {
    pub(crate) first: f64,
    /// At the end of the warm-up.
    pub(crate) warm: f64,
    pub(crate) last: f64,
    pub(crate) max: f64,
    /// The median of the second quarter.
    pub(crate) second_quarter: f64,
    /// The median of the last quarter.
    pub(crate) last_quarter: f64,
    /// By least squares, after the warm-up.
    pub(crate) per_hour: f64,
}

impl Trend {
    /// From pairs of seconds and values; `None` without any.
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (points.first()?.1, points.last()?.1);
        let quarter = points.len() / 4;
        let second = &points[quarter..(2 * quarter).max(quarter + 1)];
        let fourth = &points[points.len() - quarter.max(1)..];
        Some(Trend {
            first,
            warm: second.first()?.1,
            last,
            max: points.iter().map(|point| point.1).fold(f64::MIN, f64::max),
            second_quarter: median(second),
            last_quarter: median(fourth),
            per_hour: slope(&points[quarter..]) * 3600.0,
        })
    }

    pub(crate) fn is_flat(&self, allowance: Allowance) -> bool {
        self.last_quarter <= self.second_quarter * allowance.factor + allowance.plus
    }
}

fn median(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The slope of the line with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let number = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / number;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / number;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x).powi(2);
    }
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        factor: 1.05,
        plus: 4.0,
    };

    fn trend(value: impl Fn(f64) -> f64) -> Trend {
        let points: Vec<_> = (0..1200).map(|at| (at as f64, value(at as f64))).collect();
        Trend::of(&points).unwrap()
    }

    #[test]
    fn growth_during_the_warm_up_is_flat() {
        let warming = trend(|at| 100.0 - 90.0 * (-at / 60.0).exp());
        assert!(warming.is_flat(ALLOWANCE), "{warming:?}");
    }

    #[test]
    fn variation_without_growth_is_flat() {
        let varying = trend(|at| 100.0 + 30.0 * (at / 7.0).sin());
        assert!(varying.is_flat(ALLOWANCE), "{varying:?}");
    }

    #[test]
    fn steady_growth_is_detected_with_its_slope() {
        let growing = trend(|at| 100.0 + at * 0.02);
        assert!(!growing.is_flat(ALLOWANCE), "{growing:?}");
        assert!((growing.per_hour - 72.0).abs() < 0.001, "{growing:?}");
    }

    #[test]
    fn one_sample_is_enough_for_a_trend() {
        assert_eq!(Trend::of(&[]), None);
        assert_eq!(Trend::of(&[(0.0, 5.0)]).unwrap().max, 5.0);
    }
}
