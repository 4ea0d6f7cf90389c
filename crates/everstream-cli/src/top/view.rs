//! The view of the streams, and the effect of keys.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::stream::{Recent, Stream};

/// The maximum length of a filter, in case of a stuck key.
const FILTER: usize = 100;

/// The distance of Page Up and Page Down.
const PAGE_ROWS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    List,
    Detail,
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) page: Page,
    /// The list of keys is shown.
    pub(super) help: bool,
    pub(super) filter: String,
    /// Keys go to the filter.
    pub(super) typing: bool,
    /// An index among all streams.
    selected: usize,
    frozen: Option<Frozen>,
}

/// The state shown while the display is paused.
#[derive(Debug)]
struct Frozen {
    streams: Vec<Stream>,
    at: Duration,
}

/// What a key requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Nothing,
    Quit,
    /// Redraw everything: something else has written to the terminal.
    Redraw,
    /// Stop, as jobs of a shell do.
    Suspend,
}

impl View {
    pub(super) fn new() -> View {
        View {
            page: Page::List,
            help: false,
            filter: String::new(),
            typing: false,
            selected: 0,
            frozen: None,
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// The streams to draw, and their time.
    pub(super) fn shown<'a>(
        &'a self,
        live: &'a [Stream],
        now: Duration,
    ) -> (&'a [Stream], Duration) {
        match &self.frozen {
            Some(frozen) => (&frozen.streams, frozen.at),
            None => (live, now),
        }
    }

    /// The streams that pass the filter, by their URL or by the type of an event.
    pub(super) fn matching(&self, streams: &[Stream]) -> Vec<usize> {
        let matches = |stream: &Stream| {
            self.contains(&stream.url) || stream.kinds.names().any(|kind| self.contains(kind))
        };
        (0..streams.len())
            .filter(|index| matches(&streams[*index]))
            .collect()
    }

    /// The events of a stream that pass the filter: all, if its URL does.
    pub(super) fn recent<'a>(&'a self, stream: &'a Stream) -> impl Iterator<Item = &'a Recent> {
        let all = self.contains(&stream.url);
        stream
            .recent
            .iter()
            .filter(move |event| all || self.contains(&event.kind))
    }

    fn contains(&self, text: &str) -> bool {
        self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// The index of the selected stream among these.
    pub(super) fn selected(&self, matching: &[usize]) -> Option<usize> {
        let found = matching.iter().position(|index| *index == self.selected);
        found.or((!matching.is_empty()).then_some(0))
    }

    pub(super) fn key(&mut self, key: KeyEvent, live: &[Stream], now: Duration) -> KeyAction {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return KeyAction::Quit,
            KeyCode::Char('l') if control => return KeyAction::Redraw,
            KeyCode::Char('z') if control => return KeyAction::Suspend,
            KeyCode::Char(_) if control => {}
            // Any key.
            _ if self.help => self.help = false,
            KeyCode::Up => self.move_by(-1, live),
            KeyCode::Down => self.move_by(1, live),
            KeyCode::PageUp => self.move_by(-(PAGE_ROWS as isize), live),
            KeyCode::PageDown => self.move_by(PAGE_ROWS as isize, live),
            KeyCode::Home => self.move_by(isize::MIN, live),
            KeyCode::End => self.move_by(isize::MAX, live),
            code if self.typing => self.type_in(code),
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Esc if self.page == Page::Detail => self.page = Page::List,
            KeyCode::Esc => return KeyAction::Quit,
            KeyCode::Enter => self.page = Page::Detail,
            KeyCode::Backspace | KeyCode::Left => self.page = Page::List,
            KeyCode::Char('f' | '/') => self.typing = true,
            KeyCode::Char('p') => self.pause(live, now),
            KeyCode::Char('?') => self.help = true,
            KeyCode::Char('k') => self.move_by(-1, live),
            KeyCode::Char('j') => self.move_by(1, live),
            _ => {}
        }
        KeyAction::Nothing
    }

    fn type_in(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) if self.filter.len() < FILTER => self.filter.push(c),
            _ => {}
        }
    }

    fn pause(&mut self, live: &[Stream], now: Duration) {
        self.frozen = match self.frozen {
            Some(_) => None,
            None => Some(Frozen {
                streams: live.to_vec(),
                at: now,
            }),
        };
    }

    fn move_by(&mut self, rows: isize, live: &[Stream]) {
        let (streams, _) = self.shown(live, Duration::ZERO);
        let matching = self.matching(streams);
        let Some(row) = self.selected(&matching) else {
            return;
        };
        self.selected = matching[row.saturating_add_signed(rows).min(matching.len() - 1)];
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::tests::{at, event};
    use super::*;

    fn press(view: &mut View, streams: &[Stream], code: KeyCode) -> KeyAction {
        view.key(KeyEvent::new(code, KeyModifiers::NONE), streams, at(9))
    }

    fn type_text(view: &mut View, streams: &[Stream], text: &str) {
        for c in text.chars() {
            assert_eq!(press(view, streams, KeyCode::Char(c)), KeyAction::Nothing);
        }
    }

    fn streams() -> Vec<Stream> {
        let mut streams: Vec<_> = [
            "http://a.test/prices",
            "http://b.test/news",
            "http://b.test/x",
        ]
        .map(Stream::new)
        .into();
        for kind in ["Price", "tick"] {
            streams[2].take(&event(kind, "7", None), None, at(0), at(1));
        }
        streams
    }

    fn selected(view: &View, streams: &[Stream]) -> Option<usize> {
        let matching = view.matching(streams);
        view.selected(&matching).map(|row| matching[row])
    }

    #[test]
    fn arrows_select_and_stop_at_the_ends() {
        let (streams, mut view) = (streams(), View::new());
        for (code, expected) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::Char('j'), 2),
            (KeyCode::Down, 2),
            (KeyCode::PageUp, 0),
            (KeyCode::End, 2),
            (KeyCode::Home, 0),
        ] {
            press(&mut view, &streams, code);
            assert_eq!(selected(&view, &streams), Some(expected), "{code:?}");
        }
        assert_eq!(press(&mut view, &[], KeyCode::Down), KeyAction::Nothing);
        assert_eq!(selected(&view, &[]), None);
    }

    #[test]
    fn the_filter_matches_urls_and_types() {
        let (streams, mut view) = (streams(), View::new());
        press(&mut view, &streams, KeyCode::End);
        type_text(&mut view, &streams, "/price");
        assert_eq!(view.matching(&streams), [0, 2]);
        assert_eq!(selected(&view, &streams), Some(2));
        // The second one passes only by its type.
        assert_eq!(view.recent(&streams[2]).count(), 1);
        type_text(&mut view, &streams, "s");
        assert_eq!(selected(&view, &streams), Some(0));
        press(&mut view, &streams, KeyCode::Enter);
        assert!(!view.typing && view.page == Page::List);
        assert_eq!(view.filter, "prices");
        type_text(&mut view, &streams, "f");
        press(&mut view, &streams, KeyCode::Esc);
        assert_eq!(view.matching(&streams), [0, 1, 2]);
        type_text(&mut view, &streams, "fq?p");
        assert_eq!(view.filter, "q?p");
        assert_eq!(view.matching(&streams), [0; 0]);
        assert_eq!(
            press(&mut view, &streams, KeyCode::Down),
            KeyAction::Nothing
        );
        type_text(&mut view, &streams, &"x".repeat(1000));
        assert_eq!(view.filter.len(), FILTER);
    }

    #[test]
    fn escape_goes_back_and_then_quits() {
        let (streams, mut view) = (streams(), View::new());
        press(&mut view, &streams, KeyCode::Enter);
        press(&mut view, &streams, KeyCode::Char('?'));
        assert!(view.help && view.page == Page::Detail);
        assert_eq!(press(&mut view, &streams, KeyCode::Esc), KeyAction::Nothing);
        assert!(!view.help && view.page == Page::Detail);
        assert_eq!(press(&mut view, &streams, KeyCode::Esc), KeyAction::Nothing);
        assert_eq!(view.page, Page::List);
        assert_eq!(press(&mut view, &streams, KeyCode::Esc), KeyAction::Quit);
        assert_eq!(
            press(&mut view, &streams, KeyCode::Char('q')),
            KeyAction::Quit
        );
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for typing in [false, true] {
            (view.typing, view.help) = (typing, typing);
            assert_eq!(view.key(control_c, &streams, at(9)), KeyAction::Quit);
        }
    }

    #[test]
    fn pause_freezes_the_display_and_not_the_streams() {
        let (mut streams, mut view) = (streams(), View::new());
        press(&mut view, &streams, KeyCode::Char('p'));
        streams[0].take(&event("late", "", None), None, at(0), at(20));
        let (shown, now) = view.shown(&streams, at(30));
        assert_eq!((shown[0].events, now), (0, at(9)));
        press(&mut view, &streams, KeyCode::Char('p'));
        let (shown, now) = view.shown(&streams, at(30));
        assert_eq!((shown[0].events, now), (1, at(30)));
    }
}
