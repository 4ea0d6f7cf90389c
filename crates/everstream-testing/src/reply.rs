//! The script of one response.

use std::sync::Arc;
use std::time::Duration;

use crate::feed::Portion;
use crate::gate::Gate;

/// What the server does with one request: a head, then steps in order, then an ending.
///
/// By default a reply ends cleanly, as its framing requires, and the connection stays open for another
/// request. The steps are [`send`](Reply::send) and its variants, [`pause`](Reply::pause),
/// [`wait_for`](Reply::wait_for), [`open`](Reply::open) and the feeds. The endings are
/// [`end`](Reply::end), [`drop_connection`](Reply::drop_connection), [`reset`](Reply::reset),
/// [`half_close`](Reply::half_close) and [`stall`](Reply::stall). The last ending set applies, after all
/// steps.
///
/// ```
/// use everstream_testing::{Reply, Server};
/// use std::time::Duration;
///
/// let server = Server::start();
/// server.enqueue(Reply::stream().event_with_id("1", "hello").send("data: par").drop_connection());
/// server.enqueue(Reply::status(503).header("Retry-After", "1"));
/// server.enqueue(Reply::stream().retry(100).comment("hi").send("data: x\n\n").stall());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a reply does nothing until a server has it"]
pub struct Reply {
    pub(crate) head: Head,
    /// Waits between the request and the head.
    pub(crate) before_head: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
    pub(crate) cut: Option<Cut>,
    pub(crate) piece: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Head {
    Http {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Body,
    },
    /// The steps write everything.
    Raw,
    /// Like `Raw`, but without reading the request.
    OnAccept,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Chunked,
    Length(u64),
    Close,
    /// A length that is the sum of all sends.
    Whole,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Arc<[u8]>),
    Forever(Arc<[u8]>),
    Pause(Duration),
    WaitFor(Gate),
    Open(Gate),
    Follow { portion: Portion, resume: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Clean,
    Drop,
    Reset,
    HalfClose,
    Stall,
}

/// Cuts the connection at a byte of the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) at: usize,
    pub(crate) ending: Ending,
}

/// Constructors.
impl Reply {
    fn new(head: Head) -> Reply {
        Reply {
            head,
            before_head: Vec::new(),
            steps: Vec::new(),
            ending: Ending::Clean,
            cut: None,
            piece: usize::MAX,
        }
    }

    /// Begins an event stream: status 200, `Content-Type: text/event-stream`, chunked.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().event("hello").wire_bytes();
    /// assert!(wire.ends_with(b"\r\n\r\nd\r\ndata: hello\n\n\r\n0\r\n\r\n"));
    /// ```
    pub fn stream() -> Reply {
        let mut reply = Reply::status(200)
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-cache");
        reply.set_body(Body::Chunked);
        reply
    }

    /// Begins a response with this status. `Content-Length` is computed from what is sent.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::status(404).send("no such feed").wire_bytes();
    /// assert_eq!(wire, b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nno such feed");
    /// ```
    pub fn status(status: u16) -> Reply {
        Reply::new(Head::Http {
            status,
            headers: Vec::new(),
            body: Body::Whole,
        })
    }

    /// Begins a redirect: a status such as 307, and a `Location`.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::redirect(308, "/new").wire_bytes();
    /// assert!(wire.starts_with(b"HTTP/1.1 308 Permanent Redirect\r\nLocation: /new\r\n"));
    /// ```
    pub fn redirect(status: u16, location: impl Into<Vec<u8>>) -> Reply {
        Reply::status(status).header("Location", location)
    }

    /// Writes exactly these bytes, starting with the status line; the server adds nothing.
    ///
    /// The connection is dropped after them, because only the script knows whether they are a complete
    /// response. If they are, [`end`](Reply::end) leaves the connection open for another request. Without
    /// bytes and with [`stall`](Reply::stall), the server never responds.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let cut_in_the_status_line = Reply::raw("HTTP/1.1 2").drop_connection();
    /// assert_eq!(cut_in_the_status_line.wire_bytes(), b"HTTP/1.1 2");
    /// let never_answers = Reply::raw("").stall();
    /// ```
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply::new(Head::Raw).send(bytes).drop_connection()
    }

    /// Plays as soon as a connection is accepted, without reading the request.
    ///
    /// The reply is taken from the queue when a connection is opened, so no request is recorded. On a
    /// reused connection it is taken at the first byte of the next request. As with
    /// [`raw`](Reply::raw), the server adds nothing to what is sent.
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    ///
    /// let server = Server::start();
    /// server.enqueue(Reply::on_accept().drop_connection());
    /// server.enqueue(Reply::on_accept().reset());
    /// server.enqueue(Reply::on_accept().stall());
    /// ```
    pub fn on_accept() -> Reply {
        Reply::new(Head::OnAccept).drop_connection()
    }
}

/// The head of the response. These have no effect on [`raw`](Reply::raw) and
/// [`on_accept`](Reply::on_accept), which have no head.
impl Reply {
    /// Sets a header, replacing any of the same name.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().header("Content-Type", "Text/Event-Stream; charset=utf-8");
    /// assert!(!reply.wire_bytes().windows(17).any(|it| it == b"text/event-stream"));
    /// ```
    pub fn header(self, name: &str, value: impl Into<Vec<u8>>) -> Reply {
        self.without_header(name).append_header(name, value)
    }

    /// Adds a header, even if there is one of the same name.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2");
    /// ```
    pub fn append_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Reply {
        if let Head::Http { headers, .. } = &mut self.head {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }

    /// Removes a header.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let untyped = Reply::stream().without_header("Content-Type");
    /// ```
    pub fn without_header(mut self, name: &str) -> Reply {
        if let Head::Http { headers, .. } = &mut self.head {
            headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        }
        self
    }

    /// Sets the status, for an event stream with a status other than 200.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().with_status(206).wire_bytes();
    /// assert!(wire.starts_with(b"HTTP/1.1 206 Partial Content\r\nContent-Type: text/event-stream\r\n"));
    /// ```
    pub fn with_status(mut self, code: u16) -> Reply {
        if let Head::Http { status, .. } = &mut self.head {
            *status = code;
        }
        self
    }

    /// Sends the body in chunks, one per send. The default of [`stream`](Reply::stream).
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::status(200).chunked().send("ab").send("c").wire_bytes();
    /// assert!(wire.ends_with(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"));
    /// ```
    pub fn chunked(mut self) -> Reply {
        self.set_body(Body::Chunked);
        self
    }

    /// Announces a body of `length` bytes, whether or not that many are sent.
    ///
    /// A clean end after fewer bytes drops the connection.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().content_length(1000).event("x").wire_bytes();
    /// assert!(wire.ends_with(b"Content-Length: 1000\r\n\r\ndata: x\n\n"));
    /// ```
    pub fn content_length(mut self, length: u64) -> Reply {
        self.set_body(Body::Length(length));
        self
    }

    /// Sends the body without a length: it ends when the connection closes.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().close_delimited().event("x").wire_bytes();
    /// assert!(wire.ends_with(b"Connection: close\r\n\r\ndata: x\n\n"));
    /// ```
    pub fn close_delimited(mut self) -> Reply {
        self.set_body(Body::Close);
        self
    }

    fn set_body(&mut self, framing: Body) {
        if let Head::Http { body, .. } = &mut self.head {
            *body = framing;
        }
    }

    /// Delays the head until the gate is open.
    ///
    /// ```
    /// use everstream_testing::{Gate, Reply};
    ///
    /// let gate = Gate::new();
    /// let reply = Reply::stream().head_after(&gate).event("x");
    /// ```
    pub fn head_after(mut self, gate: &Gate) -> Reply {
        self.before_head.push(Step::WaitFor(gate.clone()));
        self
    }

    /// Delays the head for this time.
    ///
    /// ```
    /// use everstream_testing::Reply;
    /// use std::time::Duration;
    ///
    /// let slow = Reply::stream().head_delayed(Duration::from_secs(5)).event("x");
    /// ```
    pub fn head_delayed(mut self, time: Duration) -> Reply {
        self.before_head.push(Step::Pause(time));
        self
    }
}
