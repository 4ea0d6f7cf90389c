//! What the headers tell caches and proxies.

use super::delivery::BUFFERING;
use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Observed, Response};
use crate::text::seconds;

/// Headers by which those that stand between give themselves away.
const TRACES: &[&str] = &[
    "via",
    "x-cache",
    "cf-ray",
    "x-amz-cf-id",
    "x-served-by",
    "x-envoy-upstream-service-time",
    "x-varnish",
];

/// Software that mostly stands before the server that writes the stream.
const FRONTS: &[&str] = &[
    "nginx",
    "openresty",
    "cloudflare",
    "envoy",
    "varnish",
    "awselb",
    "caddy",
];

/// The directives of `Cache-Control`, in lower case, without their values.
fn directives(response: &Response) -> Vec<String> {
    response
        .headers
        .get_all("cache-control")
        .flat_map(|value| value.split(','))
        .map(|it| {
            it.split('=')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .filter(|it| !it.is_empty())
        .collect()
}

fn cache_control_value(response: &Response) -> String {
    let all: Vec<&str> = response.headers.get_all("cache-control").collect();
    all.join(", ")
}

/// What stands between, as far as it tells.
pub(crate) fn traces(response: &Response) -> Vec<String> {
    let server = response.header("server").filter(|value| {
        let value = value.to_ascii_lowercase();
        FRONTS.iter().any(|front| value.starts_with(front))
    });
    let own = TRACES.iter().filter_map(|name| {
        let value = response.header(name)?;
        Some(format!("{name}: {value}"))
    });
    own.chain(server.map(|value| format!("server: {value}")))
        .collect()
}

pub(crate) fn cache_control(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    let method = &*response.method;
    let directives = directives(response);
    let has = |name| directives.iter().any(|own| own == name);
    let shown = cache_control_value(response);
    if has("no-store") || has("no-cache") {
        return pass(shown);
    }
    if !matches!(method, "GET" | "HEAD") {
        return skip(format!("caches don't keep the answer to a {method}"));
    }
    let seen = match shown.is_empty() {
        true => "no Cache-Control".to_owned(),
        false => shown,
    };
    warn(seen).advise(
        "A cache between may keep the stream, and answer the next reader with an old one.",
        "Send Cache-Control: no-store (or no-cache).",
        "RFC 9111, section 5.2.2",
    )
}

pub(crate) fn no_transform(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if directives(response).iter().any(|own| own == "no-transform") {
        return pass(cache_control_value(response));
    }
    let traces = traces(response);
    if traces.is_empty() {
        return skip("no Cache-Control: no-transform; nothing shows a proxy that would need it");
    }
    warn(format!(
        "no no-transform, and there is {}",
        traces.join(", ")
    ))
    .advise(
        "What stands between may compress the stream, and holds events back for it.",
        "Send Cache-Control: no-cache, no-transform.",
        "RFC 9111, section 5.2.2.6",
    )
}

/// What stands between and answers HEAD, though no byte of the stream arrives.
pub(crate) fn buffers(o: &Observed) -> Option<(&Response, Vec<String>)> {
    let head = o.head.as_ref()?;
    let traces = traces(head);
    (!traces.is_empty()).then_some((head, traces))
}

pub(crate) fn proxy_buffering(o: &Observed) -> Judged {
    if let (Some((head, traces)), Some(trouble)) = (buffers(o), &o.trouble) {
        return fail(format!(
            "{}: HEAD is answered after {}, but for the stream there was {}",
            traces.join(", "),
            seconds(head.after),
            trouble.what
        ))
        .advise(
            "A proxy that buffers holds back headers and events until its buffer is full or the \
             response ends; nginx does so by default.",
            BUFFERING,
            "nginx, ngx_http_proxy_module (proxy_buffering)",
        );
    }
    let (response, _) = o.streamed()?;
    match response.header("x-accel-buffering") {
        Some(value) if value.eq_ignore_ascii_case("no") => pass("X-Accel-Buffering: no"),
        Some(value) => warn(format!("X-Accel-Buffering: {value}")).advise(
            "It tells nginx to collect the response before it hands it on.",
            "Send X-Accel-Buffering: no, or set proxy_buffering off for this path.",
            "nginx, ngx_http_proxy_module (proxy_buffering)",
        ),
        None => skip(
            "no X-Accel-Buffering; nginx takes it off before it gets here, so that its absence \
             says nothing (see delivery)",
        ),
    }
}

pub(crate) fn proxies(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    let age = response.header("age").filter(|age| age.trim() != "0");
    let hit = response
        .header("x-cache")
        .filter(|value| value.to_ascii_lowercase().contains("hit"));
    let stored = age.map(|age| format!("Age: {age}"));
    if let Some(shown) = stored.or_else(|| hit.map(|value| format!("X-Cache: {value}"))) {
        return fail(shown).advise(
            "The response comes from a cache: it is somebody else's stream, and an old one.",
            "Send Cache-Control: no-store, and leave this path out of the cache of the CDN.",
            "RFC 9111, section 5.1",
        );
    }
    let traces = traces(response);
    pass(match traces.is_empty() {
        true => "none shows itself".to_owned(),
        false => traces.join(", "),
    })
}

pub(crate) fn framing(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if let Some(length) = response.header("content-length") {
        return warn(format!("Content-Length: {length}")).advise(
            "The stream ends there: whatever was collected before it was sent isn't live, and \
             events beyond the length are cut off.",
            "Leave Content-Length out, and write each event as it happens.",
            "RFC 9112, section 6.3; RFC 9110, section 8.6",
        );
    }
    let version = &response.version;
    if !version.starts_with("HTTP/1") {
        return pass(format!("frames of {version}"));
    }
    let coding = response.header("transfer-encoding");
    let close = response
        .header("connection")
        .is_some_and(|value| value.to_ascii_lowercase().contains("close"));
    match coding {
        Some(coding) if close => pass(format!("Transfer-Encoding: {coding}, Connection: close")),
        Some(coding) => pass(format!("Transfer-Encoding: {coding}")),
        None => warn("neither Content-Length nor Transfer-Encoding").advise(
            "Only the end of the connection ends it, so that a stream that was cut looks like one \
             that is over.",
            "Answer with HTTP/1.1 and Transfer-Encoding: chunked; at nginx, proxy_http_version 1.1.",
            "RFC 9112, sections 6.3 and 8",
        ),
    }
}
