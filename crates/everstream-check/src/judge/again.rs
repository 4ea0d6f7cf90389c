//! Reconnecting and resuming.

use super::buffering::{TOGETHER, held_back};
use super::{Judged, Verdict, fail, pass, skip, warn};
use crate::observed::{Answer, Observed, Response, Resume, Stream};
use crate::text::{count, seconds};

const HEADER: &str = "WHATWG HTML, section 9.2.4 (Last-Event-ID)";

pub(crate) fn reconnect(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let Some(second) = &o.second else {
        return not_repeated(o, response);
    };
    if second.silent {
        return silent(o, second, stream);
    }
    if let Some(refusal) = second.refusal() {
        return fail(refusal).advise(
            "Clients reconnect within seconds after a drop. With this response EventSource stops \
             permanently.",
            "Answer every connection with 200 and a stream. Check limits per client, and whether \
             the server still holds on to closed connections.",
            "WHATWG HTML, section 9.2.3",
        );
    }
    if let (Some(one), Some(other)) = (stream.retries.first(), second.retries.first()) {
        if one != other {
            return warn(format!("retry: {one} ms at first, {other} ms now")).advise(
                "Clients use the last value.",
                "Send the same value each time, unless it is meant to change.",
                "WHATWG HTML, section 9.2.6",
            );
        }
    }
    pass(match &second.first_try {
        None => "works".to_owned(),
        Some(refusal) => format!(
            "works on the second try, {} after the first, which got {refusal}",
            seconds(second.delay)
        ),
    })
}

/// No response in time. Headers that are sent with the first event can be late.
fn silent(o: &Observed, second: &Answer, stream: &Stream) -> Judged {
    if works_without_gzip(o) {
        return pass("works, but not with gzip offered (see compression)");
    }
    let shown = format!("no response in {}", seconds(second.after));
    if stream.reads.first().is_none_or(|read| read.at < TOGETHER) {
        return skip(format!(
            "{shown}: the headers seem to wait for the first event"
        ));
    }
    warn(format!(
        "{shown}; the first connection had its headers at once"
    ))
    .advise(
        "A client that reconnects may wait for this response until it times out.",
        "Check limits per client, and whether the server still holds on to closed connections.",
        "WHATWG HTML, section 9.2.3",
    )
}

/// A response that hasn't arrived yet is neither good nor bad.
fn pending(what: &str, answer: &Answer) -> Option<Judged> {
    let waited = seconds(answer.after);
    let text = format!("{what}no response in {waited}: the headers may wait for the next event");
    answer.silent.then(|| skip(text))
}

/// What to do about a limit of connections.
const LIMIT: &str =
    "Allow each client several connections per minute, and check again without the limit.";

const LIMITS: &str = "RFC 6585, section 4; WHATWG HTML, section 9.2.3";

/// A limit of connections, which doesn't answer the question.
fn limited(what: &str, answer: &Answer) -> Option<Verdict> {
    let shown = match (&answer.first_try, answer.retry_after) {
        (Some(_), _) => format!("{what}status 429, also {} later", seconds(answer.delay)),
        (None, Some(wait)) => format!(
            "{what}status 429; Retry-After asks for {}, longer than this check waits",
            seconds(wait)
        ),
        (None, None) => format!("{what}status 429"),
    };
    answer.is_limited().then(|| warn(shown))
}

/// Why there was no second request.
pub(crate) fn not_repeated(o: &Observed, response: &Response) -> Judged {
    skip(match (response.repeatable, &o.cut) {
        (false, _) => {
            let method = &response.method;
            format!("a {method} isn't repeated (RFC 9110, section 9.2.1)")
        }
        (true, Some(cut)) => cut.clone(),
        (true, None) if held_back(o).is_some() => {
            "not checked: a proxy holds the stream back (see proxy-buffering)".to_owned()
        }
        (true, None) => "not checked".to_owned(),
    })
}

/// Whether a later connection without gzip got a response: then gzip is why the other one got none.
pub(crate) fn works_without_gzip(o: &Observed) -> bool {
    let repeated = o.repeat.as_ref().map(|repeat| &repeat.plain);
    let resume = o.resume.as_ref().map(|resume| &resume.answer);
    let mut later = repeated.into_iter().chain(resume).chain(&o.unknown_id);
    later.any(|answer| answer.refusal().is_none())
}

pub(crate) fn resume(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let ids = stream.ids();
    if ids.is_empty() {
        return skip("no ids to resume from");
    }
    let Some(resume) = &o.resume else {
        if !response.repeatable || o.cut.is_some() {
            return not_repeated(o, response);
        }
        return skip("clients can't resume after ids that aren't unique or can't be sent");
    };
    resumed(&ids, resume)
}

/// Compares what followed the id on the first connection and on this one.
fn resumed(ids: &[&str], resume: &Resume) -> Judged {
    let after = ids.get(resume.after).copied().unwrap_or_default();
    let before = ids.get(..=resume.after).unwrap_or_default();
    let next = ids.get(resume.after + 1).copied();
    if let Some(pending) = pending(&format!("after {after:?}: "), &resume.answer) {
        return pending;
    }
    if let Some(limited) = limited(&format!("after {after:?}: "), &resume.answer) {
        return limited.named("resuming wasn't checked").advise(
            "The server limits how often clients connect, and this check connects more often than they \
             do. But a client that reconnects several times can reach the limit too, and EventSource \
             stops permanently at 429.",
            LIMIT,
            LIMITS,
        );
    }
    if let Some(refusal) = resume.answer.refusal() {
        return fail(format!("after {after:?}: {refusal}")).advise(
            "Clients send their last event id when they reconnect. With this response EventSource \
             stops permanently.",
            "Continue after the event with that id, and always answer 200.",
            HEADER,
        );
    }
    let came: Vec<&str> = resume.answer.ids.iter().flatten().map(|id| &**id).collect();
    let Some(first) = came.first().copied() else {
        return nothing_came(after, next, ids.len() - before.len(), resume);
    };
    let shown = format!("after {after:?} the server sent {first:?}");
    if next == Some(first) {
        return pass(shown);
    }
    // A greeting that has an id, sent on each new connection.
    if let (Some(next), false) = (next, ids.contains(&first)) {
        if came.get(1) == Some(&next) {
            return pass(format!("{shown}, then {next:?}"));
        }
    }
    let known = |id: &str| before.contains(&id);
    if came.iter().any(|id| before.len() > 1 && *id == before[0]) {
        return starts_over(format!("{shown}: the stream starts over"));
    }
    if came.iter().any(|id| known(id)) {
        let rest = match ids.len() {
            1 | 2 => ", or the stream starts over: too few ids to tell",
            _ => "",
        };
        return warn(format!("{shown}: the client already has it{rest}")).advise(
            "Clients receive an event twice.",
            "Start with the event after the one with that id.",
            HEADER,
        );
    }
    match next {
        None => skip(format!(
            "{shown}; it is unknown whether an event was skipped"
        )),
        Some(next) => gap(format!("{shown} instead of {next:?}")),
    }
}

fn nothing_came(after: &str, next: Option<&str>, missed: usize, resume: &Resume) -> Judged {
    let waited = seconds(resume.answer.waited);
    if !resume.answer.ids.is_empty() {
        let came = count(resume.answer.ids.len(), "event");
        return skip(format!(
            "after {after:?} the server sent {came} without an id"
        ));
    }
    match next {
        None => skip(format!(
            "after {after:?}, the newest id, nothing arrived in {waited}"
        )),
        Some(_) => gap(format!(
            "after {after:?} nothing arrived in {waited}, although the first connection had {}",
            count(missed, "later event")
        )),
    }
}

fn starts_over(observed: String) -> Judged {
    fail(observed).advise(
        "After each dropped connection clients receive all events again.",
        "Read Last-Event-ID, and start with the event after that one.",
        HEADER,
    )
}

fn gap(observed: String) -> Judged {
    warn(observed).advise(
        "Clients miss the events that were sent while they were disconnected.",
        "Keep recent events, and start with the one after Last-Event-ID.",
        HEADER,
    )
}

pub(crate) fn unknown_id(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let Some(answer) = &o.unknown_id else {
        return match stream.ids().is_empty() {
            true => skip("no ids, so clients send none"),
            false => not_repeated(o, response),
        };
    };
    if let Some(pending) = pending("", answer) {
        return pending;
    }
    if let Some(limited) = limited("", answer) {
        return limited.named("unknown ids weren't checked").advise(
            "The server limits how often clients connect, and this check connects more often than they \
             do.",
            LIMIT,
            LIMITS,
        );
    }
    // If new clients get the error too, the id isn't the reason.
    let error = answer.error_event.as_ref();
    let error = error.filter(|_| stream.error_event.is_none());
    if let (Some(text), None) = (error, answer.refusal()) {
        return error_event(text, answer.ended);
    }
    match answer.refusal() {
        None => pass("a stream"),
        Some(refusal) => fail(refusal).advise(
            "Ids expire, and clients may send ids of another server. With this response EventSource \
             stops permanently, and the page can't make it forget the id.",
            "Treat an unknown id like no id: start where a new client starts.",
            HEADER,
        ),
    }
}

/// A stream that only reports an error, with status 200.
fn error_event(text: &str, ended: bool) -> Judged {
    let shown = match ended {
        true => format!("an error event, then the end of the stream: {text:?}"),
        false => format!("an error event: {text:?}"),
    };
    let finding = match ended {
        true => fail(shown),
        false => warn(shown),
    };
    finding.advise(
        "The client keeps the id, so it gets the same response each time it reconnects.",
        "Treat an unknown id like no id: start where a new client starts.",
        HEADER,
    )
}
