//! For people: a block per event.

use std::fmt::Write as _;
use std::time::SystemTime;

use everstream::Event;
use unicode_width::UnicodeWidthChar;

use super::json::{self, Kind};
use crate::visible::visible;

/// The layout of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colors: bool,
    /// The width of a line, if long lines and long data are cut.
    pub(super) cut_at: Option<usize>,
}

/// The number of lines of data shown per event.
const LINES_SHOWN: usize = 40;

/// Larger JSON is shown unformatted: the indentation of deep levels can be a hundred times as long
/// as the data.
const MAX_FORMATTED: usize = 1 << 20;

const INDENT: &str = "  ";

const PLAIN: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";

/// A piece of a line in one color; an empty one is the terminal's default.
type Span<'a> = (&'static str, std::borrow::Cow<'a, str>);

/// The time, the type and the id; the data below them; an empty line.
pub(super) fn event(out: &mut String, event: &Event, time: SystemTime, style: Style) {
    let mut head: Vec<Span<'_>> = vec![
        (DIM, clock(time).into()),
        ("", INDENT.into()),
        ("\x1b[1;36m", visible(event.event())),
    ];
    if let Some(id) = event.id() {
        head.push(("", INDENT.into()));
        head.push((DIM, format!("id {}", visible(id)).into()));
    }
    line(out, "", &head, style);
    let mut data = Data {
        out,
        style,
        lines: 0,
    };
    data.write(event.data());
    let more = match style.cut_at {
        Some(_) => data.lines.saturating_sub(LINES_SHOWN),
        None => 0,
    };
    if more > 0 {
        let plural = if more == 1 { "" } else { "s" };
        let more = format!("… {more} more line{plural} (--full shows all)");
        line(out, INDENT, &[(DIM, more.into())], style);
    }
    out.push('\n');
}

pub(super) fn comment(out: &mut String, text: &str, style: Style) {
    for part in text.split('\n') {
        line(
            out,
            "",
            &[(DIM, format!(": {}", visible(part)).into())],
            style,
        );
    }
    out.push('\n');
}

/// The time of day in UTC.
fn clock(time: SystemTime) -> String {
    let whole = super::rfc3339(time);
    whole.get(11..).unwrap_or_default().to_owned()
}

/// The data of one event, line by line.
struct Data<'a> {
    out: &'a mut String,
    style: Style,
    /// The number of lines, including those that aren't shown.
    lines: usize,
}

impl Data<'_> {
    /// Formats JSON objects and arrays; everything else stays unchanged.
    fn write(&mut self, data: &str) {
        let bracket = data.trim_start().starts_with(['{', '[']);
        if bracket && data.len() <= MAX_FORMATTED && json::is_json(data) {
            self.write_json(data);
        } else {
            for part in data.split('\n') {
                self.line(&[("", visible(part))]);
            }
        }
    }

    fn write_json(&mut self, data: &str) {
        let mut current: Vec<Span<'_>> = Vec::new();
        let mut depth: usize = 0;
        let mut opened = false;
        for (kind, token) in json::tokens(data) {
            if kind == Kind::Close {
                depth = depth.saturating_sub(1);
            }
            // Empty brackets stay on one line.
            if opened != (kind == Kind::Close) {
                self.end_line(&mut current, depth);
            }
            opened = kind == Kind::Open;
            if opened {
                depth += 1;
            }
            let color = match kind {
                Kind::Open | Kind::Close | Kind::Comma | Kind::Colon => "",
                Kind::Key => "\x1b[34m",
                Kind::Text => "\x1b[32m",
                Kind::Number => "\x1b[33m",
                Kind::Word => "\x1b[35m",
            };
            current.push((color, visible(token)));
            match kind {
                Kind::Colon => current.push(("", " ".into())),
                Kind::Comma => self.end_line(&mut current, depth),
                _ => {}
            }
        }
        self.line(&current);
    }

    /// Ends a line of JSON, and indents the next one.
    fn end_line(&mut self, current: &mut Vec<Span<'_>>, depth: usize) {
        self.line(current);
        current.clear();
        current.push(("", INDENT.repeat(depth).into()));
    }

    fn line(&mut self, spans: &[Span<'_>]) {
        self.lines += 1;
        if self.style.cut_at.is_none() || self.lines <= LINES_SHOWN {
            line(self.out, INDENT, spans, self.style);
        }
    }
}

/// One line, cut with an ellipsis where the terminal ends.
fn line(out: &mut String, indent: &str, spans: &[Span<'_>], style: Style) {
    out.push_str(indent);
    let room = style
        .cut_at
        .map(|columns| columns.saturating_sub(indent.len()));
    let mut left =
        room.filter(|room| spans.iter().map(|(_, text)| width(text)).sum::<usize>() > *room);
    for (color, text) in spans {
        let shown = match &mut left {
            None => text,
            Some(left) => {
                // The last column is for the ellipsis.
                let shown = beginning(text, left.saturating_sub(1));
                *left -= width(shown);
                shown
            }
        };
        if style.colors && !color.is_empty() && !shown.is_empty() {
            _ = write!(out, "{color}{shown}{PLAIN}");
        } else {
            out.push_str(shown);
        }
        if shown.len() < text.len() {
            out.push('…');
            break;
        }
    }
    out.push('\n');
}

/// The width of a character in columns.
fn columns(c: char) -> usize {
    match c {
        // An upper bound.
        '\t' => 8,
        _ => c.width().unwrap_or(0),
    }
}

fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The part of the text that fits into this number of columns.
pub(super) fn beginning(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices() {
        used += columns(c);
        if used > room {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visible::is_control;
    use std::time::Duration;

    const ALL: Style = Style {
        colors: false,
        cut_at: None,
    };

    fn block(one: &Event, style: Style) -> String {
        let mut out = String::new();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        event(&mut out, one, time, style);
        out
    }

    fn cut(columns: usize) -> Style {
        Style {
            cut_at: Some(columns),
            ..ALL
        }
    }

    #[test]
    fn a_block_shows_time_type_id_and_every_line() {
        let event = Event::new("price", "7 €\n8 €", Some("41"));
        assert_eq!(
            block(&event, ALL),
            "22:13:20.042Z  price  id 41\n  7 €\n  8 €\n\n"
        );
        let colored = Style {
            colors: true,
            ..ALL
        };
        assert_eq!(
            block(&Event::new("", "x", None), colored),
            "\x1b[2m22:13:20.042Z\x1b[0m  \x1b[1;36mmessage\x1b[0m\n  x\n\n"
        );
    }

    #[test]
    fn json_is_formatted_without_changing_values() {
        let data = r#"{"a":1.50,"b":[true,{}, []],"c":"x, y"}"#;
        let shown = block(&Event::new("", data, None), ALL);
        let expected = "\n  {\n    \"a\": 1.50,\n    \"b\": [\n      true,\n      {},\n      []\n    ],\n    \"c\": \"x, y\"\n  }\n\n";
        assert!(shown.ends_with(expected), "{shown}");
        // A single value needs no formatting.
        let shown = block(&Event::new("", "\"x\"", None), ALL);
        assert!(shown.ends_with("\n  \"x\"\n\n"), "{shown}");
    }

    #[test]
    fn json_is_colored() {
        let style = Style {
            colors: true,
            ..ALL
        };
        let shown = block(&Event::new("", r#"{"a":"b","c":[1,null]}"#, None), style);
        for part in [
            "\x1b[34m\"a\"\x1b[0m: \x1b[32m\"b\"\x1b[0m,\n",
            "\x1b[33m1\x1b[0m,\n",
            "\x1b[35mnull\x1b[0m\n",
        ] {
            assert!(shown.contains(part), "{shown:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_at_the_width() {
        let event = Event::new("", "0123456789\n01234567\n日本語日本", None);
        let shown = block(&event, cut(10));
        assert!(
            shown.ends_with("\n  0123456…\n  01234567\n  日本語…\n\n"),
            "{shown}"
        );
        for columns in 0..12 {
            block(&event, cut(columns));
        }
    }

    #[test]
    fn the_head_is_cut_too() {
        let event = Event::new(&"t".repeat(100), "x", Some("41"));
        let shown = block(&event, cut(20));
        assert_eq!(shown.lines().next().unwrap(), "22:13:20.042Z  tttt…");
    }

    #[test]
    fn long_data_is_cut_and_says_so() {
        let long = vec!["x"; 50].join("\n");
        let shown = block(&Event::new("", &long, None), cut(80));
        assert!(
            shown.ends_with("\n  … 10 more lines (--full shows all)\n\n"),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), 1 + 40 + 1 + 1);
        let shown = block(&Event::new("", &long, None), ALL);
        assert_eq!(shown.lines().count(), 1 + 50 + 1);
        let array = format!("[{}1]", "1,".repeat(99));
        let shown = block(&Event::new("", &array, None), cut(80));
        assert!(shown.contains("… 62 more lines"), "{shown}");
        let just_enough = vec!["x"; 40].join("\n");
        let shown = block(&Event::new("", &just_enough, None), cut(80));
        assert!(!shown.contains("more"), "{shown}");
    }

    #[test]
    fn control_characters_in_a_block_are_escaped() {
        let attack = "\x1b]0;owned\x07\u{9b}2J\r\x08\u{202e}";
        let in_json = format!("{{\"{attack}\":1}}").replace(|c: char| c < ' ', "");
        for data in [attack, &*in_json] {
            let shown = block(&Event::new(attack, data, Some(attack)), ALL);
            assert!(!shown.contains(|c| c != '\n' && is_control(c)), "{shown:?}");
        }
        let shown = block(&Event::new(attack, attack, Some(attack)), ALL);
        assert!(
            shown.contains(r"\u{1b}]0;owned\u{7}\u{9b}2J\u{d}\u{8}\u{202e}"),
            "{shown}"
        );
    }
}
