//! What was sent, compared with what was received.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use everstream::Event;

/// Everything that the server has published; the n-th event has the id n. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<Mutex<Vec<Published>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) event: &'static str,
    pub(super) data: String,
}

impl Sent {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Published>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of an event before it is sent, so that it is known when it is received.
    pub(super) fn note(&self, published: Published) {
        self.with(|sent| sent.push(published));
    }

    pub(super) fn count(&self) -> usize {
        self.with(|sent| sent.len())
    }
}

/// Everything that the client has received.
pub(super) struct Tally {
    sent: Sent,
    /// How often the event with the id n + 1 was received.
    times: Vec<u8>,
    highest: usize,
    received: usize,
    duplicated: usize,
    altered: usize,
    misplaced: usize,
    unknown: usize,
    last_arrival: Option<Duration>,
    longest_gap: Duration,
}

/// The count of everything, at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) sent: usize,
    pub(super) received: usize,
    /// Sent, but skipped: a later event has been received, or the demo has ended.
    pub(super) lost: usize,
    /// Published, but not requested yet.
    pub(super) pending: usize,
    /// Received more than once.
    pub(super) duplicated: usize,
    /// Received with another type or other data than it was sent with.
    pub(super) altered: usize,
    /// Received after one that was sent later.
    pub(super) misplaced: usize,
    /// Received, and never sent.
    pub(super) unknown: usize,
    pub(super) longest_gap: Duration,
}

impl Summary {
    /// Whether every event arrived once, unchanged and in order.
    pub(super) fn is_perfect(&self) -> bool {
        self.received == self.sent
            && [
                self.lost,
                self.duplicated,
                self.altered,
                self.misplaced,
                self.unknown,
            ] == [0; 5]
    }
}

impl Tally {
    pub(super) fn new(sent: Sent) -> Tally {
        Tally {
            sent,
            times: Vec::new(),
            highest: 0,
            received: 0,
            duplicated: 0,
            altered: 0,
            misplaced: 0,
            unknown: 0,
            last_arrival: None,
            longest_gap: Duration::ZERO,
        }
    }

    /// The newest event that has been received; 0 before the first.
    pub(super) fn highest(&self) -> usize {
        self.highest
    }

    /// Takes note of an event that arrived at this time.
    pub(super) fn receive(&mut self, event: &Event, now: Duration) {
        self.received += 1;
        if let Some(last) = self.last_arrival.replace(now) {
            self.longest_gap = self.longest_gap.max(now.saturating_sub(last));
        }
        let id = event.id().and_then(|id| id.parse::<usize>().ok());
        let same = id.and_then(|id| {
            let index = id.checked_sub(1)?;
            self.sent.with(|sent| {
                let sent = sent.get(index)?;
                Some(sent.event == event.event() && sent.data == event.data())
            })
        });
        let (Some(id), Some(same)) = (id, same) else {
            self.unknown += 1;
            return;
        };
        if !same {
            self.altered += 1;
        }
        if self.times.len() < id {
            self.times.resize(id, 0);
        }
        let times = &mut self.times[id - 1];
        *times = times.saturating_add(1);
        if *times > 1 {
            self.duplicated += 1;
        } else if id < self.highest {
            self.misplaced += 1;
        }
        self.highest = self.highest.max(id);
    }

    /// The count. In an unfinished demo, everything after the newest event received is pending.
    pub(super) fn summary(&self, has_ended: bool) -> Summary {
        let sent = self.sent.count();
        let arrived = self.times.iter().filter(|&&times| times > 0).count();
        let pending = match has_ended {
            true => 0,
            false => sent - self.highest,
        };
        Summary {
            sent,
            received: self.received,
            lost: sent - pending - arrived,
            pending,
            duplicated: self.duplicated,
            altered: self.altered,
            misplaced: self.misplaced,
            unknown: self.unknown,
            longest_gap: self.longest_gap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of three events that were sent as `x1`, `x2` and `x3`.
    fn tally(arrivals: &[(&str, &str)]) -> Summary {
        let sent = Sent::default();
        for number in 1..=3 {
            sent.note(Published {
                event: "tick",
                data: format!("x{number}"),
            });
        }
        let mut tally = Tally::new(sent);
        for (id, data) in arrivals {
            tally.receive(&Event::new("tick", data, Some(id)), Duration::ZERO);
        }
        tally.summary(true)
    }

    const PERFECT: Summary = Summary {
        sent: 3,
        received: 3,
        lost: 0,
        pending: 0,
        duplicated: 0,
        altered: 0,
        misplaced: 0,
        unknown: 0,
        longest_gap: Duration::ZERO,
    };

    #[test]
    fn each_event_once_in_order_is_perfect() {
        let summary = tally(&[("1", "x1"), ("2", "x2"), ("3", "x3")]);
        assert_eq!(summary, PERFECT);
        assert!(summary.is_perfect());
    }

    #[test]
    fn a_lost_event_is_reported() {
        for arrivals in [
            [("1", "x1"), ("3", "x3")],
            [("2", "x2"), ("3", "x3")],
            [("1", "x1"), ("2", "x2")],
        ] {
            let summary = tally(&arrivals);
            assert_eq!(
                summary,
                Summary {
                    received: 2,
                    lost: 1,
                    ..PERFECT
                }
            );
            assert!(!summary.is_perfect());
        }
    }

    #[test]
    fn pending_events_are_not_lost() {
        let sent = Sent::default();
        for _ in 0..5 {
            sent.note(Published {
                event: "tick",
                data: "x".into(),
            });
        }
        let mut tally = Tally::new(sent);
        let count = |tally: &Tally| {
            let Summary { lost, pending, .. } = tally.summary(false);
            (lost, pending)
        };
        assert_eq!(count(&tally), (0, 5));
        tally.receive(&Event::new("tick", "x", Some("1")), Duration::ZERO);
        assert_eq!(count(&tally), (0, 4));
        tally.receive(&Event::new("tick", "x", Some("3")), Duration::ZERO);
        assert_eq!(count(&tally), (1, 2));
        assert_eq!(tally.summary(true).lost, 3);
    }

    #[test]
    fn a_repeated_event_is_reported() {
        let summary = tally(&[("1", "x1"), ("2", "x2"), ("2", "x2"), ("3", "x3")]);
        assert_eq!(
            summary,
            Summary {
                received: 4,
                duplicated: 1,
                ..PERFECT
            }
        );
        assert!(!summary.is_perfect());
    }

    #[test]
    fn a_repeated_event_does_not_make_up_for_a_lost_one() {
        let summary = tally(&[("1", "x1"), ("1", "x1"), ("3", "x3")]);
        assert_eq!(
            summary,
            Summary {
                lost: 1,
                duplicated: 1,
                ..PERFECT
            }
        );
        assert!(!summary.is_perfect());
    }

    #[test]
    fn changed_data_or_type_is_reported() {
        let summary = tally(&[("1", "x1"), ("2", "x3"), ("3", "x3")]);
        assert_eq!(
            summary,
            Summary {
                altered: 1,
                ..PERFECT
            }
        );
        assert!(!summary.is_perfect());

        let sent = Sent::default();
        sent.note(Published {
            event: "tick",
            data: "x".into(),
        });
        let mut tally = Tally::new(sent);
        tally.receive(&Event::new("tock", "x", Some("1")), Duration::ZERO);
        assert_eq!(tally.summary(true).altered, 1);
    }

    #[test]
    fn a_wrong_order_is_reported() {
        let summary = tally(&[("1", "x1"), ("3", "x3"), ("2", "x2")]);
        assert_eq!(
            summary,
            Summary {
                misplaced: 1,
                ..PERFECT
            }
        );
        assert!(!summary.is_perfect());
    }

    #[test]
    fn an_event_that_was_never_sent_is_reported() {
        let summary = tally(&[
            ("1", "x1"),
            ("2", "x2"),
            ("3", "x3"),
            ("4", "x4"),
            ("a", "x"),
        ]);
        assert_eq!(
            summary,
            Summary {
                received: 5,
                unknown: 2,
                ..PERFECT
            }
        );
        assert!(!summary.is_perfect());
    }

    #[test]
    fn the_longest_gap_lies_between_two_events() {
        let sent = Sent::default();
        let mut tally = Tally::new(sent);
        for millis in [500, 600, 900, 1000] {
            tally.receive(&Event::new("", "", None), Duration::from_millis(millis));
        }
        assert_eq!(tally.summary(true).longest_gap, Duration::from_millis(300));
    }
}
