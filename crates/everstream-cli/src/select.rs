//! Selects events, and decides when there are enough.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

use clap::Args;
use everstream::Event;
use regex_lite::Regex;

use crate::duration;
use crate::report::Problem;
use crate::until::UntilArgs;

#[derive(Debug, Args)]
#[command(next_help_heading = "Selecting and stopping")]
pub(crate) struct SelectArgs {
    /// Only events of this type; !TYPE: all but these (repeatable).
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,

    /// Only events whose data matches.
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,

    /// Skip events whose id is among the last 10000 ids.
    #[arg(long)]
    skip_duplicates: bool,

    /// Stop after N selected events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Stop after this time.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) until: UntilArgs,
}

impl SelectArgs {
    /// Whether the stream is complete after a certain event.
    pub(crate) fn expects_an_end(&self) -> bool {
        self.count.is_some() || self.until.option().is_some()
    }
}

/// How many ids are remembered.
const REMEMBERED: usize = 10_000;

pub(crate) struct Select {
    wanted: Vec<String>,
    unwanted: Vec<String>,
    grep: Option<Regex>,
    seen: Option<Seen>,
}

impl Select {
    pub(crate) fn new(args: &SelectArgs) -> Result<Select, Problem> {
        let (unwanted, wanted): (Vec<_>, Vec<_>) =
            args.events.iter().partition(|name| name.starts_with('!'));
        Ok(Select {
            wanted: wanted.into_iter().cloned().collect(),
            unwanted: unwanted.iter().map(|name| name[1..].to_owned()).collect(),
            grep: args.grep.as_deref().map(regex).transpose()?,
            seen: args.skip_duplicates.then(Seen::default),
        })
    }

    /// Marks the id as seen, in the last run.
    pub(crate) fn remember(&mut self, id: &str) {
        if let Some(seen) = &mut self.seen {
            seen.is_new(id);
        }
    }

    pub(crate) fn takes(&mut self, event: &Event) -> bool {
        // Ids of unselected events are remembered too, so that repetitions are recognized.
        let new = match (&mut self.seen, event.id()) {
            (Some(seen), Some(id)) if !id.is_empty() => seen.is_new(id),
            _ => true,
        };
        let is = |name: &String| name == event.event();
        new && (self.wanted.is_empty() || self.wanted.iter().any(is))
            && !self.unwanted.iter().any(is)
            && self
                .grep
                .as_ref()
                .is_none_or(|grep| grep.is_match(event.data()))
    }
}

/// The last ids as 128-bit hashes, because an id may be as long as an event.
#[derive(Default)]
struct Seen {
    hashers: (RandomState, RandomState),
    set: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Seen {
    fn is_new(&mut self, id: &str) -> bool {
        let (high, low) = &self.hashers;
        let hash = u128::from(high.hash_one(id)) << 64 | u128::from(low.hash_one(id));
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
        true
    }
}

fn regex(text: &str) -> Result<Regex, Problem> {
    Regex::new(text).map_err(|error| {
        Problem::because(
            &format!("--grep {text:?} isn't a valid regular expression"),
            &error,
        )
        .hint("escape special characters with a backslash: '\\[DONE\\]'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(events: &[&str], grep: Option<&str>) -> Select {
        Select::new(&SelectArgs {
            events: events.iter().map(|name| (*name).into()).collect(),
            grep: grep.map(Into::into),
            skip_duplicates: true,
            count: None,
            duration: None,
            until: UntilArgs::default(),
        })
        .unwrap()
    }

    #[test]
    fn types_are_included_and_excluded() {
        let taken = |events: &[&str]| {
            ["a", "b", "message"]
                .into_iter()
                .filter(|name| select(events, None).takes(&Event::new(name, "x", None)))
                .collect::<Vec<_>>()
        };
        assert_eq!(taken(&[]), ["a", "b", "message"]);
        assert_eq!(taken(&["a", "message"]), ["a", "message"]);
        assert_eq!(taken(&["!a"]), ["b", "message"]);
        assert_eq!(taken(&["a", "b", "!b"]), ["a"]);
    }

    #[test]
    fn an_id_is_remembered_for_ten_thousand_others() {
        let mut select = select(&[], None);
        let mut takes = |id: &str| select.takes(&Event::new("", "x", Some(id)));
        assert!(takes("first"));
        for id in 1..REMEMBERED {
            assert!(takes(&id.to_string()));
        }
        assert!(!takes("first"));
        assert!(takes("one more"));
        assert!(takes("first"), "it is forgotten by now");
        assert!(takes("") && takes(""), "that is no id");
    }
}
