//! The terminal: what it supports, and what its last line shows.
//!
//! Standard output and standard error may share one terminal. Before either writes, it must know
//! what the other left on the last line.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// The status line is on the screen, below everything else.
static STATUS_SHOWN: AtomicBool = AtomicBool::new(false);

/// The last line of the output has no line end yet, as with --join-output.
static LINE_OPEN: AtomicBool = AtomicBool::new(false);

/// Moves to the start of the line and erases it.
const ERASE_LINE: &str = "\r\x1b[K";

// Until check/ uses the new name.

/// Whether to use colors: on a terminal that supports them, unless NO_COLOR is set
/// (<https://no-color.org>).
pub(crate) fn colors(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    terminal && !set("NO_COLOR") && !dumb_terminal()
}

/// Whether the terminal supports no escape sequences.
pub(crate) fn dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The number of columns, if this is a terminal.
#[cfg(unix)]
pub(crate) fn width(of: impl std::os::fd::AsFd) -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(of)?;
    Some(usize::from(width.0)).filter(|columns| *columns > 0)
}

/// The number of columns, if this is a terminal.
#[cfg(not(unix))]
pub(crate) fn width(_of: impl Sized) -> Option<usize> {
    let (width, _) = terminal_size::terminal_size()?;
    Some(usize::from(width.0)).filter(|columns| *columns > 0)
}

/// Replaces the status line. It has no line end, so that the next one can replace it too.
pub(crate) fn show_status(text: &str) {
    STATUS_SHOWN.store(true, Ordering::Relaxed);
    _ = io::stderr().write_all(format!("{ERASE_LINE}{text}").as_bytes());
}

/// Removes the status line, before something else is written.
pub(crate) fn erase_status() {
    if STATUS_SHOWN.swap(false, Ordering::Relaxed) {
        _ = io::stderr().write_all(ERASE_LINE.as_bytes());
    }
}

/// Sets whether the output has left its last line without a line end.
pub(crate) fn set_line_open(open: bool) {
    LINE_OPEN.store(open, Ordering::Relaxed);
}

/// Whether to end a line of the output first. The caller ends it.
pub(crate) fn take_open_line() -> bool {
    LINE_OPEN.swap(false, Ordering::Relaxed)
}
