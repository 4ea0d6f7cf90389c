//! Findings, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use everstream::RedactedUrl;
use serde::Serialize;

use super::judge::{Finding, Level, judge};
use super::observed::{End, Observed};
use crate::output::harmless;
use crate::terminal::{colours, width};
use crate::visible::visible;

/// The width of lines where there is no terminal to ask.
const COLUMNS: usize = 96;

/// How much is shown of what a server says in one place.
const SHOWN: usize = 300;

pub(super) struct Report<'a> {
    /// Without its secrets.
    url: String,
    findings: Vec<Finding>,
    summary: Summary,
    observations: Observations<'a>,
}

#[derive(Serialize)]
struct Summary {
    pass: usize,
    warn: usize,
    fail: usize,
    skip: usize,
}

/// Figures. Times are in seconds; what wasn't seen is null.
#[derive(Serialize)]
struct Observations<'a> {
    requests: u32,
    redirects: usize,
    status: Option<u16>,
    http_version: Option<&'a str>,
    headers_after: Option<f64>,
    first_byte_after: Option<f64>,
    first_event_after: Option<f64>,
    first_event_after_with_gzip: Option<f64>,
    watched: Option<f64>,
    longest_silence: Option<f64>,
    comment_interval: Option<f64>,
    ended: Option<bool>,
    bytes: Option<u64>,
    events: Option<usize>,
    events_with_id: Option<usize>,
    comments: Option<u64>,
    event_types: Option<&'a BTreeMap<String, u64>>,
    retry_ms: Option<&'a [u64]>,
    largest_event_bytes: Option<usize>,
    longest_line_bytes: Option<u64>,
}

impl<'a> Observations<'a> {
    fn new(observed: &'a Observed) -> Observations<'a> {
        let response = observed.response.as_ref();
        let stream = observed.stream.as_ref();
        let second = observed.second.as_ref();
        let sizes =
            |stream: &super::observed::Stream| stream.events.iter().map(|event| event.size).max();
        Observations {
            requests: observed.requests,
            redirects: observed.hops.len(),
            status: response.map(|it| it.status),
            http_version: response.map(|it| &*it.version),
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
            event_types: stream.map(|it| &it.kinds),
            retry_ms: stream.map(|it| &*it.retries),
            largest_event_bytes: stream.and_then(sizes),
            longest_line_bytes: stream.map(|it| it.longest_line),
        }
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

impl<'a> Report<'a> {
    pub(super) fn new(url: &str, observed: &'a Observed) -> Report<'a> {
        let mut findings = judge(observed);
        for finding in &mut findings {
            shorten(&mut finding.observed);
        }
        let count = |level| findings.iter().filter(|it| it.level == level).count();
        Report {
            url: RedactedUrl(url).to_string(),
            summary: Summary {
                pass: count(Level::Pass),
                warn: count(Level::Warn),
                fail: count(Level::Fail),
                skip: count(Level::Skip),
            },
            findings,
            observations: Observations::new(observed),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.summary.fail > 0
    }

    /// One document, with a line for each finding.
    pub(super) fn json(&self) -> String {
        let findings: Vec<String> = self.findings.iter().map(json).collect();
        format!(
            "{{\n  \"url\": {},\n  \"findings\": [\n    {}\n  ],\n  \"summary\": {},\n  \
             \"observations\": {}\n}}\n",
            json(&self.url),
            findings.join(",\n    "),
            json(&self.summary),
            json(&self.observations),
        )
    }

    pub(super) fn text(&self, quiet: bool, verbose: bool) -> String {
        let stdout = io::stdout();
        let style = Style {
            colours: colours(stdout.is_terminal()),
            columns: width(&stdout).unwrap_or(COLUMNS).clamp(40, 120),
        };
        let mut out = String::new();
        for finding in &self.findings {
            let shown = match finding.level {
                Level::Pass => !quiet,
                Level::Skip => verbose,
                Level::Warn | Level::Fail => true,
            };
            if shown {
                style.finding(&mut out, finding);
            }
        }
        let unseen = self.findings.iter().filter(|it| it.level == Level::Skip);
        let unseen: Vec<&str> = unseen.map(|it| it.id).collect();
        if !quiet && !verbose && !unseen.is_empty() {
            let text = format!("{} (--verbose says why)", unseen.join(", "));
            style.paragraph(&mut out, "not seen  ", &text);
        }
        let Summary {
            pass,
            warn,
            fail,
            skip,
        } = self.summary;
        let plural = if warn == 1 { "" } else { "s" };
        _ = writeln!(
            out,
            "{}: {pass} passed, {warn} warning{plural}, {fail} failed, {skip} not seen",
            visible(&self.url)
        );
        out
    }
}

/// Names and values are texts and numbers, which JSON can always hold.
fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    harmless(&json).into_owned()
}

/// Texts of servers have any length.
fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("...");
    }
}

struct Style {
    colours: bool,
    columns: usize,
}

impl Style {
    fn finding(&self, out: &mut String, finding: &Finding) {
        let (name, colour) = match finding.level {
            Level::Pass => ("pass", "32"),
            Level::Warn => ("warn", "33"),
            Level::Fail => ("FAIL", "1;31"),
            Level::Skip => ("skip", "2"),
        };
        let head = match self.colours {
            true => format!("\x1b[{colour}m{name}\x1b[0m"),
            false => name.to_owned(),
        };
        _ = write!(out, "{head}  ");
        let observed = visible(&finding.observed);
        let id = format!("{:<16}", finding.id);
        self.wrapped(out, &format!("{id}  "), &observed, "      ".len());
        if let Some(advice) = &finding.advice {
            for (name, text) in [
                ("why", advice.why),
                ("fix", advice.fix),
                ("see", advice.source),
            ] {
                self.paragraph(out, &format!("      {name}  "), text);
            }
        }
    }

    fn paragraph(&self, out: &mut String, first: &str, text: &str) {
        self.wrapped(out, first, text, 0);
    }

    /// Writes `first` and then the text, with its lines below each other. `used` columns of the
    /// first line are taken.
    fn wrapped(&self, out: &mut String, first: &str, text: &str, used: usize) {
        let indent = used + first.len();
        out.push_str(first);
        let mut column = indent;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if column > indent && column + 1 + length > self.columns {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else if column > indent {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_below_their_begin() {
        let style = Style {
            colours: false,
            columns: 16,
        };
        let mut out = String::new();
        style.paragraph(
            &mut out,
            "why  ",
            "one two three four averyverylongword five",
        );
        assert_eq!(
            out,
            "why  one two\n     three four\n     averyverylongword\n     five\n"
        );
    }

    #[test]
    fn what_a_server_says_is_cut() {
        let mut text = "ü".repeat(1000);
        shorten(&mut text);
        assert_eq!(text.chars().count(), SHOWN + 3);
    }
}
