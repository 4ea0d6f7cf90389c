//! The server: lifecycle, script and records.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::listener::Port;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;
use crate::sync::lock;

/// An HTTP/1.1 server on a free port of 127.0.0.1 that responds as scripted.
///
/// Each request takes the next reply from the queue. If the queue is empty, the reply is the one set with
/// [`otherwise`](Server::otherwise) or made by [`with_handler`](Server::with_handler); without either, it
/// is a 404 with an explanation. Dropping the server stops it.
///
/// All methods take `&self` and may be called from any thread.
///
/// ```
/// use everstream_testing::{Reply, Server};
/// # use std::io::{Read, Write};
///
/// let server = Server::start();
/// server.enqueue(Reply::stream().event("hello").end());
///
/// let mut client = std::net::TcpStream::connect(server.addr())?;
/// client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.contains("data: hello\n\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    port: Mutex<Port>,
    addr: SocketAddr,
}

/// Lifecycle.
impl Server {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// If the system has no free port or can't start a thread. [`try_start`](Server::try_start) returns
    /// that as an error.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// assert!(server.addr().ip().is_loopback());
    /// ```
    #[must_use]
    pub fn start() -> Server {
        match Server::try_start() {
            Ok(server) => server,
            // All a test can do here is fail with the reason.
            #[expect(clippy::panic)]
            Err(error) => panic!("the test server can't listen on 127.0.0.1: {error}"),
        }
    }

    /// Starts a server, or returns the error of the system.
    ///
    /// ```
    /// let server = everstream_testing::Server::try_start()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_start() -> io::Result<Server> {
        let shared = Arc::new(Shared::new());
        let port = Port::open(&shared)?;
        Ok(Server {
            shared,
            addr: port.addr(),
            port: Mutex::new(port),
        })
    }

    /// Starts a server that calls `handler` for each reply.
    ///
    /// The handler runs on the connection's thread, with a stack of 256 KiB; several calls may run at the
    /// same time. If it panics, the connection is closed. Queued replies take precedence.
    ///
    /// # Panics
    ///
    /// Like [`start`](Server::start).
    ///
    /// ```
    /// use everstream_testing::{Reply, Request, Server};
    ///
    /// let server = Server::with_handler(|request: &Request| match request.header("last-event-id") {
    ///     None => Reply::stream().event_with_id("1", "first").drop_connection(),
    ///     Some("1") => Reply::stream().event_with_id("2", "second").drop_connection(),
    ///     Some(_) => Reply::status(204),
    /// });
    /// ```
    #[must_use]
    pub fn with_handler(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let server = Server::start();
        server.shared.set_handler(handler);
        server
    }

    /// Returns the address that the server listens on.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// let client = std::net::TcpStream::connect(server.addr())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the URL of a path on this server.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// let port = server.addr().port();
    /// assert_eq!(server.url("/feed?x=1"), format!("http://127.0.0.1:{port}/feed?x=1"));
    /// ```
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("http://{}{slash}{path}", self.addr)
    }

    /// Stops listening and closes all connections. New connections are refused.
    ///
    /// The script and the records are kept, and the port stays reserved for [`restart`](Server::restart).
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// server.stop();
    /// assert!(std::net::TcpStream::connect(server.addr()).is_err());
    /// ```
    pub fn stop(&self) {
        lock(&self.port).close();
        self.shared.shut_down_connections();
    }

    /// Listens again on the same port; first calls [`stop`](Server::stop).
    ///
    /// Fails if the port can't be bound or a thread can't be started.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// server.stop();
    /// server.restart()?;
    /// let client = std::net::TcpStream::connect(server.addr())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn restart(&self) -> io::Result<()> {
        self.stop();
        lock(&self.port).reopen(&self.shared)
    }

    /// Closes all connections but continues to listen.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let server = everstream_testing::Server::start();
    /// let client = std::net::TcpStream::connect(server.addr())?;
    /// assert!(server.wait_for_open_connections(1, Duration::from_secs(10)));
    /// server.drop_connections();
    /// assert!(server.wait_for_open_connections(0, Duration::from_secs(10)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn drop_connections(&self) {
        self.shared.shut_down_connections();
    }

    /// Resets all connections but continues to listen.
    ///
    /// A reply that waits for a gate or a feed notices within about 200 ms. A reply that is writing to a
    /// client that doesn't read notices only when the client reads again.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// let server = everstream_testing::Server::start();
    /// let mut client = std::net::TcpStream::connect(server.addr())?;
    /// assert!(server.wait_for_open_connections(1, Duration::from_secs(10)));
    /// server.reset_connections();
    /// let error = client.read(&mut [0]).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_connections(&self) {
        self.shared.reset_connections();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        lock(&self.port).close();
        self.shared.shut_down_connections();
    }
}

/// Script.
impl Server {
    /// Adds a reply to the queue. It is used for one request, after the replies queued before it.
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    ///
    /// let server = Server::start();
    /// server
    ///     .enqueue(Reply::status(503).header("Retry-After", "1"))
    ///     .enqueue(Reply::stream().event("better now").stall());
    /// ```
    pub fn enqueue(&self, reply: Reply) -> &Server {
        self.shared.enqueue(reply);
        self
    }

    /// Sets the reply to every request when the queue is empty.
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    ///
    /// let server = Server::start();
    /// server.otherwise(Reply::status(500));
    /// ```
    pub fn otherwise(&self, reply: Reply) -> &Server {
        self.shared.set_reply(reply);
        self
    }

    /// Sets a function that makes the reply to every request when the queue is empty.
    ///
    /// The function is called like the handler of [`with_handler`](Server::with_handler).
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    ///
    /// let server = Server::start();
    /// server.enqueue(Reply::status(503));
    /// server.otherwise_with(|request| Reply::stream().event(request.path()));
    /// ```
    pub fn otherwise_with(
        &self,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> &Server {
        self.shared.set_handler(handler);
        self
    }

    /// The number of replies left in the queue.
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    ///
    /// let server = Server::start();
    /// assert_eq!(server.enqueue(Reply::stream()).queued_replies(), 1);
    /// ```
    #[must_use]
    pub fn queued_replies(&self) -> usize {
        self.shared.queued()
    }
}

/// Records.
impl Server {
    /// Returns the requests received so far, oldest first.
    ///
    /// A request is recorded once it has been read completely, before the reply is sent.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// assert!(server.requests().is_empty());
    /// ```
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.records().requests.iter().cloned().collect()
    }

    /// Keeps only the newest `count` requests, for servers that run for days.
    ///
    /// ```
    /// let server = everstream_testing::Server::start();
    /// server.keep_requests(100);
    /// ```
    pub fn keep_requests(&self, count: usize) -> &Server {
        self.shared.keep_requests(count);
        self
    }

    /// The number of all requests, including those no longer kept.
    ///
    /// ```
    /// assert_eq!(everstream_testing::Server::start().request_count(), 0);
    /// ```
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.records().request_count
    }

    /// The number of requests that were rejected because they weren't valid HTTP/1.
    ///
    /// ```
    /// assert_eq!(everstream_testing::Server::start().refused_requests(), 0);
    /// ```
    #[must_use]
    pub fn refused_requests(&self) -> usize {
        self.shared.records().refused
    }

    /// The number of connections accepted so far.
    ///
    /// ```
    /// assert_eq!(everstream_testing::Server::start().accepted_connections(), 0);
    /// ```
    #[must_use]
    pub fn accepted_connections(&self) -> usize {
        self.shared.records().accepted
    }

    /// The number of open connections.
    ///
    /// The end of a connection is noticed at once while the server reads or stalls, and within about
    /// 200 ms while a reply waits for a gate or a feed.
    ///
    /// ```
    /// assert_eq!(everstream_testing::Server::start().open_connections(), 0);
    /// ```
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.records().open.len()
    }

    /// Waits until `count` requests have arrived, but at most for `limit`. Returns whether they have.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let server = everstream_testing::Server::start();
    /// assert!(!server.wait_for_requests(1, Duration::ZERO));
    /// ```
    #[must_use = "false means that the limit passed"]
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> bool {
        self.shared
            .wait_until(limit, |it| it.request_count >= count)
    }

    /// Waits until `count` connections have been accepted, but at most for `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let server = everstream_testing::Server::start();
    /// let client = std::net::TcpStream::connect(server.addr())?;
    /// assert!(server.wait_for_connections(1, Duration::from_secs(10)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "false means that the limit passed"]
    pub fn wait_for_connections(&self, count: usize, limit: Duration) -> bool {
        self.shared.wait_until(limit, |it| it.accepted >= count)
    }

    /// Waits until exactly `count` connections are open, but at most for `limit`.
    ///
    /// With 0, it shows that a client has closed its sockets.
    ///
    /// ```
    /// use everstream_testing::{Reply, Server};
    /// use std::time::Duration;
    ///
    /// let server = Server::start();
    /// server.otherwise(Reply::on_accept().stall());
    /// let client = std::net::TcpStream::connect(server.addr())?;
    /// assert!(server.wait_for_open_connections(1, Duration::from_secs(10)));
    /// drop(client);
    /// assert!(server.wait_for_open_connections(0, Duration::from_secs(10)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "false means that the limit passed"]
    pub fn wait_for_open_connections(&self, count: usize, limit: Duration) -> bool {
        self.shared.wait_until(limit, |it| it.open.len() == count)
    }
}
