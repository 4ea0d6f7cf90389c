//! Shows findings and progress.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use everstream_check::{Check, Finding, Level, Progress, Report, Setting};
use serde::Serialize;

use crate::explain::seconds;
use crate::output::harmless;
use crate::report;
use crate::terminal::{colors, dumb_terminal, show_status, width};
use crate::visible::visible;

/// The width of lines without a terminal.
const COLUMNS: usize = 96;

/// What the check is doing: a line that changes on a terminal, otherwise two lines.
pub(super) struct Messages {
    /// On a terminal.
    live: bool,
    watches: AtomicBool,
    asks: AtomicBool,
}

impl Messages {
    pub(super) fn new(quiet: bool) -> Messages {
        Messages {
            live: !quiet && io::stderr().is_terminal() && !dumb_terminal(),
            watches: AtomicBool::new(false),
            asks: AtomicBool::new(false),
        }
    }

    pub(super) fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Warning(text) => report::warning(text),
            Progress::OutOfTime(limit) => report::info(&format!(
                "not everything was checked within {} (raise --max-time)",
                seconds(*limit)
            )),
            _ if self.live => {
                if let Some(text) = status(progress) {
                    show_status(&visible(&text));
                }
            }
            Progress::Watching { limit, .. } if !self.watches.swap(true, Ordering::Relaxed) => {
                report::info(&format!(
                    "watching the stream for {}, or until Ctrl-C",
                    seconds(*limit)
                ));
            }
            Progress::AskingAgain(_) if !self.asks.swap(true, Ordering::Relaxed) => {
                report::info("reconnecting with gzip, after an event, and after an unknown event");
            }
            _ => {}
        }
    }
}

/// The line on a terminal.
fn status(progress: &Progress<'_>) -> Option<String> {
    Some(match progress {
        Progress::Connecting => "connecting".to_owned(),
        Progress::Watching {
            elapsed,
            limit,
            events,
            comments,
            ..
        } => format!(
            "watching for {} of {} s: {events} event{}, {comments} comment{} (Ctrl-C ends it)",
            elapsed.as_secs(),
            limit.as_secs_f64(),
            plural(*events as u64),
            plural(*comments)
        ),
        Progress::AskingAgain(what) => format!("reconnecting {what}"),
        _ => return None,
    })
}

fn plural(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// One JSON document, with a line for each finding.
pub(super) fn json(report: &Report) -> String {
    let findings: Vec<String> = report.findings.iter().map(finding).collect();
    format!(
        "{{\n  \"url\": {},\n  \"verdict\": {},\n  \"findings\": [\n    {}\n  ],\n  \"summary\": {},\n  \
         \"observations\": {}\n}}\n",
        value(&report.url),
        value(&report.verdict()),
        findings.join(",\n    "),
        value(&report.summary),
        value(&report.observations),
    )
}

pub(super) fn text(report: &Report, quiet: bool, verbose: bool) -> String {
    let stdout = io::stdout();
    let style = Style {
        colors: colors(stdout.is_terminal()),
        columns: width(&stdout).unwrap_or(COLUMNS).clamp(40, 120),
    };
    let of = |level| report.findings.iter().filter(move |it| it.level == level);
    let mut out = String::new();
    style.verdict(&mut out, report);
    for finding in report.problems().chain(report.warnings()) {
        style.finding(&mut out, finding);
    }
    // Without events, most of the other checks have no result.
    let no_event = report.no_event().is_some() && !quiet;
    let row = |it: &&Finding| verbose || (no_event && it.check == Check::FirstEvent);
    let rows = of(Level::Pass).chain(of(Level::Skip)).filter(row);
    rows.for_each(|finding| style.finding(&mut out, finding));
    if !quiet && !verbose {
        let names = |level| of(level).map(|it| it.id).collect::<Vec<_>>().join(", ");
        let (passed, unseen) = (names(Level::Pass), names(Level::Skip));
        if !passed.is_empty() {
            let text = format!("{passed} (--verbose lists them)");
            style.paragraph(&mut out, "passed    ", &text);
        }
        if !unseen.is_empty() {
            let text = format!("{unseen} (--verbose says why)");
            style.paragraph(&mut out, "not seen  ", &text);
        }
    }
    let summary = report.summary;
    _ = write!(
        out,
        "{}: {} passed, {} warning{}, {} failed, {} not seen",
        visible(&report.url),
        summary.pass,
        summary.warn,
        plural(summary.warn as u64),
        summary.fail,
        summary.skip
    );
    if let Some(text) = unexamined(report) {
        _ = write!(out, "; {text}");
    }
    if let Some(text) = report.no_event() {
        _ = write!(out, "; {text}");
    }
    out.push('\n');
    out
}

/// The silences that the check was too short for.
fn unexamined(report: &Report) -> Option<String> {
    let heartbeat = report.finding(Check::Heartbeat)?;
    let watched = report.observations.watched?;
    let short = heartbeat.level == Level::Skip && heartbeat.setting == Some(Setting::Duration);
    let watched = seconds(Duration::try_from_secs_f64(watched).ok()?);
    short.then(|| format!("silences longer than {watched} weren't examined: use --duration 70s"))
}

/// Names and values are strings and numbers, so this can't fail.
fn value(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    harmless(&json).into_owned()
}

/// What to try, in the command's options.
fn option_for(setting: Setting) -> Option<&'static str> {
    Some(match setting {
        Setting::Duration => "--duration 70s watches for more than a minute",
        Setting::Origin => {
            "--origin with the origin of your pages, such as https://app.example.com"
        }
        Setting::Credentials => {
            "-u, --bearer-env or -H sends credentials; --origin sends the origin of your pages"
        }
        Setting::RedirectLimit => "--max-redirs allows more redirects",
        _ => return None,
    })
}

/// A finding with the option to try, if there is one.
fn finding(finding: &Finding) -> String {
    #[derive(Serialize)]
    struct WithOption<'a> {
        #[serde(flatten)]
        finding: &'a Finding,
        #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
        option: Option<&'static str>,
    }
    value(&WithOption {
        finding,
        option: finding.setting.and_then(option_for),
    })
}

struct Style {
    colors: bool,
    columns: usize,
}

impl Style {
    /// The first line.
    fn verdict(&self, out: &mut String, report: &Report) {
        let color = match (report.summary.fail, report.summary.warn) {
            (0, 0) if report.observations.bytes != Some(0) => "32",
            (0, _) => "33",
            _ => "1;31",
        };
        let mut text = String::new();
        self.paragraph(&mut text, "", &visible(&report.verdict()));
        match self.colors {
            true => _ = writeln!(out, "\x1b[{color}m{}\x1b[0m", text.trim_end()),
            false => out.push_str(&text),
        }
    }

    fn finding(&self, out: &mut String, finding: &Finding) {
        let (name, color) = match finding.level {
            Level::Pass => ("pass", "32"),
            Level::Warn => ("warn", "33"),
            Level::Fail => ("FAIL", "1;31"),
            Level::Skip => ("skip", "2"),
        };
        let head = match self.colors {
            true => format!("\x1b[{color}m{name}\x1b[0m"),
            false => name.to_owned(),
        };
        _ = write!(out, "{head}  ");
        let observed = visible(&finding.observed);
        let id = format!("{:<16}", finding.id);
        self.wrapped(out, &format!("{id}  "), &observed, "      ".len());
        if let Some(advice) = &finding.advice {
            for (name, text) in [("why", advice.why), ("fix", advice.fix)] {
                self.paragraph(out, &format!("      {name}  "), text);
            }
        }
        if let Some(option) = finding.setting.and_then(option_for) {
            self.paragraph(out, "      try  ", option);
        }
        if let Some(advice) = &finding.advice {
            self.paragraph(out, "      see  ", advice.source);
        }
    }

    fn paragraph(&self, out: &mut String, first: &str, text: &str) {
        self.wrapped(out, first, text, 0);
    }

    /// Writes `first` and then the text, wrapped and aligned. `used` columns of the first line are
    /// taken.
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
    fn long_text_is_wrapped_and_aligned() {
        let style = Style {
            colors: false,
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
}
