//! The listening socket: accepting, stopping, and keeping the port in between.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::connection::{self, Plain};
use crate::shared::Shared;

/// Thousands of clients may come back at the same moment; the 128 of std would make some of
/// them wait for a second.
const BACKLOG: i32 = 4096;

/// A port of the loopback interface, listening or only kept.
pub(crate) struct Port {
    addr: SocketAddr,
    acceptor: Option<Acceptor>,
    /// Bound but not listening. It keeps the system from giving the port to somebody else while the
    /// server is stopped: to a client of another test, or even to the one that tries to reconnect,
    /// which would then be connected to itself.
    kept: Option<Socket>,
}

struct Acceptor {
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Port {
    /// Takes a free port and listens.
    pub(crate) fn open(shared: &Arc<Shared>) -> io::Result<Port> {
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let acceptor = Acceptor::start(socket, shared)?;
        Ok(Port {
            addr: acceptor.listener.local_addr()?,
            acceptor: Some(acceptor),
            kept: None,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening; when this returns, connections are refused.
    pub(crate) fn close(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.stop(self.addr);
            self.kept = bound(self.addr).ok();
        }
    }

    /// Listens again after `close`.
    pub(crate) fn reopen(&mut self, shared: &Arc<Shared>) -> io::Result<()> {
        let socket = match self.kept.take() {
            Some(socket) => socket,
            None => bound(self.addr)?,
        };
        self.acceptor = Some(Acceptor::start(socket, shared)?);
        Ok(())
    }
}

fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // Elsewhere than on Unix this option would let two servers share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

impl Acceptor {
    fn start(socket: Socket, shared: &Arc<Shared>) -> io::Result<Acceptor> {
        socket.listen(BACKLOG)?;
        let listener = Arc::new(TcpListener::from(socket));
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new()
            .name("everstream-testing".to_owned())
            .spawn({
                let (listener, stopping) = (Arc::clone(&listener), Arc::clone(&stopping));
                let shared = Arc::clone(shared);
                move || accept(&listener, &stopping, &shared)
            })?;
        Ok(Acceptor {
            listener,
            stopping,
            thread,
        })
    }

    fn stop(self, addr: SocketAddr) {
        self.stopping.store(true, Ordering::SeqCst);
        // On Linux this wakes the thread; elsewhere a last connection does.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let _ = TcpStream::connect_timeout(&addr, Duration::from_secs(1));
        // It can only fail if the thread panicked, and then it has ended too.
        let _ = self.thread.join();
    }
}

fn accept(listener: &TcpListener, stopping: &AtomicBool, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((socket, _)) => start(socket, shared),
            // Too many open files, say: without a rest this would be a busy loop.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn start(socket: TcpStream, shared: &Arc<Shared>) {
    // Each send of a script shall reach the client at once and by itself.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let socket = Arc::new(socket);
    let registration = shared.register(&socket);
    // Without a thread the connection is closed, which is all that can be done.
    let _ = connection::spawn(registration.connection, move || {
        // Dropped before the registration: who sees the count fall sees a closed socket.
        let mut stream = Plain(socket);
        connection::serve(&mut stream, registration.connection, registration.shared());
        drop(stream);
        drop(registration);
    });
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("addr", &self.addr)
            .field("listening", &self.acceptor.is_some())
            .finish_non_exhaustive()
    }
}
