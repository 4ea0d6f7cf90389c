//! The format of the stream.

use std::time::Duration;

use super::buffering::held_back;
use super::{Judged, fail, pass, skip, warn};
use crate::observed::{End, Observed, Stream};
use crate::text::{count, seconds};

const PARSING: &str = "WHATWG HTML, section 9.2.5";

pub(crate) fn bom(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if stream.bytes == 0 {
        return skip("no data arrived");
    }
    if stream.later_boms > 0 {
        return fail(format!(
            "{} inside the stream",
            count(stream.later_boms, "byte order mark")
        ))
        .advise(
            "Clients skip only a mark at the very beginning. Anywhere else it turns its line into an \
             unknown field.",
            "Write UTF-8 without a byte order mark.",
            PARSING,
        );
    }
    if stream.bom_at_start {
        return warn("a byte order mark at the start").advise(
            "Clients have to skip it, but some take it as part of the first field.",
            "Write UTF-8 without a byte order mark.",
            PARSING,
        );
    }
    pass("none")
}

pub(crate) fn line_ends(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    let kinds: Vec<String> = [("LF", stream.lf), ("CRLF", stream.crlf), ("CR", stream.cr)]
        .iter()
        .filter(|(_, times)| *times > 0)
        .map(|(kind, times)| format!("{kind} ({times})"))
        .collect();
    let shown = kinds.join(", ");
    if kinds.is_empty() {
        return skip("no line arrived");
    }
    if kinds.len() > 1 {
        return warn(shown).advise(
            "The standard allows a mix, but the usual cause is data copied with its own line \
             endings, which end fields too early.",
            "Write LF, and start each line of the data with data:.",
            PARSING,
        );
    }
    if stream.cr > 0 {
        return warn(shown).advise(
            "After a CR a client has to wait for the next byte, and many clients don't support CR.",
            "Write LF.",
            PARSING,
        );
    }
    pass(shown)
}

pub(crate) fn utf_8(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if stream.bytes == 0 {
        return skip("no data arrived");
    }
    match stream.not_utf8 {
        None => pass("UTF-8"),
        Some(place) => fail(format!("byte {place} isn't UTF-8")).advise(
            "Clients replace it with U+FFFD, so the text is garbled.",
            "Write UTF-8, and don't split text inside a character.",
            PARSING,
        ),
    }
}

pub(crate) fn fields(o: &Observed) -> Judged {
    const SOURCE: &str = "WHATWG HTML, section 9.2.6";
    let (_, stream) = o.streamed()?;
    if let Some(line) = &stream.stray_line {
        let stray = count(stream.stray_lines, "line");
        let are_not = match stream.stray_lines {
            0 | 1 => "isn't a field",
            _ => "aren't fields",
        };
        return fail(format!("{stray} that {are_not}, starting with {line:?}")).advise(
            "Clients ignore such a line, so its content is lost.",
            "Start each line of the data with data: (in lower case, with nothing before it).",
            SOURCE,
        );
    }
    if !stream.unknown_fields.is_empty() {
        let names: Vec<String> = stream
            .unknown_fields
            .iter()
            .map(|(name, times)| format!("{name} ({times})"))
            .collect();
        let line = stream.unknown_line.as_deref().unwrap_or_default();
        let shown = format!("{}, starting with {line:?}", names.join(", "));
        return warn(shown).advise(
            "Clients ignore fields other than data, event, id and retry.",
            "Put the value into the data, or into a comment if it is only for debugging.",
            SOURCE,
        );
    }
    match stream.bytes {
        0 => skip("no data arrived"),
        _ => pass("data, event, id, retry and comments only"),
    }
}

pub(crate) fn end(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    match &stream.end {
        End::Open => pass("still open"),
        End::Broke(_) if held_back(o).is_some() => {
            skip("broke when a proxy gave up on a silent stream (see proxy-buffering)")
        }
        End::Broke(why) => broke(stream, why),
        End::Ended if stream.half_event => fail("the stream ended inside an event").advise(
            "Clients drop an event without its blank line.",
            "End each event with a blank line, including the last one.",
            "WHATWG HTML, section 9.2.6",
        ),
        // The response to a POST is expected to end.
        End::Ended if !response.repeatable => pass("the response ended"),
        End::Ended => warn("the server ended the stream").advise(
            "EventSource treats the end as a dropped connection: it reconnects, and gets the same \
             events again unless the server resumes.",
            "Leave the response open, or answer the next request with 204 if there are no more \
             events.",
            "WHATWG HTML, section 9.2.3",
        ),
    }
}

/// A connection that breaks after this much silence probably hit an idle timeout.
const SILENCE: Duration = Duration::from_secs(2);

/// The usual interval of comments is longer than an idle timeout below this.
const USUAL: Duration = Duration::from_secs(30);

fn broke(stream: &Stream, why: &str) -> Judged {
    const SOURCE: &str = "WHATWG HTML, sections 9.2.3 and 9.2.7";
    const LIMITS: &str = "Proxies close silent connections: nginx (proxy_read_timeout), Apache and \
         AWS load balancers after 60 s, Heroku after 55 s, Cloudflare after 100 s, haproxy after its \
         timeout server or timeout client.";
    let silence = stream.last_silence();
    if silence < SILENCE {
        let within = match stream.half_event {
            true => " inside an event",
            false => "",
        };
        return fail(format!("broke{within}: {why}")).advise(
            "Events that were in transit are lost.",
            "Look for crashes and timeouts in the server and in proxies.",
            SOURCE,
        );
    }
    fail(format!("broke after {} of silence: {why}", seconds(silence))).advise(
        LIMITS,
        match silence < USUAL {
            true => {
                "Raise the idle timeout to a minute or more (nginx: proxy_read_timeout; haproxy: timeout \
                 server, timeout client), and send a comment every 15 to 30 s."
            }
            false => "Send a comment (a line with only a colon) every 15 to 30 s.",
        },
        SOURCE,
    )
}
