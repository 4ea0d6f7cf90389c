//! HTTP in the browser: requests with `fetch`, on a page and in a worker.
//!
//! Redirects, proxies, TLS, compression, cookies and connections belong to the browser.
//! [`everstream_http::policy`] decides what a response is, as elsewhere.

mod fetch;
mod head;
mod response;
mod settings;
mod url;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use ::http::{HeaderValue, Method};
use everstream_core::{Failure, FailureKind, Fault, is_sendable_id};
use everstream_http::policy::{is_body_header, needs_preflight};

use super::attempt::Attempt;
use super::{ConnectFuture, ConnectRequest, ConnectionClient, Http};
use crate::clock::{Alarm, Instant};
use crate::error::{Error, message};

pub(super) use self::fetch::Body;
pub(super) use self::head::{Header, HeaderMap, parse_header, parse_method};
pub use self::response::Response;
pub use self::settings::Credentials;
pub(super) use self::settings::Settings;
pub(super) use self::url::{Url, append_query, parse_url, set_query};

const LAST_EVENT_ID: &str = "last-event-id";

impl Http {
    pub(super) fn create(&self) -> Result<HttpClient, Error> {
        // A relative URL is resolved only once, because a page can change its own.
        let attempt = self.settings.attempt(&self.url)?;
        Ok(HttpClient {
            repeatable: Arc::new(AtomicBool::new(attempt.method.is_safe())),
            settings: self.settings.clone(),
            attempt,
        })
    }
}

pub(super) struct HttpClient {
    settings: Arc<Settings>,
    /// The last attempt, as it was before the hook.
    attempt: Attempt,
    /// Whether the method of the last request is safe.
    repeatable: Arc<AtomicBool>,
}

impl ConnectionClient for HttpClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let sent = self.send(request);
        Box::pin(async { sent.await?.into_connection().await })
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable.load(Ordering::Relaxed)
    }

    fn can_resume_with_get(&self) -> bool {
        true
    }
}

impl HttpClient {
    /// Begins the next attempt.
    fn send(
        &mut self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Response, Fault>> + Send + use<> {
        self.attempt.number += 1;
        self.attempt.last_event_id = request.last_event_id;
        let mut attempt = self.attempt.clone();
        let settings = self.settings.clone();
        let repeatable = self.repeatable.clone();
        let (read_timeout, resumes) = (request.read_timeout, request.resume_with_get);
        async move {
            // Before the hook, so that it sees the request as it will be sent.
            if resumes {
                rewrite_to_resume(&mut attempt);
            }
            if let Some(hook) = &settings.hook {
                attempt = hook(attempt).await?;
            }
            settings.add_defaults(&mut attempt.headers);
            match resumes {
                true => remove_body(&mut attempt),
                // The GET that resumes a stream doesn't make its original request repeatable.
                false => repeatable.store(attempt.method.is_safe(), Ordering::Relaxed),
            }
            if let Some(problem) = settings::body_problem(&attempt) {
                return Err(Fault::Setup(message(problem)));
            }
            let id = attempt.last_event_id.take().filter(|id| is_sendable_id(id));
            if let Some(value) = id.and_then(|id| HeaderValue::try_from(id).ok()) {
                attempt.headers.insert(LAST_EVENT_ID.to_owned(), value);
            }
            let mut sent = fetch::send(&attempt, settings.credentials)?;
            let due =
                read_timeout.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
            let mut alarm = Alarm::default();
            let response = poll_fn(|cx| {
                if let Poll::Ready(response) = sent.poll(cx) {
                    // Every failure is a `TypeError`, so a refused connection looks like a lost response.
                    return Poll::Ready(response.ok_or_else(|| no_response(&attempt)));
                }
                match due {
                    Some((limit, due)) => alarm
                        .poll_at(due, cx)
                        .map(|_| Err(Fault::ResponseTimeout(limit))),
                    None => Poll::Pending,
                }
            });
            let (start, body) = response.await?;
            Ok(Response::new(start, body, &settings))
        }
    }
}

/// As [`everstream_http::policy::rewrite_to_resume`].
fn rewrite_to_resume(attempt: &mut Attempt) {
    attempt.method = Method::GET;
    let accepted = HeaderValue::from_static("text/event-stream");
    attempt.headers.insert("accept".to_owned(), accepted);
    remove_body(attempt);
}

fn remove_body(attempt: &mut Attempt) {
    attempt.body = None;
    attempt.headers.retain(|name| !is_body_header(name));
}

fn no_response(attempt: &Attempt) -> Fault {
    let mut message =
        "the browser got no response: the network failed, or it refused the request".to_owned();
    let needed = needed_from_preflight(attempt);
    if !needed.is_empty() && attempt.url.is_cross_origin() {
        message.push_str(" (the answer to the preflight request must have");
        message.push_str(&needed);
        message.push(')');
    }
    Fault::Request(Failure::new(FailureKind::Other, message).into())
}

/// What the answer to a preflight request must allow, if the request needs one.
fn needed_from_preflight(attempt: &Attempt) -> String {
    let mut needed = String::new();
    for (name, value) in attempt.headers.iter() {
        if needs_preflight(name, value.as_bytes()) {
            needed.push_str(match needed.is_empty() {
                true => " Access-Control-Allow-Headers: ",
                false => ", ",
            });
            needed.push_str(name);
        }
    }
    let method = attempt.method.as_str();
    if !["GET", "HEAD", "POST"].contains(&method) {
        if !needed.is_empty() {
            needed.push_str(" and");
        }
        needed.push_str(" Access-Control-Allow-Methods: ");
        needed.push_str(method);
    }
    needed
}
