//! The connections of one `Http`: one per HTTP/1.1 request, shared ones for HTTP/2.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Version};
use bytes::Bytes;
use everstream_core::{BoxError, Ending, Fault};
use everstream_http::Failure;
use everstream_http::exchange::Request;
use std::task::{Context, Poll};
use url::Url;

use super::http1;
#[cfg(feature = "http2")]
use super::http2;
use super::net::{ConnectError, Connected, Connector, Io, Versions};
#[cfg(feature = "http2")]
use super::transport::HttpVersion;
use super::transport::Transport;
use crate::error::Error;

#[derive(Clone)]
pub(super) enum Connections {
    BuiltIn(Arc<BuiltIn>),
    /// Those of the user's client.
    #[cfg(feature = "reqwest")]
    Reqwest(reqwest::Client),
}

pub(super) struct BuiltIn {
    connector: Connector,
    #[cfg(feature = "http2")]
    versions: Versions,
    #[cfg(feature = "http2")]
    shared: http2::Pool,
}

/// A connection on which one request can be sent.
pub(super) enum Channel {
    Http1 {
        io: Io,
        through_proxy: Option<Option<HeaderValue>>,
    },
    #[cfg(feature = "http2")]
    Http2(http2::Sender),
    #[cfg(feature = "reqwest")]
    Reqwest(reqwest::Client),
}

/// The head of a response, and its unread body.
pub(super) struct Response {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Why a request got no response.
pub(super) enum SendError {
    /// The server may have acted on the request.
    Failed(BoxError),
    /// The server certainly didn't act on the request: it was never sent, or the server says so.
    #[cfg(any(feature = "http2", feature = "reqwest"))]
    Unprocessed(BoxError),
    /// The server requires HTTP/1.1, and hasn't acted on the request (RFC 9113, section 7).
    #[cfg(feature = "http2")]
    Http11Required,
    /// The shared connection accepts no more requests, so this one wasn't sent. Another connection can
    /// send it.
    #[cfg(feature = "http2")]
    Stale(BoxError),
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        SendError::Failed(failure.into())
    }
}

impl Connections {
    /// Checks the settings. Doesn't connect yet.
    pub(super) fn new(transport: &Transport, blocking: bool) -> Result<Self, Error> {
        #[cfg(not(feature = "http2"))]
        let _ = blocking;
        Ok(Connections::BuiltIn(Arc::new(BuiltIn {
            connector: Connector::new(transport)?,
            #[cfg(feature = "http2")]
            versions: match transport.version {
                HttpVersion::Auto if !blocking => Versions::Negotiate,
                HttpVersion::Auto | HttpVersion::Http1 => Versions::Http1,
                HttpVersion::Http2 => Versions::Http2PriorKnowledge,
            },
            // A blocking client's runtime doesn't run between reads, so it would miss the replies to pings.
            #[cfg(feature = "http2")]
            shared: http2::Pool::new(!blocking),
        })))
    }

    /// Opens a connection for a request to this URL, or shares an existing one.
    pub(super) async fn open(&self, url: &Url) -> Result<Channel, ConnectError> {
        match self {
            #[cfg(feature = "reqwest")]
            Connections::Reqwest(client) => Ok(Channel::Reqwest(client.clone())),
            Connections::BuiltIn(built_in) => built_in.open(url).await,
        }
    }

    /// From now on, requests to this origin use HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(super) fn require_http1(&self, url: &Url) {
        #[allow(irrefutable_let_patterns)]
        if let Connections::BuiltIn(built_in) = self {
            built_in.shared.require_http1(url);
        }
    }
}

impl BuiltIn {
    async fn open(self: &Arc<Self>, url: &Url) -> Result<Channel, ConnectError> {
        #[cfg(feature = "http2")]
        if self.may_share(url) {
            let (this, target) = (self.clone(), url.clone());
            let connect = move |versions| {
                let (this, target) = (this.clone(), target.clone());
                async move { this.connector.connect(&target, versions).await }
            };
            // Boxed: inline, it would make the future of a plain connection five times as large.
            let opening = Box::pin(self.shared.open(url, self.versions, connect));
            return match opening.await? {
                http2::Opened::Shared(sender) => Ok(Channel::Http2(sender)),
                http2::Opened::Http1(connected) => Ok(Channel::from(connected)),
            };
        }
        let connected = self.connector.connect(url, Versions::Http1).await?;
        Ok(Channel::from(connected))
    }

    #[cfg(feature = "http2")]
    fn may_share(&self, url: &Url) -> bool {
        match self.versions {
            Versions::Http1 => false,
            Versions::Negotiate => url.scheme() == "https",
            Versions::Http2PriorKnowledge => true,
        }
    }
}

impl From<Connected> for Channel {
    fn from(connected: Connected) -> Self {
        debug_assert!(!connected.is_http2);
        Channel::Http1 {
            io: connected.io,
            through_proxy: connected.through_proxy,
        }
    }
}

impl Channel {
    /// Sends the request, and waits for the head of the response.
    pub(super) async fn send(
        self,
        request: &Request,
        body: Option<&Bytes>,
    ) -> Result<Response, SendError> {
        let body = body.filter(|_| request.has_body);
        match self {
            Channel::Http1 { io, through_proxy } => {
                let through_proxy = through_proxy.as_ref().map(Option::as_ref);
                let pending = http1::PendingRequest::new(io, request, body, through_proxy);
                let (head, body) = pending.response().await?;
                Ok(Response {
                    version: head.version,
                    status: head.status.as_u16(),
                    headers: head.headers,
                    body: Body::Http1(Box::new(body)),
                })
            }
            #[cfg(feature = "http2")]
            Channel::Http2(sender) => sender.send(request, body).await,
            #[cfg(feature = "reqwest")]
            Channel::Reqwest(client) => super::reqwest::send(client, request, body).await,
        }
    }
}

/// The body of a response.
pub(super) enum Body {
    /// Boxed because it is twice as large as the others, and custom sources would pay for its size.
    Http1(Box<http1::Body>),
    #[cfg(feature = "http2")]
    Http2(http2::Body),
    #[cfg(feature = "reqwest")]
    Reqwest(super::reqwest::Body),
}

impl Body {
    /// Whether the user's client followed a redirect, so that the cookies of this response don't belong to
    /// the requested URL.
    #[cfg(all(feature = "cookies", feature = "reqwest"))]
    pub(super) fn is_from_elsewhere(&self) -> bool {
        matches!(self, Body::Reqwest(body) if body.is_from_elsewhere)
    }

    /// Whether its end may have been a reset, so that it proves nothing.
    #[cfg(feature = "reqwest")]
    pub(super) fn hid_reset(&self) -> bool {
        matches!(self, Body::Reqwest(body) if body.hid_reset)
    }

    /// What its end proves, unless it [hid a reset](Self::hid_reset).
    pub(super) fn ending(&self) -> Ending {
        match self {
            Body::Http1(body) => body.ending(),
            // An end without END_STREAM is a fault.
            #[cfg(feature = "http2")]
            Body::Http2(_) => Ending::Complete,
            #[cfg(feature = "reqwest")]
            Body::Reqwest(body) => body.ending,
        }
    }

    /// Polls for the next bytes, never empty; `None` at the end.
    #[inline]
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        match self {
            Body::Http1(body) => body.poll_bytes(cx),
            #[cfg(feature = "http2")]
            Body::Http2(body) => body.poll_bytes(cx),
            #[cfg(feature = "reqwest")]
            Body::Reqwest(body) => body.poll_bytes(cx),
        }
    }
}

impl futures_core::Stream for Body {
    type Item = Result<Bytes, Fault>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.poll_bytes(cx)
    }
}
