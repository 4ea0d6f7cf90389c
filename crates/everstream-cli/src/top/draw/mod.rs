//! Draws the screen. No input, no output.
//!
//! | file | subject |
//! |---|---|
//! | `list.rs` | all streams, a line each |
//! | `detail.rs` | one stream |
//! | `words.rs` | numbers and texts in a few columns |

mod detail;
mod list;
mod words;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::rates::Rates;
use super::stream::{State, Stream};
use super::view::{Page, View};

/// The minimum height for details of the selected stream below the list.
const PANEL_ROWS: u16 = 7;

/// Colors, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colors: bool,
}

impl Look {
    fn color(self, color: Color) -> Style {
        if self.colors {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    fn state(self, state: State) -> Style {
        match state {
            State::Connecting | State::Retrying { .. } => self.color(Color::Yellow),
            State::Connected { .. } => self.color(Color::Green),
            State::Ended => self.color(Color::Red),
        }
    }
}

/// Draws all of it, as of `now`.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, live: &[Stream], now: Duration, look: Look) {
    let (streams, now) = view.shown(live, now);
    let matching = view.matching(streams);
    let selected = view.selected(&matching);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());

    frame.render_widget(headline(view, streams, now, look), top);
    match selected.map(|row| matching[row]) {
        None => frame.render_widget(
            Paragraph::new("\n no stream's URL or event type contains this"),
            middle,
        ),
        Some(index) if view.page == Page::Detail => {
            detail::draw(frame, middle, view, &streams[index], index, now, look);
        }
        Some(index) => {
            let panel = if middle.height >= 2 * PANEL_ROWS {
                PANEL_ROWS
            } else {
                0
            };
            let [table, panel] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(panel)]).areas(middle);
            list::draw(frame, table, streams, &matching, selected, now, look);
            detail::summary(frame, panel, &streams[index], index, now, look);
        }
    }
    frame.render_widget(footer(view, look), bottom);
    if view.help {
        help(frame, middle);
    }
}

fn headline<'a>(view: &View, streams: &[Stream], now: Duration, look: Look) -> Line<'a> {
    let number = |is: fn(&State) -> bool| streams.iter().filter(|s| is(&s.state)).count();
    let rate: f64 = streams.iter().map(|stream| stream.rates.rate(now)).sum();
    let plural = if streams.len() == 1 { "" } else { "s" };
    let mut line = Line::from(Span::from(" everstream top ").bold());
    if view.is_paused() {
        line.push_span(Span::from(" PAUSED ").reversed());
    }
    line.push_span(format!(
        " {}  {}  {} stream{plural}",
        clock(now),
        words::rate(rate),
        streams.len()
    ));
    for (count, name, state) in [
        (
            number(|s| matches!(s, State::Connected { .. })),
            "connected",
            State::Connected { since: now },
        ),
        (
            number(|s| matches!(s, State::Connecting)),
            "connecting",
            State::Connecting,
        ),
        (
            number(|s| matches!(s, State::Retrying { .. })),
            "retrying",
            State::Connecting,
        ),
        (number(|s| matches!(s, State::Ended)), "ended", State::Ended),
    ] {
        if count > 0 {
            line.push_span("  ");
            line.push_span(Span::styled(format!("{count} {name}"), look.state(state)));
        }
    }
    line
}

fn footer<'a>(view: &'a View, look: Look) -> Line<'a> {
    if view.typing {
        return Line::from(vec![
            Span::from(" filter: ").bold(),
            Span::from(view.filter.as_str()),
            Span::from(" ").reversed(),
            Span::from("  Enter keeps it, Esc clears it").dim(),
        ]);
    }
    let back = if view.page == Page::Detail {
        "back"
    } else {
        "quit"
    };
    let mut line = Line::default();
    if !view.filter.is_empty() {
        line.push_span(Span::styled(
            format!(" filter: {} ", view.filter),
            look.color(Color::Yellow),
        ));
    }
    for (key, what) in [
        ("↑↓", "select"),
        ("Enter", "details"),
        ("p", "pause"),
        ("f", "filter"),
        ("?", "help"),
        ("Esc", back),
        ("q", "quit"),
    ] {
        line.push_span(Span::from(format!(" {key} ")).bold());
        line.push_span(Span::from(what).dim());
    }
    line
}

/// Shown over the page, in its middle.
fn help(frame: &mut Frame<'_>, area: Rect) {
    const KEYS: &str = "\
 ↑ ↓ j k            select a stream
 PgUp PgDn Home End select, in larger steps
 Enter              details of the stream
 f /                show streams and events whose
                    URL or type contains a text
 p                  pause the display, not the streams
 Ctrl-L             redraw the screen
 Ctrl-Z             suspend, until fg
 Esc                back; in the list: quit
 q Ctrl-C           quit";
    let [area] = Layout::horizontal([Constraint::Length(54)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [area] = Layout::vertical([Constraint::Length(12)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(KEYS).block(Block::bordered().title(" Keys ")),
        area,
    );
}

/// The state of a stream, after the reason of an outage.
fn state(stream: &Stream, now: Duration) -> String {
    let state = match stream.state {
        _ if stream.no_response => "no reply".into(),
        State::Connecting => "connecting".into(),
        State::Connected { .. } => "connected".into(),
        State::Retrying { until } => match until.saturating_sub(now) {
            Duration::ZERO => "connecting".into(),
            left => format!("retry in {}", words::age(left + Duration::from_millis(999))),
        },
        State::Ended => "ended".into(),
    };
    match &stream.outage {
        // The server ended it, without an error.
        Some(reason) if *reason != state => format!("{reason}, {state}"),
        _ => state,
    }
}

/// How long ago something happened.
fn since(time: Option<Duration>, now: Duration) -> String {
    time.map_or_else(|| "-".into(), |time| words::age(now.saturating_sub(time)))
}

fn history<'a>(rates: &Rates, now: Duration, columns: usize, look: Look) -> Span<'a> {
    Span::styled(rates.sparkline(now, columns), look.color(Color::Cyan))
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests;
