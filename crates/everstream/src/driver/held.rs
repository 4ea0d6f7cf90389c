//! What was received before `start` returned, for the next read.

use std::collections::VecDeque;

use everstream_core::Action;

/// So many starts and faults are kept for one who starts again and again and doesn't read.
const MAX_HELD: usize = 64;

#[derive(Default)]
pub(super) struct Held(VecDeque<(Action, Option<String>)>);

impl Held {
    /// Keeps an action, with the last event id at that time. Events and comments are what was received
    /// when an earlier connection ended, and all of it; of starts and faults there may be no end while
    /// a server is away or nobody reads: one fault in a row, and the newest [`MAX_HELD`].
    pub(super) fn hold(&mut self, action: Action, id: Option<&str>) {
        let is_fault = |action: &Action| matches!(action, Action::Fault(_) | Action::End(_));
        let is_told =
            |(action, _): &(Action, _)| is_fault(action) || matches!(action, Action::Start(_));
        if is_fault(&action) && self.0.back().is_some_and(|(last, _)| is_fault(last)) {
            self.0.pop_back();
        }
        if self.0.iter().filter(|held| is_told(held)).count() == MAX_HELD {
            if let Some(oldest) = self.0.iter().position(is_told) {
                self.0.remove(oldest);
            }
        }
        self.0.push_back((action, id.map(String::from)));
    }

    /// The oldest action, and the last event id when it was received.
    pub(super) fn take(&mut self) -> Option<(Action, Option<String>)> {
        let oldest = self.0.pop_front()?;
        if self.0.is_empty() {
            // Nothing is held for as long as the client is read.
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
