//! One request and its response over a shared connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use ::http::header::HOST;
use ::http::uri::Authority;
use ::http::{HeaderValue, Uri, Version};
use bytes::Bytes;
use everstream_core::Fault;
use everstream_http::exchange::Request;
use everstream_http::http1::{MAX_INFORMATIONAL, Malformed, is_managed_header};
use everstream_http::{Failure, FailureKind, SocketFailure as _};
use h2::{Reason, RecvStream, SendStream};

use super::{AbortOnDrop, Sender};
use crate::connect::connections::{self, Response, SendError};
use crate::connect::net::RUNTIME_ENDED;

impl Sender {
    pub(in crate::connect) async fn send(
        self,
        request: &Request,
        body: Option<&Bytes>,
    ) -> Result<Response, SendError> {
        let head = head(request)?;
        let body = body.cloned().unwrap_or_default();
        // In a separate task: heads have no flow control, so informational responses would pile up while
        // the caller doesn't poll.
        let mut sending = AbortOnDrop(tokio::spawn(self.exchange(head, body)));
        (&mut sending.0)
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Other, RUNTIME_ENDED).into()))
    }

    async fn exchange(self, head: ::http::Request<()>, body: Bytes) -> Result<Response, SendError> {
        // At this point nothing was sent: the server has sent GOAWAY, or the connection is broken.
        let closed = self.closed;
        let unsent = |error| {
            closed.store(true, Ordering::Release);
            SendError::Stale(failure(error, "before responding").into())
        };
        let mut requests = self.requests.ready().await.map_err(unsent)?;
        let (mut response, stream) = requests
            .send_request(head, body.is_empty())
            .map_err(unsent)?;
        let mut upload = Upload::new(stream, body);
        let mut informational = 0;
        let response = poll_fn(|cx| {
            Upload::poll(&mut upload, cx);
            // After the last one this is `None`, or the error that ended the response.
            while let Some(Ok(_)) = ready!(response.poll_informational(cx)) {
                informational += 1;
                if informational > MAX_INFORMATIONAL {
                    let failure = Failure::from(Malformed::TooManyInformational);
                    return Poll::Ready(Err(failure.into()));
                }
            }
            Pin::new(&mut response).poll(cx).map_err(send_error)
        });
        let (head, stream) = response.await?.into_parts();
        Ok(Response {
            version: Version::HTTP_2,
            status: head.status.as_u16(),
            headers: head.headers,
            body: connections::Body::Http2(Body {
                stream,
                upload,
                _counted: self.stream,
            }),
        })
    }
}

/// Converts a request to HTTP/2: drops the connection's headers (RFC 9113, section 8.2.2), and sends the
/// user's `Host` as the authority instead (section 8.3.1).
fn head(request: &Request) -> Result<::http::Request<()>, SendError> {
    let mut url = request.url.clone();
    url.set_fragment(None);
    let uri: Result<Uri, _> = url.as_str().parse();
    let mut uri = uri.map_err(|_| unusable("the URL can't be used over HTTP/2"))?;
    if let Some(host) = request.headers.get(HOST) {
        uri = with_authority(uri, host).ok_or_else(|| {
            unusable("the Host header can't be the authority of a request over HTTP/2")
        })?;
    }
    let mut head = ::http::Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = request
        .headers
        .iter()
        .filter(|(name, _)| *name != HOST && !is_managed_header(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(head)
}

fn unusable(message: &str) -> SendError {
    SendError::Unprocessed(Failure::new(FailureKind::Other, message).into())
}

fn with_authority(uri: Uri, host: &HeaderValue) -> Option<Uri> {
    let authority = Authority::try_from(host.as_bytes()).ok()?;
    // User info isn't allowed in an authority (RFC 9113, section 8.3.1).
    if authority.as_str().contains('@') {
        return None;
    }
    let mut parts = uri.into_parts();
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

/// The unsent part of a request's body.
struct Upload {
    /// Kept because dropping it would cancel the upload.
    stream: SendStream<Bytes>,
    /// The unsent bytes.
    body: Bytes,
}

impl Upload {
    /// Returns `None` if there is no body. Boxed because custom sources would pay for its size.
    fn new(stream: SendStream<Bytes>, body: Bytes) -> Option<Box<Self>> {
        (!body.is_empty()).then(|| Box::new(Upload { stream, body }))
    }

    /// Sends as much as flow control allows, and drops the upload once everything is queued: h2 sends
    /// that while the response is read.
    #[inline]
    fn poll(upload: &mut Option<Box<Self>>, cx: &mut Context<'_>) {
        if let Some(sending) = upload {
            if sending.poll_sent(cx).is_ready() {
                *upload = None;
            }
        }
    }

    /// Ready when everything is queued, or nothing more can be sent.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.body.is_empty() {
            self.stream.reserve_capacity(self.body.len());
            let Some(Ok(room)) = ready!(self.stream.poll_capacity(cx)) else {
                // The response will report the error, if it matters.
                break;
            };
            let part = self.body.split_to(room.min(self.body.len()));
            if self.stream.send_data(part, self.body.is_empty()).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }
}

fn send_error(error: h2::Error) -> SendError {
    match error.reason() {
        Some(Reason::HTTP_1_1_REQUIRED) => SendError::Http11Required,
        // RFC 9113, section 8.7.
        Some(Reason::REFUSED_STREAM) => {
            let message = "the server refused the stream";
            SendError::Unprocessed(Failure::new(FailureKind::Refused, message).into())
        }
        // GOAWAY ends only streams above its last stream id, which the server hasn't processed
        // (RFC 9113, section 6.8).
        _ if error.is_go_away() && error.is_remote() => {
            SendError::Unprocessed(failure(error, "before responding").into())
        }
        _ => SendError::Failed(failure(error, "before responding").into()),
    }
}

pub(super) fn failure(error: h2::Error, when: &str) -> Failure {
    if let Some(io) = error.get_io() {
        return match when {
            "mid-response" => Failure::mid_response(io),
            _ => Failure::before_response(io),
        };
    }
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    // The first bytes of an HTTP/1.1 response, read as HTTP/2, look like a frame that is far too large.
    if error.is_go_away() && error.is_library() && reason == Reason::FRAME_SIZE_ERROR {
        let message = "the server doesn't speak HTTP/2, or violates it (FRAME_SIZE_ERROR)";
        return Failure::new(FailureKind::Malformed, message);
    }
    // `Debug` of a reason is its name in RFC 9113.
    let message = match (error.is_reset(), error.is_go_away()) {
        (true, _) => format!("the server reset the stream {when} ({reason:?})"),
        (_, true) if reason == Reason::NO_ERROR => {
            format!("the server closed the connection {when}")
        }
        (_, true) => format!("the connection was closed {when} ({reason:?})"),
        _ => format!("HTTP/2 failed {when} ({reason:?})"),
    };
    let kind = match error.is_reset() {
        true => FailureKind::Reset,
        false => FailureKind::Closed,
    };
    Failure::new(kind, message)
}

/// The body of a response.
pub(in crate::connect) struct Body {
    stream: RecvStream,
    /// The rest of a request whose response began early.
    upload: Option<Box<Upload>>,
    _counted: Arc<()>,
}

impl Body {
    /// Polls for the next bytes, never empty; `None` at the end.
    pub(in crate::connect) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        Upload::poll(&mut self.upload, cx);
        loop {
            return Poll::Ready(match ready!(self.stream.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // The next read reports an error of the stream.
                    _ = self.stream.flow_control().release_capacity(bytes.len());
                    if bytes.is_empty() {
                        continue;
                    }
                    Some(Ok(bytes))
                }
                Some(Err(error)) => Some(Err(Fault::Read(failure(error, "mid-response").into()))),
                None => None,
            });
        }
    }
}
