//! What the session may say, and what the model learns from it.

use std::time::Duration;

use everstream_core::error_strategy::Verdict;
use everstream_core::{Action, Event, Fault, Output, Timestamp};

use super::{DEFAULT_CAP, Due, FLOOR, Phase, THRESHOLD, World};

impl World {
    /// Asks the session. Returns whether it said something for the user.
    pub(super) fn poll(&mut self) -> bool {
        self.reading = None;
        let output = self.session.poll_output(self.now);
        if self.phase == Phase::Closed {
            assert!(matches!(output, Output::Stop(Ok(()))), "{output:?}");
            return false;
        }
        if self.stop_due && self.wait_interrupted.is_none() {
            assert!(matches!(output, Output::Stop(Ok(()))), "{output:?}");
            self.stop_due = false;
            return false;
        }
        let action = matches!(output, Output::Action(_));
        match output {
            Output::Action(Action::Start(start)) => {
                assert!(self.start_due && start.attempt > 0);
                self.start_due = false;
            }
            Output::Action(Action::Event(event)) => self.event(&event),
            Output::Action(Action::Comment(text)) => {
                self.take_silent();
                assert_eq!(self.due.pop_front(), Some(Due::Comment(text)));
            }
            Output::Action(Action::Fault(fault)) => self.fault_told(fault.as_ref()),
            Output::Stop(Err(_)) => {
                self.all_told();
                let (at, by_fault) = self.lost.take().expect("something was lost");
                assert!(by_fault);
                self.disconnected(at);
                self.decide(true);
                assert_eq!(self.phase, Phase::Idle, "without FAIL nothing stops");
                self.counts.failures += 1;
            }
            Output::Stop(Ok(())) => assert_eq!(self.phase, Phase::Idle),
            Output::Connect => {
                self.nothing_pending();
                assert!(matches!(self.phase, Phase::Waiting | Phase::Connecting));
                assert!(self.now >= self.not_before, "the server is asked too early");
                assert!(!self.must_not_repeat(), "repeated unasked");
                assert_eq!(self.session.last_event_id(), self.last_id.as_deref());
                self.phase = Phase::Connecting;
            }
            Output::Wait { until } => {
                self.nothing_pending();
                assert_eq!(self.phase, Phase::Waiting);
                assert!(until == self.not_before && until > self.now);
                self.counts.waits += 1;
            }
            Output::Read { deadline } => {
                self.nothing_pending();
                assert_eq!(self.phase, Phase::Open);
                assert_eq!(deadline.is_some(), self.read_timeout.is_some());
                if let (Some(deadline), Some(limit)) = (deadline, self.read_timeout) {
                    assert!(deadline >= self.last_byte + limit);
                    assert!(deadline <= self.now + limit);
                }
                self.reading = Some(deadline);
            }
            other => panic!("{other:?} is unknown to this model"),
        }
        assert_eq!(self.session.last_event_id(), self.last_id.as_deref());
        action
    }

    fn nothing_pending(&mut self) {
        self.all_told();
        assert!(!self.start_due && self.lost.is_none() && self.wait_interrupted.is_none());
    }

    /// All that came over the connection was handed out.
    fn all_told(&mut self) {
        self.take_silent();
        assert_eq!(self.due, []);
    }

    /// What is decoded on the way to the next thing that the user sees.
    fn take_silent(&mut self) {
        while let Some(Due::Retry(_) | Due::Id(_)) = self.due.front() {
            match self.due.pop_front() {
                Some(Due::Retry(delay)) => {
                    let base = (delay.max(FLOOR), true);
                    if base != self.base {
                        self.base = base;
                        if self.delays > 0 && !self.restarted {
                            self.delays = 0;
                            self.restarted = true;
                        }
                    }
                }
                Some(Due::Id(id)) => self.id_received(id),
                _ => {}
            }
        }
    }

    fn id_received(&mut self, id: String) {
        self.server_sent_id = true;
        self.last_id = Some(id).filter(|id| !id.is_empty());
    }

    fn event(&mut self, event: &Event) {
        assert!(!self.start_due);
        self.take_silent();
        let Some(Due::Event { data, id }) = self.due.pop_front() else {
            panic!("{event:?} was not sent, or was handed out before");
        };
        assert_eq!((event.data(), event.id()), (&*data, id.as_deref()));
        if let Some(id) = id {
            self.id_received(id);
        }
        assert_eq!(event.last_event_id(), self.last_id.as_deref());
        self.counts.events += 1;
        self.counts.late_events += u64::from(self.lost.is_some());
    }

    fn fault_told(&mut self, fault: Option<&Fault>) {
        if let Some(at) = self.wait_interrupted.take() {
            assert!(fault.is_none());
            let left = self.not_before.saturating_duration_since(at);
            assert_eq!(self.session.next_retry_delay(), left);
            return;
        }
        self.all_told();
        let (at, by_fault) = self.lost.take().expect("something was lost");
        assert_eq!(fault.is_some(), by_fault);
        self.disconnected(at);
        self.decide(by_fault);
        assert!(fault.is_none() || self.phase == Phase::Waiting);
    }

    /// The next delay, and the moment before which nothing connects.
    fn disconnected(&mut self, at: Timestamp) {
        let lasted = at.saturating_duration_since(self.opened);
        if self.phase == Phase::Open && lasted >= THRESHOLD {
            self.delays = 0;
            self.restarted = false;
        }
        let (base, from_server) = self.base;
        let cap = self.cap.unwrap_or(match from_server {
            true => base.max(DEFAULT_CAP),
            false => DEFAULT_CAP,
        });
        // After a long row of faults it is more than any duration.
        let grown = base.as_secs_f64() * 2f64.powi(self.delays);
        let full = Duration::try_from_secs_f64(grown).map_or(cap, |grown| grown.min(cap));
        self.delays += 1;
        let (low, high) = (full.mul_f64(1.0 - self.jitter), full);
        let room = base
            .mul_f64(1.0 + self.jitter)
            .min(self.cap.unwrap_or(Duration::MAX));
        let (low, high) = match from_server && base <= full {
            // Never before it asked, and never all at the moment that it asked for.
            true => (low.max(base), high.max(room)),
            false => (low, high),
        };
        let asked = std::mem::take(&mut self.retry_after).min(self.cap.unwrap_or(Duration::MAX));
        let delay = self.session.next_retry_delay();
        // Floating point may be off by a nanosecond.
        let slack = Duration::from_nanos(1);
        assert!(delay + slack >= low.max(asked), "{delay:?} is too short");
        assert!(delay <= high.max(asked) + slack, "{delay:?} is too long");
        self.not_before = at + delay;
    }

    fn must_not_repeat(&self) -> bool {
        !self.repeatable && self.sent && !(self.server_sent_id && self.last_id.is_some())
    }

    /// What the rules and the strategy make of a loss.
    pub(super) fn decide(&mut self, by_fault: bool) {
        let asked = std::mem::take(&mut *self.verdicts.lock().unwrap());
        let verdict = if self.must_not_repeat() {
            assert_eq!(asked, [], "there was nothing to decide");
            self.finished = true;
            self.counts.once += 1;
            Verdict::Fail
        } else {
            assert_eq!(asked.len(), 1, "asked once a fault");
            asked[0]
        };
        self.start_due = false;
        let restarting = std::mem::take(&mut self.restarting);
        match verdict {
            Verdict::Continue => self.phase = Phase::Waiting,
            // An end was what the user expected; a fault must be heard.
            Verdict::Fail if restarting && !by_fault => {
                self.phase = Phase::Waiting;
                self.sent = false;
                self.finished = false;
                self.counts.restarted += 1;
            }
            Verdict::Fail => {
                self.phase = Phase::Idle;
                self.stop_due = !by_fault;
            }
        }
    }
}
