//! What the headers mean for caches and proxies.

use super::{Judged, fail, pass, skip, warn};
use crate::observed::{Observed, Response};

/// Headers that proxies and caches add.
const TRACES: &[&str] = &[
    "via",
    "x-cache",
    "cf-ray",
    "x-amz-cf-id",
    "x-served-by",
    "x-envoy-upstream-service-time",
    "x-varnish",
];

/// Software that mostly runs in front of the server that writes the stream.
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

/// Signs of proxies and caches in the headers.
pub(crate) fn traces(response: &Response) -> Vec<String> {
    let server = response.header("server").filter(|value| {
        let value = value.to_ascii_lowercase();
        FRONTS.iter().any(|front| value.starts_with(front))
    });
    let added = TRACES.iter().filter_map(|name| {
        let value = response.header(name)?;
        Some(format!("{name}: {value}"))
    });
    added
        .chain(server.map(|value| format!("server: {value}")))
        .collect()
}

pub(crate) fn cache_control(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    let method = &*response.method;
    let directives = directives(response);
    let has = |name| directives.iter().any(|it| it == name);
    let shown = cache_control_value(response);
    if has("no-store") || has("no-cache") {
        return pass(shown);
    }
    if !matches!(method, "GET" | "HEAD") {
        return skip(format!("caches don't store the response to a {method}"));
    }
    let seen = match shown.is_empty() {
        true => "no Cache-Control".to_owned(),
        false => shown,
    };
    warn(seen).advise(
        "A cache may store the stream and serve the next reader an old copy.",
        "Send Cache-Control: no-store (or no-cache).",
        "RFC 9111, section 5.2.2",
    )
}

pub(crate) fn no_transform(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if directives(response).iter().any(|it| it == "no-transform") {
        return pass(cache_control_value(response));
    }
    let traces = traces(response);
    if traces.is_empty() {
        return skip("no Cache-Control: no-transform, and no sign of a proxy that would need it");
    }
    let behind = format!("behind a proxy ({})", traces.join(", "));
    warn(format!("Cache-Control lacks no-transform, {behind}")).advise(
        "A proxy may compress the stream, and delay events while it collects them.",
        "Send Cache-Control: no-cache, no-transform.",
        "RFC 9111, section 5.2.2.6",
    )
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
            "The response is from a cache: it is an old stream that was sent to someone else.",
            "Send Cache-Control: no-store, and exclude this path from the CDN's cache.",
            "RFC 9111, section 5.1",
        );
    }
    let traces = traces(response);
    pass(match traces.is_empty() {
        true => "no sign of one".to_owned(),
        false => traces.join(", "),
    })
}

pub(crate) fn framing(o: &Observed) -> Judged {
    let (response, _) = o.streamed()?;
    if let Some(length) = response.header("content-length") {
        return warn(format!("Content-Length: {length}")).advise(
            "The stream ends at that length: a body that was complete before it was sent isn't \
             live, and events beyond the length are cut off.",
            "Send no Content-Length, and write each event as it happens.",
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
            "Only the end of the connection marks the end of the stream, so a truncated stream \
             looks like a complete one.",
            "Answer with HTTP/1.1 and Transfer-Encoding: chunked. In nginx, set \
             proxy_http_version 1.1.",
            "RFC 9112, sections 6.3 and 8",
        ),
    }
}
