//! The state of one stream. Times are relative to the start of the program.

use std::collections::VecDeque;
use std::time::Duration;

use everstream::{Action, Error, Event, RedactedUrl};

use super::rates::Rates;
use super::reason::reason;
use crate::{explain, report};

/// How many bytes of each text are kept, because the server chooses its length.
const TEXT: usize = 300;

/// How many event types are counted separately, because the server chooses their number.
const KINDS: usize = 32;

/// How many events are kept for display.
const RECENT: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The URL without its secrets.
    pub(super) url: String,
    pub(super) state: State,
    pub(super) connections: u64,
    /// Failed attempts.
    pub(super) failed: u64,
    /// There is a connection without a response.
    pub(super) no_response: bool,
    /// Why there is no connection, in one or two words.
    pub(super) outage: Option<String>,
    pub(super) events: u64,
    pub(super) comments: u64,
    /// Bytes of event data, as UTF-8.
    pub(super) bytes: u64,
    pub(super) kinds: Kinds,
    pub(super) rates: Rates,
    pub(super) last_event: Option<Duration>,
    /// When the last byte of the stream, or its response, arrived.
    pub(super) last_byte: Option<Duration>,
    pub(super) last_error: Option<(Duration, String)>,
    pub(super) last_id: Option<String>,
    /// The headers that were withheld, if any. Reported once, after the screen is restored.
    pub(super) withheld: Option<String>,
    /// Newest first.
    pub(super) recent: VecDeque<Recent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Connected { since: Duration },
    Retrying { until: Duration },
    Ended,
}

/// The beginning of an event.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) at: Duration,
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

impl Stream {
    pub(super) fn new(url: &str) -> Stream {
        Stream {
            url: clip(&RedactedUrl(url).to_string()),
            state: State::Connecting,
            connections: 0,
            failed: 0,
            no_response: false,
            outage: None,
            events: 0,
            comments: 0,
            bytes: 0,
            kinds: Kinds::default(),
            rates: Rates::default(),
            last_event: None,
            last_byte: None,
            last_error: None,
            last_id: None,
            withheld: None,
            recent: VecDeque::new(),
        }
    }

    /// Updates the state. `id` is the client's last event id, and `delay` is the wait before the
    /// next attempt.
    pub(super) fn take(
        &mut self,
        action: &Action,
        id: Option<&str>,
        delay: Duration,
        now: Duration,
    ) {
        self.last_id = id.map(clip);
        self.no_response = false;
        match action {
            Action::Start(start) => {
                self.warn(explain::withheld(start));
                self.connections += 1;
                self.outage = None;
                self.state = State::Connected { since: now };
                self.last_byte = Some(now);
            }
            Action::Event(event) => self.event(event, now),
            Action::Comment(_) => {
                self.comments += 1;
                self.last_byte = Some(now);
            }
            Action::Fault(fault) => {
                self.warn(explain::withheld_before(fault));
                self.away(reason(fault));
                self.lost(&report::chain(fault), delay, now);
            }
            Action::End(end) => {
                self.away("ended".into());
                let why = explain::discarded(end);
                let why = why.as_deref().unwrap_or("the server ended the connection");
                self.lost(why, delay, now);
            }
            _ => {}
        }
    }

    fn warn(&mut self, withheld: Option<String>) {
        if self.withheld.is_none() {
            self.withheld = withheld.as_deref().map(clip);
        }
    }

    /// Updates the state while there is no action. `silence` is the time since the last byte; `None`
    /// without a connection.
    pub(super) fn nothing_new(
        &mut self,
        silence: Option<Duration>,
        no_response: bool,
        now: Duration,
    ) {
        self.no_response = no_response;
        let last = silence.and_then(|time| now.checked_sub(time));
        self.last_byte = self.last_byte.max(last);
    }

    /// There is no connection.
    fn away(&mut self, reason: String) {
        if !matches!(self.state, State::Connected { .. }) {
            self.failed += 1;
        }
        self.outage = Some(reason);
    }

    fn lost(&mut self, why: &str, delay: Duration, now: Duration) {
        self.last_error = Some((now, clip(why)));
        self.state = State::Retrying {
            until: now.saturating_add(delay),
        };
    }

    fn event(&mut self, event: &Event, now: Duration) {
        self.events += 1;
        self.bytes += event.data().len() as u64;
        self.kinds.count(event.event());
        self.rates.count(now);
        self.last_event = Some(now);
        self.last_byte = Some(now);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(Recent {
            at: now,
            kind: clip(event.event()),
            id: event.id().map(clip),
            data: clip(event.data()),
        });
    }

    /// There will be no more connections.
    pub(super) fn end(&mut self, error: Option<&Error>, now: Duration) {
        if let Some(fault) = error.and_then(Error::fault) {
            self.away(reason(fault));
        }
        self.state = State::Ended;
        self.no_response = false;
        self.warn(
            error
                .and_then(Error::fault)
                .and_then(explain::withheld_before),
        );
        let why = match error {
            Some(error) if error.status() == Some(204) => {
                "the server ended the stream permanently (status 204)".to_owned()
            }
            Some(error) => format!("gave up: {}", report::chain(error)),
            None => "the end of the stream".to_owned(),
        };
        self.last_error = Some((now, clip(&why)));
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }
}

/// The beginning of a text, with a mark if it was cut.
fn clip(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let mut end = TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The number of events of each type.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    counts: Vec<(String, u64)>,
    other: u64,
}

impl Kinds {
    fn count(&mut self, kind: &str) {
        let is = |name: &str| match name.strip_suffix('…') {
            Some(beginning) if kind.len() > TEXT => kind.starts_with(beginning),
            _ => name == kind,
        };
        if let Some((_, count)) = self.counts.iter_mut().find(|(name, _)| is(name)) {
            *count += 1;
        } else if self.counts.len() < KINDS {
            self.counts.push((clip(kind), 1));
        } else {
            self.other += 1;
        }
    }

    /// The most frequent first; the combined ones at the end.
    pub(super) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<_> = self
            .names()
            .zip(self.counts.iter().map(|(_, n)| *n))
            .collect();
        sorted.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        if self.other > 0 {
            sorted.push(("(other types)", self.other));
        }
        sorted
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use everstream::{End, ErrorResponse, Fault, Start};

    pub(in crate::top) fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    pub(in crate::top) fn start() -> Action {
        Action::Start(Box::default())
    }

    pub(in crate::top) fn event(kind: &str, data: &str, id: Option<&str>) -> Action {
        Action::Event(Event::new(kind, data, id))
    }

    fn take(stream: &mut Stream, action: &Action, now: u64) {
        stream.take(action, Some("7"), at(3), at(now));
    }

    #[test]
    fn events_bytes_and_failures_are_counted() {
        let mut stream = Stream::new("https://me:secret@a.test/feed?token=secret");
        assert!(!stream.url.contains("secret"), "{}", stream.url);
        assert_eq!(stream.state, State::Connecting);
        let start: Action = Action::Start(Box::<Start>::default());
        take(&mut stream, &start, 1);
        assert_eq!(stream.state, State::Connected { since: at(1) });
        assert_eq!((stream.reconnects(), stream.last_event), (0, None));
        take(&mut stream, &event("price", "7 €", Some("41")), 2);
        take(&mut stream, &Action::Comment("x".into()), 4);
        assert_eq!((stream.events, stream.comments, stream.bytes), (1, 1, 5));
        assert_eq!(
            (stream.last_event, stream.last_byte),
            (Some(at(2)), Some(at(4)))
        );
        take(&mut stream, &Action::Fault(Fault::Incomplete), 5);
        assert_eq!(stream.state, State::Retrying { until: at(8) });
        assert_eq!(
            (stream.outage.as_deref(), stream.failed),
            (Some("cut off"), 0)
        );
        assert!(
            stream
                .last_error
                .as_ref()
                .is_some_and(|(when, _)| *when == at(5))
        );
        for failed in 1..=3 {
            let refusal = Fault::Status(Box::new(ErrorResponse::new(503)));
            take(&mut stream, &Action::Fault(refusal), 6);
            assert_eq!(
                (stream.outage.as_deref(), stream.failed),
                (Some("503"), failed)
            );
        }
        take(&mut stream, &start, 8);
        assert_eq!((stream.reconnects(), stream.failed), (1, 3));
        assert_eq!(stream.outage, None);
        let mut end = Box::<End>::default();
        end.discarded_bytes = 7;
        take(&mut stream, &Action::End(end), 8);
        let (_, why) = stream.last_error.as_ref().unwrap();
        assert!(why.contains("unfinished event of 7 bytes"), "{why}");
        stream.end(None, at(9));
        assert_eq!(stream.state, State::Ended);
        assert_eq!(stream.last_id.as_deref(), Some("7"));
    }

    /// For example bytes of an incomplete event.
    #[test]
    fn bytes_of_incomplete_events_are_counted() {
        let mut stream = Stream::new("http://a.test/");
        take(&mut stream, &start(), 1);
        stream.nothing_new(Some(at(2)), false, at(9));
        assert_eq!((stream.last_event, stream.last_byte), (None, Some(at(7))));
        stream.nothing_new(None, false, at(20));
        assert_eq!(stream.last_byte, Some(at(7)));
    }

    #[test]
    fn withheld_headers_are_remembered_once() {
        let withheld = |name: &str| vec![name.to_owned()];
        let mut response = ErrorResponse::new(401);
        response.withheld_headers = withheld("x-key");
        response.url = "http://b.test/".to_owned();
        let refused = Fault::Status(Box::new(response));
        let mut start = Start::default();
        start.withheld_headers = withheld("x-other");
        start.url = Some("http://c.test/".to_owned());

        let mut stream = Stream::new("http://a.test/");
        take(&mut stream, &self::start(), 1);
        assert_eq!(stream.withheld, None);
        take(&mut stream, &Action::Fault(refused), 2);
        take(&mut stream, &Action::Start(Box::new(start)), 3);
        assert_eq!(
            stream.withheld.as_deref(),
            Some("X-Key was not sent to http://b.test/: it was set for another origin")
        );
    }

    #[test]
    fn memory_per_stream_is_bounded() {
        let mut stream = Stream::new("http://a.test/");
        for number in 0..1000 {
            let kind = format!("type {number} {}", "é".repeat(10_000));
            let long = "x".repeat(100_000);
            take(&mut stream, &event(&kind, &long, Some(&long)), 1);
        }
        assert_eq!(stream.kinds.sorted().len(), KINDS + 1);
        assert_eq!(
            stream.kinds.sorted().last(),
            Some(&("(other types)", 1000 - 32))
        );
        assert_eq!(stream.recent.len(), RECENT);
        let recent = &stream.recent[0];
        for text in [&recent.kind, &recent.data, recent.id.as_ref().unwrap()] {
            assert!(text.len() <= TEXT + '…'.len_utf8(), "{}", text.len());
        }
        assert_eq!(stream.bytes, 100_000_000);
    }

    #[test]
    fn long_types_are_distinguished_by_their_beginning() {
        let mut kinds = Kinds::default();
        let long = "x".repeat(1000);
        kinds.count(&long);
        kinds.count(&long);
        kinds.count("x");
        assert_eq!(
            kinds.sorted().iter().map(|(_, n)| *n).collect::<Vec<_>>(),
            [2, 1]
        );
    }
}
