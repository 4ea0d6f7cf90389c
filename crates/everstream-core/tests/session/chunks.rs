//! When chunks are dropped, and when the clock is read.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use everstream_core::{Action, Ending, Output, Session, SessionConfig, Start, Timestamp};

const NOW: Timestamp = Timestamp::since_start(Duration::from_secs(1));

/// The reference count tells whether the chunk is still alive.
struct Chunk {
    bytes: &'static str,
    _alive: Rc<()>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_bytes()
    }
}

fn connected<B: AsRef<[u8]>>(config: SessionConfig) -> Session<B> {
    let mut session = Session::new(config);
    session.start();
    assert!(matches!(session.poll_output(NOW), Output::Connect { .. }));
    session.handle_connected(Start::default(), NOW);
    assert!(matches!(session.poll_action(), Some(Action::Start(_))));
    session
}

fn data<B: AsRef<[u8]>>(session: &mut Session<B>) -> Option<String> {
    match session.poll_action()? {
        Action::Event(event) => Some(event.into_data()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chunk_is_dropped_with_its_last_event() {
    let mut session = connected(SessionConfig::default());
    let alive = Rc::new(());
    let chunk = |bytes| Chunk {
        bytes,
        _alive: alive.clone(),
    };
    session.handle_data(chunk("data: a\n\ndata: b\n\n"), NOW);
    assert_eq!(data(&mut session).as_deref(), Some("a"));
    assert_eq!(Rc::strong_count(&alive), 2, "it contains another event");
    assert_eq!(data(&mut session).as_deref(), Some("b"));
    assert_eq!(Rc::strong_count(&alive), 1);
    // The decoder keeps an unfinished event without the chunk.
    session.handle_data(chunk("data: c"), NOW);
    assert_eq!(data(&mut session), None);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn unrequested_chunks_keep_their_order() {
    let mut session = connected(SessionConfig::default());
    for chunk in ["data: a\n", "\n", "data: b\n\ndata: c", "\n\n"] {
        session.handle_data(chunk, NOW);
    }
    let all: Vec<String> = std::iter::from_fn(|| data(&mut session)).collect();
    assert_eq!(all, ["a", "b", "c"]);
}

#[test]
fn the_clock_is_read_only_if_the_output_depends_on_it() {
    let asked = Cell::new(0);
    let clock = || {
        asked.set(asked.get() + 1);
        NOW
    };
    let mut session = connected(SessionConfig::default());
    for _ in 0..2 {
        session.handle_data("data: a\n\n", NOW);
        let output = session.poll_output_with(clock);
        assert!(matches!(output, Output::Action(Action::Event(_))));
        let output = session.poll_output_with(clock);
        assert!(matches!(output, Output::Read { deadline: None }));
    }
    session.handle_end(Ending::Unproven, NOW);
    let output = session.poll_output_with(clock);
    assert!(matches!(output, Output::Action(Action::End(_))));
    assert_eq!(asked.get(), 0);
    let output = session.poll_output_with(clock);
    assert!(matches!(output, Output::Wait { until } if until > NOW));
    assert_eq!(asked.get(), 1);

    let mut config = SessionConfig::default();
    config.read_timeout = Some(Duration::from_secs(10));
    let mut session = connected::<&str>(config);
    for _ in 0..2 {
        let output = session.poll_output_with(clock);
        let deadline = Some(NOW + Duration::from_secs(10));
        assert!(matches!(output, Output::Read { deadline: at } if at == deadline));
    }
    assert_eq!(asked.get(), 2, "when the user began to wait");
}
