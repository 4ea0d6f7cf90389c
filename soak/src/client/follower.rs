//! One stream: checks and counts every action of its clients.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use everstream::{Action, Builder, Error, Event, Handle, Http, error_strategy, retry_delay};
use tokio::sync::watch;

use super::Shared;
use super::ledger::{Ledger, Verdict};
use super::tally::add;
use crate::feed::{self, Kind};
use crate::numbers::Numbers;

const INITIAL_RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);
const RESET_THRESHOLD: Duration = Duration::from_millis(500);
/// The server is never silent for more than a second on purpose.
const READ_TIMEOUT: Duration = Duration::from_secs(4);
/// A client is replaced after about this many events.
const EVENTS_PER_CLIENT: usize = 300;

pub(super) struct Follower {
    shared: Arc<Shared>,
    stream: u64,
    ledger: Ledger,
    numbers: Numbers,
    /// Events until the client is replaced.
    left: usize,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Read,
    /// Replace this client with a new one.
    Replace {
        close: bool,
    },
    Done,
}

impl Follower {
    pub(super) fn new(shared: &Arc<Shared>, stream: u64) -> Self {
        Follower {
            shared: shared.clone(),
            stream,
            ledger: Ledger::new(Kind::of(stream)),
            numbers: Numbers::new(&[shared.settings.seed, stream, 5]),
            left: 0,
        }
    }

    pub(super) fn finish(&self) -> watch::Receiver<Option<u64>> {
        self.shared.finish.clone()
    }

    pub(super) fn cannot_build(&self, error: &Error) {
        add(&self.shared.tally.gave_up, 1);
        let problem = || format!("stream {}: {}", self.stream, causes(error));
        self.shared.tally.problem(problem);
    }

    pub(super) fn is_done(&self) -> bool {
        let last = self.shared.finish.borrow();
        last.is_some_and(|last| self.ledger.highest() >= last)
    }

    pub(super) fn http(&self) -> Http {
        self.shared.http(self.stream)
    }

    /// The settings of a client that resumes where the previous one stopped.
    pub(super) fn configure<C>(&mut self, builder: Builder<C>) -> Builder<C> {
        add(&self.shared.tally.clients, 1);
        self.left = self.numbers.between(1, 2 * EVENTS_PER_CLIENT);
        let delays = retry_delay::backoff()
            .max_delay(MAX_DELAY)
            .with_seed(self.numbers.next());
        let mut builder = builder
            .initial_retry_delay(INITIAL_RETRY_DELAY)
            .retry_delay_strategy(delays)
            .retry_delay_reset_threshold(RESET_THRESHOLD)
            .error_strategy(error_strategy::reconnect().or_on_status([429, 503]))
            .read_timeout(READ_TIMEOUT);
        if self.ledger.last() > 0 {
            builder = builder.last_event_id(feed::id(self.stream, self.ledger.last()));
        }
        builder
    }

    /// Makes the handle available to `disturb`.
    pub(super) fn publish_handle(&self, handle: Handle) {
        self.shared.set_handle(self.stream, handle);
    }

    /// Counts and checks an action.
    pub(super) fn on_action(
        &mut self,
        action: Option<Result<Action, Error>>,
        last_event_id: Option<&str>,
    ) -> Next {
        let tally = &self.shared.tally;
        match action {
            Some(Ok(Action::Start(_))) => {
                add(&tally.starts, 1);
                self.ledger.start();
            }
            Some(Ok(Action::Event(event))) => return self.event(event, last_event_id),
            Some(Ok(Action::Fault(fault))) => tally.fault(Some(&fault)),
            Some(Ok(Action::End(_))) => tally.fault(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                add(&tally.gave_up, 1);
                tally.problem(|| {
                    format!(
                        "stream {}: the client gave up: {}",
                        self.stream,
                        causes(&error)
                    )
                });
                return Next::Replace { close: true };
            }
            // It was closed through its handle.
            None => return Next::Replace { close: false },
        }
        Next::Read
    }

    fn event(&mut self, event: Event, last_event_id: Option<&str>) -> Next {
        let tally = &self.shared.tally;
        add(&tally.events, 1);
        add(&tally.bytes, event.data().len() as u64);
        let number = event.id().and_then(|id| feed::number(self.stream, id));
        let Some(number) = number else {
            add(&tally.corrupted, 1);
            tally.problem(|| format!("stream {}: unexpected id {:?}", self.stream, event.id()));
            return Next::Read;
        };
        let place = || format!("stream {}, event {number}", self.stream);
        let content = feed::content(self.shared.settings.seed, self.stream, number);
        if event.event() != content.event || event.data() != content.data {
            add(&tally.corrupted, 1);
            tally.problem(|| format!("{}: differs from what was sent", place()));
        }
        if last_event_id != event.id() || event.last_event_id() != event.id() {
            add(&tally.corrupted, 1);
            tally.problem(|| format!("{}: last_event_id {last_event_id:?}", place()));
        }
        match self.ledger.record(number) {
            Verdict::InOrder => {}
            Verdict::Replayed => add(&tally.replayed, 1),
            Verdict::Gap { missing } => {
                add(&tally.lost, missing);
                tally.problem(|| format!("{}: {missing} events before it are missing", place()));
            }
            Verdict::Late => {
                tally.lost.fetch_sub(1, Relaxed);
                add(&tally.out_of_order, 1);
                tally.problem(|| format!("{}: out of order", place()));
            }
            Verdict::Duplicate => {
                add(&tally.duplicated, 1);
                tally.problem(|| format!("{}: duplicate", place()));
            }
        }
        self.shared.reached(self.stream, self.ledger.highest());
        self.shared.leak(event);
        if self.is_done() {
            return Next::Done;
        }
        self.left -= 1;
        if self.left == 0 {
            let close = self.numbers.once_in(2);
            return Next::Replace { close };
        }
        Next::Read
    }
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
