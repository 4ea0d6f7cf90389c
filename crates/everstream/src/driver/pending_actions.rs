//! Actions that were received before `start` returned, for the next reads.

use std::collections::VecDeque;

use everstream_core::Action;

/// How many starts and faults are kept for a program that calls `start` repeatedly and never reads.
const MAX_PENDING: usize = 64;

#[derive(Default)]
pub(super) struct PendingActions(VecDeque<(Action, Option<String>)>);

impl PendingActions {
    /// Adds an action, with the last event id at that time.
    ///
    /// All events and comments are kept: they are what remained of an earlier connection. Starts and
    /// faults are unbounded while a server is down or the program doesn't read, so only the last of
    /// consecutive faults is kept, and only the newest [`MAX_PENDING`] of both.
    pub(super) fn push(&mut self, action: Action, id: Option<&str>) {
        let is_fault = |action: &Action| matches!(action, Action::Fault(_) | Action::End(_));
        let is_limited =
            |(action, _): &(Action, _)| is_fault(action) || matches!(action, Action::Start(_));
        if is_fault(&action) && self.0.back().is_some_and(|(last, _)| is_fault(last)) {
            self.0.pop_back();
        }
        if self.0.iter().filter(|entry| is_limited(entry)).count() == MAX_PENDING {
            if let Some(oldest) = self.0.iter().position(is_limited) {
                self.0.remove(oldest);
            }
        }
        self.0.push_back((action, id.map(String::from)));
    }

    /// Removes the oldest action and returns it with the last event id when it was received.
    pub(super) fn pop(&mut self) -> Option<(Action, Option<String>)> {
        let oldest = self.0.pop_front()?;
        if self.0.is_empty() {
            // The queue stays empty while the client is being read.
            self.0.shrink_to_fit();
        }
        Some(oldest)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
