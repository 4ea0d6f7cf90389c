//! Messages and errors on standard error.
//!
//! Parts of these texts come from servers, so all of them are made [`visible`].

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use everstream_http::message_with_cause;

use crate::exit::Exit;
use crate::terminal::{colors, erase_status, take_open_line};
use crate::visible::visible;

/// Only errors are reported.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Why the command line can't be used, and what to try instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    what: String,
    hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Problem {
        Problem {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn because(what: &str, cause: &(dyn Error + 'static)) -> Problem {
        Problem::new(format!("{what}: {}", chain(cause)))
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Problem {
        Problem {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The problem, without the hint.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn tell(&self) -> Exit {
        error(&self.what, None);
        if let Some(text) = &self.hint {
            hint(text);
        }
        Exit::Usage
    }
}

/// How to get a feature that this command was built without. Names Git, because somebody else may
/// publish a package under this name.
pub(crate) fn how_to_build(feature: &str) -> String {
    format!(
        "build it with --features {feature}: \
         cargo install --git REPO everstream-cli --features {feature}"
    )
}

/// What the library's messages call a setting, and its option.
const OPTIONS: [(&str, &str); 4] = [
    ("(connect_timeout)", "(--connect-timeout)"),
    ("(read_timeout)", "(--read-timeout)"),
    ("(max_event_size)", "(--max-event-size)"),
    ("(until)", "(--until)"),
];

/// An error and its root cause, in one line, without the system's error number.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let text = message_with_cause(error);
    let mut text = OPTIONS.iter().fold(text, |text, (setting, option)| {
        text.replace(setting, option)
    });
    if let Some(at) = text.find(" (os error ") {
        let length = text[at..].find(')').map_or(0, |end| end + 1);
        text.replace_range(at..at + length, "");
    }
    text
}

/// From now on, reports only errors.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// A message about the connection.
pub(crate) fn info(text: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    let text = visible(text);
    let stderr = io::stderr();
    if colors(stderr.is_terminal()) {
        line(&format!("\x1b[2meverstream: {text}\x1b[0m"));
    } else {
        line(&format!("everstream: {text}"));
    }
}

/// Something that may be the cause of an error.
pub(crate) fn warning(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        line(&format!("everstream: warning: {}", visible(text)));
    }
}

/// An error, with what caused it.
pub(crate) fn error(what: &str, cause: Option<&(dyn Error + 'static)>) {
    let mut text = what.to_owned();
    if let Some(cause) = cause {
        _ = write!(text, ": {}", chain(cause));
    }
    line(&format!("everstream: error: {}", visible(&text)));
}

/// What to try next.
pub(crate) fn hint(text: &str) {
    line(&format!("everstream: hint: {}", visible(text)));
}

/// Text that is already safe to print.
pub(crate) fn raw(text: &str) {
    line(text);
}

/// In one write, so that lines of several processes don't mix. Errors are ignored; `eprintln!`
/// would panic.
fn line(text: &str) {
    erase_status();
    let stderr = io::stderr();
    let end = match stderr.is_terminal() && take_open_line() {
        true => "\n",
        false => "",
    };
    _ = stderr.lock().write_all(format!("{end}{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use everstream::Fault;

    use super::*;

    #[test]
    fn a_message_has_the_names_of_options_and_no_error_numbers() {
        let fault = Fault::ReadTimeout(std::time::Duration::from_secs(2));
        assert_eq!(chain(&fault), "no data received for 2 s (--read-timeout)");
        let fault = Fault::ResponseTimeout(std::time::Duration::from_secs(2));
        assert_eq!(chain(&fault), "no response within 2 s (--read-timeout)");
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(chain(&full), "No space left on device");
    }

    #[test]
    fn the_root_cause_is_named_once() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let fault = Fault::Connect(refused.into());
        assert_eq!(chain(&fault), "could not connect: refused");
        let library = Fault::Connect(Box::new(fault));
        let outer = Fault::Request(Box::new(library));
        assert_eq!(
            chain(&outer),
            "the request failed before a response arrived: refused"
        );
    }
}
