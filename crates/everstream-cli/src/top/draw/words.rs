//! Numbers and texts in a few columns.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use crate::visible::visible;

/// A text from a server, as one line that is safe for a terminal.
pub(super) fn shown(text: &str) -> String {
    visible(&text.replace('\n', " ↵ ").replace('\t', " ")).into_owned()
}

/// `now` is rarely exact, so less than a second is shown as none.
pub(super) fn age(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Up to six digits, then millions and so on.
pub(super) fn count(number: u64) -> String {
    match number {
        0..1_000_000 => number.to_string(),
        _ => scaled(number as f64, ["", "k", "M", "G", "T"], ""),
    }
}

/// Powers of 1000, as the units say (SI).
pub(super) fn bytes(number: u64) -> String {
    scaled(number as f64, [" B", " kB", " MB", " GB", " TB"], "")
}

pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        0.0..9.95 => format!("{per_second:.1}/s"),
        9.95..99_999.5 => format!("{per_second:.0}/s"),
        _ => scaled(per_second, ["", "k", "M", "G", "T"], "/s"),
    }
}

fn scaled(mut number: f64, units: [&str; 5], rest: &str) -> String {
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && number < 99.95);
    format!("{number:.digits$}{}{rest}", units[unit])
}

/// The beginning and the end of a text, with a mark in between, in at most this many columns: hosts
/// differ at the beginning, paths at the end.
pub(super) fn middle_cut(text: &str, columns: usize) -> String {
    let width = |c: char| c.width().unwrap_or(0);
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let fit = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        chars
            .take_while(|c| {
                used += width(*c);
                used <= room
            })
            .collect::<String>()
    };
    let begin = fit(&mut text.chars(), room / 2);
    let end: String = fit(&mut text.chars().rev(), room - room / 2);
    let end: String = end.chars().rev().collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_abbreviated() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400].map(|s| age(Duration::from_secs(s)));
        assert_eq!(
            ages,
            ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d"]
        );
        assert_eq!([0, 999_999, 1_000_000].map(count), ["0", "999999", "1.0M"]);
        assert_eq!(
            [0, 999, 1000, 99_960].map(bytes),
            ["0 B", "999 B", "1.0 kB", "100 kB"]
        );
        assert_eq!(bytes(u64::MAX), "18446744 TB");
        let rates = [0.0, 9.94, 9.96, 99_999.0, 100_000.0].map(rate);
        assert_eq!(rates, ["0.0/s", "9.9/s", "10/s", "99999/s", "100k/s"]);
    }

    #[test]
    fn a_long_text_is_cut_in_the_middle() {
        assert_eq!(middle_cut("abcdef", 6), "abcdef");
        assert_eq!(middle_cut("abcdefgh", 6), "ab…fgh");
        assert_eq!(
            middle_cut("日本語日本語", 7),
            "日…本語".replace("本語", "語")
        );
        assert_eq!(middle_cut("abc", 0), "…");
    }

    #[test]
    fn server_text_is_one_escaped_line() {
        assert_eq!(shown("a\nb\tc\x1b[2J"), r"a ↵ b c\u{1b}[2J");
    }
}
