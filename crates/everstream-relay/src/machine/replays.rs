//! Events that the feed sends again after a reconnect.

use std::collections::VecDeque;

/// The last ids that were received, and whether the feed may be repeating them.
#[derive(Debug, Default)]
pub(super) struct Replays {
    recent: VecDeque<String>,
    limit: usize,
    /// No unknown id has arrived since the feed connected.
    suspected: bool,
}

impl Replays {
    pub(super) fn new(limit: usize, recent: Vec<String>) -> Replays {
        let excess = recent.len().saturating_sub(limit);
        Replays {
            recent: recent.into_iter().skip(excess).collect(),
            limit,
            suspected: true,
        }
    }

    pub(super) fn connected(&mut self) {
        self.suspected = true;
    }

    /// Whether the event with this id is repeated. If not, the id is remembered.
    pub(super) fn repeats(&mut self, id: &str) -> bool {
        self.suspected = self.suspected && self.recent.iter().any(|it| it == id);
        if self.suspected || self.limit == 0 {
            return self.suspected;
        }
        // The oldest one's memory becomes that of the newest.
        let mut place = match self.recent.len() >= self.limit {
            true => self.recent.pop_front().unwrap_or_default(),
            false => String::new(),
        };
        place.clear();
        place.push_str(id);
        self.recent.push_back(place);
        false
    }
}
