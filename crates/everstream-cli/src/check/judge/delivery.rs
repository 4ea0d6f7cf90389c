//! When the bytes come.

use std::time::Duration;

use super::super::observed::{End, Observed, Stream};
use super::again::{not_repeated, works_without_gzip};
use super::{Judged, count, fail, pass, skip, warn};
use crate::explain::seconds;

/// What proxies allow by default: nginx (proxy_read_timeout), Apache, AWS load balancers.
const PROXY_LIMIT: Duration = Duration::from_secs(60);

/// Headers that take longer, the connection included, have been held back, or the server is
/// overloaded.
const SLOW: Duration = Duration::from_secs(5);

/// With compression the first event isn't late before this.
const LATE: Duration = Duration::from_secs(2);

/// Reads closer together than this are of one burst.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads closer together than this may have been sent as one.
const BREATH: Duration = Duration::from_millis(100);

/// What comes with the headers comes so soon after them.
const TOGETHER: Duration = Duration::from_millis(50);

pub(super) fn compression(o: &Observed) -> Judged {
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
    let held = second.silent && works_without_gzip(o);
    if let (Some(refusal), false) = (second.refusal(), held) {
        return skip(format!("gzip was offered, and the answer was: {refusal}"));
    }
    let coding = match &second.coding {
        Some(coding) => coding,
        None if held => "gzip",
        None => return pass("not compressed, with gzip offered"),
    };
    let Some(plain) = stream.first_event() else {
        return skip(format!("{coding}, and no event came to measure a delay by"));
    };
    // From the request on: what compresses may hold back the headers too.
    let plain = response.after + plain;
    let late = second.after + second.first_event.unwrap_or(second.waited);
    let compared = format!(
        "first event after {} without and {} {} with {coding}",
        seconds(plain),
        match second.first_event {
            Some(_) => "after",
            None => "not within",
        },
        seconds(late)
    );
    // A stream has its own rhythm: only a delay beyond doubt is one.
    if late > LATE && late > plain.saturating_mul(3) {
        let finding = match second.first_event {
            None if late >= SLOW => fail(compared),
            _ => warn(compared),
        };
        return finding.advise(
            "The compressor seems to collect events until it has enough of them.",
            "Leave text/event-stream out of compression, or flush it (Z_SYNC_FLUSH) after each \
             event; for proxies, Cache-Control: no-transform, for nginx gzip off.",
            "RFC 9110, section 8.4; RFC 9111, section 5.2.2.6",
        );
    }
    match second.first_event {
        Some(_) => pass(compared),
        None => skip(format!("{compared}: too short to say")),
    }
}

pub(super) fn first_event(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let headers = format!("headers after {}", seconds(response.after));
    let first_read = stream.reads.first().map(|read| read.at);
    let shown = match (first_read, stream.first_event()) {
        (_, Some(event)) => format!("{headers}, first event {} later", seconds(event)),
        (Some(read), None) => format!("{headers}, first byte {} later, no event", seconds(read)),
        (None, None) => format!("{headers}, nothing for {}", seconds(stream.watched)),
    };
    if response.after > SLOW && first_read.is_some_and(|at| at < TOGETHER) {
        return warn(format!("{shown}: headers and first bytes came together")).advise(
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
        None => skip(shown),
        Some(_) => pass(shown),
    }
}

/// Reads without a pause between them.
#[derive(Default)]
struct Burst {
    events: usize,
    /// Whether it ended within an event.
    cut: bool,
}

fn bursts(stream: &Stream, pause: Duration) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    let mut last: Option<Duration> = None;
    for read in &stream.reads {
        if last.is_none_or(|last| read.at.saturating_sub(last) >= pause) {
            bursts.push(Burst::default());
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
fn clumps(bursts: &[Burst]) -> usize {
    bursts.iter().filter(|burst| burst.events >= 3).count()
}

pub(super) fn delivery(o: &Observed) -> Judged {
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
    let shown = format!("{events} in {}", count(bursts.len(), "burst"));
    if cut >= 2 {
        return fail(format!("{shown}, {cut} of which stop within an event"))
            .advise(BUFFER.0, BUFFER.1, BUFFER.2);
    }
    // The first burst may be what happened before.
    let later = bursts.get(1..).unwrap_or_default();
    if later.len() >= 3 && clumps(later) * 4 >= later.len() * 3 {
        let finding = warn(format!(
            "{shown}, mostly three and more at a time after silence; it may be the rhythm of what \
             happens"
        ));
        return finding.advise(BUFFER.0, BUFFER.1, BUFFER.2);
    }
    let later = close.get(1..).unwrap_or_default();
    let with_events = later.iter().filter(|burst| burst.events > 0).count();
    if with_events >= 3 && clumps(later) * 4 < later.len() * 3 {
        return pass(format!("{events}, mostly one or two at a time"));
    }
    skip(format!(
        "{shown} in {}: too few to say",
        seconds(stream.watched)
    ))
}

pub(super) fn heartbeat(o: &Observed) -> Judged {
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
            "Send a comment (a line with a colon) about every 15 s while there is no event.",
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
