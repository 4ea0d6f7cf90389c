//! From observations to findings, without I/O and without a clock.
//!
//! | file | subject |
//! |---|---|
//! | `reach.rs` | reaching the server, and whether it answers with a stream |
//! | `headers.rs` | what the headers mean for caches and proxies |
//! | `buffering.rs` | whether a proxy holds the stream back |
//! | `delivery.rs` | when the bytes arrive |
//! | `fields.rs` | the content of the events |
//! | `lines.rs` | the format of the stream |
//! | `again.rs` | reconnecting and resuming |
//! | `browser.rs` | what browsers allow |

mod again;
mod browser;
mod buffering;
mod delivery;
mod fields;
mod headers;
mod lines;
mod reach;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::observed::{Observed, Response, Stream};
pub(crate) use buffering::{is_held_back, may_be_held_back};
pub(crate) use delivery::no_event;

/// How a finding is judged.
///
/// ```
/// use everstream_check::{Check, Level, Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// assert_eq!(report.level(Check::Reachable), Level::Fail);
/// assert_eq!(report.level(Check::Ids), Level::Skip);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is wrong.
    Pass,
    /// It works, but not in every case or for every client.
    Warn,
    /// It is broken.
    Fail,
    /// It couldn't be determined.
    Skip,
}

/// The result of one check.
///
/// ```
/// use everstream_check::{Check, Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// let finding = report.finding(Check::Reachable).unwrap();
/// assert_eq!(finding.id, "reachable");
/// assert!(finding.observed.contains("refused"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked.
    #[serde(skip)]
    pub check: Check,
    /// The id of the check.
    pub id: &'static str,
    /// How it is judged.
    pub level: Level,
    /// The title of the check.
    pub title: &'static str,
    /// What was observed.
    pub observed: String,
    /// Why it matters and what to do, for warnings and problems.
    #[serde(flatten)]
    pub advice: Option<Advice>,
    /// The setting of the check that would tell more, or something else.
    #[serde(skip)]
    pub setting: Option<Setting>,
    /// What it is in a few words, if [`Check::problem`] says too much. Such a warning is about what
    /// was observed.
    #[serde(skip)]
    pub(crate) name: Option<&'static str>,
}

/// Why a finding matters, and what to do.
///
/// ```
/// use everstream_check::{Check, Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// let advice = report.finding(Check::Reachable).unwrap().advice.unwrap();
/// println!("{} {}", advice.why, advice.fix);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// Why the finding matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where that is specified.
    pub source: &'static str,
}

/// A setting of the check that can change a finding, for programs that name their own options.
///
/// ```
/// use everstream_check::{Check, Options, Setting, check};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().send("data: a\n\n").stall());
/// # let url = server.url("/feed");
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check(&url, Options::new().events(1)));
/// // Whether the server allows the origin of your site: the check has to know that origin.
/// assert_eq!(report.finding(Check::Cors).unwrap().setting, Some(Setting::Origin));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// [`Options::duration`](crate::Options::duration): a longer time.
    Duration,
    /// [`Options::origin`](crate::Options::origin): the origin of your site.
    Origin,
    /// [`Options::request`](crate::Options::request): credentials.
    Credentials,
    /// [`Options::request`](crate::Options::request): a higher redirect limit.
    RedirectLimit,
}

/// A finding without its name.
struct Verdict {
    level: Level,
    observed: String,
    advice: Option<Advice>,
    setting: Option<Setting>,
    name: Option<&'static str>,
}

impl Verdict {
    fn advise(self, why: &'static str, fix: &'static str, source: &'static str) -> Judged {
        let advice = Some(Advice { why, fix, source });
        Ok(Verdict { advice, ..self })
    }

    fn setting(self, setting: Setting) -> Verdict {
        Verdict {
            setting: Some(setting),
            ..self
        }
    }

    fn named(self, name: &'static str) -> Verdict {
        Verdict {
            name: Some(name),
            ..self
        }
    }
}

/// The error is a verdict too: there is nothing to judge.
type Judged = Result<Verdict, Verdict>;

fn verdict(level: Level, observed: impl Into<String>) -> Verdict {
    Verdict {
        level,
        observed: observed.into(),
        advice: None,
        setting: None,
        name: None,
    }
}

fn pass(observed: impl Into<String>) -> Judged {
    Ok(verdict(Level::Pass, observed))
}

fn skip(observed: impl Into<String>) -> Judged {
    Err(verdict(Level::Skip, observed))
}

/// A skip that this setting may turn into a result.
fn skip_without(setting: Setting, observed: impl Into<String>) -> Judged {
    Err(verdict(Level::Skip, observed).setting(setting))
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
            None => Err(verdict(Level::Skip, "the response isn't an event stream")),
        }
    }
}

macro_rules! checks {
    ($($check:ident, $id:literal, $title:literal, $problem:literal, $judge:path;)*) => {
        /// A check. Its id is its name in the report; the table in `docs/cli.md` says what each one
        /// examines.
        ///
        /// ```
        /// use everstream_check::Check;
        ///
        /// assert_eq!(Check::ContentType.id(), "content-type");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Check {
            $(
                #[doc = concat!("`", $id, "`: ", $title, ".")]
                $check,
            )*
        }

        impl Check {
            /// All checks, in the order of the report.
            pub const ALL: &[Check] = &[$(Check::$check),*];

            /// The id in the report: `content-type`.
            pub fn id(self) -> &'static str {
                match self { $(Check::$check => $id),* }
            }

            /// The title: `Content type`.
            pub fn title(self) -> &'static str {
                match self { $(Check::$check => $title),* }
            }

            /// What is wrong if the check fails, in a few words: `wrong content type`.
            pub fn problem(self) -> &'static str {
                match self { $(Check::$check => $problem),* }
            }

            /// Whether a warning is about what a proxy or cache may do, not about what was observed.
            pub(crate) fn is_precaution(self) -> bool {
                use Check::{CacheControl, HttpVersion, NoTransform, ProxyBuffering, Tls};
                matches!(
                    self,
                    Tls | HttpVersion | CacheControl | NoTransform | ProxyBuffering
                )
            }

            fn judge(self, observed: &Observed) -> Judged {
                match self { $(Check::$check => $judge(observed)),* }
            }
        }
    };
}

checks! {
    Reachable, "reachable", "Reachability", "can't be reached", reach::reachable;
    Tls, "tls", "Encryption", "not encrypted", reach::tls;
    Redirects, "redirects", "Redirects", "bad redirect", reach::redirects;
    Status, "status", "Status", "wrong status", reach::status;
    ContentType, "content-type", "Content type", "wrong content type", reach::content_type;
    Charset, "charset", "Charset", "wrong charset", reach::charset;
    HttpVersion, "http-version", "HTTP version", "HTTP/1.1", reach::http_version;
    CacheControl, "cache-control", "Caching", "may be cached", headers::cache_control;
    NoTransform, "no-transform", "Transformation by proxies", "may be changed by proxies", headers::no_transform;
    ProxyBuffering, "proxy-buffering", "Buffering by proxies", "buffered by a proxy", buffering::proxy_buffering;
    Proxies, "proxies", "Proxies and caches", "served from a cache", headers::proxies;
    Framing, "framing", "Framing", "unsuitable framing", headers::framing;
    Compression, "compression", "Compression", "delayed by compression", delivery::compression;
    FirstEvent, "first-event", "First event", "slow to start", delivery::first_event;
    Delivery, "delivery", "Delivery", "events held back", delivery::delivery;
    Heartbeat, "heartbeat", "Heartbeat", "no heartbeat", delivery::heartbeat;
    Retry, "retry", "Reconnection time", "unsuitable retry", fields::retry;
    Ids, "ids", "Ids", "missing ids", fields::ids;
    UniqueIds, "unique-ids", "Unique ids", "duplicate ids", fields::unique_ids;
    UsableIds, "usable-ids", "Usable ids", "unusable ids", fields::usable_ids;
    EventTypes, "event-types", "Event types", "reserved event types", fields::event_types;
    Data, "data", "Data", "suspect data", fields::data;
    Sizes, "sizes", "Sizes", "large events", fields::sizes;
    Bom, "bom", "Byte order mark", "byte order mark", lines::bom;
    LineEnds, "line-ends", "Line endings", "unusual line endings", lines::line_ends;
    Utf8, "utf-8", "Encoding", "not UTF-8", lines::utf_8;
    Fields, "fields", "Fields", "lines that clients ignore", lines::fields;
    End, "end", "End of the stream", "doesn't stay open", lines::end;
    Reconnect, "reconnect", "Second connection", "can't reconnect", again::reconnect;
    Resume, "resume", "Resuming", "can't resume", again::resume;
    UnknownId, "unknown-id", "Unknown last id", "refuses unknown ids", again::unknown_id;
    Cors, "cors", "Other origins", "closed to other origins", browser::cors;
    Preflight, "preflight", "Preflight", "preflight refused", browser::preflight;
}

pub(crate) fn judge(observed: &Observed) -> Vec<Finding> {
    let finding = |check: &Check| {
        let (Ok(verdict) | Err(verdict)) = check.judge(observed);
        Finding {
            check: *check,
            id: check.id(),
            title: check.title(),
            level: verdict.level,
            observed: verdict.observed,
            advice: verdict.advice,
            setting: verdict.setting,
            name: verdict.name,
        }
    };
    Check::ALL.iter().map(finding).collect()
}
