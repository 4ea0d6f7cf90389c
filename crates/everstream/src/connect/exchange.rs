//! From the settings to a connection: the requests of one client.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{Fault, RedirectProblem};
use reqwest::Url;

use super::attempt::{Attempt, Hook};
use super::clients::Clients;
use super::disconnect::{self, Phase};
use super::handover;
use super::kept::Kept;
use super::redirect;
use super::response;
use super::settings::Settings;
use super::{ConnectFuture, ConnectRequest, ConnectionClient};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) struct HttpClient {
    pub(super) clients: Clients,
    pub(super) settings: Arc<Settings>,
    pub(super) attempts: u64,
    pub(super) method: Method,
    pub(super) body: Option<Bytes>,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) redirect_limit: usize,
    pub(super) connect_timeout: Option<Duration>,
}

impl HttpClient {
    /// The next attempt as it is to be sent, and what to send it with.
    pub(super) fn prepare(
        &mut self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<(Exchange, Attempt), Fault>> + Send + use<> {
        self.attempts += 1;
        let number = self.attempts;
        let attempt = self.settings.attempt();
        let hook = self.hook.clone();
        let exchange = Exchange {
            clients: self.clients.clone(),
            method: self.method.clone(),
            body: self.body.clone(),
            redirect_limit: self.redirect_limit,
            connect_timeout: self.connect_timeout,
            read_timeout: request.read_timeout,
            kept: self.settings.kept.clone(),
        };
        async move {
            // It could be made when the client was.
            let mut attempt = attempt.map_err(|error| Fault::Other(error.into()))?;
            attempt.number = number;
            attempt.last_event_id = request.last_event_id;
            if let Some(hook) = hook {
                attempt = hook(attempt)
                    .await
                    .map_err(|error| match error.downcast::<Fault>() {
                        Ok(fault) => *fault,
                        Err(error) => Fault::Other(error),
                    })?;
            }
            if let Some(problem) = attempt.problem {
                return Err(Fault::Other((&*problem).into()));
            }
            // An id that can't be a header's value is kept for the user, and not sent.
            let id = attempt
                .last_event_id
                .as_deref()
                .map(|id| HeaderValue::from_bytes(id.as_bytes()));
            if let Some(Ok(id)) = id {
                attempt.headers.insert(LAST_EVENT_ID, id);
            }
            Ok((exchange, attempt))
        }
    }
}

impl ConnectionClient for HttpClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let prepared = self.prepare(request);
        Box::pin(async move {
            let (exchange, attempt) = prepared.await?;
            let response = exchange
                .open(attempt.url, attempt.headers, |_, _| {})
                .await?;
            response::check(response).await
        })
    }

    fn is_repeatable(&self) -> bool {
        self.method.is_safe()
    }
}

/// One request, with the redirects it takes.
pub(super) struct Exchange {
    clients: Clients,
    method: Method,
    body: Option<Bytes>,
    redirect_limit: usize,
    /// `None`: there is none, or it is the one of a client of the user's own.
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    kept: Kept,
}

impl Exchange {
    /// The response that is none of a redirect. `redirected` is told of those.
    pub(super) async fn open(
        mut self,
        url: Url,
        headers: HeaderMap,
        mut redirected: impl FnMut(&reqwest::Response, &Url),
    ) -> Result<reqwest::Response, Fault> {
        let (mut client, mut request) = self.request(url, headers)?;
        // reqwest has turned user info into an Authorization header; from here on it is one.
        let mut headers = request.headers().clone();
        let mut followed = 0;
        loop {
            // A client of the user's own may have followed some, and doesn't tell.
            let moved = followed > 0 || (self.clients.are_own() && !self.method.is_safe());
            let response = self
                .send(&client, request)
                .await
                .map_err(|fault| match moved {
                    true => redirect::fault(fault),
                    false => fault,
                })?;
            if !redirect::is_redirect(response.status()) {
                return Ok(response);
            }
            match redirect::target(&response, followed, self.redirect_limit) {
                Ok(target) => {
                    redirected(&response, &target);
                    if let Err(error) = self.clients.get(&target) {
                        let mut response = Box::new(response::read_error(response).await);
                        response.cause = Some(Arc::new(error));
                        return Err(Fault::Redirect(response, RedirectProblem::Unreachable));
                    }
                    followed += 1;
                    redirect::adapt(
                        response.status(),
                        &mut self.method,
                        &mut self.body,
                        &mut headers,
                    );
                    if !redirect::same_origin(response.url(), &target) {
                        redirect::leave_origin(&mut headers);
                    }
                    (client, request) = self
                        .request(target, headers.clone())
                        .map_err(redirect::fault)?;
                }
                Err(problem) => {
                    let response = Box::new(response::read_error(response).await);
                    return Err(Fault::Redirect(response, problem));
                }
            }
        }
    }

    /// A request, still without its body, and the client to send it with.
    fn request(
        &self,
        url: Url,
        headers: HeaderMap,
    ) -> Result<(reqwest::Client, reqwest::Request), Fault> {
        let client = self
            .clients
            .get(&url)
            .map_err(|error| Fault::Other(error.into()))?;
        let request = client
            .request(self.method.clone(), url)
            .headers(headers)
            .build()
            .map_err(|error| Fault::Other(error.without_url().into()))?;
        Ok((client, request))
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, Fault> {
        let began = Instant::now();
        let sent = self.send_anew_if_closed(client, request);
        let result = match self.read_timeout {
            None => sent.await,
            Some(limit) => {
                // Silence begins when there is a connection, and that has a limit of its own.
                let whole = limit.saturating_add(self.connect_timeout.unwrap_or_default());
                tokio::time::timeout(whole, sent)
                    .await
                    .map_err(|_| Fault::ReadTimeout(limit))?
            }
        }?;
        result.map_err(|error| {
            // URLs hold secrets; faults are logged.
            let error = error.without_url();
            if error.is_connect() && error.is_timeout() {
                // If the limit isn't known, it was the system's or the own client's.
                Fault::ConnectTimeout(self.connect_timeout.unwrap_or_else(|| began.elapsed()))
            } else if error.is_connect() {
                Fault::Connect(error.into())
            } else if error.is_builder() {
                Fault::Other(error.into())
            } else {
                Fault::Request(disconnect::cause(error, Phase::Request))
            }
        })
    }

    /// A kept connection that was closed in the meantime says nothing about the server: a safe
    /// request is sent once more (RFC 9110, section 9.2.2). Others aren't ever: it may have been
    /// read.
    async fn send_anew_if_closed(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<reqwest::Result<reqwest::Response>, Fault> {
        let again = match self.method.is_safe() {
            true => request.try_clone(),
            false => None,
        };
        let mut result = self.execute(client, request).await?;
        if let (Err(error), Some(again)) = (&result, again) {
            if self.kept.was_closed(error) {
                result = self.execute(client, again).await?;
            }
        }
        if let Ok(response) = &result {
            self.kept.note(response);
        }
        Ok(result)
    }

    /// Gives the request its body and sends it.
    async fn execute(
        &self,
        client: &reqwest::Client,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Result<reqwest::Response>, Fault> {
        let Some(connect_timeout) = self.connect_timeout else {
            // When there is a connection can't be known. A client of the user's own may follow
            // redirects, and needs a body that can be sent again.
            *request.body_mut() = self.body.clone().map(Into::into);
            return Ok(client.execute(request).await);
        };
        let may_be_http2 = self.clients.may_be_http2(request.url());
        let (body, handover) = handover::watched(self.body.clone());
        *request.body_mut() = Some(body);
        // Over HTTP/2 it may wait for its turn, if there are as many streams as the server allows.
        let may_wait = || may_be_http2 && !self.kept.was_http1();
        handover
            .answer(client.execute(request), connect_timeout, may_wait)
            .await
            .ok_or_else(|| {
                Fault::Request("the connection closed before it took the request".into())
            })
    }
}
