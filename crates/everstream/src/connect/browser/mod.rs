//! HTTP in the browser: requests with `fetch`, on a page and in a worker.
//!
//! Redirects, proxies, TLS, compression, cookies and connections belong to the browser.
//! [`everstream_http::policy`] decides what a response is, as elsewhere.

mod fetch;
mod url;

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use bytes::Bytes;
use everstream_core::{Ending, ErrorResponse, Fault, Headers, Start};
use everstream_http::exchange::{ERROR_BODY, ERROR_BODY_TIME};
use everstream_http::policy::{
    Verdict, is_framed, judge, last_event_id_header, remove_body_headers, retry_after,
    rewrite_to_resume,
};
use send_wrapper::SendWrapper;

use super::attempt::{Attempt, Header, Hook};
use super::{
    ClientContext, ConnectFuture, ConnectRequest, Connection, ConnectionClient, Http, Source,
};
use crate::clock::{Alarm, Instant};
use crate::error::Error;

pub(super) use self::fetch::Body;
pub(super) use self::url::{Url, append_query, parse_url, set_query};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Whether the browser sends cookies and other credentials of its own, for [`Http::credentials`].
// Exhaustive: these are the values of `fetch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Never.
    Omit,
    /// To the origin of the page only.
    #[default]
    SameOrigin,
    /// To every origin. Another origin must allow it with `Access-Control-Allow-Credentials`.
    Include,
}

/// All settings but the URL.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) query: Vec<(String, String)>,
    pub(super) method: Cow<'static, str>,
    pub(super) headers: Vec<Header>,
    pub(super) body: Option<Bytes>,
    pub(super) body_problem: Option<Arc<str>>,
    /// Adds a `Content-Type` of JSON by default.
    pub(super) body_is_json: bool,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) any_content_type: bool,
    credentials: Credentials,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            query: Vec::new(),
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            body_problem: None,
            body_is_json: false,
            hook: None,
            any_content_type: false,
            credentials: Credentials::default(),
        }
    }
}

impl Settings {
    fn attempt(&self, url: &str) -> Result<Attempt, Error> {
        let body = self.body.clone();
        let attempt = Attempt::new(url, &self.query, &self.method, &self.headers, body)?;
        check_body(&attempt)?;
        Ok(attempt)
    }

    /// Adds the default headers, except where the user set the same name. `Cache-Control` is a mode of
    /// `fetch` instead, because as a header it would cause a preflight request to another origin.
    fn with_defaults(&self, user_headers: HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if self.body_is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(user_headers);
        headers
    }
}

impl Http {
    /// Sets whether the browser sends its cookies and other credentials of its own. Default:
    /// [`Credentials::SameOrigin`]. An `Authorization` header that you set is always sent.
    #[must_use]
    pub fn credentials(self, credentials: Credentials) -> Self {
        self.with(|settings| settings.credentials = credentials)
    }

    pub(super) fn create(&self, _: ClientContext) -> Result<HttpClient, Error> {
        if let Some(problem) = &self.settings.body_problem {
            return Err(Error::config("body", &**problem));
        }
        let attempt = self.settings.attempt(&self.url)?;
        Ok(HttpClient {
            url: self.url.clone(),
            settings: self.settings.clone(),
            repeatable: Arc::new(AtomicBool::new(attempt.method.is_safe())),
            attempts: 0,
        })
    }
}

fn check_body(attempt: &Attempt) -> Result<(), Error> {
    let refuses = [Method::GET, Method::HEAD].contains(&attempt.method);
    match refuses && attempt.body.is_some() {
        true => Err(Error::config(
            "body",
            "browsers don't send a GET or HEAD request with a body",
        )),
        false => Ok(()),
    }
}

pub(super) struct HttpClient {
    url: Arc<String>,
    settings: Arc<Settings>,
    /// Whether the method of the last request is safe.
    repeatable: Arc<AtomicBool>,
    attempts: u64,
}

impl ConnectionClient for HttpClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        self.attempts += 1;
        let number = self.attempts;
        let (url, settings) = (self.url.clone(), self.settings.clone());
        let repeatable = self.repeatable.clone();
        let setup = |error: Error| Fault::Setup(error.into());
        Box::pin(SendWrapper::new(async move {
            let mut attempt = settings.attempt(&url).map_err(setup)?;
            attempt.number = number;
            attempt.last_event_id = request.last_event_id;
            // Before the hook, so that it sees the request as it will be sent.
            if request.resume_with_get {
                rewrite_to_resume(&mut attempt.method, &mut attempt.headers);
                attempt.body = None;
            }
            if let Some(hook) = &settings.hook {
                attempt = hook(attempt)
                    .await
                    .map_err(|error| match error.downcast::<Fault>() {
                        Ok(fault) => *fault,
                        Err(error) => Fault::Setup(error),
                    })?;
            }
            if let Some(problem) = attempt.problem {
                return Err(Fault::Setup((&*problem).into()));
            }
            if request.resume_with_get {
                attempt.body = None;
            }
            check_body(&attempt).map_err(setup)?;
            // The GET that resumes a stream doesn't make its original request repeatable.
            if !request.resume_with_get {
                repeatable.store(attempt.method.is_safe(), Ordering::Relaxed);
            }
            let mut headers = settings.with_defaults(attempt.headers);
            if request.resume_with_get {
                remove_body_headers(&mut headers);
            }
            let id = attempt.last_event_id.as_deref();
            if let Some(id) = id.and_then(last_event_id_header) {
                headers.insert(LAST_EVENT_ID, id);
            }
            let sent = fetch::send(fetch::Request {
                method: &attempt.method,
                url: &attempt.url,
                headers: &headers,
                body: attempt.body.as_deref(),
                credentials: settings.credentials,
            });
            let response = match request.read_timeout {
                None => sent.await?,
                Some(limit) => match with_limit(limit, sent).await {
                    Some(response) => response?,
                    None => return Err(Fault::ReadTimeout(limit)),
                },
            };
            into_connection(response, settings.any_content_type).await
        }))
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable.load(Ordering::Relaxed)
    }

    fn can_resume_with_get(&self) -> bool {
        true
    }
}

/// Returns the connection if the response is a stream, and otherwise a fault that describes it.
async fn into_connection(response: fetch::Response, any: bool) -> Result<Connection, Fault> {
    let fetch::Response {
        status,
        url,
        headers,
        mut body,
    } = response;
    // The browser has decoded the body, whatever its coding was.
    let mut decoded = headers.clone();
    decoded.remove(::http::header::CONTENT_ENCODING);
    let fault = match judge(status, &decoded, &[], any) {
        Verdict::Stream(_) => {
            let mut start = Start::new(status);
            start.headers = Some(to_core_headers(&headers));
            start.url = Some(url);
            let mut connection = Connection::from_source(Source::Body(body));
            connection.start = start;
            // The browser doesn't tell the version, and to other origins only few headers.
            return Ok(
                connection.with_ending(match is_framed(Version::HTTP_11, &headers) {
                    true => Ending::Complete,
                    false => Ending::Unproven,
                }),
            );
        }
        Verdict::ContentType | Verdict::ContentEncoding => Fault::ContentType,
        // The browser follows redirects.
        Verdict::Status | Verdict::Redirect => Fault::Status,
    };
    let mut response = ErrorResponse::new(status);
    response.headers = to_core_headers(&headers);
    response.url = url;
    let wall_clock = UNIX_EPOCH + Duration::from_secs_f64(js_sys::Date::now().max(0.0) / 1000.0);
    response.retry_after = retry_after(&headers, wall_clock);
    let kept = &mut response.body;
    let reading = async {
        while kept.len() < ERROR_BODY {
            let Some(Ok(bytes)) = poll_fn(|cx| body.poll_bytes(cx)).await else {
                break;
            };
            kept.extend_from_slice(&bytes[..bytes.len().min(ERROR_BODY - kept.len())]);
        }
    };
    // A body that breaks or stalls doesn't hide the error it belongs to.
    let _ = with_limit(ERROR_BODY_TIME, reading).await;
    Err(fault(Box::new(response)))
}

/// Returns the future's output, or `None` once it has taken that long.
async fn with_limit<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let Some(due) = Instant::now().checked_add(limit) else {
        return Some(future.await);
    };
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        alarm.poll_at(due, cx).map(|()| None)
    })
    .await
}

fn to_core_headers(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect()
}
