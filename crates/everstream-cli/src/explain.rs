//! What happened to the connection, in words, and what to try next.

use std::borrow::Cow;
use std::time::Duration;

use everstream::{End, Error, Event, Failure, FailureKind, Fault, RedactedUrl, Start};
use everstream_http::policy::withheld_message;

use crate::exit::Exit;
use crate::reconnect::ReconnectArgs;
use crate::report;
use crate::request::RequestArgs;
use crate::visible::{shortened, visible};

/// Why it didn't connect again.
const AGAIN: &str = "--no-reconnect keeps it from connecting again";

/// What was asked for, which decides on what helps.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a RequestArgs,
    pub(crate) reconnect: &'a ReconnectArgs,
    /// How many connections there were.
    pub(crate) connections: u64,
}

impl Asked<'_> {
    /// The last request was the GET of `--resume-get`.
    fn resumed(&self) -> bool {
        self.reconnect.resume_get && !self.request.is_safe() && self.connections > 0
    }

    /// What sends the request again, or resumes its stream.
    fn not_repeated(&self) -> &'static str {
        match self.reconnect.resume_get {
            false => {
                "--repeat-unsafe sends it again; --resume-get resumes with a GET, if the server \
                 sends ids"
            }
            true => {
                "the server sent no id from which --resume-get could resume; --repeat-unsafe sends \
                 the request again"
            }
        }
    }

    fn hint(&self, error: &Error) -> Option<&'static str> {
        let fault = error.fault()?;
        if matches!(error, Error::NotRepeated(_)) {
            return Some(self.not_repeated());
        }
        match fault.status() {
            Some(400 | 404 | 405) if self.resumed() => Some(
                "the server can't resume this stream; without --resume-get the stream ends with \
                 its connection, and --repeat-unsafe sends the request again",
            ),
            Some(status @ (429 | 500..=599)) => self.transient(status),
            _ => hint(fault).or_else(|| {
                let broken = matches!(
                    fault,
                    Fault::Read(_) | Fault::Request(_) | Fault::Incomplete
                );
                (broken && self.reconnect.no_reconnect).then_some(AGAIN)
            }),
        }
    }

    /// What tries again after such a status, if anything does.
    fn transient(&self, status: u16) -> Option<&'static str> {
        let repeats = self.request.is_safe() || self.reconnect.repeat_unsafe || self.resumed();
        match (self.reconnect.no_reconnect, repeats) {
            (true, true) => {
                Some("the server may recover: without --no-reconnect it is tried again")
            }
            (true, false) => Some(
                "the server may recover: --repeat-unsafe instead of --no-reconnect sends the \
                 request again",
            ),
            // The time, or the number of attempts.
            (false, _) if self.reconnect.statuses().contains(&status) => None,
            (false, true) => Some("the server may recover: --retry-status 429,5xx tries again"),
            (false, false) => Some(
                "the server may recover: --retry-status 429,5xx with --repeat-unsafe sends the \
                 request again",
            ),
        }
    }
}

/// The server has ended a stream, and its request isn't sent again.
pub(crate) fn not_repeated(events: u64, asked: &Asked<'_>) -> Exit {
    let plural = if events == 1 { "" } else { "s" };
    let what = format!(
        "the server ended the stream after {events} event{plural}, and a request that isn't safe, \
         such as a POST, isn't sent again"
    );
    report::error(&what, None);
    let more = asked.not_repeated();
    report::hint(&format!("--no-reconnect if the stream is complete; {more}"));
    Exit::NotRepeated
}

/// The same before the last of so many events.
pub(crate) fn ended_early(events: u64, count: u64, not_repeated: bool, asked: &Asked<'_>) -> Exit {
    let what = format!("the server ended the stream after {events} of {count} events");
    report::error(&what, None);
    match not_repeated {
        true => {
            report::hint(asked.not_repeated());
            Exit::NotRepeated
        }
        false => {
            report::hint(AGAIN);
            Exit::Broken
        }
    }
}

/// The time of `--max-time` has passed.
pub(crate) fn max_time(events: u64) {
    let plural = if events == 1 { "" } else { "s" };
    let what = format!("gave up: --max-time has passed after {events} event{plural}");
    report::error(&what, None);
}

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

/// Warns of what may be the cause of a fault that is retried, and of retrying it at all.
/// `connections` is how many there were before.
pub(crate) fn warn_of_retry(fault: &Fault, connections: u64) {
    let retry = fault.retry_warning().filter(|_| connections > 0);
    for text in [withheld_before(fault), retry.map(str::to_owned)] {
        text.iter().for_each(|text| report::warning(text));
    }
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

/// The error, what may have caused it, what the server said, and what to try next.
pub(crate) fn gave_up(error: &Error, asked: &Asked<'_>) {
    if let Some(text) = error.fault().and_then(withheld_before) {
        report::warning(&text);
    }
    gave_up_after_warning(error, asked);
}

/// The same, if it is reported already which headers were withheld.
pub(crate) fn gave_up_after_warning(error: &Error, asked: &Asked<'_>) {
    if error.status() == Some(204) {
        report::news("the server ended the stream for good (status 204)");
        return;
    }
    let Some(fault) = error.fault() else {
        return report::error("gave up", Some(error));
    };
    match error {
        Error::NotRepeated(_) => {
            let what = "gave up, as a request that isn't safe, such as a POST, isn't sent again";
            report::error(what, Some(fault));
        }
        _ => report::error("gave up", Some(fault)),
    }
    if let Some(said) = fault.response().and_then(|response| said(&response.body)) {
        report::raw(&format!("everstream: the server said: {}", visible(&said)));
    }
    if let Some(hint) = asked.hint(error) {
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
