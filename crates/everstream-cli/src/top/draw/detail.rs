//! One stream: its figures, the types of its events, and the last ones.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::words::{self, shown};
use super::{Look, history, since, state};
use crate::top::stream::{State, Stream};
use crate::top::view::View;

/// The width of the types.
const KINDS: u16 = 30;

/// The detail page of one stream.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View,
    stream: &Stream,
    index: usize,
    now: Duration,
    look: Look,
) {
    let [figures, rest] = Layout::vertical([Constraint::Length(6), Constraint::Min(0)]).areas(area);
    let lines = [head(stream, index), condition(stream, now, look)]
        .into_iter()
        .chain(facts(stream, now, look))
        .collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(lines), figures);

    let [kinds, events] =
        Layout::horizontal([Constraint::Max(KINDS), Constraint::Min(0)]).areas(rest);
    let block = |title| Block::new().borders(Borders::TOP).title(title);
    let room = usize::from(KINDS) - 10;
    let lines: Vec<Line<'_>> = (stream.kinds.sorted().iter())
        .map(|(kind, count)| {
            let kind = words::middle_cut(&shown(kind), room);
            Line::from(vec![
                Span::from(format!(" {:>7}  ", words::count(*count))),
                Span::styled(kind, look.color(Color::Cyan)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block(" Types ")), kinds);

    let lines: Vec<Line<'_>> = view
        .recent(stream)
        .take(usize::from(rest.height))
        .map(|event| {
            let mut line = Line::from(vec![
                Span::from(format!(
                    " {:>6}  ",
                    words::age(now.saturating_sub(event.at))
                ))
                .dim(),
                Span::styled(shown(&event.kind), look.color(Color::Cyan)),
            ]);
            if let Some(id) = &event.id {
                line.push_span(Span::from(format!("  id {}", shown(id))).dim());
            }
            line.push_span(format!("  {}", shown(&event.data)));
            line
        })
        .collect();
    frame.render_widget(
        Paragraph::new(lines).block(block(" Last events, newest first ")),
        events,
    );
}

/// The selected stream, below the list.
pub(super) fn summary(
    frame: &mut Frame<'_>,
    area: Rect,
    stream: &Stream,
    index: usize,
    now: Duration,
    look: Look,
) {
    let mut kinds = Line::from(Span::from(" types      ").dim());
    for (place, (kind, count)) in stream.kinds.sorted().iter().enumerate() {
        let gap = if place > 0 { "  " } else { "" };
        kinds.push_span(format!("{gap}{} {}", shown(kind), words::count(*count)));
    }
    let lines: Vec<Line<'_>> = [head(stream, index)]
        .into_iter()
        .chain(facts(stream, now, look))
        .chain([kinds])
        .collect();
    let block = Block::new().borders(Borders::TOP);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn head<'a>(stream: &Stream, index: usize) -> Line<'a> {
    Line::from(vec![
        Span::from(format!("{:>3} ", index + 1)),
        Span::from(shown(&stream.url)).bold(),
    ])
}

fn condition<'a>(stream: &Stream, now: Duration, look: Look) -> Line<'a> {
    let mut text = state(stream, now);
    if let State::Connected { since } = stream.state {
        text += &format!(" for {}", words::age(now.saturating_sub(since)));
    }
    Line::from(vec![
        label("state"),
        Span::styled(text, look.state(stream.state)),
        Span::from(format!(
            "; reconnects: {}; failed attempts: {}",
            stream.reconnects(),
            words::count(stream.failed)
        )),
    ])
}

fn facts<'a>(stream: &Stream, now: Duration, look: Look) -> [Line<'a>; 4] {
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), shown);
    let error = match &stream.last_error {
        None => vec![label("last error"), "-".into()],
        Some((when, why)) => vec![
            label("last error"),
            Span::from(format!("{} ago: ", words::age(now.saturating_sub(*when)))),
            Span::styled(shown(why), look.color(Color::Red)),
        ],
    };
    [
        Line::from(vec![
            label("events"),
            Span::from(format!(
                "{}  {}  ",
                words::count(stream.events),
                words::rate(stream.rates.rate(now))
            )),
            history(&stream.rates, now, 30, look),
        ]),
        Line::from(vec![
            label("received"),
            Span::from(format!(
                "last event {}, last byte {}; {} of data; comments: {}",
                ago(stream.last_event, now),
                ago(stream.last_byte, now),
                words::bytes(stream.bytes),
                words::count(stream.comments),
            )),
        ]),
        Line::from(vec![
            label("last id"),
            text(stream.last_id.as_deref()).into(),
        ]),
        Line::from(error),
    ]
}

fn ago(time: Option<Duration>, now: Duration) -> String {
    match time {
        Some(_) => format!("{} ago", since(time, now)),
        None => "-".into(),
    }
}

fn label<'a>(name: &str) -> Span<'a> {
    Span::from(format!(" {name:<11}")).dim()
}
