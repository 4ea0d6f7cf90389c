//! How a reply ends, and how it is cut short.

use crate::reply::{Cut, Ending, Reply};
use crate::response;

/// Endings. The last one set applies.
impl Reply {
    fn ending(mut self, ending: Ending) -> Reply {
        self.ending = ending;
        self
    }

    /// Ends cleanly: the body is complete and the connection can be reused. The default.
    ///
    /// With [`close_delimited`](Reply::close_delimited), the connection is closed.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().event("x").end().wire_bytes();
    /// assert!(wire.ends_with(b"\r\n0\r\n\r\n"));
    /// ```
    pub fn end(self) -> Reply {
        self.ending(Ending::Clean)
    }

    /// Closes the connection with a FIN, without completing the body.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::stream().send("data: par").drop_connection().wire_bytes();
    /// assert!(wire.ends_with(b"9\r\ndata: par\r\n"));
    /// ```
    pub fn drop_connection(self) -> Reply {
        self.ending(Ending::Drop)
    }

    /// Closes the connection with a RST.
    ///
    /// As on any network, data that hasn't reached the client's machine by then may be lost. If a test
    /// needs that data, let the script wait for a gate that the test opens.
    ///
    /// ```
    /// use everstream_testing::{Gate, Reply};
    ///
    /// let seen = Gate::new();
    /// let reply = Reply::stream().event("x").wait_for(&seen).reset();
    /// ```
    pub fn reset(self) -> Reply {
        self.ending(Ending::Reset)
    }

    /// Sends a FIN, but keeps the receiving side open until the client closes too.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().event("x").half_close();
    /// ```
    pub fn half_close(self) -> Reply {
        self.ending(Ending::HalfClose)
    }

    /// Keeps the connection open without sending anything, until the client disconnects or the server
    /// stops.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().event("x").stall();
    /// ```
    pub fn stall(self) -> Reply {
        self.ending(Ending::Stall)
    }
}

/// Cuts. Positions count all written bytes, including status line, headers and framing.
impl Reply {
    /// Closes the connection with a FIN after the first `bytes` bytes.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let whole = Reply::stream().event("hello");
    /// let cut_everywhere: Vec<Reply> =
    ///     (0..whole.wire_bytes().len()).map(|at| whole.clone().cut_after(at)).collect();
    /// assert_eq!(cut_everywhere[10].wire_bytes(), b"HTTP/1.1 2");
    /// ```
    pub fn cut_after(self, bytes: usize) -> Reply {
        self.cut(bytes, Ending::Drop)
    }

    /// Closes the connection with a RST after the first `bytes` bytes.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let reply = Reply::stream().event("hello").reset_after(100);
    /// ```
    pub fn reset_after(self, bytes: usize) -> Reply {
        self.cut(bytes, Ending::Reset)
    }

    /// Stops sending after the first `bytes` bytes and keeps the connection open.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let stalls_in_the_status_line = Reply::stream().stall_after(10);
    /// ```
    pub fn stall_after(self, bytes: usize) -> Reply {
        self.cut(bytes, Ending::Stall)
    }

    fn cut(mut self, at: usize, ending: Ending) -> Reply {
        self.cut = Some(Cut { at, ending });
        self
    }

    /// Writes the whole response in pieces of at most `bytes` bytes.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let drop_by_drop = Reply::stream().event("hello").in_pieces(1);
    /// ```
    pub fn in_pieces(mut self, bytes: usize) -> Reply {
        self.piece = bytes.max(1);
        self
    }

    /// Returns the bytes that the reply writes to an HTTP/1.1 `GET`, up to the first endless step.
    ///
    /// Waits are skipped. Feeds and [`send_forever`](Reply::send_forever) are endless.
    ///
    /// ```
    /// use everstream_testing::Reply;
    ///
    /// let wire = Reply::status(503).header("Retry-After", "1").wire_bytes();
    /// assert_eq!(
    ///     wire,
    ///     b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    /// );
    /// ```
    #[must_use]
    pub fn wire_bytes(&self) -> Vec<u8> {
        let mut bytes = response::render(self);
        if let Some(cut) = self.cut {
            bytes.truncate(cut.at);
        }
        bytes
    }
}
