//! Screens, as a terminal of that size shows them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use everstream::{Action, ErrorResponse, Fault};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::super::stream::tests::{at, event, start};
use super::*;

const COLORS: Look = Look { colors: true };

fn buffer(view: &View, streams: &[Stream], now: u64, size: (u16, u16), look: Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let drawn = terminal.draw(|frame| draw(frame, view, streams, at(now), look));
    drawn.unwrap().buffer.clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width.max(1));
    let row = |cells: &[ratatui::buffer::Cell]| {
        let row: String = cells.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned()
    };
    rows.map(row).collect::<Vec<_>>().join("\n")
}

fn screen(view: &View, streams: &[Stream], now: u64, size: (u16, u16)) -> String {
    text(&buffer(view, streams, now, size, COLORS))
}

fn press(view: &mut View, streams: &[Stream], keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            'v' => KeyCode::Down,
            key => KeyCode::Char(key),
        };
        view.key(KeyEvent::new(code, KeyModifiers::NONE), streams, at(60));
    }
}

/// One connected stream, one in an outage, and one that has ended.
fn three() -> Vec<Stream> {
    let mut streams: Vec<_> = [
        "https://example.com/prices?token=secret",
        "https://example.com/news",
        "http://localhost:8000/a/long/path/to/jobs",
    ]
    .map(Stream::new)
    .into();
    let zero = Duration::ZERO;
    streams[0].take(&start(), None, zero, at(1));
    for second in 50..60 {
        for number in 0..second % 5 + 1 {
            let kind = if number == 1 { "news" } else { "price" };
            let id = format!("{second}-{number}");
            let action = event(kind, r#"{"symbol": "ACME"}"#, Some(&id));
            streams[0].take(&action, Some(&id), zero, at(second));
        }
    }
    streams[0].take(&Action::Comment(" x".into()), Some("59-4"), zero, at(60));
    streams[1].take(&start(), None, zero, at(1));
    streams[1].take(&Action::Fault(Fault::Incomplete), None, zero, at(20));
    let refusal = Fault::Status(Box::new(ErrorResponse::new(503)));
    streams[1].take(&Action::Fault(refusal), None, at(20), at(45));
    streams[2].end(None, at(2));
    streams
}

#[test]
fn the_list_shows_a_line_per_stream_and_the_selected_one_below() {
    let shown = screen(&View::new(), &three(), 60, (130, 18));
    let expected = r#"
 everstream top  0:01:00  3.0/s  3 streams  1 connected  1 retrying  1 ended
  # URL                       STATE                         RATE HISTORY     EVENTS    DATA LAST EVENT LAST BYTE RECONNECTS FAILED
  1 example.com/prices        connected                    3.0/s ▂▄▅▇█▂▄▅▇█      30   540 B        1 s       0 s          0      0
  2 example.com/news          503, retry in 5 s            0.0/s                  0     0 B          -      59 s          0      1
  3 localhost:80…path/to/jobs ended                        0.0/s                  0     0 B          -         -          0      0





──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  1 https://example.com/prices
 events     30  3.0/s                      ▂▄▅▇█▂▄▅▇█
 received   last event 1 s ago, last byte 0 s ago; 540 B of data; comments: 1
 last id    59-4
 last error -
 types      price 22  news 8
 ↑↓ select Enter details p pause f filter ? help Esc quit q quit
"#;
    assert_eq!(format!("\n{shown}\n"), expected);
}

#[test]
fn a_narrow_terminal_gets_the_columns_that_matter_most() {
    let mut view = View::new();
    let streams = three();
    press(&mut view, &streams, "vv");
    let expected = r#"
 everstream top  0:01:00  3.0/s  3 streams  1 connected  1 retrying  1 ended
  # URL                    STATE                         RATE  EVENTS LAST EVENT
  1 example.com/prices     connected                    3.0/s      30        1 s
  2 example.com/news       503, retry in 5 s            0.0/s       0          -
  3 localhost:…ath/to/jobs ended                        0.0/s       0          -




 ↑↓ select Enter details p pause f filter ? help Esc quit q quit
"#;
    assert_eq!(
        format!("\n{}\n", screen(&view, &streams, 60, (80, 10))),
        expected
    );
}

/// Without an outage, other columns use the space.
#[test]
fn the_state_column_is_wide_only_during_an_outage() {
    let mut streams = three();
    streams[1].take(&start(), None, Duration::ZERO, at(59));
    let shown = screen(&View::new(), &streams, 60, (80, 10));
    let titles = "STATE         RATE  EVENTS LAST EVENT RECONNECTS FAILED";
    assert!(shown.contains(titles), "{shown}");
    assert!(shown.contains(" connected"), "{shown}");
}

#[test]
fn details_show_figures_types_and_events() {
    let (streams, mut view) = (three(), View::new());
    press(&mut view, &streams, "\n");
    let expected = r#"
 everstream top  0:01:00  3.0/s  3 streams  1 connected  1 retrying  1 ended
  1 https://example.com/prices
 state      connected for 59 s; reconnects: 0; failed attempts: 0
 events     30  3.0/s                      ▂▄▅▇█▂▄▅▇█
 received   last event 1 s ago, last byte 0 s ago; 540 B of data; comments: 1
 last id    59-4
 last error -
 Types ─────────────────────── Last events, newest first ───────────────────────
      22  price                   1 s  price  id 59-4  {"symbol": "ACME"}
       8  news                    1 s  price  id 59-3  {"symbol": "ACME"}
                                  1 s  price  id 59-2  {"symbol": "ACME"}
                                  1 s  news  id 59-1  {"symbol": "ACME"}
                                  1 s  price  id 59-0  {"symbol": "ACME"}
 ↑↓ select Enter details p pause f filter ? help Esc back q quit
"#;
    assert_eq!(
        format!("\n{}\n", screen(&view, &streams, 60, (80, 14))),
        expected
    );
    press(&mut view, &streams, "fnews\n");
    let shown = screen(&view, &streams, 60, (80, 14));
    assert!(!shown.contains("1 s  price"), "{shown}");
    assert!(shown.contains("\n filter: news "), "{shown}");
}

#[test]
fn the_last_error_is_shown() {
    let (streams, mut view) = (three(), View::new());
    press(&mut view, &streams, "v");
    let shown = screen(&view, &streams, 60, (80, 24));
    assert!(shown.contains(" last error 15 s ago: "), "{shown}");
    press(&mut view, &streams, "\n");
    let shown = screen(&view, &streams, 60, (80, 24));
    assert!(
        shown.contains(" state      503, retry in 5 s; reconnects: 0; failed attempts: 1"),
        "{shown}"
    );
    assert!(screen(&view, &streams, 66, (80, 24)).contains(" state      503, connecting;"));
}

#[test]
fn pause_and_filter_are_shown() {
    let (mut streams, mut view) = (three(), View::new());
    press(&mut view, &streams, "p");
    streams[0].take(&event("late", "", None), None, Duration::ZERO, at(61));
    let shown = screen(&view, &streams, 70, (80, 24));
    assert!(
        shown.contains(" everstream top  PAUSED  0:01:00  3.0/s"),
        "{shown}"
    );
    assert!(!shown.contains("late"), "{shown}");
    press(&mut view, &streams, "pfnowhere");
    let shown = screen(&view, &streams, 70, (80, 24));
    assert!(
        shown.contains("no stream's URL or event type contains this"),
        "{shown}"
    );
    assert!(shown.contains("\n filter: nowhere "), "{shown}");
}

#[test]
fn the_selected_line_is_visible() {
    let urls = (1..=500).map(|number| format!("http://example.com/{number}"));
    let streams: Vec<_> = urls.map(|url| Stream::new(&url)).collect();
    let mut view = View::new();
    let end = KeyEvent::new(KeyCode::End, KeyModifiers::NONE);
    view.key(end, &streams, at(0));
    let shown = screen(&view, &streams, 1, (80, 24));
    assert!(shown.contains("500 example.com/500  "), "{shown}");
}

/// Each screen, in any size.
#[test]
fn every_terminal_size_can_be_drawn() {
    for keys in ["", "?", "\n", "p\n?", "fx", "pfprice"] {
        let (streams, mut view) = (three(), View::new());
        press(&mut view, &streams, keys);
        let widths = [0, 1, 2, 5, 11, 21, 40, 79, 140];
        let heights = [0, 1, 2, 3, 4, 6, 9, 15, 30];
        for (width, height) in widths.iter().flat_map(|w| heights.map(|h| (*w, h))) {
            screen(&view, &streams, 60, (width, height));
            screen(&view, &[], 60, (width, height));
        }
    }
}

#[test]
fn a_server_can_not_write_to_the_terminal() {
    let attack = "\x1b]0;owned\x07\x1b[2J\u{9b}6n\u{202e}\x08\n\r";
    let mut streams = three();
    let action = event(attack, attack, Some(attack));
    streams[0].take(&action, Some(attack), Duration::ZERO, at(60));
    let fault = Fault::Read(attack.into());
    streams[0].take(&Action::Fault(fault), Some(attack), at(1), at(60));
    let mut view = View::new();
    for key in ["", "\n"] {
        press(&mut view, &streams, key);
        let buffer = buffer(&view, &streams, 60, (200, 40), COLORS);
        let bad = |c: char| c.is_control() || c == '\u{202e}';
        let found = buffer
            .content
            .iter()
            .find(|cell| cell.symbol().contains(bad));
        assert_eq!(found, None);
        let shown = text(&buffer);
        assert!(
            shown.matches(r"\u{1b}]0;owned\u{7}").count() >= 3,
            "{shown}"
        );
    }
}

#[test]
fn no_color_draws_without_colors() {
    let (streams, mut view) = (three(), View::new());
    let colorful = |look| {
        let mut found = false;
        for keys in ["", "v", "\n", "?"] {
            press(&mut view, &streams, keys);
            let buffer = buffer(&view, &streams, 60, (130, 30), look);
            found |= (buffer.content.iter())
                .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        }
        found
    };
    let mut colorful = colorful;
    assert!(colorful(COLORS));
    assert!(!colorful(Look { colors: false }));
}

#[test]
fn a_connection_without_a_response_is_shown() {
    let zero = Duration::ZERO;
    let mut streams = vec![Stream::new("http://localhost/")];
    let shown = |streams: &[Stream]| screen(&View::new(), streams, 9, (130, 18));
    streams[0].nothing_new(None, true, at(9));
    assert!(shown(&streams).contains("no reply"), "{}", shown(&streams));
    streams[0].take(&start(), None, zero, at(9));
    assert!(!shown(&streams).contains("no reply"), "{}", shown(&streams));
    streams[0].take(&Action::Fault(Fault::Incomplete), None, zero, at(9));
    streams[0].nothing_new(None, true, at(9));
    let expected = "cut off, no reply";
    assert!(shown(&streams).contains(expected), "{}", shown(&streams));
}
