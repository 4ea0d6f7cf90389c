//! Redirects (RFC 9110, section 15.4; Fetch, section 4.4 "HTTP-redirect fetch").
//!
//! They are followed here and not in reqwest, because reqwest can't know which headers of the
//! user's are secrets.

use ::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
};
use ::http::{HeaderMap, HeaderName, Method, StatusCode};
use bytes::Bytes;
use everstream_core::{Fault, RedirectProblem};
use reqwest::{Response, Url};

/// 300 and 304 aren't: they name nothing to go to.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Headers that are secrets whoever sets them.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name)
}

/// Where it leads, if one more is allowed.
pub(super) fn target(
    response: &Response,
    followed: usize,
    limit: usize,
) -> Result<Url, RedirectProblem> {
    if followed >= limit {
        return Err(RedirectProblem::TooMany(limit));
    }
    let location = response
        .headers()
        .get(LOCATION)
        .ok_or(RedirectProblem::BadLocation)?;
    let location = std::str::from_utf8(location.as_bytes()).ok();
    let target = location.and_then(|location| response.url().join(location).ok());
    match target {
        Some(target) if matches!(target.scheme(), "http" | "https") => Ok(target),
        Some(_) => Err(RedirectProblem::Scheme),
        None => Err(RedirectProblem::BadLocation),
    }
}

/// A fault after a redirect. "No request was sent" isn't true any more: who redirects may have
/// acted before, and a 303 says as much.
pub(super) fn fault(fault: Fault) -> Fault {
    match fault {
        Fault::Connect(_) | Fault::ConnectTimeout(_) | Fault::Other(_) => {
            Fault::Request(Box::new(fault))
        }
        other => other,
    }
}

/// Scheme, host and port (RFC 6454). A step from https to http is one to another origin.
pub(super) fn same_origin(from: &Url, to: &Url) -> bool {
    from.origin() == to.origin()
}

/// Removes what is for this origin only: secrets, and a `Host` of the user's.
///
/// Once they are removed they don't come back, also if the next redirect leads home.
pub(super) fn leave_origin(headers: &mut HeaderMap) {
    headers.remove(HOST);
    let secret: Vec<HeaderName> = headers
        .iter()
        .filter(|(name, value)| value.is_sensitive() || is_credential(name))
        .map(|(name, _)| name.clone())
        .collect();
    for name in secret {
        headers.remove(name);
    }
}

/// Makes a GET of what isn't to be repeated as it is.
pub(super) fn adapt(
    status: StatusCode,
    method: &mut Method,
    body: &mut Option<Bytes>,
    headers: &mut HeaderMap,
) {
    let becomes_get = match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    };
    if becomes_get {
        *method = Method::GET;
        *body = None;
        for about_body in [
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_LOCATION,
            CONTENT_TYPE,
        ] {
            headers.remove(about_body);
        }
    }
}
