//! A recorded request.

use std::fmt;
use std::time::Duration;

/// A request as received.
///
/// ```
/// use everstream_testing::Server;
/// # use std::io::{Read, Write};
/// use std::time::Duration;
///
/// let server = Server::start();
/// let mut client = std::net::TcpStream::connect(server.addr())?;
/// client.write_all(b"GET /feed?from=7 HTTP/1.1\r\nLast-Event-ID: 7\r\n\r\n")?;
/// assert!(server.wait_for_requests(1, Duration::from_secs(10)));
///
/// let request = &server.requests()[0];
/// assert_eq!(request.path(), "/feed");
/// assert_eq!(request.query(), Some("from=7"));
/// assert_eq!(request.header("last-event-id"), Some("7"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The request target, as sent: usually path and query.
    pub target: String,
    /// The protocol version, such as `HTTP/1.1`.
    pub version: String,
    /// The headers in the order and spelling in which they were received. Values are raw bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
    /// The number of the request, counted from 1 over all connections.
    pub number: usize,
    /// The number of the connection, counted from 1 in the order of acceptance.
    pub connection: usize,
    /// When the request was completely read, counted from the server's first start.
    pub at: Duration,
}

impl Request {
    /// Returns the path of the target, without the query.
    ///
    /// ```
    /// # use everstream_testing::{Reply, Request, Server};
    /// let server = Server::with_handler(|request: &Request| match request.path() {
    ///     "/events" => Reply::stream().event("hello"),
    ///     _ => Reply::status(404),
    /// });
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the query of the target without the question mark, if there is one.
    ///
    /// ```
    /// # use everstream_testing::{Reply, Request, Server};
    /// let server = Server::with_handler(|request: &Request| {
    ///     Reply::stream().event(request.query().unwrap_or("no query"))
    /// });
    /// ```
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Returns the first value of a header, if there is one and it is UTF-8.
    ///
    /// Case is ignored.
    ///
    /// ```
    /// # use everstream_testing::{Reply, Request, Server};
    /// let server = Server::with_handler(|request: &Request| match request.header("Last-Event-ID") {
    ///     None => Reply::stream().event_with_id("1", "first"),
    ///     Some(_) => Reply::status(204),
    /// });
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// Returns the bytes of the first value of a header.
    ///
    /// ```
    /// # use everstream_testing::{Reply, Request, Server};
    /// let server = Server::with_handler(|request: &Request| match request.header_bytes("X-Key") {
    ///     Some(b"caf\xe9") => Reply::stream(),
    ///     _ => Reply::status(401),
    /// });
    /// ```
    #[must_use]
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// Returns all values of a header, in the order in which they were received.
    ///
    /// ```
    /// # use everstream_testing::{Reply, Request, Server};
    /// let server = Server::with_handler(|request: &Request| {
    ///     let cookies = request.header_values("Cookie").count();
    ///     Reply::stream().event(format!("{cookies} cookies"))
    /// });
    /// ```
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Whether the client expects to reuse the connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        let says = |word: &str| {
            connection
                .split(',')
                .any(|option| option.trim().eq_ignore_ascii_case(word))
        };
        if self.version == "HTTP/1.1" {
            !says("close")
        } else {
            says("keep-alive")
        }
    }
}

/// Prints bodies and values as text with escapes, so that failed assertions are readable.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Headers<'a>(&'a [(String, Vec<u8>)]);
        impl fmt::Debug for Headers<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map()
                    .entries(self.0.iter().map(|(name, value)| (name, Text(value))))
                    .finish()
            }
        }
        f.debug_struct("Request")
            .field("number", &self.number)
            .field("connection", &self.connection)
            .field("at", &self.at)
            .field("method", &self.method)
            .field("target", &self.target)
            .field("version", &self.version)
            .field("headers", &Headers(&self.headers))
            .field("body", &Text(&self.body))
            .finish()
    }
}

/// Prints bytes that are mostly text.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
