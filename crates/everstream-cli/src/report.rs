//! News and errors, on standard error.
//!
//! Servers choose part of these texts, so that all of them are made [`visible`].

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use crate::print::{colours, visible};

/// News of the connection.
pub(crate) fn news(text: &str) {
    let text = visible(text);
    let stderr = io::stderr();
    if colours(stderr.is_terminal()) {
        line(&format!("\x1b[2meverstream: {text}\x1b[0m"));
    } else {
        line(&format!("everstream: {text}"));
    }
}

/// An error, with all that caused it.
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

/// Text that is our own.
pub(crate) fn raw(text: &str) {
    line(text);
}

/// All levels of an error, from the outermost to the cause.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause_text) {
            _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// In one write, so that lines of several processes don't mix. If nobody reads it, nobody misses
/// it; `eprintln!` would panic.
fn line(text: &str) {
    _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use everstream::Fault;

    #[test]
    fn every_cause_is_named_once() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let fault = Fault::Connect(refused.into());
        assert_eq!(chain(&fault), "could not connect: refused");
    }
}
