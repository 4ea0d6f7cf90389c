//! Connecting again, resuming.

use super::super::observed::{Observed, Response, Resume};
use super::{Judged, count, fail, pass, skip, warn};
use crate::explain::seconds;

const HEADER: &str = "WHATWG HTML, section 9.2.4 (Last-Event-ID)";

pub(super) fn reconnect(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let Some(second) = &o.second else {
        return not_repeated(o, response);
    };
    if second.silent && works_without_gzip(o) {
        return pass("works at once, unless gzip is offered (see compression)");
    }
    if let Some(refusal) = second.refusal() {
        return fail(refusal).advise(
            "A client that lost its connection asks again within seconds; this answer ends \
             EventSource for good.",
            "Answer each connection with 200 and a stream; look at limits per client, and at what \
             the server keeps of connections that were closed.",
            "WHATWG HTML, section 9.2.3",
        );
    }
    if let (Some(one), Some(other)) = (stream.retries.first(), second.retries.first()) {
        if one != other {
            return warn(format!("retry: {one} ms at first, {other} ms now")).advise(
                "Clients wait as the last one says.",
                "Send one value, unless it is meant to change.",
                "WHATWG HTML, section 9.2.6",
            );
        }
    }
    pass("works at once")
}

/// Why there was no later request.
pub(super) fn not_repeated(o: &Observed, response: &Response) -> Judged {
    skip(match (response.repeatable, &o.cut) {
        (false, _) => {
            let method = &response.method;
            format!("a {method} isn't sent twice (RFC 9110, section 9.2.1)")
        }
        (true, Some(cut)) => cut.clone(),
        (true, None) => "not asked for".to_owned(),
    })
}

/// Whether a later connection, which offers no gzip, is answered. Then it is gzip that makes a
/// silent one silent.
pub(super) fn works_without_gzip(o: &Observed) -> bool {
    let resume = o.resume.as_ref().map(|resume| &resume.answer);
    let mut later = resume.into_iter().chain(&o.unknown_id);
    later.any(|answer| answer.refusal().is_none())
}

pub(super) fn resume(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let ids = stream.ids();
    if ids.is_empty() {
        return skip("no ids to resume from");
    }
    let Some(resume) = &o.resume else {
        if !response.repeatable || o.cut.is_some() {
            return not_repeated(o, response);
        }
        return skip("ids that aren't unique or can't be sent are no place to resume from");
    };
    resumed(&ids, resume)
}

/// Compares what came after the id with what came after it before.
fn resumed(ids: &[&str], resume: &Resume) -> Judged {
    let after = ids.get(resume.after).copied().unwrap_or_default();
    let before = ids.get(..=resume.after).unwrap_or_default();
    let next = ids.get(resume.after + 1).copied();
    if let Some(refusal) = resume.answer.refusal() {
        return fail(format!("after {after:?}: {refusal}")).advise(
            "A client that lost its connection sends the last id; this answer ends EventSource for \
             good.",
            "Go on after the event with that id, and answer 200 in any case.",
            HEADER,
        );
    }
    let came: Vec<&str> = resume.answer.ids.iter().flatten().map(|id| &**id).collect();
    let Some(first) = came.first().copied() else {
        return nothing_came(after, next, ids.len() - before.len(), resume);
    };
    let shown = format!("after {after:?} came {first:?}");
    if next == Some(first) {
        return pass(shown);
    }
    let known = |id: &str| before.contains(&id);
    if came.iter().any(|id| before.len() > 1 && *id == before[0]) {
        return anew(format!("{shown}: the stream begins anew"));
    }
    if came.iter().any(|id| known(id)) {
        let rest = match ids.len() {
            1 | 2 => ", or begins anew: too few ids to tell",
            _ => "",
        };
        return warn(format!("{shown}: it repeats what the client has{rest}")).advise(
            "Clients handle an event twice.",
            "Begin with the event after the one with that id.",
            HEADER,
        );
    }
    match next {
        None => skip(format!(
            "{shown}; whether something was left out can't be told"
        )),
        Some(next) => gap(format!("{shown} instead of {next:?}")),
    }
}

fn nothing_came(after: &str, next: Option<&str>, missed: usize, resume: &Resume) -> Judged {
    let waited = seconds(resume.answer.waited);
    if !resume.answer.ids.is_empty() {
        let came = count(resume.answer.ids.len(), "event");
        return skip(format!("after {after:?} came {came} without an id"));
    }
    match next {
        None => skip(format!(
            "after {after:?}, the newest, nothing came in {waited}"
        )),
        Some(_) => gap(format!(
            "after {after:?} nothing came in {waited}, though {} had come before",
            count(missed, "later event")
        )),
    }
}

fn anew(observed: String) -> Judged {
    fail(observed).advise(
        "After each lost connection clients get all of it again.",
        "Read Last-Event-ID, and begin with the event after that one.",
        HEADER,
    )
}

fn gap(observed: String) -> Judged {
    warn(observed).advise(
        "Clients miss what happened while they were away.",
        "Keep the last events, and begin with the one after Last-Event-ID.",
        HEADER,
    )
}

pub(super) fn unknown_id(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    let Some(answer) = &o.unknown_id else {
        return match stream.ids().is_empty() {
            true => skip("no ids, so that clients send none"),
            false => not_repeated(o, response),
        };
    };
    match answer.refusal() {
        None => pass("a stream"),
        Some(refusal) => fail(refusal).advise(
            "Ids grow old, and other programs' ids come by: EventSource ends for good at this \
             answer, and the page has no way to forget the id.",
            "Take an id that isn't known for none: begin where a new client begins.",
            HEADER,
        ),
    }
}
