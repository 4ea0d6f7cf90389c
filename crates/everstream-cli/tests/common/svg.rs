//! A terminal's screen as a picture (SVG 1.1), each piece of text at its columns.

use std::fmt::Write as _;

use vt100::Color;

/// Sizes in pixels: a column, a row, the margin and the title.
const COLUMN: f64 = 8.4;
const ROW: f64 = 18.0;
const MARGIN: f64 = 12.0;
const TITLE: f64 = 28.0;

/// The colors for a reader who prefers light or dark pages.
pub(crate) struct Palette {
    pub(crate) paper: &'static str,
    pub(crate) ink: &'static str,
    pub(crate) faint: &'static str,
    /// The sixteen colors, as terminals number them.
    pub(crate) colors: [&'static str; 16],
}

pub(crate) const LIGHT: Palette = Palette {
    paper: "#f6f8fa",
    ink: "#1f2328",
    faint: "#59636e",
    colors: [
        "#24292f", "#bc1c27", "#116329", "#7d4e00", "#0757ba", "#7a3fcf", "#14666d", "#59636e",
        "#57606a", "#a40e26", "#1a6d36", "#6f4400", "#0b5ec4", "#8449d6", "#1b6c80", "#4b535d",
    ],
};

pub(crate) const DARK: Palette = Palette {
    paper: "#1c2128",
    ink: "#d1d7e0",
    faint: "#9198a1",
    colors: [
        "#8b949e", "#f47067", "#57ab5a", "#c69026", "#539bf5", "#b083f0", "#39c5cf", "#909dab",
        "#9198a1", "#ff938a", "#6bc46d", "#daaa3f", "#6cb6ff", "#dcbdfb", "#56d4dd", "#cdd9e5",
    ],
};

/// Faint text, as [`faint_as_color`] writes it.
const FAINT_NUMBER: u8 = 244;

/// The terminal parser doesn't support faint text; a gray of the 256 colors represents it.
pub(crate) fn faint_as_color(written: &str) -> String {
    written
        .replace("\x1b[2m", "\x1b[38;5;244m")
        .replace("\x1b[22m", "\x1b[22;39m")
}

/// The text and style of a cell.
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
    fn ink(self) -> String {
        if self.inverse {
            return class(self.paper, "paper");
        }
        class(self.ink, "ink")
    }

    /// `None`: the screen's default.
    fn paper(self) -> Option<String> {
        match (self.inverse, self.paper) {
            (true, _) => Some(class(self.ink, "ink")),
            (false, Color::Default) => None,
            (false, paper) => Some(class(paper, "paper")),
        }
    }
}

/// The name of a color in the picture's style sheet.
fn class(color: Color, default: &str) -> String {
    match color {
        Color::Idx(FAINT_NUMBER) => "faint".into(),
        Color::Idx(number @ 0..16) => format!("c{number}"),
        _ => default.into(),
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
        // The second half of a wide character has no style.
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
        columns as f64 * COLUMN + 2.0 * MARGIN,
        rows.len() as f64 * ROW + TITLE + MARGIN,
    );
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img">
<title>{}</title>
<style>
{}@media (prefers-color-scheme: dark) {{
{}}}
.window {{ stroke: #8b949e }}
.bold {{ font-weight: bold }}
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace }}
</style>
<rect class="window paper" x="0.5" y="0.5" width="{:.0}" height="{:.0}" rx="8"/>
"#,
        escape(title),
        rules(&LIGHT),
        rules(&DARK),
        width - 1.0,
        height - 1.0,
    );
    let columns = title.chars().count();
    write_text(&mut svg, title, columns, MARGIN, 19.0, "faint");
    for (number, row) in rows.iter().enumerate() {
        let top = TITLE + number as f64 * ROW;
        let mut column = 0;
        for run in row.chunk_by(|a, b| a.look == b.look) {
            write_run(&mut svg, run, column, top);
            column += run.len();
        }
    }
    svg += "</svg>\n";
    svg
}

fn rules(palette: &Palette) -> String {
    let mut rules = format!(
        ".paper {{ fill: {} }} .ink {{ fill: {} }} .faint {{ fill: {} }}\n",
        palette.paper, palette.ink, palette.faint
    );
    for (number, color) in palette.colors.iter().enumerate() {
        let end = if number % 4 == 3 { '\n' } else { ' ' };
        _ = write!(rules, ".c{number} {{ fill: {color} }}{end}");
    }
    rules
}

/// Cells of the same style, from this column on.
fn write_run(svg: &mut String, run: &[Cell], column: usize, top: f64) {
    let look = run[0].look;
    let left = |column: usize| MARGIN + column as f64 * COLUMN;
    if let Some(paper) = look.paper() {
        _ = writeln!(
            svg,
            r#"<rect class="{paper}" x="{:.1}" y="{top:.1}" width="{:.1}" height="{ROW}"/>"#,
            left(column),
            run.len() as f64 * COLUMN,
        );
    }
    let mut class = look.ink();
    if look.bold {
        class += " bold";
    }
    let mut begin = 0;
    while begin < run.len() {
        if run[begin].text == " " {
            begin += 1;
            continue;
        }
        let length = piece(&run[begin..]);
        let text: String = run[begin..begin + length]
            .iter()
            .map(|cell| cell.text.as_str())
            .collect();
        let left = left(column + begin);
        write_text(svg, &text, length, left, top + 13.5, &class);
        begin += length;
    }
}

/// How many cells form one text. Browsers collapse spaces, and disagree on how to prevent it, so a
/// text has no two spaces in a row, and none next to a drawn character.
fn piece(cells: &[Cell]) -> usize {
    let ends = |at: usize| match cells.get(at) {
        None => true,
        Some(cell) if cell.text != " " => false,
        Some(_) => match cells.get(at + 1) {
            None => true,
            Some(next) => next.text == " " || is_drawn(&next.text) || is_drawn(&cells[at - 1].text),
        },
    };
    (1..).find(|at| ends(*at)).unwrap_or(cells.len())
}

/// Lines and blocks, which must touch each other.
fn is_drawn(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|one| matches!(one, '\u{2500}'..='\u{259f}'))
}

/// The text has an explicit length, because fonts differ in width: letters are moved, drawings are
/// stretched.
fn write_text(svg: &mut String, text: &str, columns: usize, left: f64, baseline: f64, class: &str) {
    let width = columns as f64 * COLUMN;
    let adjust = match is_drawn(text) {
        true => "spacingAndGlyphs",
        false => "spacing",
    };
    _ = writeln!(
        svg,
        r#"<text class="{class}" x="{left:.1}" y="{baseline:.1}" textLength="{width:.1}" lengthAdjust="{adjust}">{}</text>"#,
        escape(text),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
