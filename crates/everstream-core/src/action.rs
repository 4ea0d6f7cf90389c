//! What the user of a client receives.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::event::Event;
use crate::fault::Fault;
use crate::headers::Headers;
use crate::url::RedactedUrl;

/// One notification from a stream: an event, or something that happened to the connection.
///
/// ```
/// use everstream_core::{Action, Event};
///
/// let action = Action::Event(Event::new("", "hello", None));
/// match action {
///     Action::Start(start) => println!("connected, attempt {}", start.attempt),
///     Action::Event(event) => println!("{}: {}", event.event(), event.data()),
///     Action::Comment(text) => println!("comment: {text}"),
///     Action::Fault(fault) => println!("lost the connection: {fault}"),
///     Action::End(_) => println!("the server ended the connection"),
///     _ => {}
/// }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Action {
    /// The server answered with a stream.
    Start(Box<Start>),
    /// An event.
    Event(Event),
    /// A comment: the text after the colon.
    Comment(String),
    /// The connection broke, or could not be made.
    Fault(Fault),
    /// The connection ended cleanly, or the user interrupted it.
    End(Box<End>),
}

/// How a connection ended without a fault.
///
/// ```
/// use everstream_core::End;
///
/// let end = End::default();
/// assert_eq!((end.discarded_bytes, end.ignored_text, end.not_repeated), (0, None, false));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The size of the unfinished event that was discarded because the stream ended before its blank line
    /// (WHATWG HTML, 9.2.6). Comments don't count. 0 after an interruption.
    pub discarded_bytes: usize,
    /// The first 200 bytes of a response that contained no field and no comment, such as an error in
    /// JSON.
    pub ignored_text: Option<String>,
    /// The error strategy would reconnect, but the stream ends here: the request isn't safe to repeat
    /// (RFC 9110, section 9.2.1), and the server may have acted on it.
    pub not_repeated: bool,
}

/// An established connection.
///
/// ```
/// use everstream_core::Start;
///
/// let start = Start::default();
/// assert_eq!((start.status, start.attempt), (None, 0));
/// ```
#[non_exhaustive]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The status code, for HTTP.
    pub status: Option<u16>,
    /// The response headers, for HTTP. `None`: the source provided none. See [`header`](Self::header).
    pub headers: Option<Headers>,
    /// The URL that answered, after redirects. Its query may contain secrets.
    pub url: Option<String>,
    /// The number of attempts since the last connection: 1 if the first one succeeded.
    pub attempt: u32,
    /// The names of headers that were not sent to this URL, because a redirect led to an origin other
    /// than the one they are meant for.
    pub withheld_headers: Vec<String>,
}

impl Start {
    /// Creates a `Start` with this status. Set the other fields afterwards.
    ///
    /// ```
    /// assert_eq!(everstream_core::Start::new(200).status, Some(200));
    /// ```
    pub fn new(status: u16) -> Self {
        Start {
            status: Some(status),
            ..Start::default()
        }
    }

    /// The first value of the header with this name. Case is ignored.
    ///
    /// ```
    /// use everstream_core::{Headers, Start};
    ///
    /// let mut start = Start::new(200);
    /// assert_eq!(start.header("server"), None);
    /// start.headers = Some(Headers::from_iter([("Server", "nginx")]));
    /// assert_eq!(start.header("server"), Some("nginx"));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name)
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("url", &self.url.as_deref().map(RedactedUrl))
            .field("attempt", &self.attempt)
            .field("withheld_headers", &self.withheld_headers)
            .finish()
    }
}
