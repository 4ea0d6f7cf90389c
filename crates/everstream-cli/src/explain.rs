//! What happened to the connection, in words, and what to try next.

use std::borrow::Cow;
use std::time::Duration;

use everstream::{End, Error, Event, Failure, FailureKind, Fault, RedactedUrl, Start};
use everstream_http::policy::withheld_message;

use crate::report;
use crate::visible::{shortened, visible};

/// Why it didn't connect again, whichever it was.
pub(crate) const AGAIN: &str = "--no-reconnect keeps it from connecting again; \
                                so does a POST whose answer has no ids, without --repeat-unsafe";

/// An id, which may be as long as an event.
pub(crate) fn id(id: &str) -> Cow<'_, str> {
    shortened(id, 100)
}

/// How an event is called in an error.
pub(crate) fn name(event: &Event) -> String {
    match event.id() {
        Some(id) => format!("the event with id {}", self::id(id)),
        None => format!("an event of type {}", shortened(event.event(), 100)),
    }
}

pub(crate) fn started(start: &Start, connections: u64, last_event_id: Option<&str>) -> String {
    let mut text = String::from(if connections > 1 {
        "connected again"
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
    let headers =
        start.headers.iter().map(
            |(name, value)| match name.eq_ignore_ascii_case("set-cookie") {
                true => format!("< {name}: (not shown)"),
                false => format!("< {name}: {value}"),
            },
        );
    status.into_iter().chain(headers).collect()
}

/// Why there is no connection now, and when there will be another attempt.
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

/// Which headers the response's server was not sent.
pub(crate) fn withheld(start: &Start) -> Option<String> {
    withheld_message(&start.withheld_headers, start.url.as_deref()?)
}

/// Which headers the server of an error's response was not sent.
pub(crate) fn withheld_before(fault: &Fault) -> Option<String> {
    let response = fault.response()?;
    withheld_message(&response.withheld_headers, &response.url)
}

/// A time as people say it.
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
            text += " (to go on from there: --last-event-id)";
        }
    }
    text
}

/// The error, what the server said, and what to try next.
pub(crate) fn gave_up(error: &Error) {
    if let Some(text) = error.fault().and_then(withheld_before) {
        report::warning(&text);
    }
    if error.status() == Some(204) {
        report::news("the server ended the stream for good (status 204)");
        return;
    }
    report::error("gave up", Some(error));
    let Some(fault) = error.fault() else { return };
    if let Some(said) = fault.response().and_then(|response| said(&response.body)) {
        report::raw(&format!("everstream: the server said: {}", visible(&said)));
    }
    let broken = matches!(
        fault,
        Fault::Read(_) | Fault::Request(_) | Fault::Incomplete
    );
    if let Some(hint) = hint(fault).or(broken.then_some(AGAIN)) {
        report::hint(hint);
    }
}

/// The first line of an error's body.
fn said(body: &[u8]) -> Option<String> {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    })
}

/// What to try next.
pub(crate) fn hint(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Status(response) => match response.status {
            401 | 403 => Some(
                "send credentials: -u USER:PASSWORD, --bearer-env VARIABLE or \
                 -H 'Authorization: Bearer TOKEN'",
            ),
            404 | 410 => Some("check the path of the URL: there is no stream at this one"),
            405 => Some("the stream may want another method: -X POST, or a body with -d"),
            407 => Some("the proxy wants credentials: -x http://USER:PASSWORD@HOST:PORT"),
            415 => Some("the body may want another type: --json, or -H 'Content-Type: ...'"),
            429 | 500.. => Some("the server may get over it: --retry-status 429,5xx goes on"),
            _ => None,
        },
        Fault::ContentType(_) => {
            Some("this URL serves something else; look at it with curl -i, and check its path")
        }
        Fault::ContentEncoding(_) => Some("ask for plain bytes: -H 'Accept-Encoding: identity'"),
        Fault::Redirect(..) => Some("follow the stream at the URL where it is now"),
        Fault::Connect(_) => Some(unreachable(fault)),
        Fault::ConnectTimeout(_) => Some(
            "check host and port, and that nothing is in between; --connect-timeout waits longer",
        ),
        Fault::ReadTimeout(_) => {
            Some("the server is silent for longer than --read-timeout, or the connection is dead")
        }
        Fault::TooLarge(_) => Some("this is more than an event stream holds; check the URL"),
        _ => None,
    }
}

fn unreachable(fault: &Fault) -> &'static str {
    match fault.failure().map(Failure::kind) {
        Some(FailureKind::Untrusted) => {
            "trust its authority with --cacert FILE; -k accepts any certificate, and anyone on the \
             network path"
        }
        Some(FailureKind::Resolve) => {
            "check the name of the host; --resolve HOST:PORT:ADDRESS goes without a look-up"
        }
        Some(FailureKind::Tls) => "the port may speak plain HTTP: try http:// instead of https://",
        Some(FailureKind::Refused) => {
            "nobody listens there: check host and port, and whether the server runs"
        }
        Some(FailureKind::ProxyAuthentication) => {
            "give the proxy credentials: -x http://USER:PASSWORD@HOST:PORT"
        }
        Some(FailureKind::Proxy) => "check the proxy, and whether it may connect to this host",
        _ => "check host and port, and the proxy if there is one",
    }
}
