//! The result of several rounds: the median, the lowest and the highest.

use std::fmt;

use crate::chart::short;
use crate::process::quantile;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    pub fn of(mut rounds: Vec<f64>) -> Spread {
        Spread {
            median: quantile(&mut rounds, 0.5),
            lowest: quantile(&mut rounds, 0.0),
            highest: quantile(&mut rounds, 1.0),
        }
    }

    /// The spread of each figure over all rounds.
    pub fn of_each(rounds: &[Vec<f64>]) -> Vec<Spread> {
        let numbers = rounds.iter().map(Vec::len).min().unwrap_or(0);
        let of = |index| Spread::of(rounds.iter().map(|round| round[index]).collect());
        (0..numbers).map(of).collect()
    }

    /// Converts to another unit.
    pub fn times(self, factor: f64) -> Spread {
        Spread {
            median: self.median * factor,
            lowest: self.lowest * factor,
            highest: self.highest * factor,
        }
    }
}

/// Formats it as a cell of a table.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, lowest, highest] = [self.median, self.lowest, self.highest].map(short);
        write!(f, "{median} ({lowest}-{highest})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_median_and_both_ends() {
        let spread = Spread::of(vec![5.0, 1.25, 2.0, 3.0, 150.0]);
        assert_eq!(spread.to_string(), "3.00 (1.25-150)");
        assert_eq!(spread.times(2.0).to_string(), "6.00 (2.50-300)");
    }

    #[test]
    fn each_figure_of_a_round_has_its_spread() {
        let rounds = [vec![1.0, 10.0], vec![3.0, 30.0], vec![2.0, 20.0]];
        let cells = Spread::of_each(&rounds)
            .iter()
            .map(Spread::to_string)
            .collect::<Vec<_>>();
        assert_eq!(cells, ["2.00 (1.00-3.00)", "20.0 (10.0-30.0)"]);
    }
}
