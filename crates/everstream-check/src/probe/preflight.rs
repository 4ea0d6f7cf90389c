//! The preflight that a browser sends before a request to another origin.

use everstream::Fault;
use everstream_http::message_with_cause;

use super::{PATIENCE, Prober};
use crate::observed::{Observed, Preflight, Response};

/// Headers that a browser adds itself, or sends without a preflight (Fetch, section 2.2.2
/// "CORS-safelisted request-header"; `Last-Event-ID`: WHATWG HTML, section 9.2.3).
const NEEDS_NO_PERMISSION: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-language",
    "content-length",
    "cookie",
    "host",
    "last-event-id",
    "origin",
    "referer",
    "user-agent",
];

/// Content types that need no preflight either.
const PLAIN_BODIES: &[&str] = &[
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

impl Prober<'_> {
    /// Asks what a browser asks before it lets a script send this request to another origin.
    pub(super) async fn ask_for_permission(
        &self,
        response: &Response,
        observed: &mut Observed,
    ) -> Option<Preflight> {
        let wanted = needs_permission(response).filter(|_| !observed.same_origin)?;
        if self.is_stopped() {
            observed.preflight_left_out = true;
            return None;
        }
        observed.requests += 1;
        let (origin, method) = (
            self.options.origin_or_default().to_owned(),
            response.method.clone(),
        );
        let asked = (method.clone(), wanted.join(","));
        let http = self.bare.clone().method("OPTIONS").redirect_limit(0);
        let http = http.before_attempt(move |attempt| {
            let mut attempt = attempt
                .set_header("accept", "*/*")
                .set_header("origin", &origin)
                .set_header("access-control-request-method", &asked.0);
            if !asked.1.is_empty() {
                attempt = attempt.set_header("access-control-request-headers", &asked.1);
            }
            std::future::ready(Ok::<_, Fault>(attempt))
        });
        let mut preflight = Preflight {
            method,
            wanted,
            ..Preflight::default()
        };
        let answer = self.send(http, None, PATIENCE, &mut Vec::new()).await;
        if self.is_stopped() {
            observed.preflight_left_out = true;
            return None;
        }
        match answer {
            Ok(reply) => {
                preflight.status = reply.response.status;
                preflight.headers = reply.response.headers;
            }
            Err(fault) => preflight.error = Some(message_with_cause(&fault)),
        }
        Some(preflight)
    }
}

/// The headers that need a preflight; `None` if the request needs none at all.
fn needs_permission(response: &Response) -> Option<Vec<String>> {
    let plain = |kind: &String| PLAIN_BODIES.iter().any(|plain| kind.starts_with(plain));
    let plain_body = response.request_type.as_ref().is_none_or(plain);
    let mut wanted: Vec<String> = response
        .sent
        .iter()
        .filter(|name| !NEEDS_NO_PERMISSION.contains(&name.as_str()))
        .filter(|name| *name != "content-type" || !plain_body)
        .cloned()
        .collect();
    wanted.sort_unstable();
    let plain_method = matches!(&*response.method, "GET" | "HEAD" | "POST");
    (!plain_method || !wanted.is_empty()).then_some(wanted)
}
