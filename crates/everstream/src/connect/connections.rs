//! The connections of one `Http`: each HTTP/1.1 request has its own, and HTTP/2 requests share.

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
    Ours(Arc<Ours>),
    /// Those of a client that the user brought.
    #[cfg(feature = "reqwest")]
    Reqwest(reqwest::Client),
}

pub(super) struct Ours {
    connector: Connector,
    #[cfg(feature = "http2")]
    versions: Versions,
    #[cfg(feature = "http2")]
    shared: http2::Pool,
}

/// Where a request can be sent.
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

/// The head of a response, and its body to come.
pub(super) struct Response {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Why there is no response.
pub(super) enum SendError {
    /// The server may have acted on the request.
    Failed(BoxError),
    /// The server can't have acted on the request: it was never sent, or the server says so.
    #[cfg(any(feature = "http2", feature = "reqwest"))]
    Unprocessed(BoxError),
    /// The server wants it over HTTP/1.1, and has not acted on it (RFC 9113, section 7).
    #[cfg(feature = "http2")]
    Http11Required,
    /// The shared connection takes no more requests, and this one wasn't sent. Another connection can
    /// take it.
    #[cfg(feature = "http2")]
    Stale(BoxError),
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        SendError::Failed(failure.into())
    }
}

impl Connections {
    /// What is wrong with the settings is reported now; nothing connects yet.
    pub(super) fn new(transport: &Transport, blocking: bool) -> Result<Self, Error> {
        #[cfg(not(feature = "http2"))]
        let _ = blocking;
        Ok(Connections::Ours(Arc::new(Ours {
            connector: Connector::new(transport)?,
            #[cfg(feature = "http2")]
            versions: match transport.version {
                HttpVersion::Auto if !blocking => Versions::Negotiate,
                HttpVersion::Auto | HttpVersion::Http1 => Versions::Http1,
                HttpVersion::Http2 => Versions::Http2PriorKnowledge,
            },
            // The runtime of a blocking client rests between reads, and can't answer in time.
            #[cfg(feature = "http2")]
            shared: http2::Pool::new(!blocking),
        })))
    }

    /// A connection for a request to this URL, perhaps shared with others.
    pub(super) async fn open(&self, url: &Url) -> Result<Channel, ConnectError> {
        match self {
            #[cfg(feature = "reqwest")]
            Connections::Reqwest(client) => Ok(Channel::Reqwest(client.clone())),
            Connections::Ours(ours) => ours.open(url).await,
        }
    }

    /// From now on requests to this origin go over HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(super) fn require_http1(&self, url: &Url) {
        #[allow(irrefutable_let_patterns)]
        if let Connections::Ours(ours) = self {
            ours.shared.require_http1(url);
        }
    }
}

impl Ours {
    async fn open(self: &Arc<Self>, url: &Url) -> Result<Channel, ConnectError> {
        #[cfg(feature = "http2")]
        if self.may_share(url) {
            let (ours, to) = (self.clone(), url.clone());
            let connect = move |versions| {
                let (ours, to) = (ours.clone(), to.clone());
                async move { ours.connector.connect(&to, versions).await }
            };
            // Boxed, because the future of a plain connection would be five times as large with it.
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
                let sending = http1::Sending::new(io, request, body, through_proxy);
                let (head, body) = sending.response().await?;
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
    /// Twice as large as the others, which a custom source would pay for as well.
    Http1(Box<http1::Body>),
    #[cfg(feature = "http2")]
    Http2(http2::Body),
    #[cfg(feature = "reqwest")]
    Reqwest(super::reqwest::Body),
}

impl Body {
    /// Whether the client that the user brought followed a redirect, so that cookies of this response
    /// aren't those of the URL that was requested.
    #[cfg(all(feature = "cookies", feature = "reqwest"))]
    pub(super) fn is_from_elsewhere(&self) -> bool {
        matches!(self, Body::Reqwest(body) if body.is_from_elsewhere)
    }

    /// Whether the end that it has come to may be a reset, and proves nothing.
    #[cfg(feature = "reqwest")]
    pub(super) fn hid_reset(&self) -> bool {
        matches!(self, Body::Reqwest(body) if body.hid_reset)
    }

    /// What its end will prove, unless it hides a reset.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Body::Http1(body) => body.ending(),
            // Without END_STREAM it is a fault.
            #[cfg(feature = "http2")]
            Body::Http2(_) => Ending::Complete,
            #[cfg(feature = "reqwest")]
            Body::Reqwest(body) => body.ending,
        }
    }

    /// The next bytes, never empty; `None` at the end.
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
