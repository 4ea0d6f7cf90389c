//! Words of the report.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// `1 event`, `2 events`.
pub(crate) fn count(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// A time as people say it.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// What happened, and its first cause.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    if let Some(cause) = cause.map(ToString::to_string) {
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause) {
            _ = write!(text, ": {cause}");
        }
    }
    text
}
