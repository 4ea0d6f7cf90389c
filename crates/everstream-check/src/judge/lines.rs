//! How the stream is written.

use std::time::Duration;

use super::{Judged, fail, pass, skip, warn};
use crate::observed::{End, Observed, Stream};
use crate::text::{count, seconds};

const PARSING: &str = "WHATWG HTML, section 9.2.5";

pub(crate) fn bom(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if stream.bytes == 0 {
        return skip("no byte came");
    }
    if stream.later_boms > 0 {
        return fail(format!(
            "{} within the stream",
            count(stream.later_boms, "mark")
        ))
        .advise(
            "Only one at the very beginning is skipped; any other makes its line an unknown field.",
            "Write UTF-8 without a byte order mark.",
            PARSING,
        );
    }
    if stream.bom_at_start {
        return warn("one at the beginning").advise(
            "Clients have to skip it, and some take it for a part of the first field.",
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
        return skip("no line came");
    }
    if kinds.len() > 1 {
        return warn(shown).advise(
            "All three may be mixed, but data that is copied in with its line ends is the usual \
             reason, and it ends fields where it shouldn't.",
            "Write LF, and begin each line of the data with data:.",
            PARSING,
        );
    }
    if stream.cr > 0 {
        return warn(shown).advise(
            "A client sees only with the next byte whether an LF follows, and many know no CR.",
            "Write LF.",
            PARSING,
        );
    }
    pass(shown)
}

pub(crate) fn utf_8(o: &Observed) -> Judged {
    let (_, stream) = o.streamed()?;
    if stream.bytes == 0 {
        return skip("no byte came");
    }
    match stream.not_utf8 {
        None => pass("UTF-8"),
        Some(place) => fail(format!("byte {place} isn't UTF-8")).advise(
            "Readers get U+FFFD in its place: the text is spoilt.",
            "Write UTF-8; don't cut texts within a character.",
            PARSING,
        ),
    }
}

pub(crate) fn fields(o: &Observed) -> Judged {
    const SOURCE: &str = "WHATWG HTML, section 9.2.6";
    let (_, stream) = o.streamed()?;
    if let Some(line) = &stream.stray_line {
        let stray = count(stream.stray_lines, "line");
        return fail(format!(
            "{stray} that no client takes for a field, the first is {line:?}"
        ))
        .advise(
            "Clients ignore it: what it says never arrives.",
            "Begin each line of the data with data: (in lower case, and nothing before it).",
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
        let shown = format!("{}; the first is {line:?}", names.join(", "));
        return warn(shown).advise(
            "Clients ignore fields other than data, event, id and retry.",
            "Put it into the data, or into a comment if only people read it.",
            SOURCE,
        );
    }
    match stream.bytes {
        0 => skip("no byte came"),
        _ => pass("data, event, id, retry and comments only"),
    }
}

pub(crate) fn end(o: &Observed) -> Judged {
    let (response, stream) = o.streamed()?;
    match &stream.end {
        End::Open => pass("still open"),
        End::Broke(why) => broke(stream, why),
        End::Ended if stream.half_event => fail("it ended within an event").advise(
            "Clients drop an event that lacks its blank line.",
            "End each event, also the last one, with a blank line.",
            "WHATWG HTML, section 9.2.6",
        ),
        // The answer to a question ends.
        End::Ended if !response.repeatable => pass("the response ended"),
        End::Ended => warn("the server ended it").advise(
            "EventSource takes an end for a lost connection: it asks again, and gets the same \
             again if the server doesn't resume.",
            "Leave the response open, or answer the next request with 204 if there is no more.",
            "WHATWG HTML, section 9.2.3",
        ),
    }
}

/// A connection that breaks after so much silence was probably closed for it.
const SILENCE: Duration = Duration::from_secs(2);

/// A shorter time-out isn't met by the usual interval of comments.
const USUAL: Duration = Duration::from_secs(30);

fn broke(stream: &Stream, why: &str) -> Judged {
    const SOURCE: &str = "WHATWG HTML, sections 9.2.3 and 9.2.7";
    const LIMITS: &str = "Proxies close connections that are silent: nginx, Apache and AWS load \
         balancers after 60 s, Heroku after 55 s, Cloudflare after 100 s, haproxy after its \
         timeout server or client.";
    let silence = stream.last_silence();
    if silence < SILENCE {
        let within = match stream.half_event {
            true => ", within an event",
            false => "",
        };
        return fail(format!("broke{within}: {why}")).advise(
            "The connection broke: whatever was in transit is lost.",
            "Look for crashes and time-outs in the server and in proxies.",
            SOURCE,
        );
    }
    fail(format!("broke after {} of silence: {why}", seconds(silence))).advise(
        LIMITS,
        match silence < USUAL {
            true => {
                "Raise that time-out to a minute or more (haproxy: timeout server, timeout client), \
                 and send a comment every 15 to 30 s."
            }
            false => "Send a comment (a line with a colon) every 15 to 30 s.",
        },
        SOURCE,
    )
}
