//! The targets for the measured figures. A suite lists them on its page, and fails if it misses one.

use Limit::{AtMost, Below};
use Quantity::{Alone, Connecting, ManyInAChunk, Memory, OneInAChunk, OneInARecord, Ticks};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    ManyInAChunk,
    OneInAChunk,
    OneInARecord,
    Alone,
    Memory(Way),
    Connecting(Way),
    Ticks(Way),
}

/// How streams reach their server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    Http1,
    Tls,
    Http2,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    AtMost(f64),
    Below(f64),
}

pub struct Target {
    pub quantity: Quantity,
    /// The suite that measures it.
    pub suite: &'static str,
    pub about: &'static str,
    pub limit: Limit,
}

#[rustfmt::skip] // a row for each
pub const TARGETS: [Target; 12] = [
    target("client", ManyInAChunk, AtMost(0.75), "64 events in each HTTP chunk: CPU, ratio to the best peer"),
    target("client", OneInAChunk, AtMost(0.2), "one event in each HTTP chunk: CPU, ratio to the best peer"),
    target("client", OneInARecord, AtMost(0.4), "one event in each TLS record: CPU, ratio to the best peer"),
    target("client", Alone, AtMost(4_600.0), "each event alone: instructions for an event"),
    target("idle", Memory(Way::Http1), AtMost(2.5), "an idle stream, HTTP/1.1: memory, KiB"),
    target("idle", Memory(Way::Tls), AtMost(10.0), "an idle stream, HTTP/1.1 over TLS: memory, KiB"),
    target("idle", Memory(Way::Http2), AtMost(3.0), "an idle stream, HTTP/2: memory, KiB"),
    target("idle", Connecting(Way::Http1), AtMost(0.8), "connecting, HTTP/1.1: CPU, ratio to reqwest"),
    target("idle", Connecting(Way::Tls), AtMost(1.1), "connecting, HTTP/1.1 over TLS: CPU, ratio to reqwest"),
    target("idle", Ticks(Way::Http1), Below(1.0), "an event a second on each stream, HTTP/1.1: CPU, ratio to reqwest"),
    target("idle", Ticks(Way::Tls), Below(1.0), "an event a second on each stream, HTTP/1.1 over TLS: CPU, ratio to reqwest"),
    target("idle", Ticks(Way::Http2), Below(1.0), "an event a second on each stream, HTTP/2: CPU, ratio to reqwest"),
];

const fn target(
    suite: &'static str,
    quantity: Quantity,
    limit: Limit,
    about: &'static str,
) -> Target {
    Target {
        quantity,
        suite,
        about,
        limit,
    }
}

/// A target, and what was measured.
pub struct Verdict {
    pub target: &'static Target,
    pub measured: Option<f64>,
}

impl Verdict {
    pub fn is_reached(&self) -> bool {
        match (self.measured, self.target.limit) {
            (Some(measured), AtMost(limit)) => measured <= limit,
            (Some(measured), Below(limit)) => measured < limit,
            (None, _) => false,
        }
    }

    pub fn limit(&self) -> String {
        match self.target.limit {
            AtMost(limit) => format!("at most {limit}"),
            Below(limit) => format!("below {limit}"),
        }
    }

    pub fn measured(&self) -> String {
        match self.measured {
            Some(measured) if measured >= 100.0 => format!("{measured:.0}"),
            Some(measured) => format!("{measured:.3}"),
            None => "-".into(),
        }
    }

    pub fn state(&self) -> &'static str {
        match (self.measured, self.is_reached()) {
            (None, _) => "not measured",
            (Some(_), true) => "reached",
            (Some(_), false) => "missed",
        }
    }
}

/// The targets of a suite and what it measured.
pub fn judge(suite: &str, measured: &[(Quantity, f64)]) -> Vec<Verdict> {
    let of = |target: &'static Target| {
        let mut measured = measured.iter();
        let found = measured.find(|(quantity, _)| *quantity == target.quantity);
        Verdict {
            target,
            measured: found.map(|(_, number)| *number),
        }
    };
    let targets = TARGETS.iter().filter(|target| target.suite == suite);
    targets.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_the_limit_reaches_at_most_but_not_below() {
        let at = |quantity, number| judge("idle", &[(quantity, number)]);
        let memory = at(Memory(Way::Http1), 2.5);
        assert_eq!(memory.iter().filter(|it| it.is_reached()).count(), 1);
        let beyond = at(Memory(Way::Http1), 2.501);
        assert_eq!(beyond.iter().filter(|it| it.is_reached()).count(), 0);
        let same = at(Ticks(Way::Tls), 1.0);
        assert_eq!(same.iter().filter(|it| it.is_reached()).count(), 0);
    }

    #[test]
    fn every_target_has_a_different_text_and_quantity() {
        for (index, target) in TARGETS.iter().enumerate() {
            let earlier = &TARGETS[..index];
            assert!(earlier.iter().all(|it| it.about != target.about));
            assert!(earlier.iter().all(|it| it.quantity != target.quantity));
        }
    }
}
