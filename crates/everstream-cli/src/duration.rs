//! Durations on the command line, and waiting for a point in time.

use std::time::{Duration, Instant};

/// `500ms`, `2s`, `1.5m`, `1h`, `1d`; without a unit it is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        unit => return Err(format!("{unit:?} isn't one of the units ms, s, m, h, d")),
    };
    // More than a float allows: no sign, no exponent, no `inf`.
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err("write a duration like this: 500ms, 2s, 5m, 1h, or 2 for seconds".into());
    }
    let count: f64 = number
        .parse()
        .map_err(|_| format!("{number:?} isn't a number"))?;
    Duration::try_from_secs_f64(count * seconds).map_err(|_| "the duration is too long".into())
}

/// Waits until this time, or forever.
pub(crate) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_parsed() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2000),
            ("2", 2000),
            ("0", 0),
            ("0.25", 250),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_refused() {
        for text in [
            "", "s", "-1", "1e3", "inf", "nan", "1 s", "1x", "1.2.3", "1µs", "+1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let endless = "9".repeat(400);
        assert!(parse(&endless).is_err());
    }
}
