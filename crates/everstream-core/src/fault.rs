//! Why a connection ended.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::failure::{Failure, FailureKind};
use crate::headers::Headers;
use crate::item::TooLarge;
use crate::url::RedactedUrl;

/// Any error, as the cause of a [`Fault`].
///
/// ```
/// use everstream_core::{BoxError, Fault};
///
/// let cause: BoxError = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
/// let fault = Fault::Read(cause);
/// assert_eq!(fault.to_string(), "the connection broke");
/// ```
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a connection broke, or could not be made.
///
/// If the server ended the connection cleanly, or the user interrupted it, there is no fault: strategies
/// get `None`, and the user gets an [`Action::End`](crate::Action::End).
///
/// `Display` prints this level only; the cause is in [`source`](core::error::Error::source).
///
/// ```
/// use everstream_core::Fault;
///
/// let fault = Fault::Connect("connection refused".into());
/// assert!(fault.is_connect());
/// assert_eq!(fault.to_string(), "could not connect");
/// assert_eq!(std::error::Error::source(&fault).unwrap().to_string(), "connection refused");
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Fault {
    /// No connection could be made: DNS, TCP, TLS or proxy. Or an HTTP/2 server reported that it didn't
    /// process the request. Either way the server can't have acted on the request.
    Connect(BoxError),
    /// No connection could be made within this time. No request was sent.
    ConnectTimeout(Duration),
    /// The request failed before a response arrived; the server may have received it.
    Request(BoxError),
    /// The status of the response isn't 2xx, or is 204.
    Status(Box<ErrorResponse>),
    /// The content type of the response isn't `text/event-stream`.
    ContentType(Box<ErrorResponse>),
    /// The content coding of the response isn't supported.
    ContentEncoding(Box<ErrorResponse>),
    /// The response is a redirect that wasn't followed.
    Redirect(Box<ErrorResponse>, RedirectProblem),
    /// The connection broke while the stream was read.
    Read(BoxError),
    /// No response arrived within the read timeout. The server may have received the request.
    ResponseTimeout(Duration),
    /// No data of the stream was received for this long. Any data counts, comments too.
    ReadTimeout(Duration),
    /// The server sent an event larger than the limit.
    TooLarge(TooLarge),
    /// The stream ended before its expected last event, such as `[DONE]`.
    Incomplete,
    /// The request couldn't be made: a setting is invalid, or a hook failed. Nothing was sent.
    Setup(BoxError),
    /// A custom source failed, for an unknown reason. The request counts as sent.
    Source(BoxError),
}

/// Why a redirect wasn't followed.
///
/// ```
/// use everstream_core::{ErrorResponse, Fault, RedirectProblem};
///
/// let response = Box::new(ErrorResponse::new(302));
/// let fault = Fault::Redirect(response, RedirectProblem::TooMany(10));
/// assert_eq!(fault.to_string(), "the server exceeded the limit of 10 redirects");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectProblem {
    /// There were more redirects than this limit.
    TooMany(usize),
    /// The `Location` header is missing or isn't a URL.
    BadLocation,
    /// The target isn't `http` or `https`.
    Scheme,
    /// The target can't be reached with these settings: there are no root certificates, or no TLS at all.
    /// See [`ErrorResponse::cause`].
    Unreachable,
}

/// A response that isn't a stream.
///
/// ```
/// use everstream_core::{ErrorResponse, Fault, Headers};
///
/// let mut response = ErrorResponse::new(200);
/// response.url = "https://example.com/feed?token=secret".into();
/// response.headers = Headers::from_iter([("content-type", "text/html")]);
/// assert!(!format!("{response:?}").contains("secret"));
/// let fault = Fault::ContentType(Box::new(response));
/// assert_eq!(fault.headers().and_then(|all| all.get("Content-Type")), Some("text/html"));
/// ```
#[non_exhaustive]
#[derive(Clone)]
pub struct ErrorResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The URL that answered, after redirects. Its query may contain secrets.
    pub url: String,
    /// The first KiB of the body.
    pub body: Vec<u8>,
    /// The time that a `Retry-After` header asks for (RFC 9110, section 10.2.3).
    pub retry_after: Option<Duration>,
    /// Why the redirect wasn't followed, or the error from which a custom source made this response.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
    /// The names of headers that were not sent to this URL, because a redirect led to an origin other
    /// than the one they are meant for.
    pub withheld_headers: Vec<String>,
}

impl ErrorResponse {
    /// Creates a response with this status. Set the other fields afterwards.
    ///
    /// ```
    /// use everstream_core::{ErrorResponse, Fault};
    ///
    /// let mut response = ErrorResponse::new(503);
    /// response.retry_after = Some(std::time::Duration::from_secs(5));
    /// let fault = Fault::Status(Box::new(response));
    /// assert_eq!(fault.status(), Some(503));
    /// ```
    pub fn new(status: u16) -> Self {
        ErrorResponse {
            status,
            headers: Headers::default(),
            url: String::new(),
            body: Vec::new(),
            retry_after: None,
            cause: None,
            withheld_headers: Vec::new(),
        }
    }
}

impl Fault {
    /// Whether this is a timeout.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::ReadTimeout(std::time::Duration::from_secs(60)).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Fault::ConnectTimeout(_) | Fault::ResponseTimeout(_) | Fault::ReadTimeout(_)
        )
    }

    /// Whether no connection was made, or the server reported that it didn't process the request. Any
    /// request is then safe to send again.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::Connect("refused".into()).is_connect());
    /// assert!(!Fault::Read("reset".into()).is_connect());
    /// ```
    pub fn is_connect(&self) -> bool {
        matches!(self, Fault::Connect(_) | Fault::ConnectTimeout(_))
    }

    /// The [`Failure`] that caused this fault, if the cause is one.
    ///
    /// ```
    /// use everstream_core::{Failure, FailureKind, Fault};
    ///
    /// assert!(Fault::Read("torn".into()).failure().is_none());
    /// let failure = Failure::new(FailureKind::Reset, "the server reset the connection");
    /// assert!(Fault::Read(failure.into()).failure().is_some());
    /// ```
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Fault::Connect(error)
            | Fault::Request(error)
            | Fault::Read(error)
            | Fault::Setup(error)
            | Fault::Source(error) => error
                .downcast_ref()
                // After a redirect, a fault contains another one.
                .or_else(|| error.downcast_ref::<Fault>()?.failure()),
            _ => None,
        }
    }

    /// A warning to log when this fault is retried because an earlier connection succeeded, although
    /// [`reconnect`](crate::error_strategy::reconnect) would have given up on the first attempt: for an
    /// untrusted certificate, or a proxy that requires other credentials. Otherwise `None`.
    ///
    /// ```
    /// use everstream_core::{Failure, FailureKind, Fault};
    ///
    /// let failure = Failure::new(FailureKind::Untrusted, "the certificate has expired");
    /// let warning = Fault::Connect(failure.into()).retry_warning().unwrap();
    /// assert!(warning.starts_with("retrying although the certificate is not trusted"));
    /// assert_eq!(Fault::Connect("refused".into()).retry_warning(), None);
    /// ```
    pub fn retry_warning(&self) -> Option<&'static str> {
        self.failure().and_then(Failure::retry_warning)
    }

    /// Whether the server closed or reset the connection before the end of its response.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(!Fault::Read("torn".into()).is_disconnect());
    /// ```
    pub fn is_disconnect(&self) -> bool {
        let is_end =
            |failure: &Failure| matches!(failure.kind(), FailureKind::Closed | FailureKind::Reset);
        matches!(self, Fault::Request(_) | Fault::Read(_)) && self.failure().is_some_and(is_end)
    }

    /// Whether certainly no request was sent, so that any request may be retried.
    pub(crate) fn is_before_request(&self) -> bool {
        self.is_connect() || matches!(self, Fault::Setup(_))
    }

    /// The response, if the server sent one that isn't a stream.
    ///
    /// ```
    /// # use everstream_core::{ErrorResponse, Fault};
    /// let fault = Fault::Status(Box::new(ErrorResponse::new(404)));
    /// assert_eq!(fault.response().unwrap().status, 404);
    /// ```
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Fault::Status(response)
            | Fault::ContentType(response)
            | Fault::ContentEncoding(response)
            | Fault::Redirect(response, _) => Some(response),
            _ => None,
        }
    }

    /// The status code of the response, if there was one.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert_eq!(Fault::Incomplete.status(), None);
    /// ```
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// The headers of the response, if there was one.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::Incomplete.headers().is_none());
    /// ```
    pub fn headers(&self) -> Option<&Headers> {
        self.response().map(|response| &response.headers)
    }

    /// How long the server asked the client to wait, with `Retry-After`.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::Incomplete.retry_after().is_none());
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.response().and_then(|response| response.retry_after)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = self.failure() {
            return failure.fmt(f);
        }
        match self {
            Fault::Connect(_) => f.write_str("could not connect"),
            Fault::ConnectTimeout(limit) => {
                write!(
                    f,
                    "could not connect within {} (connect_timeout)",
                    spaced(*limit)
                )
            }
            Fault::Request(_) => f.write_str("the request failed before a response arrived"),
            // Without TLS, a proxy answers in place of the server.
            Fault::Status(response) if response.status == 407 => {
                let url = match response.url.as_str() {
                    "" => String::new(),
                    url => format!(" for {}", RedactedUrl(url)),
                };
                write!(f, "the proxy requires credentials{url} (407)")
            }
            Fault::Status(response) => {
                write!(
                    f,
                    "{} answered with status {}",
                    redacted(&response.url),
                    response.status
                )
            }
            Fault::ContentType(response) => match response.headers.get("content-type") {
                Some(value) => write!(
                    f,
                    "{} answered with content type {value:?} instead of text/event-stream",
                    redacted(&response.url)
                ),
                None => write!(
                    f,
                    "{} answered without a content type; text/event-stream is needed",
                    redacted(&response.url)
                ),
            },
            Fault::ContentEncoding(response) => write!(
                f,
                "{} answered with content encoding {:?}, which isn't supported",
                redacted(&response.url),
                response.headers.get("content-encoding").unwrap_or_default()
            ),
            Fault::Redirect(response, problem) => {
                let (url, status) = (redacted(&response.url), response.status);
                match problem {
                    RedirectProblem::TooMany(limit) => {
                        write!(f, "{url} exceeded the limit of {limit} redirects")
                    }
                    RedirectProblem::BadLocation => {
                        write!(f, "{url} redirects ({status}) without a usable Location")
                    }
                    RedirectProblem::Unreachable => {
                        write!(
                            f,
                            "{url} redirects ({status}) to a URL this client is not configured to reach"
                        )
                    }
                    RedirectProblem::Scheme => {
                        write!(f, "{url} redirects ({status}) to something other than HTTP")
                    }
                }
            }
            Fault::Read(_) => f.write_str("the connection broke"),
            Fault::ResponseTimeout(limit) => {
                write!(f, "no response within {} (read_timeout)", spaced(*limit))
            }
            Fault::ReadTimeout(limit) => {
                write!(f, "no data received for {} (read_timeout)", spaced(*limit))
            }
            Fault::TooLarge(error) => error.fmt(f),
            Fault::Incomplete => f.write_str("the stream ended before its end marker (until)"),
            Fault::Setup(_) => f.write_str("the connection could not be attempted"),
            Fault::Source(_) => f.write_str("the source failed"),
        }
    }
}

/// ```
/// use everstream_core::{Decoder, Fault, Oversize};
///
/// fn decode(chunk: &mut &[u8]) -> Result<(), Fault> {
///     Decoder::with_limit(1, Oversize::Fail).decode(chunk)?;
///     Ok(())
/// }
/// let fault = decode(&mut &b"data: too large\n\n"[..]).unwrap_err();
/// assert!(matches!(fault, Fault::TooLarge(_)));
/// ```
impl From<TooLarge> for Fault {
    fn from(error: TooLarge) -> Self {
        Fault::TooLarge(error)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if self.failure().is_some() {
            return None;
        }
        match self {
            Fault::Connect(error)
            | Fault::Request(error)
            | Fault::Read(error)
            | Fault::Setup(error)
            | Fault::Source(error) => Some(&**error),
            // `Display` prints the error itself.
            Fault::TooLarge(_) => None,
            _ => match &self.response()?.cause {
                Some(cause) => Some(&**cause),
                None => None,
            },
        }
    }
}

impl fmt::Debug for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("url", &RedactedUrl(&self.url))
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("retry_after", &self.retry_after)
            .field("cause", &self.cause)
            .field("withheld_headers", &self.withheld_headers)
            .finish()
    }
}

/// The duration with a space before its unit, as in "10 s".
fn spaced(time: Duration) -> String {
    let mut text = format!("{time:?}");
    let is_unit = |char: char| !char.is_ascii_digit() && char != '.';
    if let Some(unit) = text.find(is_unit) {
        text.insert(unit, ' ');
    }
    text
}

fn redacted(url: &str) -> RedactedUrl<'_> {
    RedactedUrl(if url.is_empty() { "the server" } else { url })
}
