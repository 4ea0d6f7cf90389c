//! What was observed: plain facts, without a verdict.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use everstream::Headers;
use everstream_http::policy;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Everything that was observed. `None`: it wasn't asked for, or didn't arrive.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The origin that was sent, and whether the user chose it.
    pub(crate) origin: String,
    pub(crate) origin_chosen: bool,
    /// The status with that origin, if the request was accepted without it.
    pub(crate) origin_refused: Option<u16>,
    /// The status without an origin, if that wasn't a stream either.
    pub(crate) without_origin: Option<u16>,
    /// Whether the origin is the URL's own, so that CORS doesn't apply.
    pub(crate) same_origin: bool,
    /// Whether the server is on this machine, so that there is no network in between.
    pub(crate) local: bool,
    /// Whether certificates weren't verified.
    pub(crate) unverified: bool,
    /// How many requests were sent, not counting redirects.
    pub(crate) requests: u32,
    pub(crate) hops: Vec<Redirect>,
    pub(crate) response: Option<Response>,
    /// Why there is no response.
    pub(crate) trouble: Option<Trouble>,
    /// The response to HEAD, which is sent if the stream's headers don't arrive, or only with the
    /// break of the connection.
    pub(crate) head: Option<Response>,
    pub(crate) stream: Option<Stream>,
    /// Whether the stream was watched for the whole duration.
    pub(crate) whole_duration: bool,
    /// The second connection, which offers gzip.
    pub(crate) second: Option<Answer>,
    /// The comparison repeated, if gzip seemed to delay events.
    pub(crate) repeat: Option<Repeat>,
    pub(crate) resume: Option<Resume>,
    pub(crate) unknown_id: Option<Answer>,
    pub(crate) preflight: Option<Preflight>,
    /// Whether a preflight was due but not sent.
    pub(crate) preflight_left_out: bool,
    /// Why some requests weren't sent, if the check was stopped.
    pub(crate) cut: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Whether scheme, host or port change.
    pub(crate) leaves_origin: bool,
}

/// The first response.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) headers: Headers,
    /// The URL that answered, after redirects.
    pub(crate) url: String,
    pub(crate) method: String,
    /// Whether the request may be repeated: its method is safe.
    pub(crate) repeatable: bool,
    /// The names of the headers that were sent.
    pub(crate) sent: Vec<String>,
    /// The type of the body that was sent.
    pub(crate) request_type: Option<String>,
    /// Whether the body has no content coding, or one that can be decoded.
    pub(crate) readable: bool,
    /// From the request to the headers.
    pub(crate) after: Duration,
    /// How old the headers were when they arrived, in seconds: the clock of this machine minus their
    /// `Date`. The clocks may differ, so only two such ages can be compared.
    pub(crate) age: Option<f64>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Whether there is a stream to look at (WHATWG HTML, section 9.2.3).
    pub(crate) fn is_stream(&self) -> bool {
        self.status == 200 && self.readable && is_event_stream(&self.content_types())
    }

    /// Each `Content-Type`; there should be one.
    pub(crate) fn content_types(&self) -> Vec<&str> {
        self.headers.get_all("content-type").collect()
    }

    /// How much older the headers were than those of this response: the time for which something held
    /// them back. `None`: there is no `Date`.
    pub(crate) fn held_longer_than(&self, other: &Response) -> Option<f64> {
        Some(self.age? - other.age?)
    }
}

/// Whether a response with these types is an event stream: the rule of clients.
pub(crate) fn is_event_stream(content_types: &[impl AsRef<str>]) -> bool {
    let values = content_types.iter().map(AsRef::as_ref);
    let values = values.filter_map(|value| HeaderValue::from_str(value).ok());
    let headers: HeaderMap = values.map(|value| (CONTENT_TYPE, value)).collect();
    policy::is_event_stream(&headers)
}

/// See [`Response::age`].
pub(crate) fn age(headers: &Headers, now: SystemTime) -> Option<f64> {
    let date = httpdate::parse_http_date(headers.get("date")?).ok()?;
    Some(match now.duration_since(date) {
        Ok(age) => age.as_secs_f64(),
        Err(error) => -error.duration().as_secs_f64(),
    })
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) what: String,
    /// What to try.
    pub(crate) hint: Option<&'static str>,
    pub(crate) kind: TroubleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// No response in time.
    Silence,
    Connect,
    Redirect,
    /// The check was stopped.
    Stopped,
    Other,
}

/// The result of a further request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Why there was no response.
    pub(crate) error: Option<String>,
    /// Whether that is because the server sent nothing.
    pub(crate) silent: bool,
    /// From the request to the headers, or to the error.
    pub(crate) after: Duration,
    pub(crate) status: u16,
    pub(crate) content_types: Vec<String>,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) coding: Option<String>,
    /// From the response's headers to its first event.
    pub(crate) first_event: Option<Duration>,
    /// From the response's headers to the end of the wait for events.
    pub(crate) waited: Duration,
    /// The `retry:` values.
    pub(crate) retries: Vec<u64>,
    /// The ids of the events that arrived, in order.
    pub(crate) ids: Vec<Option<String>>,
    /// The text of an event that reports an error.
    pub(crate) error_event: Option<String>,
    /// Whether the stream ended or broke while it was watched.
    pub(crate) ended: bool,
    /// What a first try got instead of a stream, if this is the second one.
    pub(crate) first_try: Option<String>,
    /// How long a second try waited.
    pub(crate) delay: Duration,
}

/// Two more connections, one right after the other: a single observation may be chance.
#[derive(Debug, Default)]
pub(crate) struct Repeat {
    pub(crate) plain: Answer,
    pub(crate) gzip: Answer,
}

/// A connection that resumes after an event.
#[derive(Debug, Default)]
pub(crate) struct Resume {
    /// Which of the stream's ids was sent.
    pub(crate) after: usize,
    pub(crate) answer: Answer,
}

/// The OPTIONS request of a browser (Fetch, CORS-preflight fetch).
#[derive(Debug, Default)]
pub(crate) struct Preflight {
    pub(crate) error: Option<String>,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) method: String,
    /// The headers that it asks to be allowed.
    pub(crate) wanted: Vec<String>,
}

/// How the observation of a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum End {
    /// The stream is still open.
    #[default]
    Open,
    Ended,
    Broke(String),
}

/// The bytes of a stream, described.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// From the response's headers to the end of the observation.
    pub(crate) watched: Duration,
    pub(crate) end: End,
    pub(crate) bytes: u64,
    /// Each read. Times count from the response's headers.
    pub(crate) reads: Vec<Read>,
    pub(crate) events: Vec<Event>,
    /// Types, and how often each arrived.
    pub(crate) kinds: BTreeMap<String, u64>,
    pub(crate) comments: u64,
    /// When the first comment arrived, and the last one.
    pub(crate) comments_from: Option<Duration>,
    pub(crate) comments_to: Duration,
    /// Values of `retry:` that differ from the previous one.
    pub(crate) retries: Vec<u64>,
    pub(crate) bad_retry: Option<String>,
    pub(crate) ids_with_nul: u64,
    pub(crate) ids_unsendable: u64,
    pub(crate) bom_at_start: bool,
    pub(crate) later_boms: u64,
    pub(crate) lf: u64,
    pub(crate) crlf: u64,
    pub(crate) cr: u64,
    /// The offset of the first byte that isn't UTF-8.
    pub(crate) not_utf8: Option<u64>,
    /// Names of unknown fields, and how often each arrived.
    pub(crate) unknown_fields: BTreeMap<String, u64>,
    /// The beginning of the first line with such a name.
    pub(crate) unknown_line: Option<String>,
    /// The text of the first event that reports an error.
    pub(crate) error_event: Option<String>,
    /// Lines that look like data but aren't a field: how many, and the beginning of the first.
    pub(crate) stray_lines: u64,
    pub(crate) stray_line: Option<String>,
    pub(crate) longest_line: u64,
    /// Events that were too large to examine.
    pub(crate) oversize: u64,
    /// Whether the last block has no blank line yet.
    pub(crate) half_event: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    pub(crate) at: Duration,
    pub(crate) events: usize,
    /// Whether it ended inside an event.
    pub(crate) within_event: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) id: Option<String>,
    /// Of the data, in bytes.
    pub(crate) size: usize,
    pub(crate) form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    Json,
    /// It starts like JSON, but isn't valid.
    AlmostJson,
    #[default]
    Text,
}

/// With gzip, an event that arrives before this isn't late.
const LATE: Duration = Duration::from_secs(2);

impl Answer {
    /// From the request to the first event, or to the end of the wait for one. A compressor may hold
    /// back the headers too.
    pub(crate) fn event_after(&self) -> Duration {
        self.after + self.first_event.unwrap_or(self.waited)
    }

    /// Whether the first event is so late with gzip that the compressor may be the cause.
    pub(crate) fn is_late(&self, plain: Duration) -> bool {
        let late = self.event_after();
        (self.silent || self.coding.is_some()) && late > LATE && late > plain.saturating_mul(3)
    }

    /// Whether the server limits how often clients connect.
    pub(crate) fn is_limited(&self) -> bool {
        self.status == 429
    }

    /// What the response is instead of a stream.
    pub(crate) fn refusal(&self) -> Option<String> {
        if let Some(error) = &self.error {
            Some(error.clone())
        } else if self.status != 200 {
            Some(format!("status {}", self.status))
        } else if !is_event_stream(&self.content_types) {
            Some(format!("content type {:?}", self.content_types.join(", ")))
        } else {
            None
        }
    }
}

impl Stream {
    /// The ids, in order.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|it| it.id.as_deref())
            .collect()
    }

    /// The silence before the end of the stream, or of the observation.
    pub(crate) fn last_silence(&self) -> Duration {
        let last = self.reads.last().map(|read| read.at);
        self.watched.saturating_sub(last.unwrap_or_default())
    }

    /// The longest silence, including the one at the end.
    pub(crate) fn longest_silence(&self) -> Duration {
        let mut last = Duration::ZERO;
        let mut longest = Duration::ZERO;
        let reads = self.reads.iter().map(|read| read.at);
        for at in reads.chain([self.watched]) {
            longest = longest.max(at.saturating_sub(last));
            last = at;
        }
        longest
    }

    /// The mean time between comments, if they didn't all arrive together.
    pub(crate) fn comment_interval(&self) -> Option<Duration> {
        let spread = self.comments_to.saturating_sub(self.comments_from?);
        let steps = u32::try_from(self.comments.saturating_sub(1)).ok()?;
        (spread >= Duration::from_secs(1)).then(|| spread / steps.max(1))
    }

    pub(crate) fn first_event(&self) -> Option<Duration> {
        self.events.first().map(|event| event.at)
    }
}
