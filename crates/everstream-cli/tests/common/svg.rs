//! A terminal's screen as a picture (SVG 1.1): text that can be selected, each run of one look where
//! its columns are.

use std::fmt::Write as _;

use vt100::Color;

/// A column, a row, and what is around all of them, in pixels.
const COLUMN: f64 = 8.4;
const ROW: f64 = 18.0;
const EDGE: f64 = 12.0;
const TITLE: f64 = 28.0;

/// Light on dark, with an edge that is seen on any page.
const PAPER: &str = "#1c2128";
const INK: &str = "#d1d7e0";
const FAINT: &str = "#8b949e";

/// The sixteen colours, as terminals number them.
const COLOURS: [&str; 16] = [
    "#545d68", "#f47067", "#57ab5a", "#c69026", "#539bf5", "#b083f0", "#39c5cf", "#909dab",
    "#636e7b", "#ff938a", "#6bc46d", "#daaa3f", "#6cb6ff", "#dcbdfb", "#56d4dd", "#cdd9e5",
];

/// Faint text, as [`faint_as_colour`] writes it.
const FAINT_NUMBER: u8 = 244;

/// The terminal's parser knows no faint text; a grey of the 256 colours stands for it.
pub(crate) fn faint_as_colour(written: &str) -> String {
    written
        .replace("\x1b[2m", "\x1b[38;5;244m")
        .replace("\x1b[22m", "\x1b[22;39m")
}

/// A cell's text and look.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    ink: Color,
    paper: Color,
    bold: bool,
    inverse: bool,
}

impl Look {
    fn ink(self) -> &'static str {
        if self.inverse {
            return colour(self.paper, PAPER);
        }
        colour(self.ink, INK)
    }

    /// `None`: that of the screen.
    fn paper(self) -> Option<&'static str> {
        match (self.inverse, self.paper) {
            (true, _) => Some(colour(self.ink, INK)),
            (false, Color::Default) => None,
            (false, paper) => Some(colour(paper, PAPER)),
        }
    }
}

fn colour(colour: Color, default: &'static str) -> &'static str {
    match colour {
        Color::Idx(FAINT_NUMBER) => FAINT,
        Color::Idx(number @ 0..16) => COLOURS[usize::from(number)],
        _ => default,
    }
}

/// The rows of a screen; a wide character has two cells, of which the second one is empty.
pub(crate) fn rows(screen: &vt100::Screen) -> Vec<Vec<Cell>> {
    let (rows, columns) = screen.size();
    let cell = |row, column| {
        let cell = screen.cell(row, column).unwrap();
        let text = match cell.contents() {
            text if text.is_empty() && !cell.is_wide_continuation() => " ".to_owned(),
            text => text,
        };
        // The second half of a wide character has no look of its own.
        let first = column - u16::from(cell.is_wide_continuation());
        let cell = screen.cell(row, first).unwrap();
        let look = Look {
            ink: cell.fgcolor(),
            paper: cell.bgcolor(),
            bold: cell.bold(),
            inverse: cell.inverse(),
        };
        Cell { text, look }
    };
    (0..rows)
        .map(|row| (0..columns).map(|column| cell(row, column)).collect())
        .collect()
}

/// The picture of these rows, in a window with this title.
pub(crate) fn picture(title: &str, rows: &[Vec<Cell>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let (width, height) = (
        columns as f64 * COLUMN + 2.0 * EDGE,
        rows.len() as f64 * ROW + TITLE + EDGE,
    );
    let title = escape(title);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img">
<title>{title}</title>
<rect x="0.5" y="0.5" width="{:.0}" height="{:.0}" rx="8" fill="{PAPER}" stroke="{FAINT}"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" xml:space="preserve">
<text x="{EDGE}" y="19" fill="{FAINT}">{title}</text>
"#,
        width - 1.0,
        height - 1.0,
    );
    for (number, row) in rows.iter().enumerate() {
        let top = TITLE + number as f64 * ROW;
        let mut column = 0;
        for run in row.chunk_by(|a, b| a.look == b.look) {
            write_run(&mut svg, run, EDGE + column as f64 * COLUMN, top);
            column += run.len();
        }
    }
    svg += "</g>\n</svg>\n";
    svg
}

fn write_run(svg: &mut String, run: &[Cell], left: f64, top: f64) {
    let look = run[0].look;
    let width = run.len() as f64 * COLUMN;
    if let Some(paper) = look.paper() {
        _ = writeln!(
            svg,
            r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{ROW}" fill="{paper}"/>"#
        );
    }
    let text: String = run.iter().map(|cell| cell.text.as_str()).collect();
    // What is empty at the ends needs no text.
    let begin = run.iter().take_while(|cell| cell.text == " ").count();
    let end = run.len() - run.iter().rev().take_while(|cell| cell.text == " ").count();
    if begin >= end {
        return;
    }
    let (left, width) = (left + begin as f64 * COLUMN, (end - begin) as f64 * COLUMN);
    let weight = if look.bold {
        r#" font-weight="bold""#
    } else {
        ""
    };
    _ = writeln!(
        svg,
        // The length, because no two fonts are equally wide.
        r#"<text x="{left:.1}" y="{:.1}" textLength="{width:.1}" lengthAdjust="spacingAndGlyphs" fill="{}"{weight}>{}</text>"#,
        top + 13.5,
        look.ink(),
        escape(text.trim_matches(' ')),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What is wrong with a picture as XML: every element is closed, every attribute in quotes, and
/// `&` only begins what it escapes.
pub(crate) fn fault(svg: &str) -> Option<String> {
    if !svg.starts_with("<svg ") {
        return Some("it doesn't begin with <svg".into());
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg.trim_end();
    while let Some((text, tail)) = rest.split_once('<') {
        let escapes = text.split('&').skip(1);
        if let Some(bad) = escapes
            .clone()
            .find(|e| !["amp;", "lt;", "gt;"].iter().any(|k| e.starts_with(k)))
        {
            return Some(format!("a bare & before {bad:?}"));
        }
        if text.contains('>') || (open.is_empty() && !text.is_empty()) {
            return Some(format!("text where there is none: {text:?}"));
        }
        let Some((tag, after)) = tail.split_once('>') else {
            return Some(format!("a tag without an end: {tail:?}"));
        };
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => continue,
                opened => return Some(format!("{name:?} closes {opened:?}")),
            }
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let attributes = attributes.trim_end_matches('/');
        let quotes = attributes.matches('"').count();
        if quotes % 2 != 0 || quotes != 2 * attributes.matches('=').count() {
            return Some(format!("attributes of {name:?}: {attributes}"));
        }
        if !tag.ends_with('/') {
            open.push(name.trim_end_matches('/'));
        }
    }
    match (open.pop(), rest) {
        (Some(left), _) => Some(format!("{left:?} isn't closed")),
        (None, "") => None,
        (None, rest) => Some(format!("text after the end: {rest:?}")),
    }
}
