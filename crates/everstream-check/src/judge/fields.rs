//! The content of the events.

use std::collections::HashSet;

use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Form, Observed};
use crate::text::count;

/// The longest line that common readers accept: Python's asyncio, Go's bufio.Scanner.
const LONG_LINE: u64 = 64 << 10;

const LARGE_EVENT: u64 = 1 << 20;

/// Beyond this, users notice a dropped connection.
const LONG_RETRY: u64 = 5 * 60 * 1000;

/// The longest time of a timer in JavaScript.
const LONGEST_TIMER: u64 = (1 << 31) - 1;

/// Below this, all clients hit a restarting server at the same time.
const SHORT_RETRY: u64 = 100;

/// How many names are listed.
const NAMED: usize = 5;

pub(crate) fn retry(o: &Observed) -> Judged {
    const SOURCE: &str = "WHATWG HTML, sections 9.2.3 and 9.2.6";
    let (_, stream) = o.streamed()?;
    if let Some("") = stream.bad_retry.as_deref() {
        return warn("an empty retry").advise(
            "Chromium resets the delay to its own default; the standard, and clients that follow it, \
             ignore the field.",
            "Send milliseconds, such as retry: 5000, or no retry at all.",
            "Chromium, event_source_parser.cc; WHATWG HTML, section 9.2.6",
        );
    }
    if let Some(value) = &stream.bad_retry {
        return fail(format!("retry: {value}")).advise(
            "Clients ignore it: the value may only contain ASCII digits.",
            "Send only the number of milliseconds, such as retry: 5000.",
            SOURCE,
        );
    }
    let values: Vec<String> = stream.retries.iter().map(u64::to_string).collect();
    let mut shown = format!("retry: {} ms", values.join(", then "));
    if stream.retries == [u64::MAX] {
        shown += " or more";
    }
    match &stream.retries[..] {
        [] => skip("no retry: clients use their own default, a few seconds in browsers"),
        [value] if *value < SHORT_RETRY => warn(shown).advise(
            "When the server restarts, all clients reconnect at once, again and again.",
            "Send a few seconds, such as retry: 5000.",
            SOURCE,
        ),
        [value] if *value > LONGEST_TIMER => warn(shown).advise(
            "Timers in JavaScript overflow at 2147483648 ms, and fire at once: such clients reconnect \
             without a pause. Others receive no events for weeks after a dropped connection.",
            "Send a few seconds, such as retry: 5000.",
            SOURCE,
        ),
        [value] if *value > LONG_RETRY => warn(shown).advise(
            "After a dropped connection clients receive no events for this long.",
            "Send a few seconds, such as retry: 5000.",
            SOURCE,
        ),
        [_] => pass(shown),
        _ => warn(shown).advise(
            "Each value replaces the previous one, for all later connections.",
            "Send one value at the start of the stream, unless it is meant to change.",
            SOURCE,
        ),
    }
}

pub(crate) fn ids(o: &Observed) -> Judged {
    const SOURCE: &str = "WHATWG HTML, sections 9.2.4 and 9.2.6";
    let (response, stream) = o.streamed()?;
    let (events, ids) = (stream.events.len(), stream.ids().len());
    if events == 0 {
        return skip("no event");
    }
    // usable-ids reports these.
    let unusable = usize::try_from(stream.ids_with_nul).unwrap_or(usize::MAX);
    if ids.saturating_add(unusable) >= events {
        return pass(format!("on all of {}", count(events, "event")));
    }
    if !response.repeatable {
        let method = &response.method;
        return skip(format!(
            "on {ids} of {}; clients don't resume the response to a {method}",
            count(events, "event")
        ));
    }
    // Each new connection gets it again, so it needs no id.
    let greeting = stream.events.first().is_some_and(|it| it.id.is_none());
    if greeting && ids > 0 && ids.saturating_add(unusable) + 1 >= events {
        return pass(format!(
            "on all of {} except the first, a greeting",
            count(events, "event")
        ));
    }
    if ids == 0 {
        return warn(format!("on none of {}", count(events, "event"))).advise(
            "A client that reconnects can't say which event it has seen last: the events in between \
             are lost.",
            "Send an id with each event, and continue after Last-Event-ID.",
            SOURCE,
        );
    }
    warn(format!("on {ids} of {}", count(events, "event"))).advise(
        "After a reconnect the events since the last id are repeated or lost.",
        "Send an id with each event.",
        SOURCE,
    )
}

pub(crate) fn unique_ids(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    let ids = stream.ids();
    if ids.is_empty() {
        return skip("no ids");
    }
    let mut known = HashSet::new();
    match ids.iter().find(|id| !known.insert(**id)) {
        None => pass(format!("{}, all different", count(ids.len(), "id"))),
        Some(id) => fail(format!("{id:?} was sent more than once")).advise(
            "The server can't know after which event to continue, and clients that drop duplicates \
             lose events.",
            "Give each event a unique id.",
            "WHATWG HTML, section 9.2.4",
        ),
    }
}

pub(crate) fn usable_ids(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if stream.ids_with_nul > 0 {
        return fail(format!(
            "{} with a NUL character",
            count(stream.ids_with_nul, "id")
        ))
        .advise(
            "Clients ignore such an id, and resume after the previous one.",
            "Don't use U+0000 in ids.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    if stream.ids_unsendable > 0 {
        let shown = format!(
            "{} with a control character",
            count(stream.ids_unsendable, "id")
        );
        return fail(shown).advise(
            "A header can't hold it, so no client can resume after it.",
            "Use only printable characters in ids.",
            "RFC 9110, section 5.5; WHATWG HTML, section 9.2.4",
        );
    }
    match stream.ids().is_empty() {
        true => skip("no ids"),
        false => pass("all of them"),
    }
}

pub(crate) fn event_types(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    if stream.kinds.is_empty() {
        return skip("no event");
    }
    let mut named: Vec<String> = stream
        .kinds
        .iter()
        .take(NAMED)
        .map(|(kind, times)| format!("{kind} ({times})"))
        .collect();
    if stream.kinds.len() > NAMED {
        named.push(format!("{} more", stream.kinds.len() - NAMED));
    }
    let shown = named.join(", ");
    // EventSource can't send a POST.
    if !response.repeatable {
        return pass(shown);
    }
    if stream
        .kinds
        .keys()
        .any(|kind| matches!(&**kind, "error" | "open"))
    {
        return warn(shown).advise(
            "EventSource fires its own events with these names: a page can't tell the server's event \
             from a new or dropped connection.",
            "Use a type other than open and error.",
            "WHATWG HTML, section 9.2.2",
        );
    }
    pass(shown)
}

pub(crate) fn data(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    // In a feed, an error may be the subject of the event.
    if let (Some(text), false) = (&stream.error_event, response.repeatable) {
        return warn(format!("the response reports an error: {text:?}")).advise(
            "The status was already 200: clients that don't look for the error take the response as \
             complete.",
            "Find the cause at the server, and have clients look for this event.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    let of = |form| {
        stream
            .events
            .iter()
            .filter(|event| event.form == form)
            .count()
    };
    let (json, almost) = (of(Form::Json), of(Form::AlmostJson));
    let all = stream.events.len();
    if all == 0 {
        return skip("no event");
    }
    if almost > 0 {
        let verbs = match almost {
            1 => "starts like JSON but isn't",
            _ => "start like JSON but aren't",
        };
        let shown = format!("{almost} of {} {verbs} valid", count(all, "event"));
        return warn(shown).advise(
            "A line ending inside the data ends the field, and what follows without data: is lost.",
            "Write JSON on one line, or start each of its lines with data:.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    pass(match json {
        0 => "no JSON".to_owned(),
        _ if json == all => format!("JSON in all of {}", count(all, "event")),
        _ => format!("JSON in {json} of {}", count(all, "event")),
    })
}

pub(crate) fn sizes(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    let mut sizes: Vec<usize> = stream.events.iter().map(|event| event.size).collect();
    sizes.sort_unstable();
    if sizes.is_empty() && stream.oversize == 0 && stream.longest_line <= LONG_LINE {
        return skip("no event");
    }
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or_default();
    let largest = sizes.last().copied().unwrap_or_default();
    let data = match sizes.is_empty() {
        true => "no complete event of up to 8 MiB".to_owned(),
        false => format!("data: median {median} bytes, maximum {largest}"),
    };
    let shown = format!("{data}; longest line: {} bytes", stream.longest_line);
    let largest = u64::try_from(largest).unwrap_or(u64::MAX);
    // The event of the longest line may be incomplete.
    let largest = largest.max(stream.longest_line);
    if stream.oversize > 0 || largest > LARGE_EVENT {
        let shown = match stream.oversize {
            0 => shown,
            more => format!("{shown}; {} larger than 8 MiB", count(more, "event")),
        };
        return warn(shown).advise(
            "Clients deliver an event only when it is complete, and hold it in memory until then.",
            "Send only what changed, or a URL to fetch the rest from.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    if stream.longest_line > LONG_LINE {
        return warn(shown).advise(
            "Many readers refuse lines longer than 64 KiB (Python's asyncio, Go's bufio.Scanner).",
            "Split the data into several data: lines at its line endings, or send less.",
            "WHATWG HTML, section 9.2.5",
        );
    }
    pass(shown)
}
