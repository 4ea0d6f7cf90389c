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

use std::time::{Duration, SystemTime};

use everstream_core::{BoxError, ErrorResponse, Fault, Headers, RedirectProblem, Start, Timestamp};
use http::{HeaderMap, HeaderName, Method};
use url::Url;

use crate::policy::{self, ContentCoding, HeaderScope, Verdict};

/// How much of the body of an error is kept.
pub const ERROR_BODY: usize = 1 << 10;

/// How long the body of an error may take.
pub const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// A request, except for its body.
///
/// ```
/// use everstream_http::exchange::Request;
/// use http::{HeaderMap, Method};
///
/// let request = Request {
///     method: Method::GET,
///     url: "https://example.com/feed".parse()?,
///     headers: HeaderMap::new(),
///     has_body: false,
/// };
/// assert_eq!(request.url.path(), "/feed");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its headers. `Host` is that of the URL if it isn't among them.
    pub headers: HeaderMap,
    /// Whether the body of the attempt goes with it. Redirects may drop it.
    pub has_body: bool,
}

impl Request {
    /// The GET that resumes the stream of this request, see
    /// [`rewrite_to_resume`](policy::rewrite_to_resume).
    ///
    /// ```
    /// use everstream_http::exchange::Request;
    /// use http::{HeaderMap, Method};
    ///
    /// let request = Request {
    ///     method: Method::POST,
    ///     url: "https://example.com/mcp".parse()?,
    ///     headers: HeaderMap::new(),
    ///     has_body: true,
    /// };
    /// let resumed = request.resumed();
    /// assert_eq!((resumed.method, resumed.has_body), (Method::GET, false));
    /// # Ok::<(), url::ParseError>(())
    /// ```
    #[must_use]
    pub fn resumed(mut self) -> Self {
        policy::rewrite_to_resume(&mut self.method, &mut self.headers);
        self.has_body = false;
        self
    }
}

/// The settings of an attempt.
///
/// ```
/// use everstream_http::exchange::Config;
///
/// assert_eq!(Config::default().redirect_limit, 10);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How many redirects are followed. Default: 10.
    pub redirect_limit: usize,
    /// Which headers stay with their origin. Default: the sensitive ones.
    pub header_scope: HeaderScope,
    /// The content codings that the caller decodes. Default: none.
    pub codings: &'static [ContentCoding],
    /// The time to a connection. Default: no limit.
    pub connect_timeout: Option<Duration>,
    /// The time from a connection to a head. Default: no limit.
    pub read_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            redirect_limit: policy::MAX_REDIRECTS,
            header_scope: HeaderScope::default(),
            codings: &[],
            connect_timeout: None,
            read_timeout: None,
        }
    }
}

/// What the caller does next.
///
/// ```
/// use everstream_http::exchange::Output;
///
/// assert!(matches!(Output::Stream(None), Output::Stream(_)));
/// ```
#[derive(Debug)]
pub enum Output {
    /// Drop the connection, if there is one, and open another for [`Exchange::request`]; then call
    /// [`handle_connected`](Exchange::handle_connected) or
    /// [`handle_connect_failure`](Exchange::handle_connect_failure), or
    /// [`handle_timeout`](Exchange::handle_timeout) at the deadline.
    Connect {
        /// Until when.
        deadline: Option<Timestamp>,
    },
    /// Send the request, and receive at the same time until the head of a response is there; then call
    /// [`handle_head`](Exchange::handle_head) or [`handle_failure`](Exchange::handle_failure), or
    /// [`handle_timeout`](Exchange::handle_timeout) at the deadline.
    Receive {
        /// Until when.
        deadline: Option<Timestamp>,
    },
    /// Read the body, decoded if possible, and pass it to [`handle_body`](Exchange::handle_body) until
    /// this output changes; or call [`handle_body_end`](Exchange::handle_body_end) at its end or when
    /// it breaks, or [`handle_timeout`](Exchange::handle_timeout) at the deadline.
    ReadError {
        /// The coding of the body, if it can be decoded.
        coding: Option<ContentCoding>,
        /// Until when.
        deadline: Timestamp,
    },
    /// The body is an event stream in this coding. [`Exchange::start`] describes the response.
    Stream(Option<ContentCoding>),
    /// The attempt has failed. It is returned once.
    Failed(Fault),
}

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
    /// Headers that don't follow an upgrade to `https` either.
    pinned: Vec<HeaderName>,
    /// The redirect that led here.
    redirect: Option<Box<ErrorResponse>>,
    /// Rule 4.
    send_failure: Option<BoxError>,
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
            pinned,
            redirect: None,
            send_failure: None,
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
                let again = || Fault::Other("this attempt has failed already".into());
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
            start.headers = headers.clone();
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
        self.fail(Fault::Connect(error.into()));
    }

    /// The settings don't allow a connection to this URL at all.
    pub fn handle_unreachable(&mut self, error: impl Into<BoxError>) {
        match self.redirect.take() {
            Some(mut response) => {
                response.cause = Some(std::sync::Arc::from(error.into()));
                self.fail(Fault::Redirect(response, RedirectProblem::Unreachable));
            }
            None => self.fail(Fault::Other(error.into())),
        }
    }

    /// The request could not be sent to its end (rule 4).
    pub fn handle_send_failure(&mut self, error: impl Into<BoxError>) {
        self.send_failure.get_or_insert(error.into());
    }

    /// The server can't have acted on the request: it was not sent after all, or the server says so, as
    /// HTTP/2 can (RFC 9113, section 8.7).
    pub fn handle_unprocessed(&mut self, error: impl Into<BoxError>) {
        self.fail(Fault::Connect(error.into()));
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
        let problem = match policy::judge(status, &headers, self.config.codings) {
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
            coding: policy::content_coding(&headers, self.config.codings)
                .ok()
                .flatten(),
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

    /// Bytes of the body of an error, decoded. Those beyond [`ERROR_BODY`] are dropped.
    pub fn handle_body(&mut self, bytes: &[u8]) {
        let State::ReadingError { response, .. } = &mut self.state else {
            return;
        };
        let missing = ERROR_BODY - response.body.len();
        let kept = &bytes[..bytes.len().min(missing)];
        response.body.extend_from_slice(kept);
        if response.body.len() == ERROR_BODY {
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
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        let fault = match fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) | Fault::Other(_) if self.followed > 0 => {
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
