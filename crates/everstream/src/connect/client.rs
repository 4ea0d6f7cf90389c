//! One client's attempts to connect: from the settings to a connection.
//!
//! [`everstream_http::exchange`] makes all decisions about HTTP; this module moves the bytes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use everstream_core::{Fault, Start, Timestamp};
use everstream_http::exchange::{Config, Exchange, Output, Request};
use everstream_http::policy::{ContentCoding, remove_body_headers, rewrite_to_resume};
use futures_core::Stream;
use tokio::time::Instant;

use super::connections::{Body, Channel, Connections, Response, SendError};
use super::decode::{CODINGS, Decoded};
use super::net::ConnectError;
use super::response::Redirect;
use super::settings::Settings;
use super::{ConnectFuture, ConnectRequest, Connection, ConnectionClient, Source};
use crate::clock::Alarm;
use crate::error::OutsideRuntime;

/// How much longer to wait after a timeout: if a busy caller kept the runtime from running, the runtime
/// hasn't seen yet what has arrived.
const GRACE: Duration = Duration::from_millis(20);

/// How many times, within one attempt, an unprocessed request is sent again over another connection: once
/// because the shared connection had ended, once because the server requires HTTP/1.1.
#[cfg(feature = "http2")]
const MAX_REOPENED: usize = 2;

/// Keeps the settings, not a request: together with a smaller future, this reduced the memory of an idle stream
/// over HTTP/2 from 3.5 to 2.4 KiB.
pub(super) struct HttpClient {
    pub(super) url: Arc<String>,
    pub(super) settings: Arc<Settings>,
    pub(super) connections: Connections,
    /// Whether the method of the last request is safe.
    pub(super) repeatable: Arc<AtomicBool>,
    pub(super) attempts: u64,
}

impl HttpClient {
    /// Prepares the next attempt.
    pub(super) fn prepare(
        &mut self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<PendingAttempt, Fault>> + Send + use<> {
        self.attempts += 1;
        let number = self.attempts;
        let (url, settings) = (self.url.clone(), self.settings.clone());
        let connections = self.connections.clone();
        let repeatable = self.repeatable.clone();
        let resume_with_get = request.resume_with_get;
        async move {
            OutsideRuntime::check().map_err(|error| Fault::Setup(error.into()))?;
            // An error is unlikely: the same settings were valid when the client was built.
            let attempt = settings.attempt(&url);
            let mut attempt = attempt.map_err(|error| Fault::Setup(error.into()))?;
            attempt.number = number;
            attempt.last_event_id = request.last_event_id;
            // Before the hook, so that it sees the request as it will be sent.
            if resume_with_get {
                rewrite_to_resume(&mut attempt.method, &mut attempt.headers);
            }
            if let Some(hook) = &settings.hook {
                attempt = hook(attempt).await?;
            }
            // The GET that resumes a stream doesn't make its original request repeatable.
            if !resume_with_get {
                repeatable.store(attempt.method.is_safe(), Ordering::Relaxed);
            }
            let body = attempt.body.filter(|_| !resume_with_get);
            let mut headers = settings.with_defaults(attempt.headers);
            if resume_with_get {
                remove_body_headers(&mut headers);
            }
            let mut request_head = Request {
                method: attempt.method,
                url: attempt.url,
                headers,
                has_body: body.is_some(),
            };
            request_head.set_last_event_id(attempt.last_event_id.as_deref());
            let config = Config {
                redirect_limit: settings.redirect_limit,
                header_scope: settings.header_scope,
                any_content_type: settings.any_content_type,
                codings: CODINGS,
                connect_timeout: settings.transport.connect_timeout,
                read_timeout: request.read_timeout,
            };
            let epoch = Instant::now();
            #[allow(unused_mut)] // mutated only with the feature `cookies`
            let mut exchange = Exchange::new(request_head, config, Timestamp::default());
            exchange.keep_error_body(settings.error_body);
            #[cfg(feature = "cookies")]
            if let Some(jar) = &settings.cookies {
                exchange.use_cookies(jar.clone(), SystemTime::now());
            }
            Ok(PendingAttempt {
                exchange,
                epoch,
                connections,
                body,
                settings: settings.clone(),
                #[cfg(feature = "http2")]
                reopened: 0,
            })
        }
    }
}

impl ConnectionClient for HttpClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let prepared = self.prepare(request);
        Box::pin(async move {
            let mut attempting = prepared.await?;
            let response = attempting.response().await?;
            attempting.into_connection(response).await
        })
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable.load(Ordering::Relaxed)
    }

    fn can_resume_with_get(&self) -> bool {
        true
    }
}

/// An attempt in progress.
pub(super) struct PendingAttempt {
    exchange: Exchange,
    /// Time zero of the exchange's timestamps.
    epoch: Instant,
    connections: Connections,
    body: Option<Bytes>,
    settings: Arc<Settings>,
    /// How many times the current request was sent again.
    #[cfg(feature = "http2")]
    reopened: usize,
}

impl PendingAttempt {
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether the response is a stream.
    pub(super) fn is_streaming(&mut self) -> bool {
        matches!(self.exchange.poll_output(), Output::Stream(_))
    }

    fn now(&self) -> Timestamp {
        Timestamp::since_start(self.epoch.elapsed())
    }

    /// Follows redirects and returns the first other response.
    pub(super) async fn response(&mut self) -> Result<Response, Fault> {
        in_runtime(pin!(self.follow_redirects())).await
    }

    async fn follow_redirects(&mut self) -> Result<Response, Fault> {
        let mut channel = None;
        let mut followed = 0;
        loop {
            match self.exchange.poll_output() {
                Output::Connect { deadline } => {
                    if self.exchange.followed() > followed {
                        followed = self.exchange.followed();
                        #[cfg(feature = "http2")]
                        {
                            self.reopened = 0;
                        }
                        self.report_redirect();
                    }
                    channel = self.connect(deadline).await;
                }
                Output::Receive { deadline } => {
                    let Some(channel) = channel.take() else {
                        let message = "there is no connection to send the request on";
                        self.exchange.handle_failure(message);
                        continue;
                    };
                    if let Some(response) = self.receive(channel, deadline).await {
                        #[cfg(all(feature = "cookies", feature = "reqwest"))]
                        if response.body.is_from_elsewhere() {
                            self.exchange.ignore_cookies();
                        }
                        let headers = response.headers.clone();
                        let (now, wall_clock) = (self.now(), SystemTime::now());
                        self.exchange
                            .handle_head(response.status, headers, now, wall_clock);
                        if !matches!(self.exchange.poll_output(), Output::Connect { .. }) {
                            return Ok(response);
                        }
                    }
                }
                Output::Failed(fault) => return Err(fault),
                // Not reached: these follow a response head, after which this function returns.
                Output::Stream(_) | Output::ReadError { .. } => {
                    return Err(Fault::Source("the response has already been taken".into()));
                }
            }
        }
    }

    fn report_redirect(&self) {
        if let (Some(report), Some(redirect)) =
            (&self.settings.on_redirect, self.exchange.redirect())
        {
            report(&Redirect {
                status: redirect.status,
                from: redirect.url.clone(),
                to: self.exchange.request().url.to_string(),
            });
        }
    }

    async fn connect(&mut self, deadline: Option<Timestamp>) -> Option<Channel> {
        let url = &self.exchange.request().url;
        let opened = with_deadline(self.epoch, deadline, pin!(self.connections.open(url))).await;
        match opened {
            Some(Ok(channel)) => {
                self.exchange.handle_connected(self.now());
                if let Some(report) = &self.settings.on_connected {
                    report();
                }
                return Some(channel);
            }
            Some(Err(ConnectError::Failed(failure))) => {
                self.exchange.handle_connect_failure(failure);
            }
            Some(Err(ConnectError::Unreachable(error))) => self.exchange.handle_unreachable(error),
            None => self.exchange.handle_timeout(self.now()),
        }
        None
    }

    async fn receive(&mut self, channel: Channel, deadline: Option<Timestamp>) -> Option<Response> {
        let (request, body) = (self.exchange.request(), self.body.as_ref());
        let sent = with_deadline(self.epoch, deadline, pin!(channel.send(request, body))).await;
        match sent {
            Some(Ok(response)) => return Some(response),
            Some(Err(SendError::Failed(error))) => self.exchange.handle_failure(error),
            #[cfg(any(feature = "http2", feature = "reqwest"))]
            Some(Err(SendError::Unprocessed(error))) => self.exchange.handle_unprocessed(error),
            #[cfg(feature = "http2")]
            Some(Err(SendError::Stale(error))) => {
                if !self.retry_on_new_connection() {
                    self.exchange.handle_unprocessed(error);
                }
            }
            #[cfg(feature = "http2")]
            Some(Err(SendError::Http11Required)) => {
                let url = &self.exchange.request().url;
                self.connections.require_http1(url);
                if !self.retry_on_new_connection() {
                    self.exchange.handle_failure("the server wants HTTP/1.1");
                }
            }
            None => self.exchange.handle_timeout(self.now()),
        }
        None
    }

    /// Has the request sent again over another connection, unless that has been done too often. Returns
    /// whether it will be.
    #[cfg(feature = "http2")]
    fn retry_on_new_connection(&mut self) -> bool {
        let may_retry = self.reopened < MAX_REOPENED;
        if may_retry {
            self.reopened += 1;
            self.exchange.handle_reconnect(self.now());
        }
        may_retry
    }

    /// Returns the connection if the response is a stream, and otherwise a fault that describes it.
    pub(super) async fn into_connection(mut self, response: Response) -> Result<Connection, Fault> {
        in_runtime(pin!(self.connection(response))).await
    }

    async fn connection(&mut self, response: Response) -> Result<Connection, Fault> {
        let mut body = Some(response.body);
        let mut error: Option<ErrorBody> = None;
        loop {
            match self.exchange.poll_output() {
                Output::Stream(coding) => {
                    let Some(body) = body.take() else {
                        return Err(Fault::Source("the body has already been taken".into()));
                    };
                    return Ok(connection(self.exchange.start(), body, coding));
                }
                Output::ReadError { coding, deadline } => {
                    let error = error.get_or_insert_with(|| ErrorBody::new(body.take(), coding));
                    // A body that is always ready would never let the timer end it.
                    let next = match self.now() < deadline {
                        true => with_deadline(self.epoch, Some(deadline), pin!(error.next())).await,
                        false => None,
                    };
                    match next {
                        Some(Some(Ok(bytes))) => self.exchange.handle_body(&bytes),
                        Some(None | Some(Err(_))) => self.exchange.handle_body_end(),
                        None => self.exchange.handle_timeout(self.now()),
                    }
                }
                Output::Failed(fault) => return Err(fault),
                Output::Connect { .. } | Output::Receive { .. } => {
                    return Err(Fault::Source("the response isn't there yet".into()));
                }
            }
        }
    }
}

/// Creates a connection whose body is decoded from this coding.
pub(super) fn connection(start: Start, body: Body, coding: Option<ContentCoding>) -> Connection {
    let ending = body.ending();
    let mut connection = match coding {
        Some(coding) => Connection::new(Decoded::new(body, coding)),
        None => Connection::from_source(Source::Body(body)),
    };
    connection.start = start;
    connection.with_ending(ending)
}

/// The body of an error response.
struct ErrorBody(Option<Pin<Box<ErrorBytes>>>);

type ErrorBytes = dyn Stream<Item = Result<Bytes, Fault>> + Send;

impl ErrorBody {
    fn new(body: Option<Body>, coding: Option<ContentCoding>) -> Self {
        ErrorBody(body.map(|body| match coding {
            Some(coding) => Box::pin(Decoded::new(body, coding)) as _,
            None => Box::pin(body) as _,
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        let body = self.0.as_mut()?;
        poll_fn(|cx| body.as_mut().poll_next(cx)).await
    }
}

/// Returns the future's output, or `None` after the deadline. Borrows the future, because owning it
/// would make this future three times as large.
async fn with_deadline<T>(
    epoch: Instant,
    deadline: Option<Timestamp>,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    // A deadline beyond the clock's range means no deadline.
    let deadline = deadline.and_then(|deadline| epoch.checked_add(deadline.elapsed()));
    let Some(mut due) = deadline else {
        return Some(future.await);
    };
    let (mut alarm, mut is_late) = (Alarm::default(), false);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // The clock is compared first, because a future that is always busy would keep the alarm from being
            // polled.
            if Instant::now() < due && alarm.poll_at(due, cx).is_pending() {
                return Poll::Pending;
            }
            if is_late {
                return Poll::Ready(None);
            }
            is_late = true;
            due = Instant::now() + GRACE;
        }
    })
    .await
}

/// Polls the future only inside a tokio runtime: sockets and timers panic elsewhere. Borrows the future for
/// the same reason as [`with_deadline`].
async fn in_runtime<T>(
    mut future: Pin<&mut impl Future<Output = Result<T, Fault>>>,
) -> Result<T, Fault> {
    poll_fn(|cx| match OutsideRuntime::check() {
        Ok(()) => future.as_mut().poll(cx),
        Err(error) => Poll::Ready(Err(Fault::Setup(error.into()))),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tokio's own timers panic there. A DNS lookup, for example, doesn't notice.
    #[test]
    fn a_deadline_outlives_the_runtime_in_which_the_wait_began() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap()
        };
        let first = runtime();
        let epoch = first.block_on(async { Instant::now() });
        let deadline = Timestamp::since_start(Duration::from_millis(50));
        let lookup = pin!(std::future::pending::<()>());
        let mut waiting = pin!(with_deadline(epoch, Some(deadline), lookup));
        first.block_on(poll_fn(|cx| {
            assert!(waiting.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        drop(first);
        assert_eq!(runtime().block_on(waiting), None);
    }
}
