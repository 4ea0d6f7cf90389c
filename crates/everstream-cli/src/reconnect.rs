//! When and how long to retry: the options that every subcommand with a URL shares.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use everstream::error_strategy::{
    ErrorStrategy, MaxAttempts, Reconnect, TRANSIENT_STATUSES, TimeLimit, Verdict, always_fail,
    continue_with_max_attempts, continue_with_time_limit, reconnect,
};
use everstream::{Builder, Fault, Timestamp, retry_delay};

use crate::duration;
use crate::size;

#[derive(Debug, Args)]
#[command(next_help_heading = "Reconnecting")]
pub(crate) struct ReconnectArgs {
    /// Stop when the first connection ends.
    #[arg(long, conflicts_with_all = ["max_attempts", "max_outage", "retry_status", "repeat_unsafe", "resume_get"])]
    pub(crate) no_reconnect: bool,

    /// Give up after N failed attempts in a row. Default: no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,

    /// Give up after N failed retries in a row; 0: like --no-reconnect.
    #[arg(long, value_name = "N", conflicts_with = "max_attempts")]
    retry: Option<u32>,

    /// Give up when an outage lasts longer than this; 0, the default: never. To limit the whole
    /// run, use --max-time or --duration.
    #[arg(long, visible_alias = "retry-max-time", value_name = "TIME", value_parser = duration::parse)]
    max_outage: Option<Duration>,

    /// Wait this long before the first reconnect. Each attempt doubles the wait, and jitter
    /// shortens it by up to half. retry: from the server overrides it. After a response that ended
    /// cleanly with a new event id, the wait is 3s, or this if it is longer.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1s")]
    initial_retry_delay: Duration,

    /// Wait this long before every reconnect, without increasing the wait. Jitter shortens it, and
    /// retry: from the server overrides it. 0: the default.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "initial_retry_delay")]
    retry_delay: Option<Duration>,

    /// Never wait longer than this, whatever the server says. Clean ends are then treated like
    /// faults. Default: 30s, unless the first wait is longer or the server asks for more.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    retry_max: Option<Duration>,

    /// Retry after these statuses: numbers, 4xx or 5xx, separated by commas; "" for none. Default:
    /// 408,425,429,500,502-504,520-524,529.
    #[arg(long, value_name = "LIST", value_parser = parse_statuses)]
    retry_status: Option<Statuses>,

    /// Like --retry-status 4xx,5xx.
    #[arg(long, hide = true, conflicts_with = "retry_status")]
    retry_all_errors: bool,

    /// Send a POST (or another unsafe method) again when its stream ends or fails, like a GET.
    /// Without this, it is sent again only if the server can't have received it.
    #[arg(long)]
    pub(crate) repeat_unsafe: bool,

    /// Resume the stream of a POST with a GET after the last event id, as MCP servers require: with
    /// the same headers and no body. A server that answers 400, 404 or 405 doesn't support this.
    #[arg(long)]
    pub(crate) resume_get: bool,

    /// Resume after the event with this id.
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// The option whose limit was reached.
    #[arg(skip)]
    reached: Arc<OnceLock<&'static str>>,
}

// Options about reading. No doc comment: clap would use it as the command's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading events")]
struct ReadingArgs {
    /// Refuse events that are larger than this, in bytes: 64k, 8M, 1G. Default: 64M.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_event_size: Option<usize>,

    /// Deliver a last event that lacks its blank line, if the response is known to be complete.
    #[arg(long)]
    dispatch_unfinished: bool,
}

impl ReadingArgs {
    fn apply(&self, builder: Builder) -> Builder {
        let builder = builder.dispatch_unfinished(self.dispatch_unfinished);
        match self.max_event_size {
            Some(size) => builder.max_event_size(size),
            None => builder,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statuses(Vec<u16>);

fn parse_statuses(list: &str) -> Result<Statuses, String> {
    let mut statuses = Vec::new();
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match part {
            "4xx" => statuses.extend(400..500),
            "5xx" => statuses.extend(500..600),
            _ => match part.parse() {
                Ok(status @ 100..=999) => statuses.push(status),
                _ => return Err(format!("{part:?} isn't a status, 4xx or 5xx")),
            },
        }
    }
    Ok(Statuses(statuses))
}

impl ReconnectArgs {
    /// Translates curl's options into ours.
    pub(crate) fn resolve_aliases(&mut self) {
        match self.retry {
            Some(0) => self.no_reconnect = true,
            Some(retries) => self.max_attempts = Some(retries.saturating_add(1)),
            None => {}
        }
        if self.retry_all_errors {
            self.retry_status = Some(Statuses((400..600).collect()));
        }
    }

    pub(crate) fn apply(&self, mut builder: Builder) -> Builder {
        let mut backoff = retry_delay::backoff();
        // As in curl, 0 is the default.
        let fixed = self.retry_delay.filter(|delay| !delay.is_zero());
        if fixed.is_some() {
            backoff = backoff.multiplier(1.0);
        }
        if let Some(longest) = self.retry_max {
            backoff = backoff.max_delay(longest);
        }
        builder = self
            .read(builder)
            .initial_retry_delay(fixed.unwrap_or(self.initial_retry_delay))
            .retry_delay_strategy(backoff)
            .repeat_unsafe(self.repeat_unsafe)
            .resume_with_get(self.resume_get);
        if self.no_reconnect {
            return builder.error_strategy(always_fail());
        }
        builder.error_strategy(Limited {
            reconnect: reconnect().or_on_status(self.statuses().to_vec()),
            // The last attempt that fails ends the retries.
            attempts: self
                .max_attempts
                .map(|max| continue_with_max_attempts(max.saturating_sub(1))),
            attempts_option: match self.retry {
                Some(_) => "--retry",
                None => "--max-attempts",
            },
            time: self
                .max_outage
                .filter(|time| !time.is_zero())
                .map(continue_with_time_limit),
            connected: false,
            reached: self.reached.clone(),
        })
    }

    /// Applies the options about reading, also for a saved stream.
    pub(crate) fn read(&self, builder: Builder) -> Builder {
        self.reading.apply(builder)
    }

    /// The option that prevents reconnecting.
    pub(crate) fn once(&self) -> &'static str {
        match self.retry {
            Some(0) => "--retry 0",
            _ => "--no-reconnect",
        }
    }

    pub(crate) fn dispatches_unfinished(&self) -> bool {
        self.reading.dispatch_unfinished
    }

    /// The option whose limit ended the attempts, if one did.
    pub(crate) fn reached_limit(&self) -> Option<&'static str> {
        self.reached.get().copied()
    }

    /// The statuses that are retried.
    pub(crate) fn statuses(&self) -> &[u16] {
        match &self.retry_status {
            Some(Statuses(statuses)) => statuses,
            None => &TRANSIENT_STATUSES,
        }
    }
}

/// Retries as long as each of its parts does.
struct Limited {
    reconnect: Reconnect,
    attempts: Option<MaxAttempts>,
    /// The option that limits them.
    attempts_option: &'static str,
    time: Option<TimeLimit>,
    /// There was a connection, whose end isn't a failed attempt.
    connected: bool,
    /// The option whose limit ended the retries.
    reached: Arc<OnceLock<&'static str>>,
}

impl ErrorStrategy for Limited {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        let attempted = !std::mem::take(&mut self.connected);
        let attempts = self.attempts.as_mut().filter(|_| attempted);
        let verdicts = [
            Some(self.reconnect.apply(fault, now)),
            attempts.map(|attempts| attempts.apply(fault, now)),
            self.time.as_mut().map(|time| time.apply(fault, now)),
        ];
        let options = [None, Some(self.attempts_option), Some("--max-outage")];
        let failed = verdicts.into_iter().zip(options);
        let Some((_, option)) = failed
            .into_iter()
            .find(|(it, _)| *it == Some(Verdict::Fail))
        else {
            return Verdict::Continue;
        };
        if let Some(option) = option {
            _ = self.reached.set(option);
        }
        Verdict::Fail
    }

    fn reset(&mut self) {
        self.connected = true;
        self.reconnect.reset();
        self.attempts.iter_mut().for_each(MaxAttempts::reset);
        self.time.iter_mut().for_each(TimeLimit::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_status_accepts_numbers_and_classes() {
        assert_eq!(parse_statuses("429, 503"), Ok(Statuses(vec![429, 503])));
        assert_eq!(parse_statuses(""), Ok(Statuses(vec![])));
        assert_eq!(parse_statuses("5xx").unwrap().0.len(), 100);
        for bad in ["99", "1000", "x", "2xx", "-1"] {
            assert!(parse_statuses(bad).is_err(), "{bad}");
        }
    }
}
