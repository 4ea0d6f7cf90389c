//! From what was seen to findings. Nothing here asks anybody, or looks at a clock.
//!
//! | file | subject |
//! |---|---|
//! | `reach.rs` | the way to the server, and whether it answers with a stream |
//! | `headers.rs` | what the headers tell caches and proxies |
//! | `delivery.rs` | when the bytes come |
//! | `fields.rs` | what the stream says |
//! | `lines.rs` | how it is written |
//! | `again.rs` | connecting again, resuming |
//! | `browser.rs` | what browsers allow |

mod again;
mod browser;
mod delivery;
mod fields;
mod headers;
mod lines;
mod reach;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::observed::{Observed, Response, Stream};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Pass,
    Warn,
    Fail,
    /// Nothing can be said.
    Skip,
}

/// What is said of one thing that was examined.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    pub(super) level: Level,
    pub(super) title: &'static str,
    pub(super) observed: String,
    #[serde(flatten)]
    pub(super) advice: Option<Advice>,
}

/// Why a finding matters, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Advice {
    pub(super) why: &'static str,
    pub(super) fix: &'static str,
    pub(super) source: &'static str,
}

/// A finding without its name.
struct Verdict {
    level: Level,
    observed: String,
    advice: Option<Advice>,
}

impl Verdict {
    fn advise(self, why: &'static str, fix: &'static str, source: &'static str) -> Judged {
        let advice = Some(Advice { why, fix, source });
        Ok(Verdict { advice, ..self })
    }
}

/// The error is a verdict too: that there is nothing to judge.
type Judged = Result<Verdict, Verdict>;

fn verdict(level: Level, observed: impl Into<String>) -> Verdict {
    Verdict {
        level,
        observed: observed.into(),
        advice: None,
    }
}

fn pass(observed: impl Into<String>) -> Judged {
    Ok(verdict(Level::Pass, observed))
}

fn skip(observed: impl Into<String>) -> Judged {
    Err(verdict(Level::Skip, observed))
}

/// To be followed by [`Verdict::advise`].
fn warn(observed: impl Into<String>) -> Verdict {
    verdict(Level::Warn, observed)
}

/// To be followed by [`Verdict::advise`].
fn fail(observed: impl Into<String>) -> Verdict {
    verdict(Level::Fail, observed)
}

impl Observed {
    fn answered(&self) -> Result<&Response, Verdict> {
        let nothing = || verdict(Level::Skip, "there was no response");
        self.response.as_ref().ok_or_else(nothing)
    }

    fn streamed(&self) -> Result<(&Response, &Stream), Verdict> {
        let response = self.answered()?;
        match &self.stream {
            Some(stream) => Ok((response, stream)),
            None => Err(verdict(Level::Skip, "the response is no event stream")),
        }
    }
}

struct Check {
    id: &'static str,
    title: &'static str,
    judge: fn(&Observed) -> Judged,
}

const fn check(id: &'static str, title: &'static str, judge: fn(&Observed) -> Judged) -> Check {
    Check { id, title, judge }
}

/// All that is examined, in the order of the report.
const CHECKS: &[Check] = &[
    check("reachable", "Reachability", reach::reachable),
    check("tls", "Encryption", reach::tls),
    check("redirects", "Redirects", reach::redirects),
    check("status", "Status", reach::status),
    check("content-type", "Content type", reach::content_type),
    check("charset", "Charset", reach::charset),
    check("http-version", "Version of HTTP", reach::http_version),
    check("cache-control", "Caching", headers::cache_control),
    check("no-transform", "Changes by proxies", headers::no_transform),
    check(
        "proxy-buffering",
        "Buffering by proxies",
        headers::proxy_buffering,
    ),
    check("proxies", "Proxies and caches", headers::proxies),
    check("framing", "Framing", headers::framing),
    check("compression", "Compression", delivery::compression),
    check("first-event", "First event", delivery::first_event),
    check("delivery", "Delivery", delivery::delivery),
    check("heartbeat", "Heartbeat", delivery::heartbeat),
    check("retry", "Reconnection time", fields::retry),
    check("ids", "Ids", fields::ids),
    check("unique-ids", "Uniqueness of ids", fields::unique_ids),
    check("usable-ids", "Characters of ids", fields::usable_ids),
    check("event-types", "Event types", fields::event_types),
    check("data", "Data", fields::data),
    check("sizes", "Sizes", fields::sizes),
    check("bom", "Byte order mark", lines::bom),
    check("line-ends", "Line ends", lines::line_ends),
    check("utf-8", "Encoding", lines::utf_8),
    check("fields", "Fields", lines::fields),
    check("end", "End of the stream", lines::end),
    check("reconnect", "Second connection", again::reconnect),
    check("resume", "Resuming", again::resume),
    check("unknown-id", "Unknown last id", again::unknown_id),
    check("cors", "Other origins", browser::cors),
    check("preflight", "Preflight", browser::preflight),
];

pub(super) fn judge(observed: &Observed) -> Vec<Finding> {
    let finding = |check: &Check| {
        let (Ok(verdict) | Err(verdict)) = (check.judge)(observed);
        Finding {
            id: check.id,
            title: check.title,
            level: verdict.level,
            observed: verdict.observed,
            advice: verdict.advice,
        }
    };
    CHECKS.iter().map(finding).collect()
}

/// `1 event`, `2 events`.
fn count(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
