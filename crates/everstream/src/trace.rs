//! Logging: with the feature `tracing`, and to the Python package's loggers.
//!
//! Each thing a user should know is one line: connections and clean ends at `info`, everything that goes
//! wrong at `warn`. Lines contain no secrets: URLs are redacted, and header values are never logged, except
//! `Last-Event-ID`.

use std::borrow::Cow;
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

/// How many characters of an id are logged.
const MAX_ID_SHOWN: usize = 100;

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
    /// `last_event_id`: the one that the request carried.
    pub(crate) fn connected(&self, start: &Start, last_event_id: Option<&str>) {
        self.info(|| {
            let mut line = "connected".to_owned();
            let url = start.url.as_deref().map(|url| RedactedUrl(url).to_string());
            if let Some(to) = url.or_else(|| self.name.clone()) {
                line += &format!(" to {}", OneLine(&to));
            }
            if let Some(status) = start.status {
                line += &format!(", status {status}");
            }
            if let Some(id) = last_event_id {
                line += &format!(", resuming after id \"{}\"", OneLine(&shortened(id)));
            }
            line
        });
        self.warn_withheld(&start.withheld_headers, start.url.as_deref());
    }

    /// Logs a fault after which the client reconnects in `retry`. `has_connected`: at least one connection
    /// has been established.
    pub(crate) fn connection_lost(&self, fault: &Fault, retry: Duration, has_connected: bool) {
        self.warn_withheld_by_fault(fault);
        self.warn(|| format!("{}; retrying in {}", described(fault), seconds(retry)));
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

    /// Logs an error that the user gets. A program that calls `start()` again after each of them is a
    /// common way to retry, so this doesn't say that anyone has given up.
    pub(crate) fn failed(&self, error: &Error) {
        if let Some(fault) = error.fault() {
            self.warn_withheld_by_fault(fault);
        }
        self.warn(|| match error {
            Error::NotRepeated(fault) => format!("{}; {NOT_REPEATED}", described(fault)),
            Error::Fault(fault) => format!("{}; not retried automatically", described(fault)),
            _ => chain(error),
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

/// A fault and its causes, and how long the server asked the client to wait, in one line.
fn described(fault: &Fault) -> String {
    match fault.retry_after() {
        Some(wait) => format!("{} (Retry-After: {} s)", chain(fault), wait.as_secs()),
        None => chain(fault),
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // The messages of some errors include that of their cause. The cause may also be the exception
        // from which the fault was made, shown with its class.
        if !line.ends_with(&text) && !is_same_with_class(&text, &line) {
            line += &format!(": {text}");
        }
        cause = error.source();
    }
    OneLine(&line).to_string()
}

/// Whether `text` is a class, a colon and `message`.
fn is_same_with_class(text: &str, message: &str) -> bool {
    let class = text.strip_suffix(message);
    let class = class.and_then(|class| class.strip_suffix(": "));
    class.is_some_and(|class| !class.contains([' ', ':']))
}

/// The beginning of a long id, and its length: an id may be as long as an event.
fn shortened(id: &str) -> Cow<'_, str> {
    match id.char_indices().nth(MAX_ID_SHOWN) {
        Some((end, _)) => format!("{}... ({} bytes)", &id[..end], id.len()).into(),
        None => Cow::Borrowed(id),
    }
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
    use std::sync::{Arc, mpsc};

    use everstream_core::ErrorResponse;

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
        log.connected(&start, Some(text));
        assert_eq!(
            lines.try_recv().unwrap(),
            format!("connected to https://a.test/{escaped}, resuming after id \"{escaped}\"")
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

    #[test]
    fn a_long_id_is_shortened() {
        let (sender, lines) = mpsc::channel();
        let sink = move |_, line| sender.send(line).unwrap();
        let log = Log {
            name: None,
            sink: Some(Box::new(sink)),
        };
        log.connected(&Start::default(), Some(&"ü".repeat(101)));
        let shown = "ü".repeat(100);
        assert_eq!(
            lines.try_recv().unwrap(),
            format!("connected, resuming after id \"{shown}... (202 bytes)\"")
        );
    }

    #[test]
    fn a_cause_that_repeats_the_message_is_omitted() {
        let cause = |text: &str| {
            let mut response = ErrorResponse::new(503);
            response.url = "https://a.test/".to_owned();
            response.cause = Some(Arc::new(std::io::Error::other(text)));
            chain(&Fault::Status(Box::new(response)))
        };
        let message = "https://a.test/ answered with status 503";
        assert_eq!(cause(message), message);
        assert_eq!(cause(&format!("HTTPStatusError: {message}")), message);
        let other = "HTTPStatusError: out of stock";
        assert_eq!(cause(other), format!("{message}: {other}"));
        let longer = format!("behind a proxy: {message}");
        assert_eq!(cause(&longer), format!("{message}: {longer}"));
    }
}
