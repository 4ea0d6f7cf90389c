//! Events on standard output.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Stdout, Write};

use everstream::Event;

/// Writes events, each of them flushed.
pub(crate) struct Printer {
    out: Stdout,
    form: Form,
    /// Used again for every event, so that each is a single write.
    buffer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For people.
    Block { colours: bool },
    /// For programs: one JSON object per line.
    Ndjson,
}

impl Printer {
    /// Readable on a terminal, JSON otherwise.
    pub(crate) fn to_stdout() -> Printer {
        let out = io::stdout();
        let form = if out.is_terminal() {
            Form::Block {
                colours: colours(true),
            }
        } else {
            Form::Ndjson
        };
        Printer {
            out,
            form,
            buffer: String::new(),
        }
    }

    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        /// What the buffer keeps after an event that was larger.
        const KEPT: usize = 64 * 1024;
        self.buffer.clear();
        match self.form {
            Form::Block { colours } => block(&mut self.buffer, event, colours),
            Form::Ndjson => ndjson(&mut self.buffer, event),
        }
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.shrink_to(KEPT);
        self.out.flush()
    }
}

/// Whether to use colours: on a terminal that has them, unless <https://no-color.org> says no.
pub(crate) fn colours(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// The type and the id, the data below them, an empty line.
fn block(out: &mut String, event: &Event, colours: bool) {
    let (bold, dim, plain) = if colours {
        ("\x1b[1;36m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    _ = write!(out, "{bold}{}{plain}", visible(event.event()));
    if let Some(id) = event.id() {
        _ = write!(out, "  {dim}id {}{plain}", visible(id));
    }
    out.push('\n');
    for line in event.data().split('\n') {
        _ = writeln!(out, "  {}", visible(line));
    }
    out.push('\n');
}

/// An object with these keys in this order; `id` and `last_event_id` are null if there is none.
fn ndjson(out: &mut String, event: &Event) {
    out.push_str("{\"event\":");
    json_text(out, Some(event.event()));
    out.push_str(",\"data\":");
    json_text(out, Some(event.data()));
    out.push_str(",\"id\":");
    json_text(out, event.id());
    out.push_str(",\"last_event_id\":");
    json_text(out, event.last_event_id());
    out.push_str("}\n");
}

fn json_text(out: &mut String, text: Option<&str>) {
    // Text can always be written as JSON.
    let json = serde_json::to_string(&text).unwrap_or_else(|_| "null".to_owned());
    // JSON leaves DEL and the C1 controls as they are, and terminals obey some of them, should
    // the lines end up there after all.
    if json.contains(|c| matches!(c, '\x7f'..='\u{9f}')) {
        for c in json.chars() {
            match c {
                '\x7f'..='\u{9f}' => _ = write!(out, "\\u{:04x}", u32::from(c)),
                _ => out.push(c),
            }
        }
    } else {
        out.push_str(&json);
    }
}

/// Text that can't do anything to a terminal: control characters, and those that turn the
/// direction of writing, are shown as `\u{1b}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) {
            _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_control(c: char) -> bool {
    // Tabs do no harm. The rest are the bidirectional controls ("Trojan Source", 2021) and the two
    // separators that some terminals break lines at.
    (c.is_control() && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl Fn(&mut String, &Event), event: &Event) -> String {
        let mut out = String::new();
        print(&mut out, event);
        out
    }

    #[test]
    fn a_block_shows_type_id_and_every_line() {
        let event = Event::new("price", "7 €\n8 €", Some("41"));
        let plain = printed(|out, event| block(out, event, false), &event);
        assert_eq!(plain, "price  id 41\n  7 €\n  8 €\n\n");
        let event = Event::new("", "x", None);
        let coloured = printed(|out, event| block(out, event, true), &event);
        assert_eq!(coloured, "\x1b[1;36mmessage\x1b[0m\n  x\n\n");
    }

    #[test]
    fn no_part_of_a_block_reaches_the_terminal_as_a_control() {
        let attack = "\x1b]0;owned\x07\u{9b}2J\r\x08\u{202e}";
        let event = Event::new(attack, attack, Some(attack));
        let shown = printed(|out, event| block(out, event, false), &event);
        assert!(!shown.contains(|c| c != '\n' && is_control(c)), "{shown:?}");
        assert!(
            shown.contains(r"\u{1b}]0;owned\u{7}\u{9b}2J\u{d}\u{8}\u{202e}"),
            "{shown}"
        );
    }

    #[test]
    fn json_has_the_four_keys_in_order() {
        let event = Event::new("", "a\n\"é\"", None);
        assert_eq!(
            printed(ndjson, &event),
            "{\"event\":\"message\",\"data\":\"a\\n\\\"é\\\"\",\"id\":null,\"last_event_id\":null}\n"
        );
    }

    #[test]
    fn json_escapes_what_terminals_obey_and_means_the_same() {
        let event = Event::new("", "\x1b\x7f\u{9b}", Some(""));
        let line = printed(ndjson, &event);
        assert!(line.contains(r#""\u001b\u007f\u009b""#), "{line}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["data"], "\x1b\x7f\u{9b}");
        assert_eq!(parsed["id"], "");
    }
}
