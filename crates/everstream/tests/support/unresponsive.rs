//! A server that doesn't accept connections.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A listener that never accepts and whose backlog is full, so connection attempts get no answer.
pub(crate) struct UnresponsiveListener {
    pub(crate) addr: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl UnresponsiveListener {
    pub(crate) fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let addr = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        // Fill the backlog, until an attempt times out.
        while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            queued.push(stream);
        }
        UnresponsiveListener {
            addr,
            _listener: listener,
            _queued: queued,
        }
    }
}
