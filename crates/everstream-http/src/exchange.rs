//! The state machine of one attempt: a request, its redirects, and the final response. Every transition
//! is in this file.
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
//! 1. Each request of an attempt, the first one and one for each redirect, uses its own connection. User
//!    info in a URL becomes an `Authorization` header and isn't sent in any other way.
//! 2. `connect_timeout` limits the time to establish a connection: DNS, TCP, proxy and TLS together.
//!    `read_timeout` starts when the connection is established, and limits the wait for the head.
//! 3. The fault tells whether a server may have acted on the request: `Fault::Connect` and
//!    `Fault::ConnectTimeout` if no request was sent or the server reports that it was not processed,
//!    otherwise `Fault::Request`. After a redirect it is always `Fault::Request`, because the redirecting
//!    server may have acted; a 303 even says so.
//! 4. A request that can't be sent completely isn't a failure yet: a server may respond early and stop
//!    reading. The failure is reported only if no response arrives.
//! 5. Redirects (301, 302, 303, 307, 308) are followed up to a limit, to http and https URLs only.
//!    Credentials stay with their origin, see [`withhold`](policy::withhold). `Start` and
//!    `ErrorResponse` name the headers that weren't sent.
//! 6. Status, media type and content coding, in this order, decide whether a response is a stream, see
//!    [`judge`](policy::judge). Of any other response, up to 1 KiB of the body is kept, within 2 s. A
//!    body that breaks, stalls or can't be decoded doesn't hide the error it belongs to.
//! 7. Each `handle_*` acts only in its own state and is ignored in all others. A misbehaving caller can't
//!    make a request that was sent look like one that wasn't.
//! 8. With a `policy::CookieJar` (feature `cookies`), the cookies of every response are stored, redirects
//!    and errors included, and each request carries the cookies that RFC 6265 allows for its URL. They
//!    are appended to the user's `Cookie` header, which stays with its origin (rule 5).

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

/// How much of an error's body is kept by default.
pub const ERROR_BODY: usize = 1 << 10;

/// How long reading an error's body may take.
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
    /// The number of redirects followed.
    followed: usize,
    /// Headers that did not follow a redirect.
    withheld: Vec<HeaderName>,
    /// How many bytes of an error's body to keep.
    error_body: usize,
    /// Headers that don't even follow an upgrade to `https`.
    pinned: Vec<HeaderName>,
    /// The redirect that led here.
    redirect: Option<Box<ErrorResponse>>,
    /// Rule 4.
    send_failure: Option<BoxError>,
    /// Rule 8.
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
    /// Creates an attempt that starts now.
    pub fn new(mut request: Request, config: Config, now: Timestamp) -> Self {
        let mut pinned = Vec::new();
        for (name, value) in &mut request.headers {
            if value.is_sensitive() {
                pinned.push(name.clone());
            }
            // Credentials are sensitive too, but are pinned only if the user marked them.
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

    /// The number of redirects followed.
    pub fn followed(&self) -> usize {
        self.followed
    }

    /// The names of headers that did not follow a redirect to another origin.
    pub fn withheld(&self) -> &[HeaderName] {
        &self.withheld
    }

    /// The response that redirected to the current request, without its body.
    pub fn redirect(&self) -> Option<&ErrorResponse> {
        self.redirect.as_deref()
    }

    /// Returns what to do next. The output changes only after a `handle_*` call, except that a fault is
    /// returned once.
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

    /// Reports that the connection was established (rule 2).
    pub fn handle_connected(&mut self, now: Timestamp) {
        if matches!(self.state, State::Connecting { .. }) {
            self.state = State::Receiving {
                deadline: self.config.read_timeout.map(|limit| now + limit),
            };
        }
    }

    /// Reports that connecting failed. Nothing was sent (rule 3).
    pub fn handle_connect_failure(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Connecting { .. }) {
            self.fail(Fault::Connect(error.into()));
        }
    }

    /// Reports that the settings don't allow a connection to this URL at all.
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

    /// Reports that the request could not be sent completely (rule 4).
    pub fn handle_send_failure(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Receiving { .. }) {
            self.send_failure.get_or_insert(error.into());
        }
    }

    /// Reports that the server can't have acted on the request: it was not sent after all, or an HTTP/2
    /// server said so (RFC 9113, section 8.7).
    pub fn handle_unprocessed(&mut self, error: impl Into<BoxError>) {
        if matches!(self.state, State::Receiving { .. }) {
            self.fail(Fault::Connect(error.into()));
        }
    }

    /// Reports that the server can't have acted on the request, and that it should be sent over another
    /// connection, as HTTP/2 servers can demand. Rule 2 applies to that connection as to the first one.
    pub fn handle_reconnect(&mut self, now: Timestamp) {
        if matches!(self.state, State::Receiving { .. }) {
            self.connect(now);
        }
    }

    /// Reports that the connection failed or ended before a head arrived.
    pub fn handle_failure(&mut self, error: impl Into<BoxError>) {
        if !matches!(self.state, State::Receiving { .. }) {
            return;
        }
        let error = self.send_failure.take().unwrap_or_else(|| error.into());
        self.fail(Fault::Request(error));
    }

    /// Passes in the head of a response that isn't informational. `wall_clock` is for dates in
    /// `Retry-After`.
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
                    headers: to_core_headers(&headers),
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
            // A body in an unsupported coding is kept as received.
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
        response.headers = to_core_headers(headers);
        response.url = self.request.url.to_string();
        response.retry_after = policy::retry_after(headers, wall_clock);
        response.withheld_headers = self.withheld_names();
        response
    }

    fn withheld_names(&self) -> Vec<String> {
        self.withheld.iter().map(HeaderName::to_string).collect()
    }

    /// Keeps up to this many bytes of an error's body, instead of [`ERROR_BODY`].
    pub fn keep_error_body(&mut self, bytes: usize) {
        self.error_body = bytes;
    }

    /// Passes in bytes of an error's body, decoded. Bytes beyond the limit are dropped.
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

    /// Reports that an error's body has ended, or can't be read any further.
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

    /// Checks the deadline, and acts if it has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let has_passed = |deadline: &Option<Timestamp>| deadline.is_some_and(|it| it <= now);
        match &self.state {
            State::Connecting { deadline } if has_passed(deadline) => {
                let limit = self.config.connect_timeout.unwrap_or_default();
                self.fail(Fault::ConnectTimeout(limit));
            }
            State::Receiving { deadline } if has_passed(deadline) => {
                let limit = self.config.read_timeout.unwrap_or_default();
                self.fail(Fault::ResponseTimeout(limit));
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

fn to_core_headers(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
