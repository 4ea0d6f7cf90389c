//! What a scenario found: facts, and problems.

use std::collections::HashMap;

use super::follow::Event;

#[derive(Default)]
pub(super) struct Report {
    facts: Vec<String>,
    problems: Vec<String>,
}

impl Report {
    pub(super) fn fact(&mut self, text: impl Into<String>) {
        self.facts.push(text.into());
    }

    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    pub(super) fn require(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.problem(otherwise);
        }
    }

    pub(super) fn failed(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn print(&self) {
        for fact in &self.facts {
            println!("    {fact}");
        }
        for problem in &self.problems {
            println!("    FAILED: {problem}");
        }
        if !self.failed() {
            println!("    ok");
        }
    }

    /// Requires that exactly the `expected` events were seen, each once and in order.
    pub(super) fn compare(&mut self, expected: &[Event], seen: &[Event]) {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for event in seen {
            *times.entry(&event.id).or_default() += 1;
        }
        let missing: Vec<&str> = expected
            .iter()
            .map(|event| event.id.as_str())
            .filter(|id| !times.contains_key(id))
            .collect();
        let repeated = times.values().filter(|&&times| times > 1).count();
        self.fact(format!(
            "{} events sent, {} received, {} lost, {repeated} repeated",
            expected.len(),
            seen.len(),
            missing.len(),
        ));
        self.require(
            missing.is_empty(),
            format!("lost: ids {}", missing.join(", ")),
        );
        self.require(
            repeated == 0,
            format!("{repeated} ids were seen more than once"),
        );
        if missing.is_empty() && repeated == 0 && expected != seen {
            let difference = expected
                .iter()
                .map(Some)
                .chain([None])
                .zip(seen.iter().map(Some).chain([None]))
                .find(|(expected, seen)| expected != seen);
            self.problem(format!("expected and seen differ first at {difference:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(ids: &[&str]) -> Vec<Event> {
        ids.iter()
            .map(|id| Event::new("message", id, "data"))
            .collect()
    }

    fn failed(expected: &[&str], seen: &[Event]) -> bool {
        let mut report = Report::default();
        report.compare(&events(expected), seen);
        report.failed()
    }

    #[test]
    fn only_each_event_once_and_in_order_passes() {
        let sent = ["1", "2", "3"];
        assert!(!failed(&sent, &events(&sent)));
        assert!(failed(&sent, &events(&["1", "3"])), "lost");
        assert!(failed(&sent, &events(&["1", "2"])), "the last one lost");
        assert!(failed(&sent, &events(&["1", "2", "2", "3"])), "repeated");
        assert!(failed(&sent, &events(&["1", "3", "2"])), "out of order");
        assert!(failed(&sent, &events(&["1", "2", "3", "4"])), "not sent");
        let mut wrong = events(&sent);
        wrong[1].data = "other".to_owned();
        assert!(failed(&sent, &wrong), "other data");
    }
}
