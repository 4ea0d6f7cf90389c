//! Logging: with the feature `tracing`, and to the Python package's loggers.
//!
//! Each thing a user should know is one line: connections and clean ends at `info`, everything that goes
//! wrong at `warn`. Lines contain no secrets: URLs are redacted, and header values are never logged.

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

/// The level of a log line.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // it isn't part of the API
pub enum LogLevel {
    Info,
    Warn,
}

/// Logs what one client does, to `tracing` and to `sink`.
#[derive(Default)]
pub(crate) struct Log {
    /// Names the source, if it has no URL.
    pub(crate) name: Option<String>,
    /// Not in a browser: it would link every line into programs that log nothing.
    #[cfg(not(target_family = "wasm"))]
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
        self.warn_withheld(&start.withheld_headers, start.url.as_deref());
    }

    /// Logs a fault after which the client reconnects in `retry`. `has_connected`: at least one connection
    /// has been established.
    pub(crate) fn connection_lost(&self, fault: &Fault, retry: Duration, has_connected: bool) {
        self.warn_withheld_by_fault(fault);
        self.warn(|| format!("{}; retrying in {}", chain(fault), seconds(retry)));
        if let Some(warning) = fault.retry_warning().filter(|_| has_connected) {
            self.warn(|| warning.to_owned());
        }
    }

    /// Logs an end of the stream, after which the client reconnects in `retry`, if at all.
    pub(crate) fn stream_ended(&self, why: &str, end: &End, retry: Option<Duration>) {
        self.warn_discarded(end);
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
            self.warn_withheld_by_fault(fault);
        }
        self.warn(|| match error {
            Error::NotRepeated(fault) => format!("gave up: {}; {NOT_REPEATED}", chain(fault)),
            _ => format!("gave up: {}", chain(error)),
        });
    }

    fn warn_discarded(&self, end: &End) {
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

    fn warn_withheld_by_fault(&self, fault: &Fault) {
        if let Some(response) = fault.response() {
            self.warn_withheld(&response.withheld_headers, Some(&response.url));
        }
    }

    #[cfg(all(feature = "http", not(target_family = "wasm")))]
    fn warn_withheld(&self, names: &[String], url: Option<&str>) {
        use everstream_http::policy::withheld_message;
        if let Some(text) = withheld_message(names, url.unwrap_or_default()) {
            self.warn(|| OneLine(&text).to_string());
        }
    }

    /// A browser follows redirects itself.
    #[cfg(any(not(feature = "http"), target_family = "wasm"))]
    #[allow(clippy::unused_self)]
    fn warn_withheld(&self, _: &[String], _: Option<&str>) {}

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

    #[cfg(not(target_family = "wasm"))]
    fn sink(&self, level: LogLevel, line: impl FnOnce() -> String) {
        if let Some(sink) = &self.sink {
            sink(level, line());
        }
    }

    #[cfg(target_family = "wasm")]
    #[allow(clippy::unused_self)]
    fn sink(&self, _: LogLevel, _: impl FnOnce() -> String) {}
}

/// An error and its causes, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // The messages of some errors include that of their cause.
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

/// Text that may be chosen by a server or a source, printed in one line: line breaks, invisible
/// characters and those that change the direction of text are escaped.
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
    fn line_breaks_and_bidi_controls_from_servers_are_escaped() {
        let (sender, lines) = mpsc::channel();
        let sink = move |_, line| sender.send(line).unwrap();
        let log = Log {
            name: None,
            sink: Some(Box::new(sink)),
        };
        let text = "a\nb\u{2028}c\u{2029}d\u{202e}e\u{2066}f\u{61c}g\u{85}h\u{1b}";
        let escaped = r"a\nb\u{2028}c\u{2029}d\u{202e}e\u{2066}f\u{61c}g\u{85}h\u{1b}";

        let mut start = Start::default();
        start.url = Some(format!("https://a.test/{text}"));
        log.connected(&start);
        assert_eq!(
            lines.try_recv().unwrap(),
            format!("connected to https://a.test/{escaped}")
        );

        let mut end = End::default();
        end.ignored_text = Some(text.to_owned());
        log.stream_ended("the stream ended", &end, None);
        let line = lines.try_recv().unwrap();
        assert!(line.ends_with(escaped), "{line}");
        _ = lines.try_recv();

        log.connection_lost(&Fault::Connect(text.into()), Duration::ZERO, false);
        let line = lines.try_recv().unwrap();
        assert!(line.contains(escaped), "{line}");
    }
}
