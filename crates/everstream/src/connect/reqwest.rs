//! Requests over the user's `reqwest::Client`. The exchange applies the same rules to them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, Version};
use bytes::Bytes;
use everstream_core::{Ending, Fault};
use everstream_http::exchange::Request;
use everstream_http::http1::is_managed_header;
use everstream_http::policy::is_framed;
use everstream_http::{Failure, FailureKind, SocketFailure as _};
use http_body::Body as _;
use reqwest::Client;

use super::connections::{self, Response, SendError};

pub(super) async fn send(
    client: Client,
    request: &Request,
    body: Option<&Bytes>,
) -> Result<Response, SendError> {
    let headers: HeaderMap = request
        .headers
        .iter()
        .filter(|(name, _)| !is_managed_header(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut builder = client
        .request(request.method.clone(), request.url.clone())
        .headers(headers);
    if let Some(body) = body {
        builder = builder.body(body.clone());
    }
    let response = builder.send().await.map_err(|error| {
        // If connecting failed, a client that follows redirects itself may have sent the request
        // elsewhere before. So only a safe request counts as unprocessed.
        // A timeout isn't a `ConnectTimeout`: reqwest doesn't reveal its `connect_timeout`.
        let unsent = error.is_builder() || (error.is_connect() && request.method.is_safe());
        let failure = failure(error, "before responding").into();
        match unsent {
            true => SendError::Unprocessed(failure),
            false => SendError::Failed(failure),
        }
    })?;
    #[cfg(feature = "cookies")]
    let is_from_elsewhere = {
        let (to, from) = (&request.url, response.url());
        (to.origin(), to.path()) != (from.origin(), from.path())
    };
    let version = response.version();
    let status = response.status().as_u16();
    let (head, body) = ::http::Response::from(response).into_parts();
    let ending = match is_framed(version, &head.headers) {
        true => Ending::Complete,
        false => Ending::Unproven,
    };
    Ok(Response {
        version,
        status,
        headers: head.headers,
        body: connections::Body::Reqwest(Body {
            body,
            ending,
            may_hide_reset: version >= Version::HTTP_2,
            hid_reset: false,
            #[cfg(feature = "cookies")]
            is_from_elsewhere,
        }),
    })
}

/// Takes the message of the innermost cause, which says what happened.
fn failure(error: reqwest::Error, when: &str) -> Failure {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) if when == "mid-response" => Failure::mid_response(io),
        Some(io) if !error.is_connect() => Failure::before_response(io),
        // reqwest's messages may include the URL, which may contain secrets.
        _ if cause.is::<reqwest::Error>() => {
            Failure::new(FailureKind::Other, error.without_url().to_string())
        }
        _ => Failure::new(FailureKind::Other, cause.to_string()),
    }
}

pub(super) struct Body {
    body: reqwest::Body,
    /// The client followed a redirect.
    #[cfg(feature = "cookies")]
    pub(super) is_from_elsewhere: bool,
    pub(super) ending: Ending,
    /// Set for HTTP/2: after a reset with NO_ERROR, hyper reports that the body has ended. Older versions
    /// also do after CANCEL.
    may_hide_reset: bool,
    /// The body has ended without END_STREAM, so it may have been reset.
    pub(super) hid_reset: bool,
}

impl Body {
    /// Polls for the next bytes, never empty; `None` at the end.
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Some(Ok(data)),
                    // Trailers, or an empty frame.
                    _ => continue,
                },
                Some(Err(error)) => Some(Err(Fault::Read(failure(error, "mid-response").into()))),
                None => {
                    self.hid_reset = self.may_hide_reset && !self.body.is_end_stream();
                    None
                }
            });
        }
    }
}
