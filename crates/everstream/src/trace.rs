//! Logging: by the feature `tracing`, and by the Python package's loggers.
//!
//! What a user should know is one line at `info` or `warn`: connections and clean ends, and whatever goes
//! wrong. No line holds a secret: URLs are redacted, and headers are never shown.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use everstream_core::{End, Fault, RedactedUrl, Start};

use crate::error::{Error, NOT_REPEATED};

macro_rules! debug {
    ($($args:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::debug!($($args)*);
    };
}

macro_rules! trace {
    ($($args:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::trace!($($args)*);
    };
}

pub(crate) use {debug, trace};

/// The level of a line.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // it isn't part of the API
pub enum LogLevel {
    Info,
    Warn,
}

/// Where the lines of one client go, besides `tracing`.
#[derive(Default)]
pub(crate) struct Log {
    /// What is connected to, if that has no URL.
    pub(crate) name: Option<String>,
    #[allow(clippy::type_complexity)] // it is said once
    pub(crate) sink: Option<Box<dyn Fn(LogLevel, String) + Send>>,
}

impl Log {
    pub(crate) fn connected(&self, start: &Start) {
        self.info(|| {
            let mut line = "connected".to_owned();
            let url = start.url.as_deref().map(|url| RedactedUrl(url).to_string());
            if let Some(to) = url.or_else(|| self.name.clone()) {
                line += &format!(" to {}", OneLine(&to));
            }
            if let Some(status) = start.status {
                line += &format!(", status {status}");
            }
            line
        });
        self.withheld(&start.withheld_headers, start.url.as_deref());
    }

    /// The client connects again in `retry`. `has_connected`: there has been a connection before.
    pub(crate) fn lost(&self, fault: &Fault, retry: Duration, has_connected: bool) {
        self.withheld_before(fault);
        self.warn(|| format!("{}; retrying in {}", chain(fault), seconds(retry)));
        if let Some(warning) = fault.retry_warning().filter(|_| has_connected) {
            self.warn(|| warning.to_owned());
        }
    }

    /// The client connects again in `retry`, if at all.
    pub(crate) fn ended(&self, why: &str, end: &End, retry: Option<Duration>) {
        self.discarded(end);
        if end.not_repeated {
            self.warn(|| format!("{why}; {NOT_REPEATED}"));
            return;
        }
        self.info(|| match retry {
            Some(delay) => format!("{why}; reconnecting in {}", seconds(delay)),
            None => why.to_owned(),
        });
    }

    pub(crate) fn gave_up(&self, error: &Error) {
        if let Some(fault) = error.fault() {
            self.withheld_before(fault);
        }
        self.warn(|| match error {
            Error::NotRepeated(fault) => format!("gave up: {}; {NOT_REPEATED}", chain(fault)),
            _ => format!("gave up: {}", chain(error)),
        });
    }

    fn discarded(&self, end: &End) {
        if end.discarded_bytes > 0 {
            self.warn(|| {
                format!(
                    "discarded {} bytes of an unfinished event: the stream ended before its blank line",
                    end.discarded_bytes
                )
            });
        }
        if let Some(text) = &end.ignored_text {
            self.warn(|| {
                format!(
                    "the response had no events; it began with: {}",
                    OneLine(text)
                )
            });
        }
    }

    fn withheld_before(&self, fault: &Fault) {
        if let Some(response) = fault.response() {
            self.withheld(&response.withheld_headers, Some(&response.url));
        }
    }

    #[cfg(feature = "http")]
    fn withheld(&self, names: &[String], url: Option<&str>) {
        use everstream_http::policy::withheld_message;
        if let Some(text) = withheld_message(names, url.unwrap_or_default()) {
            self.warn(|| OneLine(&text).to_string());
        }
    }

    #[cfg(not(feature = "http"))]
    #[allow(clippy::unused_self)]
    fn withheld(&self, _: &[String], _: Option<&str>) {}

    fn info(&self, line: impl FnOnce() -> String) {
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "everstream", tracing::Level::INFO) {
            let line = line();
            tracing::info!(target: "everstream", "{line}");
            return self.sink(LogLevel::Info, || line);
        }
        self.sink(LogLevel::Info, line);
    }

    fn warn(&self, line: impl FnOnce() -> String) {
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "everstream", tracing::Level::WARN) {
            let line = line();
            tracing::warn!(target: "everstream", "{line}");
            return self.sink(LogLevel::Warn, || line);
        }
        self.sink(LogLevel::Warn, line);
    }

    fn sink(&self, level: LogLevel, line: impl FnOnce() -> String) {
        if let Some(sink) = &self.sink {
            sink(level, line());
        }
    }
}

/// What happened, and its causes.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some say what is below them too.
        if !line.ends_with(&text) {
            line += &format!(": {text}");
        }
        cause = error.source();
    }
    OneLine(&line).to_string()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Servers and sources choose part of these texts: what can't be seen, ends a line or changes the
/// direction of text is escaped.
struct OneLine<'a>(&'a str);

fn is_escaped(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|char| match is_escaped(char) {
            true => write!(f, "{}", char.escape_debug()),
            false => f.write_char(char),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_a_server_or_a_source_says_stays_one_line_and_in_its_direction() {
        let (sender, lines) = mpsc::channel();
        let sink = move |_, line| sender.send(line).unwrap();
        let log = Log {
            name: None,
            sink: Some(Box::new(sink)),
        };
        let said = "a\nb\u{2028}c\u{2029}d\u{202e}e\u{2066}f\u{61c}g\u{85}h\u{1b}";
        let escaped = r"a\nb\u{2028}c\u{2029}d\u{202e}e\u{2066}f\u{61c}g\u{85}h\u{1b}";

        let mut start = Start::default();
        start.url = Some(format!("https://a.test/{said}"));
        log.connected(&start);
        assert_eq!(
            lines.try_recv().unwrap(),
            format!("connected to https://a.test/{escaped}")
        );

        let mut end = End::default();
        end.ignored_text = Some(said.to_owned());
        log.ended("the stream ended", &end, None);
        let line = lines.try_recv().unwrap();
        assert!(line.ends_with(escaped), "{line}");
        _ = lines.try_recv();

        log.lost(&Fault::Connect(said.into()), Duration::ZERO, false);
        let line = lines.try_recv().unwrap();
        assert!(line.contains(escaped), "{line}");
    }
}
