//! Why a connection ended.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::headers::Headers;
use crate::item::TooLarge;

/// Any error, as the cause of a [`Fault`].
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a connection ended, or why there is none.
///
/// A connection that the server ended in an orderly way, and one that was interrupted, have no
/// fault: strategies and [`Action::Fault`](crate::Action::Fault) see `None` then.
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
    /// No connection could be made: name look-up, TCP, TLS or proxy. No request was sent.
    Connect(BoxError),
    /// No connection could be made within this time. No request was sent.
    ConnectTimeout(Duration),
    /// The request failed after it may have reached the server, and before a response came.
    Request(BoxError),
    /// The response's status isn't that of a stream: not 2xx, or 204.
    Status(Box<ErrorResponse>),
    /// The response's content type isn't `text/event-stream`.
    ContentType(Box<ErrorResponse>),
    /// The response's content coding isn't one that is decoded here.
    ContentEncoding(Box<ErrorResponse>),
    /// The response is a redirect that wasn't followed.
    Redirect(Box<ErrorResponse>, RedirectProblem),
    /// The connection broke while the stream was read.
    Read(BoxError),
    /// No byte came for this long. Comments count as bytes.
    ReadTimeout(Duration),
    /// The server sent an event larger than the limit.
    TooLarge(TooLarge),
    /// The stream ended before the sentinel that was to be its last event.
    Incomplete,
    /// The connection couldn't be attempted: the user's own part failed. No request was sent.
    Other(BoxError),
}

/// Why a redirect wasn't followed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectProblem {
    /// There were as many redirects as are allowed; this is the limit.
    TooMany(usize),
    /// The `Location` header is missing or isn't a URL.
    BadLocation,
    /// The target isn't `http` or `https`.
    Scheme,
}

/// A response that isn't a stream.
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

    /// Whether no connection was made, so that surely no request was sent.
    ///
    /// ```
    /// # use everstream_core::Fault;
    /// assert!(Fault::Connect("refused".into()).is_connect());
    /// assert!(!Fault::Read("reset".into()).is_connect());
    /// ```
    pub fn is_connect(&self) -> bool {
        matches!(self, Fault::Connect(_) | Fault::ConnectTimeout(_))
    }

    /// Whether surely no request was sent, so that any request may be tried again.
    pub(crate) fn is_before_request(&self) -> bool {
        self.is_connect() || matches!(self, Fault::Other(_))
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
            Fault::Other(_) => f.write_str("the connection could not be attempted"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Fault::Connect(error)
            | Fault::Request(error)
            | Fault::Read(error)
            | Fault::Other(error) => Some(&**error),
            Fault::TooLarge(error) => Some(error),
            _ => None,
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
            .finish()
    }
}

fn at(url: &str) -> RedactedUrl<'_> {
    RedactedUrl(if url.is_empty() { "the server" } else { url })
}

/// A URL as it may be printed: without user info, query and fragment, where secrets are.
///
/// ```
/// use everstream_core::RedactedUrl;
///
/// let url = RedactedUrl("https://user:pw@example.com/feed?token=secret");
/// assert_eq!(url.to_string(), "https://example.com/feed");
/// assert_eq!(RedactedUrl("user:pw@example.com/feed").to_string(), "example.com/feed");
/// // A password that ought to have been escaped.
/// assert_eq!(RedactedUrl("http://user:p/w@example.com/").to_string(), "http://...");
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(
    /// The whole URL.
    pub &'a str,
);

const SLASHES: [char; 2] = ['/', '\\'];
const END_OF_AUTHORITY: [char; 4] = ['/', '\\', '?', '#'];

/// Whether this can be a host, with a port or without.
fn is_host(authority: &str) -> bool {
    match authority.rsplit_once(':') {
        // Its colons are those of an IPv6 address.
        _ if authority.ends_with(']') => true,
        Some((_, port)) => !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => true,
    }
}

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parsers skip white space, and take any number of slashes of either kind for two.
        let url = self.0.trim_start();
        let slashes = match url.find(SLASHES) {
            Some(0) => 0,
            Some(slash) if url[..slash].ends_with(':') => slash,
            // As it is typed when the scheme is forgotten.
            _ => url.len(),
        };
        let rest = url[slashes..].trim_start_matches(SLASHES);
        let path_only = slashes == 0 && url.len() - rest.len() == 1;
        let rest = match url.len() - slashes {
            0 => url,
            _ => {
                f.write_str(&url[..slashes])?;
                f.write_str(if path_only { "/" } else { "//" })?;
                rest
            }
        };
        // User info ends at the last '@' before the path (WHATWG URL, authority state).
        let authority = &rest[..rest.find(END_OF_AUTHORITY).unwrap_or(rest.len())];
        let at = match authority.rfind('@') {
            _ if path_only => None,
            Some(at) => Some(at),
            // A password with one of those characters in it, which ought to be escaped: nobody can
            // tell where it ends.
            None if !is_host(authority) && rest.contains('@') => return f.write_str("..."),
            None => None,
        };
        let host = at.map_or(0, |at| at + 1);
        let shown = rest[host..].split(['?', '#']).next().unwrap_or_default();
        f.write_str(shown)
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&alloc::format!("{self}"), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn no_way_of_writing_a_url_prints_its_password() {
        for url in [
            "http://user:secret@host/x",
            "http:/user:secret@host/x",
            "http:///user:secret@host/x",
            "http:\\\\user:secret@host/x",
            "http:/\\user:secret@host/x",
            "\t http://user:secret@host/x",
            "http://user:secret@host:99999/x",
            "http://user:secret@@host/x",
            "http://user:/secret@host/x",
            "http://user:sec/secret@host/x",
            "http://user:sec\\secret@host/x",
            "http://user:sec#secret@host/x",
            "http://user:sec?secret@host/x?secret",
            "http://host:wrong/x?secret=a@secret",
            "http:user:secret@host/x",
            "//user:secret@host/x",
            "user:secret@host/x",
        ] {
            let shown = RedactedUrl(url).to_string();
            assert!(!shown.contains("sec"), "{url} is shown as {shown}");
            let scheme = if url.contains("http:/") || url.contains("http:\\") {
                "http://"
            } else {
                ""
            };
            assert!(shown.starts_with(scheme), "{url} is shown as {shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for url in [
            "http://host/@user/feed",
            "http://[::1]:80/a@b",
            "http://[::1]/a@b",
            "host:8080/a@b",
            "host/a@b",
            "/a@b",
            "//host/a",
            "file:///etc/a",
        ] {
            let expected = url.replace("///", "//");
            assert_eq!(RedactedUrl(url).to_string(), expected);
        }
    }
}
