//! Which outputs the model allows, and how it follows them.

use std::time::Duration;

use everstream_core::error_strategy::Verdict;
use everstream_core::{Action, Ending, Event, Fault, Output, Timestamp};

use super::{
    Cause, DEFAULT_CAP, DELIVERY_THRESHOLD, Due, Early, FLOOR, POLL, Phase, THRESHOLD,
    UNCHANGED_POLL, World,
};

impl World {
    /// Polls the session. Returns whether the output was an action.
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
                self.take_unreported();
                assert_eq!(self.due.pop_front(), Some(Due::Comment(text)));
                self.delivered = true;
            }
            Output::Action(Action::Fault(fault)) => self.fault_reported(Some(&fault)),
            Output::Action(Action::End(end)) => {
                self.fault_reported(None);
                assert_eq!(end.not_repeated, self.not_repeated);
            }
            Output::Stop(Err(_)) => {
                self.all_delivered();
                let (at, cause) = self.lost.take().expect("something was lost");
                assert_eq!(cause, Cause::Fault);
                self.disconnected(at, cause);
                self.decide(true);
                assert_eq!(
                    self.phase,
                    Phase::Idle,
                    "stopped although the strategy didn't fail"
                );
                self.counts.failures += 1;
            }
            Output::Stop(Ok(())) => assert_eq!(self.phase, Phase::Idle),
            Output::Connect { resume_with_get } => {
                self.nothing_pending();
                assert!(matches!(self.phase, Phase::Waiting | Phase::Connecting));
                assert!(self.now >= self.not_before, "reconnected too early");
                assert!(!self.must_not_repeat(), "repeated an unsafe request");
                assert_eq!(self.session.last_event_id(), self.last_id.as_deref());
                self.by_get = self.sent && self.can_resume();
                assert_eq!(resume_with_get, self.by_get);
                self.counts.by_get += u64::from(self.by_get && self.phase == Phase::Waiting);
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
            other => panic!("{other:?} is unknown"),
        }
        assert_eq!(self.session.last_event_id(), self.last_id.as_deref());
        assert_eq!(self.session.is_not_repeated(), self.not_repeated);
        action
    }

    fn nothing_pending(&mut self) {
        self.all_delivered();
        assert!(!self.start_due && self.lost.is_none() && self.wait_interrupted.is_none());
    }

    /// Everything that was received over the connection was delivered.
    fn all_delivered(&mut self) {
        self.take_unreported();
        assert_eq!(self.due, []);
    }

    /// Takes the items that the session decodes without returning an action.
    fn take_unreported(&mut self) {
        while let Some(Due::Retry(_) | Due::Id(_)) = self.due.front() {
            match self.due.pop_front() {
                Some(Due::Retry(delay)) => {
                    let base = (delay.max(FLOOR), true);
                    if base != self.base {
                        self.base = base;
                        // Sent before the interruption whose delay was already computed.
                        let growing = match &mut self.early {
                            Some(early) => {
                                early.base_changed = true;
                                early.growing
                            }
                            None => self.growing,
                        };
                        if growing && !self.restarted {
                            self.factor = 1.0;
                            self.restarted = true;
                        }
                    }
                }
                Some(Due::Id(id)) => {
                    self.delivered = true;
                    self.id_received(id);
                }
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
        self.take_unreported();
        let Some(Due::Event { data, id }) = self.due.pop_front() else {
            panic!("{event:?} was not sent, or was delivered before");
        };
        assert_eq!((event.data(), event.id()), (&*data, id.as_deref()));
        if let Some(id) = id {
            self.id_received(id);
        }
        assert_eq!(event.last_event_id(), self.last_id.as_deref());
        self.delivered = true;
        self.counts.events += 1;
        self.counts.late_events += u64::from(self.lost.is_some());
    }

    fn fault_reported(&mut self, fault: Option<&Fault>) {
        if let Some(at) = self.wait_interrupted.take() {
            assert!(fault.is_none());
            let left = self.not_before.saturating_duration_since(at);
            assert_eq!(self.session.next_retry_delay(), left);
            return;
        }
        self.all_delivered();
        let (at, cause) = self.lost.take().expect("something was lost");
        assert_eq!(fault.is_some(), cause == Cause::Fault);
        self.disconnected(at, cause);
        self.decide(cause == Cause::Fault);
        assert!(fault.is_none() || self.phase == Phase::Waiting);
    }

    /// Computes the earliest time of the next connection.
    fn disconnected(&mut self, at: Timestamp, cause: Cause) {
        let delay = match self.early.take() {
            None => self.next_delay(at, cause),
            // Not before the time that the server asked for, if that was decoded since.
            Some(early) if early.base_changed => {
                let (asked, _) = self.base;
                let lengthened = early.delay.max(asked.min(self.users_cap()));
                self.counts.lengthened += u64::from(lengthened > early.delay);
                lengthened
            }
            Some(early) => early.delay,
        };
        assert_eq!(self.session.next_retry_delay(), delay);
        self.not_before = at + delay;
    }

    /// A connection, or an attempt, was interrupted.
    pub(super) fn delay_computed_early(&mut self) {
        let growing = self.growing && !self.is_reset_at(self.now);
        let delay = self.next_delay(self.now, Cause::Interrupt);
        self.early = Some(Early {
            delay,
            base_changed: false,
            growing,
        });
    }

    fn users_cap(&self) -> Duration {
        self.cap.unwrap_or(Duration::MAX)
    }

    fn is_reset_at(&self, at: Timestamp) -> bool {
        let lasted = at.saturating_duration_since(self.opened);
        let delivering = self.cap.is_none() && self.delivered;
        self.phase == Phase::Open
            && (lasted >= THRESHOLD || delivering && lasted >= DELIVERY_THRESHOLD)
    }

    /// The session's delay for this loss. Checks that the rules allow it.
    fn next_delay(&mut self, at: Timestamp, cause: Cause) -> Duration {
        if self.is_reset_at(at) {
            let lasted = at.saturating_duration_since(self.opened);
            self.counts.reset_by_delivery += u64::from(lasted < THRESHOLD);
            self.factor = 1.0;
            self.growing = false;
            self.restarted = false;
        }
        self.growing = true;
        let asked = std::mem::take(&mut self.retry_after).min(self.users_cap());
        let polled = cause == Cause::End(Ending::Complete)
            && self.phase == Phase::Open
            && self.cap.is_none()
            && self.delivered;
        let (low, high) = match polled {
            true => self.range_after_clean_end(),
            false => self.range(),
        };
        let delay = self.session.next_retry_delay();
        // Floating point may be off by a nanosecond.
        let slack = Duration::from_nanos(1);
        assert!(delay + slack >= low.max(asked), "{delay:?} is too short");
        assert!(delay <= high.max(asked) + slack, "{delay:?} is too long");
        delay
    }

    fn range_after_clean_end(&mut self) -> (Duration, Duration) {
        let (base, from_server) = self.base;
        let full = if self.last_id != self.sent_id {
            self.counts.polled_with_new_id += 1;
            if from_server { base } else { base.max(POLL) }
        } else {
            self.counts.polled_again += 1;
            let limit = base.max(if from_server { UNCHANGED_POLL } else { POLL });
            let limit_factor = limit.as_secs_f64() / base.as_secs_f64();
            let full = limit.mul_f64((self.factor / limit_factor).min(1.0));
            if self.factor < limit_factor {
                self.factor = (self.factor * 2.0).min(limit_factor);
            }
            full
        };
        (full, full.mul_f64(1.0 + self.jitter))
    }

    fn range(&mut self) -> (Duration, Duration) {
        let (base, from_server) = self.base;
        let cap = self.cap.unwrap_or(base.max(DEFAULT_CAP));
        // After many consecutive faults this exceeds any duration.
        let grown = base.as_secs_f64() * self.factor;
        let full = Duration::try_from_secs_f64(grown).map_or(cap, |grown| grown.min(cap));
        self.factor *= 2.0;
        let (low, high) = (full.mul_f64(1.0 - self.jitter), full);
        let room = base.mul_f64(1.0 + self.jitter).min(self.users_cap());
        match from_server && base <= full {
            // Never before the time that the server asked for, and never all clients at that moment.
            true => (low.max(base), high.max(room)),
            false => (low, high),
        }
    }

    fn must_not_repeat(&self) -> bool {
        !self.repeatable && self.sent && !self.can_resume()
    }

    pub(super) fn can_resume(&self) -> bool {
        self.resume_with_get && self.server_sent_id && self.last_id.is_some()
    }

    /// Applies the rules and the strategy to a loss.
    pub(super) fn decide(&mut self, by_fault: bool) {
        let asked = std::mem::take(&mut *self.verdicts.lock().unwrap());
        assert_eq!(asked.len(), 1, "asked once per fault");
        let refused = std::mem::take(&mut self.refused);
        let once = self.must_not_repeat() && !refused;
        self.not_repeated = once && asked[0] == Verdict::Continue;
        self.counts.not_repeated += u64::from(once);
        self.counts.refused += u64::from(refused);
        // The id can't be resumed from any more.
        self.server_sent_id &= !refused;
        self.finished = once || refused;
        let verdict = match self.finished {
            true => Verdict::Fail,
            false => asked[0],
        };
        self.start_due = false;
        let restarting = std::mem::take(&mut self.restarting);
        match verdict {
            Verdict::Continue => self.phase = Phase::Waiting,
            // The user expected an end; a fault must be reported.
            Verdict::Fail if restarting && !by_fault => {
                self.phase = Phase::Waiting;
                self.begin_again();
                self.counts.restarted += 1;
            }
            Verdict::Fail => {
                self.phase = Phase::Idle;
                self.stop_due = !by_fault;
            }
        }
    }
}
