//! What arrived of a stream, against what had to.

use std::collections::BTreeSet;

use crate::feed::Kind;

/// So many gaps are remembered, to tell what is late from what is lost.
const REMEMBERED: usize = 10_000;

/// How an event was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one.
    InOrder,
    /// The server repeated it, and had to.
    Replayed,
    /// Events between the one before and this one didn't come.
    After { missing: u64 },
    /// It was missing.
    Late,
    /// It had come already.
    Duplicate,
}

#[derive(Debug)]
pub(super) struct Ledger {
    kind: Kind,
    /// The number that must come next on this connection.
    expected: u64,
    /// The number of the last event: what the next request asks to go on after.
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

    /// There is a new connection.
    pub(super) fn start(&mut self) {
        self.expected = self.kind.first_after(self.last);
    }

    pub(super) fn take(&mut self, number: u64) -> Verdict {
        self.last = number;
        if number < self.expected {
            return if self.missing.remove(&number) {
                Verdict::Late
            } else {
                Verdict::Duplicate
            };
        }
        let missing = number - self.expected;
        let room = REMEMBERED.saturating_sub(self.missing.len());
        self.missing.extend((self.expected..number).take(room));
        self.expected = number + 1;
        let repeated = number <= self.highest;
        self.highest = self.highest.max(number);
        match missing {
            0 if repeated => Verdict::Replayed,
            0 => Verdict::InOrder,
            missing => Verdict::After { missing },
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
        numbers.iter().map(|number| ledger.take(*number)).collect()
    }

    #[test]
    fn one_after_the_other_over_connections_is_in_order() {
        let mut ledger = ledger(0);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[1, 2]), [Verdict::InOrder; 2]);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[3]), [Verdict::InOrder]);
        assert_eq!((ledger.last(), ledger.highest()), (3, 3));
    }

    #[test]
    fn a_gap_is_told_and_what_fills_it_later_is_late() {
        let mut ledger = ledger(0);
        ledger.start();
        let told = verdicts(&mut ledger, &[1, 4, 2, 5]);
        let expected = [
            Verdict::InOrder,
            Verdict::After { missing: 2 },
            Verdict::Late,
            Verdict::InOrder,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_came_already_is_a_duplicate_on_the_same_connection_and_on_the_next() {
        let mut ledger = ledger(0);
        ledger.start();
        let told = verdicts(&mut ledger, &[1, 1]);
        assert_eq!(told, [Verdict::InOrder, Verdict::Duplicate]);
        ledger.start();
        let told = verdicts(&mut ledger, &[1, 2]);
        assert_eq!(told, [Verdict::Duplicate, Verdict::InOrder]);
    }

    #[test]
    fn a_replay_must_be_exactly_what_the_server_sends_again() {
        let mut ledger = ledger(2);
        ledger.start();
        verdicts(&mut ledger, &[1, 2, 3, 4]);
        ledger.start();
        let told = verdicts(&mut ledger, &[3, 4, 5]);
        let expected = [Verdict::Replayed, Verdict::Replayed, Verdict::InOrder];
        assert_eq!(told, expected);
        ledger.start();
        assert_eq!(verdicts(&mut ledger, &[3]), [Verdict::Duplicate]);
        assert_eq!(verdicts(&mut ledger, &[6]), [Verdict::After { missing: 2 }]);
    }

    #[test]
    fn a_replay_that_is_cut_short_is_gone_on_after_its_last_event() {
        let mut ledger = ledger(2);
        ledger.start();
        verdicts(&mut ledger, &[1, 2, 3, 4]);
        ledger.start();
        assert_eq!(ledger.take(3), Verdict::Replayed);
        ledger.start();
        let told = verdicts(&mut ledger, &[2, 3, 4, 5]);
        assert_eq!(told[..3], [Verdict::Replayed; 3]);
        assert_eq!(told[3], Verdict::InOrder);
    }
}
