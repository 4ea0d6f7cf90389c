//! The requests that the clients send.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::feed;

/// Far more than the clients send.
const LIMIT: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) stream: u64,
    /// The number of the event to resume after; 0 without one.
    pub(super) last: u64,
}

/// The next request head; `None` at the end of the connection.
///
/// `buffer` holds the beginning of the next request.
pub(super) async fn read(
    socket: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return Ok(Some(head));
        }
        if buffer.len() > LIMIT || socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// `None` if the clients don't send such a request.
pub(super) fn parse(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let path = lines
        .next()?
        .strip_prefix("GET /")?
        .strip_suffix(" HTTP/1.1")?;
    let stream = path.parse().ok()?;
    let mut last = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("last-event-id") {
            last = feed::number(stream, value.trim())?;
        }
    }
    Some(Request { stream, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_and_id_are_parsed_and_an_id_of_another_stream_is_rejected() {
        let fresh = parse("GET /7 HTTP/1.1\r\naccept: text/event-stream").unwrap();
        assert_eq!((fresh.stream, fresh.last), (7, 0));
        let resumed = parse("GET /7 HTTP/1.1\r\nLast-Event-ID: 7-41").unwrap();
        assert_eq!((resumed.stream, resumed.last), (7, 41));
        assert_eq!(parse("GET /7 HTTP/1.1\r\nLast-Event-ID: 8-41"), None);
        assert_eq!(parse("POST /7 HTTP/1.1"), None);
    }
}
