//! When the bytes arrive.

use std::time::Duration;

use super::again::not_repeated;
use super::buffering::{BUFFERING, SLOW, all_at_once, held_back, together};
use super::headers::traces;
use super::{Judged, Setting, fail, pass, skip, skip_without, warn};
use crate::observed::{Answer, End, Observed, Stream};
use crate::text::{count, seconds};

/// The default idle timeout of many proxies: nginx (proxy_read_timeout), Apache, AWS load balancers.
const PROXY_LIMIT: Duration = Duration::from_secs(60);

/// A stream without an event for this long is a warning.
const NO_EVENT: Duration = Duration::from_secs(30);

/// Reads closer together than this belong to one burst.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads closer together than this may have been sent together.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) fn compression(o: &Observed) -> Judged {
    let response = o.answered()?;
    if let Some(coding) = response.header("content-encoding") {
        if response.status == 200 && !response.readable {
            return fail(format!(
                "Content-Encoding: {coding} can't be decoded, and the request accepts only identity"
            ))
            .named("undecodable content coding")
            .advise(
                "Clients that can't decode it get no events.",
                "Don't compress text/event-stream, or respect Accept-Encoding.",
                "RFC 9110, sections 8.4 and 12.5.3",
            );
        }
        if !coding.eq_ignore_ascii_case("identity") {
            return warn(format!(
                "Content-Encoding: {coding}, although the request accepts only identity"
            ))
            .advise(
                "Clients that can't decode it get no events, and a compressor delays events unless \
                     it is flushed after each one.",
                "Don't compress text/event-stream, or respect Accept-Encoding.",
                "RFC 9110, section 12.5.3",
            );
        }
    }
    let (response, stream) = o.streamed()?;
    let Some(second) = &o.second else {
        return not_repeated(o, response);
    };
    if let (Some(refusal), false) = (second.refusal(), second.silent) {
        return skip(format!("with gzip offered, the response was: {refusal}"));
    }
    let coding = match &second.coding {
        Some(coding) => coding,
        None if second.silent => "gzip",
        None => return pass("not compressed, although gzip was offered"),
    };
    let Some(plain) = stream.first_event() else {
        return skip(format!("{coding}, and no event to measure the delay by"));
    };
    let plain = response.after + plain;
    let compared = compare(plain, second, coding);
    if !second.is_late(plain) {
        return match second.first_event {
            Some(_) => pass(compared),
            None => skip(format!("{compared}: too short to tell")),
        };
    }
    // Events are irregular: a single comparison proves nothing.
    let Some(repeat) = &o.repeat else {
        return skip(format!(
            "{compared}; this may be chance, and wasn't measured again"
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
            "The compressor seems to hold events back until it has collected enough.",
            "Exclude text/event-stream from compression, or flush the compressor (Z_SYNC_FLUSH) \
             after each event. For a proxy, send Cache-Control: no-transform; in nginx, set gzip off.",
            "RFC 9110, section 8.4; RFC 9111, section 5.2.2.6",
        );
    }
    match (known, repeat.gzip.first_event) {
        (true, Some(_)) => pass(shown),
        _ => skip(
            "first event at a different time on each connection: events are too rare to compare",
        ),
    }
}

fn compare(plain: Duration, gzip: &Answer, coding: &str) -> String {
    format!(
        "first event after {} without {coding}, and {} {} with it",
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
    let shown = match stream.first_event() {
        Some(event) => format!("{headers}, first event {} later", seconds(event)),
        None => format!("{headers}, {}", no_event(stream)),
    };
    if let Some(what) = together(o) {
        let shown = format!("{shown}: {what}");
        if held_back(o).is_some() || all_at_once(o).is_some() {
            return skip(format!("{shown} (see proxy-buffering)"));
        }
        let traces = traces(response);
        if !traces.is_empty() {
            return warn(format!("{shown}, behind {}", traces.join(", "))).advise(
                "A buffering proxy holds back headers and events until its buffer is full or the \
                 response ends.",
                BUFFERING,
                "nginx, ngx_http_proxy_module (proxy_buffering)",
            );
        }
        return warn(shown).advise(
            "If the headers wait for the first event, clients don't know that they are connected, \
             and run into their timeouts.",
            "Flush the headers at once. Where something buffers them, send a comment (a line that \
             begins with a colon) right after them.",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        );
    }
    if response.after > SLOW {
        return warn(shown).advise(
            "Clients have to wait, and run into their timeouts.",
            "Send the status and the headers first, and do the work afterwards.",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        );
    }
    match stream.first_event() {
        None if stream.bytes == 0 && stream.end == End::Open && stream.watched >= SLOW => {
            warn(shown).named("no data after the headers").advise(
                "Either there was no event, or something withholds the stream: clients can't tell which.",
                "Trigger an event while the check runs. If it doesn't arrive, flush it on the server, and \
                 check that no proxy buffers the response. Send a comment right after the headers, and \
                 then every 15 to 30 s.",
                "WHATWG HTML, section 9.2.7",
            )
        }
        None if stream.watched >= NO_EVENT => warn(shown).advise(
            "Clients can't tell a stream without events from a broken one.",
            "If there should have been an event by now, check that the server writes them, and that \
             nothing buffers them. If not, send a comment every 15 to 30 s.",
            "WHATWG HTML, section 9.2.7",
        ),
        None => skip(shown),
        Some(_) => pass(shown),
    }
}

/// Says that no event arrived, and what did.
pub(crate) fn no_event(stream: &Stream) -> String {
    let watched = seconds(stream.watched);
    match (stream.bytes, stream.comments) {
        (0, _) if stream.watched < PAUSE && stream.end != End::Open => match stream.end {
            End::Ended => "no data arrived before the stream ended".to_owned(),
            _ => "no data arrived before the connection broke".to_owned(),
        },
        (0, _) => format!("nothing arrived in {watched}"),
        (_, 0) => format!("no event arrived in {watched}"),
        _ => format!("no event arrived in {watched}, only comments"),
    }
}

/// Reads without a pause in between.
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
    // What follows the last read is unknown, unless the check waited for it.
    let quiet = stream.watched.saturating_sub(last.unwrap_or_default());
    if stream.end != End::Open || quiet < pause {
        if let Some(burst) = bursts.last_mut() {
            burst.cut = false;
        }
    }
    bursts
}

/// Bursts of three events and more: events that are sent as they happen rarely look like that.
fn clumps<'a>(bursts: impl Iterator<Item = &'a Burst>) -> usize {
    bursts.filter(|burst| burst.events >= 3).count()
}

pub(crate) fn delivery(o: &Observed) -> Judged {
    const BUFFER: (&str, &str, &str) = (
        "The server, or something in front of it, collects bytes and forwards them in blocks.",
        "Flush after each event. Behind nginx send X-Accel-Buffering: no (or set proxy_buffering \
         off), and exclude text/event-stream from compression.",
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
    // The first burst may be a replay. Single events in quick succession aren't a clump.
    let later = close.get(1..).unwrap_or_default();
    let after_silence = || later.iter().filter(|burst| burst.silence >= PAUSE);
    let silences = after_silence().count();
    if silences >= 3 && clumps(after_silence()) * 4 >= silences * 3 {
        let finding = warn(format!(
            "{events} in {}, mostly three or more at once after each silence; they may also happen \
             that way",
            count(bursts.len(), "burst")
        ));
        return finding.advise(BUFFER.0, BUFFER.1, BUFFER.2);
    }
    let with_events = later.iter().filter(|burst| burst.events > 0).count();
    if with_events >= 3 && clumps(later.iter()) * 4 < later.len() * 3 {
        return pass(format!("{events}, mostly one or two at a time"));
    }
    skip(format!(
        "{events} in {}: too few to tell",
        seconds(stream.watched)
    ))
}

pub(crate) fn heartbeat(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if held_back(o).is_some() {
        return skip("what the server sent was held back (see proxy-buffering)");
    }
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
            "Proxies and load balancers close connections that are silent for 60 s, and clients \
             can't tell a dead connection from a quiet one.",
            "Send a comment (a line with only a colon) every 15 to 30 s while there is no event.",
            "WHATWG HTML, section 9.2.7",
        );
    }
    if stream.watched >= PROXY_LIMIT || interval.is_some() {
        return pass(shown);
    }
    let shown = format!("{shown}; too short to see a silence of 60 s");
    match o.whole_duration {
        true => skip_without(Setting::Duration, shown),
        // A longer duration wouldn't show more.
        false => skip(shown),
    }
}
