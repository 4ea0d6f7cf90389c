//! The report.

use std::collections::BTreeMap;
use std::time::Duration;

use everstream::RedactedUrl;
use serde::Serialize;

use crate::judge::{Check, Finding, Level, judge, no_event};
use crate::observed::{End, Observed, TroubleKind};
use crate::text::count;

/// How many characters of a server's text are kept in one place.
const SHOWN: usize = 300;

/// The result of a check. Serialized, it is the JSON of `everstream check`.
///
/// ```
/// use everstream_check::{Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// assert_eq!(report.problems().count(), 1);
/// println!("{}", report.verdict());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The URL without user info, query and fragment.
    pub url: String,
    /// One finding for each [`Check`], in the same order.
    pub findings: Vec<Finding>,
    /// How many findings there are of each level.
    pub summary: Summary,
    /// What was measured.
    pub observations: Observations,
    #[serde(skip)]
    connected: bool,
    #[serde(skip)]
    no_event: Option<String>,
}

/// How many findings there are of each level.
///
/// ```
/// use everstream_check::{Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// assert_eq!(report.summary.fail, 1);
/// assert_eq!(report.summary.pass, 0);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Checks that passed.
    pub pass: usize,
    /// Warnings.
    pub warn: usize,
    /// Problems.
    pub fail: usize,
    /// Checks without a result.
    pub skip: usize,
}

/// Measurements. Times are in seconds. `None`: it wasn't observed.
///
/// ```
/// use everstream_check::{Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// assert_eq!(report.observations.status, None);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Observations {
    pub requests: u32,
    pub redirects: usize,
    pub status: Option<u16>,
    pub http_version: Option<String>,
    pub headers_after: Option<f64>,
    pub first_byte_after: Option<f64>,
    pub first_event_after: Option<f64>,
    pub first_event_after_with_gzip: Option<f64>,
    pub watched: Option<f64>,
    pub longest_silence: Option<f64>,
    pub comment_interval: Option<f64>,
    pub ended: Option<bool>,
    pub bytes: Option<u64>,
    pub events: Option<usize>,
    pub events_with_id: Option<usize>,
    pub comments: Option<u64>,
    pub event_types: Option<BTreeMap<String, u64>>,
    pub retry_ms: Option<Vec<u64>>,
    pub largest_event_bytes: Option<usize>,
    pub longest_line_bytes: Option<u64>,
}

impl Observations {
    fn new(observed: &Observed) -> Observations {
        let response = observed.response.as_ref();
        let stream = observed.stream.as_ref();
        let second = observed.second.as_ref();
        let sizes =
            |stream: &crate::observed::Stream| stream.events.iter().map(|event| event.size).max();
        Observations {
            requests: observed.requests,
            redirects: observed.hops.len(),
            status: response.map(|it| it.status),
            http_version: response.map(|it| it.version.clone()),
            headers_after: response.map(|it| seconds(it.after)),
            first_byte_after: stream
                .and_then(|it| it.reads.first())
                .map(|it| seconds(it.at)),
            first_event_after: stream.and_then(|it| it.first_event()).map(seconds),
            first_event_after_with_gzip: second.and_then(|it| it.first_event).map(seconds),
            watched: stream.map(|it| seconds(it.watched)),
            longest_silence: stream.map(|it| seconds(it.longest_silence())),
            comment_interval: stream.and_then(|it| it.comment_interval()).map(seconds),
            ended: stream.map(|it| it.end != End::Open),
            bytes: stream.map(|it| it.bytes),
            events: stream.map(|it| it.events.len()),
            events_with_id: stream.map(|it| it.ids().len()),
            comments: stream.map(|it| it.comments),
            event_types: stream.map(|it| it.kinds.clone()),
            retry_ms: stream.map(|it| it.retries.clone()),
            largest_event_bytes: stream.and_then(sizes),
            longest_line_bytes: stream.map(|it| it.longest_line),
        }
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Report {
    pub(crate) fn new(url: &str, observed: &Observed) -> Report {
        let mut findings = judge(observed);
        for finding in &mut findings {
            shorten(&mut finding.observed);
        }
        let of = |level| findings.iter().filter(|it| it.level == level).count();
        let trouble = observed.trouble.as_ref();
        let stream = observed.stream.as_ref();
        Report {
            url: RedactedUrl(url).to_string(),
            summary: Summary {
                pass: of(Level::Pass),
                warn: of(Level::Warn),
                fail: of(Level::Fail),
                skip: of(Level::Skip),
            },
            findings,
            observations: Observations::new(observed),
            connected: trouble.is_none_or(|it| it.kind != TroubleKind::Connect),
            no_event: stream.filter(|it| it.events.is_empty()).map(no_event),
        }
    }

    /// The finding of this check.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|it| it.check == check)
    }

    /// The level of this check's finding.
    pub fn level(&self, check: Check) -> Level {
        self.finding(check).map_or(Level::Skip, |it| it.level)
    }

    /// The findings that fail.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.of(Level::Fail)
    }

    /// The findings that warn: first what was observed, then precautions.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        let is_precaution = |it: &&Finding| it.check.is_precaution() && it.name.is_none();
        let seen = self.of(Level::Warn).filter(move |it| !is_precaution(it));
        seen.chain(self.of(Level::Warn).filter(is_precaution))
    }

    fn of(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |it| it.level == level)
    }

    /// Whether there was a connection.
    pub fn connected(&self) -> bool {
        self.connected
    }

    /// What the stream had instead of events, if it had none: `nothing arrived in 20 s`.
    pub fn no_event(&self) -> Option<&str> {
        self.no_event.as_deref()
    }

    /// Whether not one byte followed the headers of the stream, so that most checks have no result.
    fn nothing_seen(&self) -> bool {
        self.observations.bytes == Some(0)
    }

    /// The report in one line: `2 problems: can't resume, wrong charset; 1 warning: missing ids`.
    pub fn verdict(&self) -> String {
        let problems = named("problem", self.problems());
        let problems = problems.unwrap_or_else(|| match self.nothing_seen() {
            true => "no events seen".to_owned(),
            false => "no problems".to_owned(),
        });
        let warnings = named("warning", self.warnings());
        let parts = [Some(problems), warnings, self.no_event.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join("; ")
    }
}

/// `2 problems: can't resume, wrong charset`, if there are any.
fn named<'a>(what: &str, findings: impl Iterator<Item = &'a Finding>) -> Option<String> {
    let names: Vec<&str> = findings
        .map(|it| it.name.unwrap_or(it.check.problem()))
        .collect();
    let counted = count(names.len(), what);
    (!names.is_empty()).then(|| format!("{counted}: {}", names.join(", ")))
}

/// A server can send text of any length.
fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_of_a_server_is_truncated() {
        let mut text = "ü".repeat(1000);
        shorten(&mut text);
        assert_eq!(text.chars().count(), SHOWN + 3);
    }
}
