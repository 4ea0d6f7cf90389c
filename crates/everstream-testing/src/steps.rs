//! The steps of a reply, between its head and its ending.

use std::time::Duration;

use crate::feed::Portion;
use crate::gate::Gate;
use crate::reply::{Reply, Step};
use crate::wire;

/// Steps.
impl Reply {
    fn step(mut self, step: Step) -> Reply {
        self.steps.push(step);
        self
    }

    /// Sends bytes in one write and, if the body is chunked, as one chunk.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let split_inside_a_character = Reply::stream().send(b"data: \xc3").send(b"\xa9\n\n");
    /// ```
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Reply {
        self.step(Step::Send(bytes.into().into()))
    }

    /// Calls [`send`](Reply::send) for each of these.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().send_each(["data: a\r", "\n\r", "\n"]);
    /// ```
    pub fn send_each<T: Into<Vec<u8>>>(self, chunks: impl IntoIterator<Item = T>) -> Reply {
        chunks
            .into_iter()
            .fold(self, |reply, chunk| reply.send(chunk))
    }

    /// Sends the same bytes repeatedly, as fast as the client reads. Later steps are never reached.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let endless_line = Reply::stream().send("data: ").send_forever("x".repeat(1000));
    /// let endless_headers = Reply::raw("HTTP/1.1 200 OK\r\n").send_forever("X-More: 1\r\n");
    /// ```
    pub fn send_forever(self, bytes: impl Into<Vec<u8>>) -> Reply {
        self.step(Step::Forever(bytes.into().into()))
    }

    /// Sends a message. Line breaks in `data` become additional `data` lines.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::raw("").event("two\nlines");
    /// assert_eq!(reply.wire_bytes(), b"data: two\ndata: lines\n\n");
    /// ```
    pub fn event(self, data: impl AsRef<str>) -> Reply {
        self.send(wire::event(None, None, data.as_ref()))
    }

    /// Sends a message with an id.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::raw("").event_with_id("7", "x");
    /// assert_eq!(reply.wire_bytes(), b"id: 7\ndata: x\n\n");
    /// ```
    pub fn event_with_id(self, id: impl AsRef<str>, data: impl AsRef<str>) -> Reply {
        self.send(wire::event(Some(id.as_ref()), None, data.as_ref()))
    }

    /// Sends an event of type `kind`.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::raw("").event_of_type("price", "42");
    /// assert_eq!(reply.wire_bytes(), b"event: price\ndata: 42\n\n");
    /// ```
    pub fn event_of_type(self, kind: impl AsRef<str>, data: impl AsRef<str>) -> Reply {
        self.send(wire::event(None, Some(kind.as_ref()), data.as_ref()))
    }

    /// Sends a comment.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// assert_eq!(Reply::raw("").comment("hi").wire_bytes(), b": hi\n\n");
    /// ```
    pub fn comment(self, text: impl AsRef<str>) -> Reply {
        self.send(wire::comment(text.as_ref()))
    }

    /// Sends a `retry` field, the client's new reconnect delay.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// assert_eq!(Reply::raw("").retry(250).wire_bytes(), b"retry: 250\n\n");
    /// ```
    pub fn retry(self, milliseconds: u64) -> Reply {
        self.send(wire::retry(milliseconds))
    }

    /// Pauses for this time. Tests that don't measure time should wait for a [`Gate`] instead.
    ///
    /// ```
    /// use everstream_testing::Reply;
    /// use std::time::Duration;
    ///
    /// let reply = Reply::stream().event("a").pause(Duration::from_millis(200)).event("b");
    /// ```
    pub fn pause(self, time: Duration) -> Reply {
        self.step(Step::Pause(time))
    }

    /// Waits until the gate is open.
    ///
    /// ```
    /// use everstream_testing::{Gate, Reply};
    ///
    /// let gate = Gate::new();
    /// let reply = Reply::stream().event("a").wait_for(&gate).event("b");
    /// ```
    pub fn wait_for(self, gate: &Gate) -> Reply {
        self.step(Step::WaitFor(gate.clone()))
    }

    /// Opens a gate, which tells the test that everything before this step has been written.
    ///
    /// ```
    /// use everstream_testing::{Gate, Reply};
    ///
    /// let sent = Gate::new();
    /// let reply = Reply::stream().event("a").open(&sent).stall();
    /// ```
    pub fn open(self, gate: &Gate) -> Reply {
        self.step(Step::Open(gate.clone()))
    }

    /// Streams the events of a feed after the request's `Last-Event-ID`, then new ones.
    ///
    /// Takes a [`&Feed`](crate::Feed), or a [`Portion`] of it for this connection. Without a
    /// `Last-Event-ID`, or with an unknown one, it starts with the first event. A second such step in the
    /// same reply continues where the first one stopped.
    ///
    /// ```
    /// use everstream_testing::{Feed, Reply, Server};
    ///
    /// let (server, feed) = (Server::start(), Feed::new());
    /// server.enqueue(Reply::stream().retry(100).resume(feed.take(3)).reset());
    /// server.otherwise(Reply::stream().resume(&feed));
    /// ```
    pub fn resume(self, portion: impl Into<Portion>) -> Reply {
        self.step(Step::Follow {
            portion: portion.into(),
            resume: true,
        })
    }

    /// Streams all events of a feed, then new ones, whatever `Last-Event-ID` says.
    ///
    /// ```
    /// use everstream_testing::{Feed, Reply};
    ///
    /// let feed = Feed::new();
    /// let forgetful = Reply::stream().replay(&feed);
    /// ```
    pub fn replay(self, portion: impl Into<Portion>) -> Reply {
        self.step(Step::Follow {
            portion: portion.into(),
            resume: false,
        })
    }
}
