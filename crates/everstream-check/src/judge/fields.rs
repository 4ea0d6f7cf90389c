//! What the stream says.

use std::collections::HashSet;

use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Form, Observed};
use crate::text::count;

/// The longest line that common readers take: Python's asyncio, Go's bufio.Scanner.
const LONG_LINE: u64 = 64 << 10;

const LARGE_EVENT: usize = 1 << 20;

/// Beyond it a lost connection is noticed by people.
const LONG_RETRY: u64 = 5 * 60 * 1000;

/// Below it a server that restarts meets a storm of all its clients.
const SHORT_RETRY: u64 = 100;

/// How many things are named.
const NAMED: usize = 5;

pub(crate) fn retry(o: &Observed) -> Judged {
    const SOURCE: &str = "WHATWG HTML, sections 9.2.3 and 9.2.6";
    let (_, stream) = o.streamed()?;
    if let Some("") = stream.bad_retry.as_deref() {
        return warn("an empty retry").advise(
            "Chromium resets the delay to its own default at it; the standard, and clients that \
             follow it, ignore it.",
            "Send the milliseconds, as in retry: 5000, or no retry at all.",
            "Chromium, event_source_parser.cc; WHATWG HTML, section 9.2.6",
        );
    }
    if let Some(value) = &stream.bad_retry {
        return fail(format!("retry: {value}")).advise(
            "Clients ignore it: only ASCII digits are a value.",
            "Send the milliseconds alone, as in retry: 5000.",
            SOURCE,
        );
    }
    let values: Vec<String> = stream.retries.iter().map(u64::to_string).collect();
    let shown = format!("retry: {} ms", values.join(", then "));
    match &stream.retries[..] {
        [] => skip("no retry: clients take their own value, a few seconds in browsers"),
        [value] if *value < SHORT_RETRY => warn(shown).advise(
            "When the server restarts, all clients ask again at once, and again.",
            "Send some seconds, as in retry: 5000.",
            SOURCE,
        ),
        [value] if *value > LONG_RETRY => warn(shown).advise(
            "After a lost connection readers stay without events for so long.",
            "Send some seconds, as in retry: 5000.",
            SOURCE,
        ),
        [_] => pass(shown),
        _ => warn(shown).advise(
            "Each one replaces the one before, for all later connections.",
            "Send one value, at the beginning of the stream, unless it is meant to change.",
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
    // What is wrong with those is said elsewhere.
    let unusable = usize::try_from(stream.ids_with_nul).unwrap_or(usize::MAX);
    if ids.saturating_add(unusable) >= events {
        return pass(format!("on all of {}", count(events, "event")));
    }
    if !response.repeatable {
        let method = &response.method;
        return skip(format!(
            "on {ids} of {}; the answer to a {method} isn't resumed",
            count(events, "event")
        ));
    }
    // A new connection sends it again, so nothing is lost without its id.
    let greeting = stream.events.first().is_some_and(|it| it.id.is_none());
    if greeting && ids > 0 && ids.saturating_add(unusable) + 1 >= events {
        return pass(format!(
            "on all of {} but the first, a greeting",
            count(events, "event")
        ));
    }
    if ids == 0 {
        return warn(format!("on none of {}", count(events, "event"))).advise(
            "A client that lost the connection can't say where it was: what happens meanwhile is \
             lost.",
            "Send an id with each event, and go on after Last-Event-ID.",
            SOURCE,
        );
    }
    warn(format!("on {ids} of {}", count(events, "event"))).advise(
        "After a reconnect what came since the last id comes again, or is lost.",
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
        None => pass(format!("{} that differ", count(ids.len(), "id"))),
        Some(id) => fail(format!("{id:?} came more than once")).advise(
            "The server can't know after which of them to go on, and clients that leave out what \
             they have seen lose events.",
            "Give each event an id of its own.",
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
            "Clients ignore such an id, and resume after the one before.",
            "Leave U+0000 out of ids.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    if stream.ids_unsendable > 0 {
        let shown = format!(
            "{} with a control character",
            count(stream.ids_unsendable, "id")
        );
        return fail(shown).advise(
            "It can't be the value of a header, so that no client can resume after it.",
            "Keep ids to printable characters.",
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
    // No EventSource reads the answer to a POST.
    if !response.repeatable {
        return pass(shown);
    }
    if stream
        .kinds
        .keys()
        .any(|kind| matches!(&**kind, "error" | "open"))
    {
        return warn(shown).advise(
            "EventSource has events of these names itself: a page can't tell one of the server's \
             from a lost or a new connection.",
            "Choose another type than open and error.",
            "WHATWG HTML, section 9.2.2",
        );
    }
    pass(shown)
}

pub(crate) fn data(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    // In a feed an error may be what the events are about.
    if let (Some(text), false) = (&stream.error_event, response.repeatable) {
        return warn(format!("the answer reports an error: {text:?}")).advise(
            "The status was 200 already: readers that don't look for the error take the answer \
             for complete.",
            "Look for its cause at the server; let readers look for this event.",
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
        let shown = format!(
            "{almost} of {} begins as JSON and isn't",
            count(all, "event")
        );
        return warn(shown).advise(
            "A line end within data ends the field; what follows without data: of its own is lost.",
            "Write JSON in one line, or begin each of its lines with data:.",
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
    if sizes.is_empty() && stream.oversize == 0 {
        return skip("no event");
    }
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or_default();
    let largest = sizes.last().copied().unwrap_or_default();
    let shown = format!(
        "data of {median} bytes in the median and {largest} at most, lines of {} at most",
        stream.longest_line
    );
    if stream.oversize > 0 || largest > LARGE_EVENT {
        let shown = match stream.oversize {
            0 => shown,
            more => format!("{shown}, and {} beyond 8 MiB", count(more, "event")),
        };
        return warn(shown).advise(
            "An event is handed out when all of it is there, and held in memory by everybody \
             until then.",
            "Send what changed, or a URL to fetch the rest from.",
            "WHATWG HTML, section 9.2.6",
        );
    }
    if stream.longest_line > LONG_LINE {
        return warn(shown).advise(
            "Many readers refuse lines beyond 64 KiB (Python's asyncio, Go's bufio.Scanner).",
            "Divide the data over several data: lines where it has line ends, or send less.",
            "WHATWG HTML, section 9.2.5",
        );
    }
    pass(shown)
}
