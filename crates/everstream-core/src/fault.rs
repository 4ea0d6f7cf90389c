//! Why a connection ended.

use alloc::boxed::Box;
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

/// Why a connection ended, or why there is none.
///
/// A connection that the server ended in an orderly way, and one that was interrupted, have no
/// fault: strategies get `None` then, and the user an [`Action::End`](crate::Action::End).
///
/// `Display` says what happened at this level; the cause is behind
/// [`source`](core::error::Error::source).
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
    /// No connection could be made: DNS, TCP, TLS or proxy. Or the server says over HTTP/2 that it
    /// didn't process the request. It can't have acted on the request.
    Connect(BoxError),
    /// No connection could be made within this time. No request was sent.
    ConnectTimeout(Duration),
    /// The request failed before a response arrived; the server may have received it.
    Request(BoxError),
    /// The response's status isn't that of a stream: not 2xx, or 204.
    Status(Box<ErrorResponse>),
    /// The response's content type isn't `text/event-stream`.
    ContentType(Box<ErrorResponse>),
    /// The response's content coding isn't supported.
    ContentEncoding(Box<ErrorResponse>),
    /// The response is a redirect that wasn't followed.
    Redirect(Box<ErrorResponse>, RedirectProblem),
    /// The connection broke while the stream was read.
    Read(BoxError),
    /// No data was received for this long. Any data counts, comments too.
    ReadTimeout(Duration),
    /// The server sent an event larger than the limit.
    TooLarge(TooLarge),
    /// The stream ended before its expected last event, such as `[DONE]`.
    Incomplete,
    /// The request couldn't be made: a setting can't be used, or a hook failed. Nothing was sent.
    Setup(BoxError),
    /// A custom source failed, and nothing more is known. The request counts as sent.
    Source(BoxError),
}

/// Why a redirect wasn't followed.
///
/// ```
/// use everstream_core::{ErrorResponse, Fault, RedirectProblem};
///
/// let response = Box::new(ErrorResponse::new(302));
/// let fault = Fault::Redirect(response, RedirectProblem::TooMany(10));
/// assert_eq!(fault.to_string(), "the server redirects once more, after 10 redirects");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectProblem {
    /// There were as many redirects as are allowed; this is the limit.
    TooMany(usize),
    /// The `Location` header is missing or isn't a URL.
    BadLocation,
    /// The target isn't `http` or `https`.
    Scheme,
    /// The target can't be reached with these settings: there is no certificate to check it by, or
    /// no TLS at all. The cause is the response's.
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
    /// The URL that answered, after redirects. It may hold secrets in its query.
    pub url: String,
    /// The first KiB of the body.
    pub body: Vec<u8>,
    /// The time that a `Retry-After` header asks for (RFC 9110, section 10.2.3).
    pub retry_after: Option<Duration>,
    /// Why it isn't followed, or the error by which a source of the user's own told of it.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
    /// The names of headers that were not sent to this URL, because a redirect led to another origin
    /// than the one they were meant for.
    pub withheld_headers: Vec<String>,
}

impl ErrorResponse {
    /// A response with nothing but a status; its other fields may be set afterwards.
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
    /// Whether it was a time-out.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::ReadTimeout(std::time::Duration::from_secs(60)).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Fault::ConnectTimeout(_) | Fault::ReadTimeout(_))
    }

    /// Whether no connection was made, or the server says that it didn't process the request. Any
    /// request can then be sent again.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::Connect("refused".into()).is_connect());
    /// assert!(!Fault::Read("reset".into()).is_connect());
    /// ```
    pub fn is_connect(&self) -> bool {
        matches!(self, Fault::Connect(_) | Fault::ConnectTimeout(_))
    }

    /// The failure that this is about, if it was described as one.
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
                // After a redirect a fault holds another one.
                .or_else(|| error.downcast_ref::<Fault>()?.failure()),
            _ => None,
        }
    }

    /// What to warn of when this fault is retried after an earlier connection, if
    /// [`reconnect`](crate::error_strategy::reconnect) would have given up on the first attempt: a
    /// certificate that isn't trusted, or a proxy that requires other credentials. `None`: nothing.
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

    /// Whether the server closed or reset the connection before its response had ended.
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

    /// Whether surely no request was sent, so that any request may be tried again.
    pub(crate) fn is_before_request(&self) -> bool {
        self.is_connect() || matches!(self, Fault::Setup(_))
    }

    /// The response, if the server gave one that isn't a stream.
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

    /// How long the server asked to be left alone.
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
                write!(f, "could not connect within {limit:?} (connect_timeout)")
            }
            Fault::Request(_) => f.write_str("the request failed before a response came"),
            Fault::Status(response) => {
                write!(
                    f,
                    "{} answered with status {}",
                    at(&response.url),
                    response.status
                )
            }
            Fault::ContentType(response) => match response.headers.get("content-type") {
                Some(value) => write!(
                    f,
                    "{} answered with content type {value:?} instead of text/event-stream",
                    at(&response.url)
                ),
                None => write!(
                    f,
                    "{} answered without a content type; text/event-stream is needed",
                    at(&response.url)
                ),
            },
            Fault::ContentEncoding(response) => write!(
                f,
                "{} answered with content encoding {:?}, which isn't decoded here",
                at(&response.url),
                response.headers.get("content-encoding").unwrap_or_default()
            ),
            Fault::Redirect(response, problem) => {
                let (url, status) = (at(&response.url), response.status);
                match problem {
                    RedirectProblem::TooMany(limit) => {
                        write!(f, "{url} redirects once more, after {limit} redirects")
                    }
                    RedirectProblem::BadLocation => {
                        write!(f, "{url} redirects ({status}) without a usable Location")
                    }
                    RedirectProblem::Unreachable => {
                        write!(
                            f,
                            "{url} redirects ({status}) to where these settings don't lead"
                        )
                    }
                    RedirectProblem::Scheme => {
                        write!(f, "{url} redirects ({status}) to something other than HTTP")
                    }
                }
            }
            Fault::Read(_) => f.write_str("the connection broke"),
            Fault::ReadTimeout(limit) => {
                write!(f, "no byte came for {limit:?} (read_timeout)")
            }
            Fault::TooLarge(_) => f.write_str("the server sent more than is accepted"),
            Fault::Incomplete => f.write_str("the stream ended before its last event"),
            Fault::Setup(_) => f.write_str("the connection could not be attempted"),
            Fault::Source(_) => f.write_str("the source failed"),
        }
    }
}

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
            Fault::TooLarge(error) => Some(error),
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

fn at(url: &str) -> RedactedUrl<'_> {
    RedactedUrl(if url.is_empty() { "the server" } else { url })
}
