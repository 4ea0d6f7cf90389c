//! The way to the server, and whether it answers with a stream.

use super::headers::buffers;
use super::{Judged, fail, pass, skip, warn};
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
            pass("the server answers, with a redirect that leads nowhere")
        }
        Some(trouble) if trouble.kind == TroubleKind::Stopped => skip(&*trouble.what),
        Some(trouble) if trouble.kind == TroubleKind::Connect => fail(&*trouble.what).advise(
            "Without a connection there is no stream; browsers try again for ever.",
            trouble
                .hint
                .unwrap_or("check host and port, and what is between"),
            MODEL,
        ),
        Some(trouble) if trouble.kind == TroubleKind::Silence && buffers(o).is_some() => {
            pass("the server answers, but not with the stream (see proxy-buffering)")
        }
        Some(trouble) if trouble.kind == TroubleKind::Silence => fail(&*trouble.what).advise(
            "A stream is open for its readers when its headers arrive.",
            "Send the status and the headers at once, before there is an event, and flush them. If \
             the server does so, a proxy buffers them: X-Accel-Buffering: no, or for nginx \
             proxy_buffering off.",
            "WHATWG HTML, section 9.2.3 (announce the connection)",
        ),
        Some(trouble) => fail(&*trouble.what).advise(
            "No client gets a response: what comes is none, or the connection is dropped before.",
            "Look at what comes with curl -v; the logs of the server and of what is before it say \
             why; and the port may be that of something else than HTTP.",
            "RFC 9112, sections 2 and 4",
        ),
    }
}

pub(crate) fn tls(o: &Observed) -> Judged {
    let response = o.answered()?;
    if response.url.starts_with("https:") {
        if o.unverified {
            return skip("HTTPS, and --insecure leaves the certificate unseen");
        }
        return pass("HTTPS, with a certificate that is trusted");
    }
    if o.local {
        return skip("plain HTTP on this machine");
    }
    warn("plain HTTP").advise(
        "Whoever is between reads and changes the stream, old proxies hold it back, and pages \
         that came by https may not open it.",
        "Serve it by https.",
        "W3C Mixed Content; RFC 9110, section 4.2.2",
    )
}

pub(crate) fn redirects(o: &Observed) -> Judged {
    if let Some(trouble) = &o.trouble {
        if trouble.kind == TroubleKind::Redirect {
            return fail(&*trouble.what).advise(
                "Clients give such a stream up.",
                "Let the redirect lead to the stream, or --max-redirs allow more of them.",
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
            "It leads from https to http: browsers refuse that, credentials stay behind, and \
             anybody between reads the rest.",
            "Redirect to an https URL; behind a proxy, build it from X-Forwarded-Proto.",
            "W3C Mixed Content; RFC 9110, section 15.4",
        );
    }
    if o.hops.iter().any(|hop| matches!(hop.status, 301 | 308)) {
        return warn(shown).advise(
            "Every connection and every reconnect begins at the old URL and takes the detour.",
            "Use the new URL in clients: it is meant to stay.",
            "RFC 9110, sections 15.4.2 and 15.4.9",
        );
    }
    if o.hops.iter().any(|hop| hop.leaves_origin) {
        return warn(shown).advise(
            "It leads to another origin: Authorization and cookies don't go along, and browsers \
             ask that origin for CORS headers.",
            "Serve the stream where it is asked for, or let clients ask the other origin.",
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
            "It tells clients to stop for good: EventSource closes, and doesn't connect again.",
            "If that isn't meant, answer 200 and leave the response open.",
            "WHATWG HTML, sections 9.2.1 and 9.2.3",
        ),
        401 | 403 | 407 => fail(shown).advise(
            "EventSource gives up at every status but 200, and doesn't connect again.",
            "Give credentials: -u, --bearer-env or -H; --origin, if it refuses pages of strangers. \
             EventSource itself can only send cookies (withCredentials).",
            MODEL,
        ),
        429 | 500.. => fail(shown).advise(
            "EventSource gives up at every status but 200, also at one that passes: a browser \
             that meets it while the server restarts stays without events.",
            "Answer 200 as long as clients are to come back (and end that response), and let \
             pages make a new EventSource after readyState CLOSED.",
            MODEL,
        ),
        _ => fail(shown).advise(
            "EventSource gives up at every status but 200, and doesn't connect again.",
            "Answer 200; look at the path and the method.",
            MODEL,
        ),
    }
}

pub(crate) fn content_type(o: &Observed) -> Judged {
    let response = o.answered()?;
    if response.status != 200 {
        return skip("the response is an error");
    }
    let value = response.header("content-type");
    let shown = value.unwrap_or("no Content-Type");
    if is_event_stream(value) {
        return pass(shown);
    }
    fail(shown).advise(
        "EventSource gives up at any other type, and doesn't connect again.",
        "Send Content-Type: text/event-stream.",
        MODEL,
    )
}

pub(crate) fn charset(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    let parameters = response
        .header("content-type")
        .unwrap_or_default()
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='));
    let charset = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .next();
    match charset {
        None | Some("") => pass("not given, which is UTF-8"),
        Some(name) if name.eq_ignore_ascii_case("utf-8") => pass(name),
        // No EventSource reads the answer to a POST.
        Some(name) if !response.repeatable => pass(format!("{name}, read as UTF-8")),
        Some(name) => fail(name).advise(
            "Chromium aborts a stream with any charset but utf-8, also with utf8. The standard \
             would read it as UTF-8.",
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
            "{version} on this machine; what stands before it for others can't be seen"
        ));
    }
    warn(&**version).advise(
        "Browsers open six connections per host with HTTP/1.1, over all tabs: with six streams \
         open nothing else loads from there.",
        "Offer HTTP/2 (ALPN h2) at the server or the proxy before it, or share one stream \
         between tabs (SharedWorker, BroadcastChannel).",
        "WHATWG HTML, section 9.2.7; RFC 9113, section 5.1.2",
    )
}
