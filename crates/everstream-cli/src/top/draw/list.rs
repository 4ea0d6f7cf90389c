//! All streams, a line each.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table, TableState};

use super::words::{self, middle_cut};
use super::{Look, history, since, state};
use crate::top::reason;
use crate::top::stream::Stream;

/// The minimum width of a URL; other columns are hidden to make room.
const URL: u16 = 20;

/// The width of the state while all is well.
const STATE: u16 = 10;

/// The width of a state with a reason: `DNS error, retry in 59 min`.
const OUTAGE: u16 = reason::WIDTH + 17;

/// Columns after the URL, from left to right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    State,
    Rate,
    History,
    Events,
    Data,
    Event,
    Byte,
    Reconnects,
    Failed,
    Id,
}

impl Column {
    /// The most important first.
    const ALL: [Column; 10] = [
        Column::State,
        Column::Rate,
        Column::Events,
        Column::Event,
        Column::Reconnects,
        Column::Failed,
        Column::History,
        Column::Byte,
        Column::Data,
        Column::Id,
    ];

    fn width(self, outage: bool) -> u16 {
        match self {
            Column::State if outage => OUTAGE,
            Column::State => STATE,
            Column::Rate => 7,
            Column::History => 10,
            Column::Events => 7,
            Column::Data => 7,
            Column::Event | Column::Reconnects => 10,
            Column::Byte => 9,
            Column::Failed => 6,
            Column::Id => 16,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Column::State => "STATE",
            Column::Rate => "RATE",
            Column::History => "HISTORY",
            Column::Events => "EVENTS",
            Column::Data => "DATA",
            Column::Event => "LAST EVENT",
            Column::Byte => "LAST BYTE",
            Column::Reconnects => "RECONNECTS",
            Column::Failed => "FAILED",
            Column::Id => "LAST ID",
        }
    }

    fn alignment(self) -> Alignment {
        match self {
            Column::State | Column::History | Column::Id => Alignment::Left,
            _ => Alignment::Right,
        }
    }

    fn cell(self, stream: &Stream, now: Duration, look: Look) -> Cell<'static> {
        let text = match self {
            Column::State => Text::styled(state(stream, now), look.state(stream.state)),
            Column::Rate => words::rate(stream.rates.rate(now)).into(),
            Column::History => {
                let columns = usize::from(self.width(false));
                Line::from(history(&stream.rates, now, columns, look)).into()
            }
            Column::Events => words::count(stream.events).into(),
            Column::Data => words::bytes(stream.bytes).into(),
            Column::Event => since(stream.last_event, now).into(),
            Column::Byte => since(stream.last_byte, now).into(),
            Column::Failed => words::count(stream.failed).into(),
            Column::Reconnects => words::count(stream.reconnects()).into(),
            Column::Id => words::shown(stream.last_id.as_deref().unwrap_or("-")).into(),
        };
        text.alignment(self.alignment()).into()
    }
}

/// The columns that fit, and the remaining width for the URL.
fn columns(width: u16, outage: bool) -> (Vec<Column>, u16) {
    let mut left = width;
    let mut fit = Vec::new();
    for column in Column::ALL {
        let columns = column.width(outage) + 1;
        if left < URL + columns {
            break;
        }
        left -= columns;
        fit.push(column);
    }
    fit.sort_by_key(|column| *column as u8);
    (fit, left)
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    streams: &[Stream],
    matching: &[usize],
    selected: Option<usize>,
    now: Duration,
    look: Look,
) {
    let long = |&index: &usize| state(&streams[index], now).len() > usize::from(STATE);
    let outage = matching.iter().any(long);
    let (columns, url) = columns(area.width, outage);
    let title =
        |column: &Column| Cell::from(Text::from(column.title()).alignment(column.alignment()));
    let header = std::iter::once(Cell::from("  # URL")).chain(columns.iter().map(title));
    let rows = matching.iter().enumerate().map(|(row, index)| {
        let stream = &streams[*index];
        let number = format!("{:>3} ", index + 1);
        let room = usize::from(url).saturating_sub(number.len());
        let name = middle_cut(&words::shown(short(&stream.url)), room);
        let cells = columns.iter().map(|column| column.cell(stream, now, look));
        let mut first = Cell::from(number + &name);
        if selected == Some(row) {
            // Other cells have colors, which some terminals show badly inverted.
            first = first.style(Style::new().reversed());
        }
        Row::new(std::iter::once(first).chain(cells))
    });
    let widths = columns
        .iter()
        .map(|column| Constraint::Length(column.width(outage)));
    let table = Table::new(rows, std::iter::once(Constraint::Length(url)).chain(widths))
        .header(Row::new(header).style(Style::new().bold()))
        .row_highlight_style(Style::new().bold())
        .column_spacing(1);
    let mut state = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// Without the scheme, which says little in a narrow column.
fn short(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}
