//! Where a stream ends: `--until`, `--until-type`.

use std::sync::{Arc, OnceLock};

use clap::Args;
use everstream::{Builder, Event};
use regex_lite::Regex;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selecting and stopping")]
pub(crate) struct UntilArgs {
    /// Stop at the first event whose data is exactly this text, or is fully matched by it as a regular
    /// expression. That event isn't written.
    #[arg(long, value_name = "TEXT|REGEX")]
    pub(crate) until: Option<String>,

    /// Stop at an event of this type, and write it unless its data is [DONE]. A message without
    /// data doesn't count, because MCP servers begin with one (repeatable).
    #[arg(long, value_name = "TYPE")]
    pub(crate) until_type: Vec<String>,

    /// Don't write the event at which --until-type stops.
    #[arg(long, requires = "until_type")]
    pub(crate) until_exclusive: bool,
}

impl UntilArgs {
    /// The option that defines the end of the stream, if one does.
    pub(crate) fn option(&self) -> Option<&'static str> {
        match (&self.until, &*self.until_type) {
            (Some(_), _) => Some("--until"),
            (None, [_, ..]) => Some("--until-type"),
            (None, []) => None,
        }
    }

    /// The event at which the stream should end, for messages.
    pub(crate) fn describe(&self) -> Option<String> {
        let text = self.until.iter().map(|text| format!("--until '{text}'"));
        let types = self
            .until_type
            .iter()
            .map(|name| format!("--until-type '{name}'"));
        let all: Vec<String> = text.chain(types).collect();
        (!all.is_empty()).then(|| all.join(" or "))
    }

    /// Makes the client end at that event.
    pub(crate) fn apply(&self, builder: Builder) -> (Builder, ReachedEnd) {
        let last = ReachedEnd::default();
        if self.option().is_none() {
            return (builder, last);
        }
        let text = self.until.clone();
        // A text that isn't a valid regular expression is only compared.
        let whole = text
            .as_ref()
            .filter(|text| Regex::new(text).is_ok())
            .and_then(|text| Regex::new(&format!("^(?:{text})$")).ok());
        let (types, exclusive) = (self.until_type.clone(), self.until_exclusive);
        let reached = last.clone();
        let builder = builder.until_fn(move |event| {
            let data = event.data();
            let by_data = text.as_deref() == Some(data)
                || whole.as_ref().is_some_and(|whole| whole.is_match(data));
            let by_type = types.iter().any(|name| name == event.event()) && !is_priming(event);
            if by_data || by_type {
                let written = by_type && !by_data && !exclusive && data != "[DONE]";
                _ = reached.0.set(Reached {
                    by: if by_data { "--until" } else { "--until-type" },
                    last_event_id: event.last_event_id().map(str::to_owned),
                    event: written.then(|| event.clone()),
                });
            }
            by_data || by_type
        });
        (builder, last)
    }
}

/// MCP servers start a stream with such an event, so that a client has an id to resume after.
pub(crate) fn is_priming(event: &Event) -> bool {
    event.event() == "message" && event.data().is_empty()
}

/// The event at which the stream ended, once it has.
#[derive(Clone, Default)]
pub(crate) struct ReachedEnd(Arc<OnceLock<Reached>>);

pub(crate) struct Reached {
    /// The option.
    pub(crate) by: &'static str,
    /// The id to resume after.
    pub(crate) last_event_id: Option<String>,
    /// The event, if it is to be written.
    pub(crate) event: Option<Event>,
}

impl ReachedEnd {
    pub(crate) fn reached(&self) -> Option<&Reached> {
        self.0.get()
    }
}
