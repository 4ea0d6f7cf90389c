//! The distance between a word and the one that was meant.

/// The number of missing, extra, wrong or swapped characters.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_counted() {
        for (one, other, expected) in [
            ("count", "count", 0),
            ("cuont", "count", 1),
            ("cont", "count", 1),
            ("counts", "count", 1),
            ("mount", "count", 1),
            ("", "count", 5),
            ("retries", "retry", 3),
            ("check", "check", 0),
            ("chek", "check", 1),
            ("chekc", "check", 1),
            ("checks", "check", 1),
            ("xheck", "check", 1),
            ("record", "check", 5),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
