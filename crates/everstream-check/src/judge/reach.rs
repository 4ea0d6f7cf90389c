//! Reaching the server, and whether it answers with a stream.

use super::buffering::buffers;
use super::{Judged, Setting, fail, pass, skip, warn};
use crate::observed::{Observed, TroubleKind, is_event_stream};
use crate::text::seconds;

const MODEL: &str = "WHATWG HTML, section 9.2.3 (processing model)";

pub(crate) fn reachable(o: &Observed) -> Judged {
    match &o.trouble {
        None => pass(match &o.response {
            Some(response) => format!("{} after {}", response.version, seconds(response.after)),
            None => String::new(),
        }),
        Some(trouble) if trouble.kind == TroubleKind::Redirect => {
            pass("the server answers, but its redirect can't be followed")
        }
        Some(trouble) if trouble.kind == TroubleKind::Stopped => skip(&*trouble.what),
        Some(trouble) if trouble.kind == TroubleKind::Connect => fail(&*trouble.what).advise(
            "Without a connection there is no stream. Browsers retry indefinitely.",
            trouble
                .hint
                .unwrap_or("Check the host, the port, and any firewall or proxy on the way."),
            MODEL,
        ),
        Some(trouble) if trouble.kind == TroubleKind::Silence && buffers(o).is_some() => {
            pass("the server answers HEAD, but not the stream (see proxy-buffering)")
        }
        Some(trouble) if trouble.kind == TroubleKind::Silence => fail(&*trouble.what).advise(
            "To a client, a stream is open once its headers arrive.",
            "Send the status and the headers at once, before the first event, and flush them. If \
             the server already does, a proxy buffers them: send X-Accel-Buffering: no, or set \
             proxy_buffering off (nginx).",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        ),
        Some(trouble) => fail(&*trouble.what).advise(
            "No client gets a usable response: it isn't valid HTTP, or the connection closes first.",
            "Look at the response with curl -v, and at the logs of the server and its proxies. The \
             port may belong to something other than HTTP.",
            "RFC 9112, sections 2 and 4",
        ),
    }
}

pub(crate) fn tls(o: &Observed) -> Judged {
    let response = o.answered()?;
    if response.url.starts_with("https:") {
        if o.unverified {
            return skip("HTTPS, but the certificate wasn't verified");
        }
        return pass("HTTPS, with a trusted certificate");
    }
    if o.local {
        return skip("plain HTTP on this machine");
    }
    warn("plain HTTP").advise(
        "Anyone on the network path can read and modify the stream, old proxies buffer it, and \
         pages served over https can't open it.",
        "Serve the stream over https.",
        "W3C Mixed Content; RFC 9110, section 4.2.2",
    )
}

pub(crate) fn redirects(o: &Observed) -> Judged {
    if let Some(trouble) = &o.trouble {
        if trouble.kind == TroubleKind::Redirect {
            return fail(&*trouble.what).setting(Setting::RedirectLimit).advise(
                "Clients give up on this stream.",
                "Point the redirect at the stream. If the chain of redirects is meant to be this \
                     long, shorten it: clients have limits.",
                "RFC 9110, section 15.4; Fetch, HTTP-redirect fetch",
            );
        }
    }
    o.answered()?;
    let hops: Vec<String> = o
        .hops
        .iter()
        .map(|hop| format!("{} to {}", hop.status, hop.to))
        .collect();
    let shown = hops.join(", then ");
    if o.hops
        .iter()
        .any(|hop| hop.from.starts_with("https:") && hop.to.starts_with("http:"))
    {
        return fail(shown).advise(
            "The redirect leads from https to http. Browsers refuse it, clients drop their \
             credentials, and anyone on the network path can read the stream.",
            "Redirect to an https URL. Behind a proxy, build it from X-Forwarded-Proto.",
            "W3C Mixed Content; RFC 9110, section 15.4",
        );
    }
    if o.hops.iter().any(|hop| matches!(hop.status, 301 | 308)) {
        return warn(shown).advise(
            "Every connection and every reconnect starts at the old URL and is redirected again.",
            "Use the new URL in clients: the redirect is permanent.",
            "RFC 9110, sections 15.4.2 and 15.4.9",
        );
    }
    if o.hops.iter().any(|hop| hop.leaves_origin) {
        return warn(shown).advise(
            "The redirect leads to another origin: clients don't send Authorization and cookies \
             there, and browsers require CORS headers from it.",
            "Serve the stream at the first URL, or use the other origin's URL in clients.",
            "Fetch, HTTP-redirect fetch",
        );
    }
    pass(match hops.is_empty() {
        true => "none".to_owned(),
        false => shown,
    })
}

pub(crate) fn status(o: &Observed) -> Judged {
    let response = o.answered()?;
    let status = response.status;
    let shown = match o.without_origin {
        None => status.to_string(),
        Some(other) if other == status => format!("{status}, also without Origin"),
        Some(other) => format!("{status}, and {other} without Origin"),
    };
    match status {
        200 => pass(shown),
        204 => fail("204").advise(
            "204 tells clients to stop: EventSource closes and doesn't reconnect.",
            "Unless you mean to stop clients, answer 200 and leave the response open.",
            "WHATWG HTML, sections 9.2.1 and 9.2.3",
        ),
        401 | 403 | 407 => fail(shown).setting(Setting::Credentials).advise(
            "EventSource gives up on any status other than 200, and doesn't reconnect.",
            "Check with the credentials and the origin that your clients send. EventSource itself \
             can only send cookies (withCredentials).",
            MODEL,
        ),
        429 | 500.. => fail(shown).advise(
            "EventSource gives up on any status other than 200, even a temporary one: a browser \
             that gets it while the server restarts receives no more events.",
            "Answer 200 and end the response if clients should come back later, and have pages \
             create a new EventSource when readyState is CLOSED.",
            MODEL,
        ),
        _ => fail(shown).advise(
            "EventSource gives up on any status other than 200, and doesn't reconnect.",
            "Answer 200. Check the path and the method.",
            MODEL,
        ),
    }
}

pub(crate) fn content_type(o: &Observed) -> Judged {
    let response = o.answered()?;
    if response.status != 200 {
        return skip("the response is an error");
    }
    let types = response.content_types();
    let shown = match &types[..] {
        [] => "no Content-Type".to_owned(),
        [one] => (*one).to_owned(),
        several => format!(
            "{} Content-Type headers: {}",
            several.len(),
            several.join(", ")
        ),
    };
    let is_stream = is_event_stream(&types);
    if is_stream && types.len() > 1 {
        return warn(shown).named("several content types").advise(
            "Browsers use the last valid one; other clients and proxies use the first, or refuse the \
             response.",
            "Send one: Content-Type: text/event-stream.",
            "Fetch, extract a MIME type; RFC 9110, section 8.3",
        );
    }
    if is_stream {
        return pass(shown);
    }
    fail(shown).advise(
        "EventSource gives up on any other type, and doesn't reconnect.",
        "Send Content-Type: text/event-stream.",
        MODEL,
    )
}

pub(crate) fn charset(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    let types = response.content_types();
    // Of several, the last one counts.
    let parameters = types
        .last()
        .copied()
        .unwrap_or_default()
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='));
    let charset = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .next();
    match charset {
        None | Some("") => pass("none given, which means UTF-8"),
        Some(name) if name.eq_ignore_ascii_case("utf-8") => pass(name),
        // EventSource can't send a POST.
        Some(name) if !response.repeatable => pass(format!("{name}, read as UTF-8")),
        Some(name) => fail(name).advise(
            "Chromium aborts a stream with any charset other than utf-8, even utf8. The standard \
             reads it as UTF-8.",
            "Send Content-Type: text/event-stream, without a charset or with charset=utf-8.",
            "Chromium, event_source.cc; WHATWG HTML, section 9.2.5",
        ),
    }
}

pub(crate) fn http_version(o: &Observed) -> Judged {
    let response = o.answered()?;
    let version = &response.version;
    if !version.starts_with("HTTP/1") && !version.starts_with("HTTP/0") {
        return pass(&**version);
    }
    if o.local && !response.url.starts_with("https:") {
        return skip(format!(
            "{version} on this machine; a proxy in front of it may offer more"
        ));
    }
    warn(&**version).advise(
        "With HTTP/1.1 browsers open six connections per host, across all tabs. With six streams \
         open, nothing else loads from that host.",
        "Offer HTTP/2 (ALPN h2) at the server or at the proxy in front of it, or share one stream \
         between tabs (SharedWorker, BroadcastChannel).",
        "WHATWG HTML, section 9.2.7; RFC 9113, section 5.1.2",
    )
}
