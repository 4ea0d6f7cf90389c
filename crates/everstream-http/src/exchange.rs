//! The state machine of one attempt: a request, the redirects it takes, and the response that ends
//! them. Every transition is in this file.
//!
//! ```text
//!          Send                Receive              Stream
//!  new ──▶ connect and send ─▶ wait for a head ──▶ the body is an event stream
//!            ▲      │              │    │
//!            │      │ failure      │    └─▶ ReadError ─▶ Failed
//!            └──────┼── redirect ──┘        the first KiB of another body
//!                   └─▶ Failed
//! ```
//!
//! The rules:
//!
//! 1. Each request of an attempt, the first one and one for each redirect, goes over a connection of
//!    its own. User info in a URL becomes an `Authorization` header and isn't sent otherwise.
//! 2. `connect_timeout` limits the time to a connection: look-up, TCP, proxy and TLS together.
//!    `read_timeout` begins when the connection is there, and limits the wait for the head.
//! 3. A failure says whether a server may have acted on the request: `Fault::Connect` and
//!    `Fault::ConnectTimeout` if no request was sent or the server says that it was not processed,
//!    `Fault::Request` otherwise. After a redirect it is always `Fault::Request`: the server that
//!    redirects may have acted, and a 303 says so.
//! 4. A request that can't be sent to its end isn't a failure yet: a server may answer early and stop
//!    reading. The failure is reported when no response arrives either.
//! 5. Redirects (301, 302, 303, 307, 308) are followed up to a limit, to URLs of http and https.
//!    Credentials stay with their origin, see [`withhold`](policy::withhold). What wasn't sent is
//!    named in `Start` and `ErrorResponse`.
//! 6. A response is a stream by its status, media type and content coding, in this order, see
//!    [`judge`](policy::judge). Of any other, up to 1 KiB of the body is kept, for which it has 2 s:
//!    a body that breaks, stalls or can't be decoded doesn't hide the error it belongs to.
//! 7. Each `handle_*` acts only in the state it belongs to and is ignored in all others. A caller that
//!    reports the wrong thing can't turn a request that was sent into one that wasn't.
//! 8. With a `policy::CookieJar` (feature `cookies`), the cookies of every response are stored, those
//!    of redirects and errors too, and each request carries the ones that RFC 6265 allows for its URL.
//!    They are appended to the user's `Cookie` header, which stays with its origin (rule 5).

mod config;
#[cfg(feature = "cookies")]
mod cookies;
mod output;
mod request;
mod socket;

use std::time::{Duration, SystemTime};

use everstream_core::{BoxError, ErrorResponse, Fault, Headers, RedirectProblem, Start, Timestamp};
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::policy::{self, ContentCoding, Verdict};

pub use config::Config;
pub use output::Output;
pub use request::Request;

/// How much of the body of an error is kept.
pub const ERROR_BODY: usize = 1 << 10;

/// How long the body of an error may take.
pub const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// One attempt.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use everstream_core::Timestamp;
/// use everstream_http::exchange::{Config, Exchange, Output, Request};
/// use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
///
/// let now = Timestamp::default();
/// let request = Request {
///     method: Method::GET,
///     url: "https://example.com/feed".parse()?,
///     headers: HeaderMap::new(),
///     has_body: false,
/// };
/// let mut exchange = Exchange::new(request, Config::default(), now);
/// assert!(matches!(exchange.poll_output(), Output::Connect { deadline: None }));
/// exchange.handle_connected(now);
/// assert!(matches!(exchange.poll_output(), Output::Receive { deadline: None }));
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
/// exchange.handle_head(200, headers, now, SystemTime::now());
/// assert!(matches!(exchange.poll_output(), Output::Stream(None)));
/// assert_eq!(exchange.start().status, Some(200));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Exchange {
    config: Config,
    request: Request,
    state: State,
    /// How many redirects were followed.
    followed: usize,
    /// Headers that did not follow a redirect.
    withheld: Vec<HeaderName>,
    /// How many bytes of the body of an error are kept.
    error_body: usize,
    /// Headers that don't follow an upgrade to `https` either.
    pinned: Vec<HeaderName>,
    /// The redirect that led here.
    redirect: Option<Box<ErrorResponse>>,
    /// Rule 4.
    send_failure: Option<BoxError>,
    /// Rule 7.
    #[cfg(feature = "cookies")]
    cookies: Option<cookies::RequestCookies>,
}

#[derive(Debug)]
enum State {
    Connecting {
        deadline: Option<Timestamp>,
    },
    Receiving {
        deadline: Option<Timestamp>,
    },
    ReadingError {
        response: Box<ErrorResponse>,
        problem: Problem,
        coding: Option<ContentCoding>,
        deadline: Timestamp,
    },
    Streaming {
        status: u16,
        headers: Headers,
        coding: Option<ContentCoding>,
    },
    Failed(Option<Fault>),
}

/// Why a response isn't a stream.
#[derive(Debug, Clone, Copy)]
enum Problem {
    Status,
    ContentType,
    ContentEncoding,
    Redirect(RedirectProblem),
}

impl Exchange {
    /// An attempt that begins now.
    pub fn new(mut request: Request, config: Config, now: Timestamp) -> Self {
        let mut pinned = Vec::new();
        for (name, value) in &mut request.headers {
            if value.is_sensitive() {
                pinned.push(name.clone());
            }
            // Credentials are sensitive too; that they are pinned is for the user to say.
            value.set_sensitive(value.is_sensitive() || policy::is_credential(name));
        }
        policy::user_info_to_authorization(&mut request.url, &mut request.headers);
        Exchange {
            state: State::Connecting {
                deadline: config.connect_timeout.map(|limit| now + limit),
            },
            config,
            request,
            followed: 0,
            withheld: Vec::new(),
            error_body: ERROR_BODY,
            pinned,
            redirect: None,
            send_failure: None,
            #[cfg(feature = "cookies")]
            cookies: None,
        }
    }

    /// The request to send now. It changes with each redirect.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// How many redirects were followed.
    pub fn followed(&self) -> usize {
        self.followed
    }

    /// The names of headers that did not follow a redirect to another origin.
    pub fn withheld(&self) -> &[HeaderName] {
        &self.withheld
    }

    /// The response that redirected to the present request, without its body.
    pub fn redirect(&self) -> Option<&ErrorResponse> {
        self.redirect.as_deref()
    }

    /// What to do next. It changes only when something is handled, except that a fault is returned
    /// once.
    pub fn poll_output(&mut self) -> Output {
        match &mut self.state {
            State::Connecting { deadline } => Output::Connect {
                deadline: *deadline,
            },
            State::Receiving { deadline } => Output::Receive {
                deadline: *deadline,
            },
            State::ReadingError {
                coding, deadline, ..
            } => Output::ReadError {
                coding: *coding,
                deadline: *deadline,
            },
            State::Streaming { coding, .. } => Output::Stream(*coding),
            State::Failed(fault) => {
                let again = || Fault::Source("this attempt has failed already".into());
                Output::Failed(fault.take().unwrap_or_else(again))
            }
        }
    }

    /// The description of the stream, once the output is [`Output::Stream`].
    pub fn start(&self) -> Start {
        let mut start = Start::default();
        if let State::Streaming {
            status, headers, ..
        } = &self.state
        {
            start.status = Some(*status);
            start.headers = Some(headers.clone());
            start.url = Some(self.request.url.to_string());
            start.withheld_headers = self.withheld_names();
        }
        start
    }

    /// There is a connection (rule 2).
    pub fn handle_connected(&mut self, now: Timestamp) {
        if matches!(self.state, State::Connecting { .. }) {
            self.state = State::Receiving {
                deadline: self.config.read_timeout.map(|limit| now + limit),
            };
        }
    }

    /// There is no connection, and nothing was sent (rule 3).
    pub fn handle_connect_failure(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Connecting { .. }) {
            self.fail(Fault::Connect(error.into()));
        }
    }

    /// The settings don't allow a connection to this URL at all.
    pub fn handle_unreachable(&mut self, error: impl Into<BoxError>) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        match self.redirect.take() {
            Some(mut response) => {
                response.cause = Some(std::sync::Arc::from(error.into()));
                self.fail(Fault::Redirect(response, RedirectProblem::Unreachable));
            }
            None => self.fail(Fault::Setup(error.into())),
        }
    }

    /// The request could not be sent to its end (rule 4).
    pub fn handle_send_failure(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Receiving { .. }) {
            self.send_failure.get_or_insert(error.into());
        }
    }

    /// The server can't have acted on the request: it was not sent after all, or the server says so, as
    /// HTTP/2 can (RFC 9113, section 8.7).
    pub fn handle_unprocessed(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Receiving { .. }) {
            self.fail(Fault::Connect(error.into()));
        }
    }

    /// The server can't have acted on the request, and it can be sent over another connection, as
    /// HTTP/2 can say. It is connected again, for which rule 2 holds as for the first connection.
    pub fn handle_reconnect(&mut self, now: Timestamp) {
        if matches!(self.state, State::Receiving { .. }) {
            self.connect(now);
        }
    }

    /// The connection failed, or ended, before a head had arrived.
    pub fn handle_failure(&mut self, error: impl Into<BoxError>) {
        if !matches!(self.state, State::Receiving { .. }) {
            return;
        }
        let error = self.send_failure.take().unwrap_or_else(|| error.into());
        self.fail(Fault::Request(error));
    }

    /// The head of a response that isn't informational. `wall_clock` is for dates in `Retry-After`.
    pub fn handle_head(
        &mut self,
        status: u16,
        headers: HeaderMap,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        if !matches!(self.state, State::Receiving { .. }) {
            return;
        }
        #[cfg(feature = "cookies")]
        self.store_cookies(&headers, wall_clock);
        let Config {
            codings,
            any_content_type,
            ..
        } = self.config;
        let problem = match policy::judge(status, &headers, codings, any_content_type) {
            Verdict::Stream(coding) => {
                self.state = State::Streaming {
                    status,
                    headers: convert(&headers),
                    coding,
                };
                return;
            }
            Verdict::Redirect => {
                let (followed, limit) = (self.followed, self.config.redirect_limit);
                match policy::redirect_target(&self.request.url, &headers, followed, limit) {
                    Ok(target) => {
                        self.follow(target, status, &headers, now, wall_clock);
                        return;
                    }
                    Err(problem) => Problem::Redirect(problem),
                }
            }
            Verdict::Status => Problem::Status,
            Verdict::ContentType => Problem::ContentType,
            Verdict::ContentEncoding => Problem::ContentEncoding,
        };
        self.state = State::ReadingError {
            response: Box::new(self.response(status, &headers, wall_clock)),
            problem,
            // A body in a coding that can't be decoded is kept as it is.
            coding: policy::content_coding(&headers, codings).ok().flatten(),
            deadline: now + ERROR_BODY_TIME,
        };
    }

    /// Rule 5.
    fn follow(
        &mut self,
        target: Url,
        status: u16,
        headers: &HeaderMap,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        self.redirect = Some(Box::new(self.response(status, headers, wall_clock)));
        self.followed += 1;
        #[cfg(feature = "cookies")]
        self.remove_cookies();
        let request = &mut self.request;
        request.has_body &= policy::rewrite(status, &mut request.method, &mut request.headers);
        let scope = self.config.header_scope;
        let headers = &mut request.headers;
        let withheld = policy::withhold(headers, &request.url, &target, scope, &self.pinned);
        for name in withheld {
            if !self.withheld.contains(&name) {
                self.withheld.push(name);
            }
        }
        request.url = target;
        policy::user_info_to_authorization(&mut request.url, &mut request.headers);
        #[cfg(feature = "cookies")]
        self.add_cookies(wall_clock);
        self.connect(now);
    }

    fn connect(&mut self, now: Timestamp) {
        self.send_failure = None;
        self.state = State::Connecting {
            deadline: self.config.connect_timeout.map(|limit| now + limit),
        };
    }

    fn response(&self, status: u16, headers: &HeaderMap, wall_clock: SystemTime) -> ErrorResponse {
        let mut response = ErrorResponse::new(status);
        response.headers = convert(headers);
        response.url = self.request.url.to_string();
        response.retry_after = policy::retry_after(headers, wall_clock);
        response.withheld_headers = self.withheld_names();
        response
    }

    fn withheld_names(&self) -> Vec<String> {
        self.withheld.iter().map(HeaderName::to_string).collect()
    }

    /// Keeps up to this many bytes of the body of an error, instead of [`ERROR_BODY`].
    pub fn keep_error_body(&mut self, bytes: usize) {
        self.error_body = bytes;
    }

    /// Bytes of the body of an error, decoded. Those beyond the limit are dropped.
    pub fn handle_body(&mut self, bytes: &[u8]) {
        let State::ReadingError { response, .. } = &mut self.state else {
            return;
        };
        let missing = self.error_body.saturating_sub(response.body.len());
        let kept = &bytes[..bytes.len().min(missing)];
        response.body.extend_from_slice(kept);
        if response.body.len() >= self.error_body {
            self.handle_body_end();
        }
    }

    /// The body of an error has ended, or can't be read any further.
    pub fn handle_body_end(&mut self) {
        let State::ReadingError { .. } = &self.state else {
            return;
        };
        let state = std::mem::replace(&mut self.state, State::Failed(None));
        if let State::ReadingError {
            response, problem, ..
        } = state
        {
            self.state = State::Failed(Some(match problem {
                Problem::Status => Fault::Status(response),
                Problem::ContentType => Fault::ContentType(response),
                Problem::ContentEncoding => Fault::ContentEncoding(response),
                Problem::Redirect(problem) => Fault::Redirect(response, problem),
            }));
        }
    }

    /// A deadline has passed. Nothing happens if it hasn't.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let has_passed = |deadline: &Option<Timestamp>| deadline.is_some_and(|it| it <= now);
        match &self.state {
            State::Connecting { deadline } if has_passed(deadline) => {
                let limit = self.config.connect_timeout.unwrap_or_default();
                self.fail(Fault::ConnectTimeout(limit));
            }
            State::Receiving { deadline } if has_passed(deadline) => {
                let limit = self.config.read_timeout.unwrap_or_default();
                self.fail(Fault::ReadTimeout(limit));
            }
            State::ReadingError { deadline, .. } if *deadline <= now => self.handle_body_end(),
            _ => {}
        }
    }

    /// Rule 3.
    fn fail(&mut self, fault: Fault) {
        let fault = match fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) | Fault::Setup(_) if self.followed > 0 => {
                Fault::Request(Box::new(fault))
            }
            other => other,
        };
        self.state = State::Failed(Some(fault));
    }
}

fn convert(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
