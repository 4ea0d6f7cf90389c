//! Shortcuts for callers with plain sockets and HTTP/1.1. They decide nothing: each one calls the methods
//! that [`Output`](super::Output) names.

use std::io::{self, ErrorKind};
use std::time::SystemTime;

use everstream_core::{Failure, Timestamp};

use super::{Exchange, State};
use crate::SocketFailure as _;
use crate::http1::{Body, ResponseReader, authority};

impl Exchange {
    /// Takes from the response what this exchange waits for: the head, and the body of an error, without
    /// decoding it. If it hasn't arrived by the deadline, the exchange times out. The caller reads the
    /// body of a stream.
    ///
    /// `wall_clock` is for dates in `Retry-After`.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use everstream_core::Timestamp;
    /// use everstream_http::exchange::{Config, Exchange, Output, Request};
    /// use everstream_http::http1::{Body, ResponseReader};
    ///
    /// let now = Timestamp::default();
    /// let request = Request::event_stream("http://example.com/feed".parse()?);
    /// let mut exchange = Exchange::new(request, Config::default(), now);
    /// exchange.handle_connected(now);
    ///
    /// let mut response = ResponseReader::default();
    /// response.receive(Ok(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"));
    /// exchange.handle_response(&mut response, now, SystemTime::now());
    /// assert!(matches!(exchange.poll_output(), Output::Stream(None)));
    /// assert_eq!(response.body()?, Body::Bytes(b"data: a\n\n".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_response(
        &mut self,
        response: &mut ResponseReader,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        loop {
            match self.state {
                State::Receiving { .. } => match response.head() {
                    Ok(Some(head)) => {
                        self.handle_head(head.status.as_u16(), head.headers, now, wall_clock);
                    }
                    Ok(None) => return self.handle_timeout(now),
                    Err(failure) => self.handle_failure(failure),
                },
                State::ReadingError { .. } => match response.body() {
                    Ok(Body::Bytes(bytes)) => self.handle_body(&bytes),
                    Ok(Body::NeedsMore) => return self.handle_timeout(now),
                    Ok(Body::End(_)) | Err(_) => self.handle_body_end(),
                },
                _ => return,
            }
        }
    }

    /// Reports that connecting failed with this socket error. A timeout of the socket is ignored until
    /// the deadline has passed.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use everstream_core::Timestamp;
    /// use everstream_http::exchange::{Config, Exchange, Output, Request};
    ///
    /// let now = Timestamp::default();
    /// let request = Request::event_stream("http://localhost:8000/feed".parse()?);
    /// let mut exchange = Exchange::new(request, Config::default(), now);
    /// exchange.handle_connect_error(&ErrorKind::ConnectionRefused.into(), now);
    /// let Output::Failed(fault) = exchange.poll_output() else { panic!("not failed") };
    /// assert_eq!(fault.to_string(), "connection refused by localhost:8000");
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn handle_connect_error(&mut self, error: &io::Error, now: Timestamp) {
        let State::Connecting { deadline } = &self.state else {
            return;
        };
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if deadline.is_some() => {
                self.handle_timeout(now);
            }
            _ => {
                let failure = Failure::connecting(error, authority(&self.request.url));
                self.handle_connect_failure(failure);
            }
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
