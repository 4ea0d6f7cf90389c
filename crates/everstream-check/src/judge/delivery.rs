//! When the bytes come.

use std::time::Duration;

use super::again::not_repeated;
use super::headers::traces;
use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Answer, End, Observed, Stream};
use crate::text::{count, seconds};

/// What proxies allow by default: nginx (proxy_read_timeout), Apache, AWS load balancers.
const PROXY_LIMIT: Duration = Duration::from_secs(60);

/// Headers that take longer, the connection included, have been held back, or the server is
/// overloaded.
const SLOW: Duration = Duration::from_secs(5);

/// A stream without an event for this long draws a warning.
const NO_EVENT: Duration = Duration::from_secs(30);

/// What to do about a proxy that buffers.
pub(crate) const BUFFERING: &str = "Send X-Accel-Buffering: no with the response, or set \
     proxy_buffering off for this path (nginx); look for the setting of that name in other proxies.";

/// Reads closer together than this are of one burst.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads closer together than this may have been sent as one.
const BREATH: Duration = Duration::from_millis(100);

/// What comes with the headers comes so soon after them.
pub(crate) const TOGETHER: Duration = Duration::from_millis(50);

pub(crate) fn compression(o: &Observed) -> Judged {
    let response = o.answered()?;
    if let Some(coding) = response.header("content-encoding") {
        if !coding.eq_ignore_ascii_case("identity") {
            return warn(format!(
                "Content-Encoding: {coding}, though only identity was offered"
            ))
            .advise(
                "Clients that don't decode it get nothing, and compressors hold events back \
                     unless they are flushed after each.",
                "Leave text/event-stream uncompressed, or obey Accept-Encoding.",
                "RFC 9110, section 12.5.3",
            );
        }
    }
    let (response, stream) = o.streamed()?;
    let Some(second) = &o.second else {
        return not_repeated(o, response);
    };
    if let (Some(refusal), false) = (second.refusal(), second.silent) {
        return skip(format!("gzip was offered, and the answer was: {refusal}"));
    }
    let coding = match &second.coding {
        Some(coding) => coding,
        None if second.silent => "gzip",
        None => return pass("not compressed, with gzip offered"),
    };
    let Some(plain) = stream.first_event() else {
        return skip(format!("{coding}, and no event came to measure a delay by"));
    };
    let plain = response.after + plain;
    let compared = compare(plain, second, coding);
    if !second.is_late(plain) {
        return match second.first_event {
            Some(_) => pass(compared),
            None => skip(format!("{compared}: too short to say")),
        };
    }
    // A stream has its own rhythm: a single comparison proves nothing.
    let Some(repeat) = &o.repeat else {
        return skip(format!(
            "{compared}, which may be chance: not compared again"
        ));
    };
    let again = repeat.plain.event_after();
    let known = repeat.plain.first_event.is_some();
    let shown = format!(
        "{compared}; again: {}",
        compare(again, &repeat.gzip, coding)
    );
    if known && repeat.gzip.is_late(again) {
        return warn(shown).advise(
            "The compressor seems to collect events until it has enough of them.",
            "Exclude text/event-stream from compression, or flush it (Z_SYNC_FLUSH) after each \
             event; for proxies, Cache-Control: no-transform, for nginx gzip off.",
            "RFC 9110, section 8.4; RFC 9111, section 5.2.2.6",
        );
    }
    match (known, repeat.gzip.first_event) {
        (true, Some(_)) => pass(shown),
        _ => skip(format!(
            "first event not repeatable, with or without {coding}: events are too rare to compare"
        )),
    }
}

fn compare(plain: Duration, gzip: &Answer, coding: &str) -> String {
    format!(
        "first event after {} without and {} {} with {coding}",
        seconds(plain),
        match gzip.first_event {
            Some(_) => "after",
            None => "not within",
        },
        seconds(gzip.event_after())
    )
}

pub(crate) fn first_event(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let headers = format!("headers after {}", seconds(response.after));
    let first_read = stream.reads.first().map(|read| read.at);
    let shown = match (first_read, stream.first_event()) {
        (_, Some(event)) => format!("{headers}, first event {} later", seconds(event)),
        _ => format!("{headers}, {}", no_event(stream)),
    };
    if response.after > SLOW && first_read.is_some_and(|at| at < TOGETHER) {
        let shown = format!("{shown}: headers and first bytes came together");
        let traces = traces(response);
        if !traces.is_empty() {
            return warn(format!("{shown}, and there is {}", traces.join(", "))).advise(
                "A proxy that buffers holds back headers and events until its buffer is full or \
                 the response ends.",
                BUFFERING,
                "nginx, ngx_http_proxy_module (proxy_buffering)",
            );
        }
        return warn(shown).advise(
            "If the headers wait for the first event, readers don't know that they are connected, \
             and time-outs end the wait.",
            "Flush the headers at once; a comment (a line that begins with a colon) right after \
             them gets through what buffers.",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        );
    }
    if response.after > SLOW {
        return warn(shown).advise(
            "Readers wait, and time-outs end what takes too long.",
            "Answer with status and headers first, and do the work after that.",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        );
    }
    match stream.first_event() {
        None if stream.watched >= NO_EVENT => warn(shown).advise(
            "Readers can't tell a stream without events from one that is broken.",
            "If there should have been an event by now, look for where the server writes them, and \
             for what buffers them.",
            "WHATWG HTML, section 9.2.7",
        ),
        None => skip(shown),
        Some(_) => pass(shown),
    }
}

/// That no event arrived, and what did.
pub(crate) fn no_event(stream: &Stream) -> String {
    let watched = seconds(stream.watched);
    match (stream.bytes, stream.comments) {
        (0, _) => format!("nothing arrived in {watched}"),
        (_, 0) => format!("no event arrived in {watched}"),
        _ => format!("no event arrived in {watched}, only comments"),
    }
}

/// Reads without a pause between them.
#[derive(Default)]
struct Burst {
    events: usize,
    /// The silence before it.
    silence: Duration,
    /// Whether it ended within an event.
    cut: bool,
}

fn bursts(stream: &Stream, pause: Duration) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    let mut last: Option<Duration> = None;
    for read in &stream.reads {
        let silence = read.at.saturating_sub(last.unwrap_or_default());
        if last.is_none() || silence >= pause {
            bursts.push(Burst {
                silence,
                ..Burst::default()
            });
        }
        if let Some(burst) = bursts.last_mut() {
            burst.events += read.events;
            burst.cut = read.within_event;
        }
        last = Some(read.at);
    }
    // What comes right after the last read isn't known, unless it was waited for.
    let quiet = stream.watched.saturating_sub(last.unwrap_or_default());
    if stream.end != End::Open || quiet < pause {
        if let Some(burst) = bursts.last_mut() {
            burst.cut = false;
        }
    }
    bursts
}

/// Those with three events and more, which one doesn't expect of events that are sent as they
/// happen.
fn clumps<'a>(bursts: impl Iterator<Item = &'a Burst>) -> usize {
    bursts.filter(|burst| burst.events >= 3).count()
}

pub(crate) fn delivery(o: &Observed) -> Judged {
    const BUFFER: (&str, &str, &str) = (
        "Something between or in the server collects bytes, and hands them on when it has enough.",
        "Flush after each event; behind nginx send X-Accel-Buffering: no (or set proxy_buffering \
         off), and leave text/event-stream out of compression.",
        "WHATWG HTML, section 9.2.7; nginx, ngx_http_proxy_module",
    );
    let (_, stream) = o.streamed()?;
    let close = bursts(stream, BREATH);
    let bursts = bursts(stream, PAUSE);
    let cut = bursts.iter().filter(|burst| burst.cut).count();
    let events = count(stream.events.len(), "event");
    if cut >= 2 {
        let bursts = count(bursts.len(), "burst");
        return fail(format!(
            "{events} in {bursts}, {cut} of which stop within an event"
        ))
        .advise(BUFFER.0, BUFFER.1, BUFFER.2);
    }
    // The first burst may be what happened before. Events that follow each other, each by itself,
    // are no clump.
    let later = close.get(1..).unwrap_or_default();
    let after_silence = || later.iter().filter(|burst| burst.silence >= PAUSE);
    let silences = after_silence().count();
    if silences >= 3 && clumps(after_silence()) * 4 >= silences * 3 {
        let finding = warn(format!(
            "{events} in {}, mostly three and more at a time after silence; it may be the rhythm \
             of what happens",
            count(bursts.len(), "burst")
        ));
        return finding.advise(BUFFER.0, BUFFER.1, BUFFER.2);
    }
    let with_events = later.iter().filter(|burst| burst.events > 0).count();
    if with_events >= 3 && clumps(later.iter()) * 4 < later.len() * 3 {
        return pass(format!("{events}, mostly one or two at a time"));
    }
    skip(format!(
        "{events} in {}: too few to say",
        seconds(stream.watched)
    ))
}

pub(crate) fn heartbeat(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    let silence = stream.longest_silence();
    let interval = stream.comment_interval();
    let shown = format!(
        "longest silence {} in {}, {}{}",
        seconds(silence),
        seconds(stream.watched),
        count(stream.comments, "comment"),
        interval.map_or(String::new(), |it| format!(", one every {}", seconds(it))),
    );
    if silence >= PROXY_LIMIT {
        return warn(shown).advise(
            "Proxies and load balancers close what is silent for 60 s, and a dead connection \
             can't be told from a quiet one.",
            "Send a comment (a line with a colon) every 15 to 30 s while there is no event.",
            "WHATWG HTML, section 9.2.7",
        );
    }
    if stream.watched >= PROXY_LIMIT || interval.is_some() {
        return pass(shown);
    }
    skip(format!(
        "{shown}; --duration 70s shows whether it stays below 60 s"
    ))
}
