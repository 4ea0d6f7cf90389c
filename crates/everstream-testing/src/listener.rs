//! The listening socket: accepting, stopping, and reserving the port in between.

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

/// Thousands of clients may reconnect at the same moment. With std's backlog of 128, some of them would
/// wait for a second.
const BACKLOG: i32 = 4096;

/// A port of the loopback interface, listening or only reserved.
pub(crate) struct Port {
    addr: SocketAddr,
    acceptor: Option<Acceptor>,
    /// Bound but not listening. While the server is stopped, this prevents the operating system from
    /// giving the port to another socket: to a client of another test, or even to the reconnecting
    /// client, which would then be connected to itself.
    reserved: Option<Socket>,
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
            reserved: None,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening; when this returns, connections are refused.
    pub(crate) fn close(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.stop(self.addr);
            self.reserved = bound(self.addr).ok();
        }
    }

    /// Listens again after `close`.
    pub(crate) fn reopen(&mut self, shared: &Arc<Shared>) -> io::Result<()> {
        let socket = match self.reserved.take() {
            Some(socket) => socket,
            None => bound(self.addr)?,
        };
        self.acceptor = Some(Acceptor::start(socket, shared)?);
        Ok(())
    }
}

fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // On other systems than Unix this option would let two servers share a port.
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
        // On Linux the shutdown wakes the thread; elsewhere a final connection does.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let _ = TcpStream::connect_timeout(&addr, Duration::from_secs(1));
        // Fails only if the thread panicked, and then it has ended too.
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
            // For example too many open files. The sleep prevents a busy loop.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn start(socket: TcpStream, shared: &Arc<Shared>) {
    // Each send of a script should reach the client at once and in its own packet.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let socket = Arc::new(socket);
    let registration = shared.register(&socket);
    // If no thread can be started, the connection is closed.
    let _ = connection::spawn(registration.connection, move || {
        // Dropped before the registration, so that the socket is closed before the count decreases.
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
