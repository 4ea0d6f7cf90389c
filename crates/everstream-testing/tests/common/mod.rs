//! A client that is only a socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use everstream_testing::Server;

/// Long enough for a loaded machine. Passing tests don't wait that long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Client(pub(crate) TcpStream);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        let socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Client(socket)
    }

    /// Connects and sends a plain `GET /`.
    pub(crate) fn get(server: &Server) -> Client {
        Client::get_after(server, "")
    }

    /// Connects and sends a `GET /` with a `Last-Event-ID`, if it isn't empty.
    pub(crate) fn get_after(server: &Server, id: &str) -> Client {
        let mut client = Client::connect(server.addr());
        let header = match id {
            "" => String::new(),
            id => format!("Last-Event-ID: {id}\r\n"),
        };
        client.send(format!("GET / HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
        client
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads up to the end of the connection.
    pub(crate) fn rest(&mut self) -> (String, End) {
        let mut bytes = Vec::new();
        let end = match self.0.read_to_end(&mut bytes) {
            Ok(_) => End::Fin,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("after {:?}: {error}", bytes.escape_ascii().to_string()),
        };
        (String::from_utf8(bytes).unwrap(), end)
    }

    /// Reads until the received text ends with `end`.
    pub(crate) fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                other => panic!("{other:?} after {:?}", bytes.escape_ascii().to_string()),
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Asserts that nothing arrives for a moment.
    pub(crate) fn assert_silent(&mut self) {
        let moment = Some(Duration::from_millis(60));
        self.0.set_read_timeout(moment).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error}"
        );
        self.0.set_read_timeout(Some(LIMIT)).unwrap();
    }
}

/// Removes the chunked framing from the body of a response. The second value is true if the body was
/// complete.
pub(crate) fn unchunk(answer: &str) -> (String, bool) {
    let (_, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    (body, false)
}
