//! Whether a proxy holds the stream back.

use std::time::Duration;

use super::headers::traces;
use super::{Judged, fail, pass, skip, warn};
use crate::observed::{End, Observed, Response, Stream};
use crate::text::seconds;

/// Headers that take longer than this, including the time to connect, were held back, or the server
/// is overloaded.
pub(crate) const SLOW: Duration = Duration::from_secs(5);

/// Bytes that arrive within this time arrived with the headers.
pub(crate) const TOGETHER: Duration = Duration::from_millis(50);

/// A connection without data that ends within this time ended with the headers.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How many times as long as HEAD the headers of a buffered stream take, at least.
const TIMES: u32 = 4;

const WHY: &str = "A buffering proxy holds back headers and events until its buffer is full or the \
     response ends. nginx does so by default.";

const SOURCE: &str = "nginx, ngx_http_proxy_module (proxy_buffering)";

/// What to do about a buffering proxy.
pub(crate) const BUFFERING: &str = "Send X-Accel-Buffering: no with the response, or set \
     proxy_buffering off for this path (nginx). Other proxies have a similar setting.";

/// The same, if the proxy ended a silent stream.
const BUFFERING_AND_LIMIT: &str = "Send X-Accel-Buffering: no with the response, or set \
     proxy_buffering off for this path (nginx). Other proxies have a similar setting. The break is \
     the proxy's limit on silence (nginx: proxy_read_timeout): send a comment every 15 to 30 s, and \
     keep the limit at a minute or more.";

/// The response of a proxy that answers HEAD, if the stream's headers don't arrive.
pub(crate) fn buffers(o: &Observed) -> Option<(&Response, Vec<String>)> {
    let head = o.head.as_ref()?;
    let traces = traces(head);
    (!traces.is_empty()).then_some((head, traces))
}

/// Whether late headers arrived together with the break of the connection and without data, from a
/// proxy: it may have held them back. HEAD tells whether the server itself is slow.
pub(crate) fn may_be_held_back(response: &Response, stream: &Stream) -> bool {
    matches!(stream.end, End::Broke(_))
        && ends_with_the_headers(response, stream)
        && !traces(response).is_empty()
}

fn ends_with_the_headers(response: &Response, stream: &Stream) -> bool {
    response.after > SLOW
        && stream.bytes == 0
        && stream.end != End::Open
        && stream.watched < AT_ONCE
}

/// How long HEAD took, if it proves that a proxy held back the stream until the connection broke.
pub(crate) fn held_back(o: &Observed) -> Option<Duration> {
    let (response, stream) = (o.response.as_ref()?, o.stream.as_ref()?);
    let head = o.head.as_ref()?;
    is_held_back(response, stream, Some(head)).then_some(head.after)
}

/// Whether HEAD, if it was answered, was so much faster that a proxy held back the stream.
pub(crate) fn is_held_back(response: &Response, stream: &Stream, head: Option<&Response>) -> bool {
    let fast = |it: &Response| it.after.saturating_mul(TIMES) < response.after;
    head.is_some_and(|it| fast(it) && !is_written_late(response, it))
        && may_be_held_back(response, stream)
}

/// Whether the headers are as new as those of HEAD, by their `Date`: then the server was slow, and nothing
/// held them back.
fn is_written_late(response: &Response, head: &Response) -> bool {
    let held = response.held_longer_than(head);
    held.is_some_and(|held| held < response.after.as_secs_f64() / 2.0)
}

/// Whether it is certain that late headers are the server's.
fn is_slow_itself(o: &Observed) -> bool {
    let pair = o.response.as_ref().zip(o.head.as_ref());
    pair.is_some_and(|(response, head)| is_written_late(response, head))
}

/// What arrived together with late headers, if anything did, and if something may have held it back.
pub(crate) fn together(o: &Observed) -> Option<&'static str> {
    let (response, stream) = (o.response.as_ref()?, o.stream.as_ref()?);
    if is_slow_itself(o) {
        return None;
    }
    let first = stream.reads.first().is_some_and(|it| it.at < TOGETHER);
    if response.after > SLOW && first {
        return Some("headers and first bytes arrived together");
    }
    ends_with_the_headers(response, stream)
        .then_some("headers and the end of the connection arrived together")
}

/// What arrived together with late headers, if everything did, from a proxy.
pub(crate) fn all_at_once(o: &Observed) -> Option<&'static str> {
    let (response, stream) = (o.response.as_ref()?, o.stream.as_ref()?);
    let one_burst = stream.reads.last().is_none_or(|it| it.at < AT_ONCE);
    together(o).filter(|_| one_burst && !traces(response).is_empty())
}

pub(crate) fn proxy_buffering(o: &Observed) -> Judged {
    if let (Some((head, traces)), Some(trouble)) = (buffers(o), &o.trouble) {
        return fail(format!(
            "{}: HEAD was answered after {}, but for the stream there was {}",
            traces.join(", "),
            seconds(head.after),
            trouble.what
        ))
        .advise(WHY, BUFFERING, SOURCE);
    }
    let (response, _) = o.streamed()?;
    let late = seconds(response.after);
    if let Some(head) = held_back(o) {
        return fail(format!(
            "{}: the headers arrived only after {late}, when the connection broke, and nothing else \
             did; HEAD was answered after {}",
            traces(response).join(", "),
            seconds(head)
        ))
        .advise(WHY, BUFFERING_AND_LIMIT, SOURCE);
    }
    if let Some(what) = all_at_once(o) {
        return warn(format!(
            "{what}, after {late}, behind {}",
            traces(response).join(", ")
        ))
        .named("perhaps buffered by a proxy")
        .advise(WHY, BUFFERING, SOURCE);
    }
    match response.header("x-accel-buffering") {
        Some(value) if value.eq_ignore_ascii_case("no") => pass("X-Accel-Buffering: no"),
        Some(value) => warn(format!("X-Accel-Buffering: {value}")).advise(
            "This header tells nginx to buffer the response before forwarding it.",
            "Send X-Accel-Buffering: no, or set proxy_buffering off for this path.",
            SOURCE,
        ),
        None => skip(
            "no X-Accel-Buffering; nginx removes the header, so its absence means nothing (see \
             delivery)",
        ),
    }
}
