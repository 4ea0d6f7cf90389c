//! What happened to the connection, and what to try next.

mod advice;
mod answer;

use std::borrow::Cow;
use std::sync::Once;
use std::time::Duration;

use everstream::{End, Error, Event, Fault, RedactedUrl, Start};
use everstream_http::policy::withheld_message;

use crate::exit::Exit;
use crate::report;
use crate::source::Saved;
use crate::visible::shortened;
pub(crate) use advice::{Asked, hint};
pub(crate) use answer::whole_if_verbose;

/// The server has ended a stream whose request isn't resent.
pub(crate) fn not_repeated(events: u64, asked: &Asked<'_>) -> Exit {
    let plural = if events == 1 { "" } else { "s" };
    let what = format!(
        "the server ended the stream after {events} event{plural}; unsafe requests (such as POST) \
         aren't resent"
    );
    report::error(&what, None);
    let more = asked.not_repeated();
    report::hint(&format!(
        "if the stream is complete, use --no-reconnect; {more}"
    ));
    Exit::NotRepeated
}

/// The server has ended a stream before the last of `count` events.
pub(crate) fn ended_early(events: u64, count: u64, not_repeated: bool, asked: &Asked<'_>) -> Exit {
    if let Some(saved) = asked.saved {
        let what = format!("{} ended after {events} of {count} events", saved.name());
        report::error(&what, None);
        return Exit::Broken;
    }
    let what = format!("the server ended the stream after {events} of {count} events");
    report::error(&what, None);
    match not_repeated {
        true => {
            report::hint(asked.not_repeated());
            Exit::NotRepeated
        }
        false => {
            report::hint(&asked.again());
            Exit::Broken
        }
    }
}

/// `--max-time` has expired.
pub(crate) fn max_time(events: u64) {
    let plural = if events == 1 { "" } else { "s" };
    let what = format!("gave up: --max-time expired after {events} event{plural}");
    report::error(&what, None);
}

/// An id, shortened because it may be as long as an event.
pub(crate) fn id(id: &str) -> Cow<'_, str> {
    shortened(id, 100)
}

/// The name of an event in an error.
pub(crate) fn name(event: &Event) -> String {
    match event.id() {
        Some(id) => format!("the event with id {}", self::id(id)),
        None => format!("an event of type {}", shortened(event.event(), 100)),
    }
}

/// A `--jq` program has failed for the event that ends the streams of many LLM APIs.
pub(crate) fn hint_at_done(event: &Event) {
    static HINT: Once = Once::new();
    if event.data().trim() == "[DONE]" {
        HINT.call_once(|| report::hint("this API ends with [DONE]: add --until '[DONE]'"));
    }
}

pub(crate) fn started(start: &Start, connections: u64, last_event_id: Option<&str>) -> String {
    let mut text = String::from(if connections > 1 {
        "reconnected"
    } else {
        "connected"
    });
    if let Some(url) = &start.url {
        text += &format!(" to {}", RedactedUrl(url));
    }
    if start.attempt > 1 {
        text += &format!(" at attempt {}", start.attempt);
    }
    if let Some(id) = last_event_id {
        text += &format!(", resuming after id {}", self::id(id));
    }
    text
}

/// The status and the headers of a response, for `--verbose`. Cookies are secrets.
pub(crate) fn response(start: &Start) -> Vec<String> {
    let status = start.status.map(|status| format!("< status {status}"));
    let headers = start.headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.map(
        |(name, value)| match name.eq_ignore_ascii_case("set-cookie") {
            true => format!("< {name}: (not shown)"),
            false => format!("< {name}: {value}"),
        },
    );
    status.into_iter().chain(headers).collect()
}

/// Why the connection was lost, and when the next attempt starts.
pub(crate) fn lost(fault: Option<&Fault>, delay: Duration) -> String {
    let why = match fault {
        Some(fault) => report::chain(fault),
        None => "the server ended the connection".to_owned(),
    };
    format!("{why}; retrying in {}", seconds(delay))
}

/// What a clean end discarded or ignored.
pub(crate) fn discarded(end: &End) -> Option<String> {
    if let Some(text) = &end.ignored_text {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        return Some(format!(
            "the response has no events; it begins with: {}",
            lines.join(" ")
        ));
    }
    (end.discarded_bytes > 0).then(|| {
        format!(
            "discarded an unfinished event of {} bytes: no blank line followed it",
            end.discarded_bytes
        )
    })
}

/// Warns about discarded data. Once per run, a hint names the option that delivers an unfinished
/// event.
pub(crate) fn warn_about_discarded(end: &End, asked: &Asked<'_>) {
    static HINT: Once = Once::new();
    let Some(text) = discarded(end) else { return };
    report::warning(&text);
    if end.discarded_bytes > 0 && asked.saved.is_none() && !asked.reconnect.dispatches_unfinished()
    {
        HINT.call_once(|| {
            report::hint(
                "if this server ends its streams this way, --dispatch-unfinished delivers the \
                 last event of a complete response",
            );
        });
    }
}

/// The headers that were not sent to the response's server.
pub(crate) fn withheld(start: &Start) -> Option<String> {
    withheld_message(&start.withheld_headers, start.url.as_deref()?)
}

/// The headers that were not sent to the server of an error response.
pub(crate) fn withheld_before(fault: &Fault) -> Option<String> {
    let response = fault.response()?;
    withheld_message(&response.withheld_headers, &response.url)
}

/// Warns about a possible cause of a retried fault, and about retrying it at all. `connections` is
/// the number of earlier connections.
pub(crate) fn warn_about_retry(fault: &Fault, connections: u64) {
    let retry = fault.retry_warning().filter(|_| connections > 0);
    for text in [withheld_before(fault), retry.map(str::to_owned)] {
        text.iter().for_each(|text| report::warning(text));
    }
}

/// A duration for people.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

pub(crate) fn stopped(by: &str, events: u64, last_event_id: Option<&str>, cursor: bool) -> String {
    let plural = if events == 1 { "" } else { "s" };
    let mut text = format!("stopped by {by} after {events} event{plural}");
    if let Some(id) = last_event_id {
        text += &format!("; the last id is {}", self::id(id));
        if !cursor {
            text += " (resume with --last-event-id)";
        }
    }
    text
}

/// The error, what may have caused it, what the server said, and what to try next.
pub(crate) fn gave_up(error: &Error, asked: &Asked<'_>) {
    if let Some(text) = error.fault().and_then(withheld_before) {
        report::warning(&text);
    }
    gave_up_after_warning(error, asked);
}

/// The same, if withheld headers have already been reported.
pub(crate) fn gave_up_after_warning(error: &Error, asked: &Asked<'_>) {
    if error.status() == Some(204) {
        report::info("the server ended the stream permanently (status 204)");
        return;
    }
    let Some(fault) = error.fault() else {
        return report::error("gave up", Some(error));
    };
    report::error(&why(error, fault, asked), None);
    let body = fault.response().map(|response| &*response.body);
    if let Some(said) = body.and_then(|body| answer::said(body, asked.verbose)) {
        report::raw(&said);
    }
    if let Some(hint) = asked.hint(error) {
        report::hint(&hint);
    }
}

fn why(error: &Error, fault: &Fault, asked: &Asked<'_>) -> String {
    let what = report::chain(fault);
    let expected = asked.expected();
    if matches!(fault, Fault::Setup(_)) && advice::has_no_certificates(fault) {
        return "gave up: this system has no CA certificates to verify the server with".to_owned();
    }
    match (fault, asked.saved, expected) {
        (Fault::Incomplete, saved, Some(event)) => {
            let name = saved.map_or("the stream", Saved::name);
            return format!("{name} ended before {event} matched");
        }
        (_, Some(saved), _) => return format!("{} can't be read: {what}", saved.name()),
        (Fault::Read(_), _, Some(event)) if matches!(error, Error::NotRepeated(_)) => {
            return format!("the response was cut off before {event} matched: {what}");
        }
        _ => {}
    }
    match (error, asked.limit) {
        (Error::NotRepeated(_), _) => {
            format!("gave up, because unsafe requests (such as POST) aren't resent: {what}")
        }
        (_, Some(limit)) => format!("gave up because of {limit}: {what}"),
        _ => format!("gave up: {what}"),
    }
}
