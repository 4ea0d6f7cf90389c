//! Compares the events that arrived on a stream with those that should have.

use std::collections::BTreeSet;

use crate::feed::Kind;

/// How many missing events are remembered, to distinguish late events from lost ones.
const MAX_MISSING: usize = 10_000;

/// How an event was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next event.
    InOrder,
    /// A repetition that was expected.
    Replayed,
    /// This many events before it are missing.
    Gap { missing: u64 },
    /// An event that was missing.
    Late,
    /// An event that had arrived already.
    Duplicate,
}

#[derive(Debug)]
pub(super) struct Ledger {
    kind: Kind,
    /// The number of the next event on this connection.
    expected: u64,
    /// The number of the last event. The next request resumes after it.
    last: u64,
    highest: u64,
    missing: BTreeSet<u64>,
}

impl Ledger {
    pub(super) fn new(kind: Kind) -> Self {
        Ledger {
            kind,
            expected: 1,
            last: 0,
            highest: 0,
            missing: BTreeSet::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// A new connection has started.
    pub(super) fn start(&mut self) {
        self.expected = self.kind.first_after(self.last);
    }

    pub(super) fn record(&mut self, number: u64) -> Verdict {
        self.last = number;
        if number < self.expected {
            return if self.missing.remove(&number) {
                Verdict::Late
            } else {
                Verdict::Duplicate
            };
        }
        let missing = number - self.expected;
        let room = MAX_MISSING.saturating_sub(self.missing.len());
        self.missing.extend((self.expected..number).take(room));
        self.expected = number + 1;
        let repeated = number <= self.highest;
        self.highest = self.highest.max(number);
        match missing {
            0 if repeated => Verdict::Replayed,
            0 => Verdict::InOrder,
            missing => Verdict::Gap { missing },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(replay: u64) -> Ledger {
        Ledger::new(Kind {
            gzip: false,
            tls: false,
            replay,
        })
    }

    fn verdicts(ledger: &mut Ledger, numbers: &[u64]) -> Vec<Verdict> {
        numbers
            .iter()
            .map(|number| ledger.record(*number))
            .collect()
    }

    #[test]
    fn consecutive_events_over_two_connections_are_in_order() {
        let mut ledger = ledger(0);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[1, 2]), [Verdict::InOrder; 2]);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[3]), [Verdict::InOrder]);
        assert_eq!((ledger.last(), ledger.highest()), (3, 3));
    }

    #[test]
    fn a_gap_is_reported_and_the_events_that_fill_it_are_late() {
        let mut ledger = ledger(0);
        ledger.start();
        let found = verdicts(&mut ledger, &[1, 4, 2, 5]);
        let expected = [
            Verdict::InOrder,
            Verdict::Gap { missing: 2 },
            Verdict::Late,
            Verdict::InOrder,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_event_that_arrived_before_is_a_duplicate_on_any_connection() {
        let mut ledger = ledger(0);
        ledger.start();
        let found = verdicts(&mut ledger, &[1, 1]);
        assert_eq!(found, [Verdict::InOrder, Verdict::Duplicate]);
        ledger.start();
        let found = verdicts(&mut ledger, &[1, 2]);
        assert_eq!(found, [Verdict::Duplicate, Verdict::InOrder]);
    }

    #[test]
    fn a_replay_must_have_exactly_the_expected_events() {
        let mut ledger = ledger(2);
        ledger.start();
        verdicts(&mut ledger, &[1, 2, 3, 4]);
        ledger.start();
        let found = verdicts(&mut ledger, &[3, 4, 5]);
        let expected = [Verdict::Replayed, Verdict::Replayed, Verdict::InOrder];
        assert_eq!(found, expected);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[3]), [Verdict::Duplicate]);
        assert_eq!(verdicts(&mut ledger, &[6]), [Verdict::Gap { missing: 2 }]);
    }

    #[test]
    fn after_a_replay_that_was_cut_the_next_one_resumes_after_its_last_event() {
        let mut ledger = ledger(2);
        ledger.start();
        verdicts(&mut ledger, &[1, 2, 3, 4]);
        ledger.start();
        assert_eq!(ledger.record(3), Verdict::Replayed);
        ledger.start();
        let found = verdicts(&mut ledger, &[2, 3, 4, 5]);
        assert_eq!(found[..3], [Verdict::Replayed; 3]);
        assert_eq!(found[3], Verdict::InOrder);
    }
}
