//! An HTTP/2 server whose responses the test controls.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use super::LIMIT;
use super::tls_server::runtime;

pub(crate) struct H2Server {
    addr: SocketAddr,
    scheme: &'static str,
    exchanges: Mutex<Receiver<Exchange>>,
    runtime: Option<Runtime>,
}

/// A request that hasn't been answered yet.
pub(crate) struct Exchange {
    pub(crate) request: http::Request<()>,
    /// The number of the connection that it arrived on, counted from 0.
    pub(crate) connection: usize,
    respond: SendResponse<Bytes>,
    goaway: UnboundedSender<GoAway>,
}

/// A response that hasn't ended.
pub(crate) struct Stream {
    body: SendStream<Bytes>,
    goaway: UnboundedSender<GoAway>,
}

enum GoAway {
    /// No new streams; existing ones continue.
    Graceful,
    /// All streams end.
    Abrupt(Reason),
}

impl H2Server {
    /// Starts a server for clients with prior knowledge.
    pub(crate) fn cleartext() -> Self {
        Self::start(None, h2::server::Builder::new())
    }

    /// Starts a server for clients with prior knowledge that allows this many concurrent streams.
    pub(crate) fn with_streams(most: u32) -> Self {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(most);
        Self::start(None, settings)
    }

    pub(crate) fn tls(config: ServerConfig) -> Self {
        Self::start(Some(config), h2::server::Builder::new())
    }

    fn start(tls: Option<ServerConfig>, settings: h2::server::Builder) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let (report, exchanges) = mpsc::channel();
        runtime.spawn(async move {
            for connection in 0.. {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let (acceptor, settings) = (acceptor.clone(), settings.clone());
                let report = report.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(socket, settings, connection, report).await,
                        Some(acceptor) => {
                            let Ok(socket) = acceptor.accept(socket).await else {
                                return;
                            };
                            match socket.get_ref().1.alpn_protocol() {
                                Some(b"http/1.1") => answer_http1(socket).await,
                                _ => serve(socket, settings, connection, report).await,
                            }
                        }
                    }
                });
            }
        });
        H2Server {
            addr,
            scheme,
            exchanges: Mutex::new(exchanges),
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.addr.port())
    }

    /// Drops all requests that haven't been returned by [`next`](Self::next), and returns how many.
    pub(crate) fn drain(&self) -> usize {
        self.exchanges.lock().unwrap().try_iter().count()
    }

    /// Returns the next request if it has already arrived.
    pub(crate) fn try_next(&self) -> Option<Exchange> {
        self.exchanges.lock().unwrap().try_recv().ok()
    }

    /// Waits for the next request on any connection.
    pub(crate) fn next(&self) -> Exchange {
        let exchanges = self.exchanges.lock().unwrap();
        exchanges.recv_timeout(LIMIT).expect("a request in time")
    }
}

impl Drop for H2Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    settings: h2::server::Builder,
    connection: usize,
    report: Sender<Exchange>,
) {
    let Ok(mut h2) = settings.handshake(socket).await else {
        return;
    };
    let (goaway, mut commands): (_, UnboundedReceiver<GoAway>) = unbounded_channel();
    loop {
        tokio::select! {
            Some(command) = commands.recv() => match command {
                GoAway::Graceful => h2.graceful_shutdown(),
                GoAway::Abrupt(reason) => h2.abrupt_shutdown(reason),
            },
            accepted = h2.accept() => {
                let Some(Ok((request, respond))) = accepted else {
                    return;
                };
                let exchange = Exchange {
                    request: request.map(|_| ()),
                    connection,
                    respond,
                    goaway: goaway.clone(),
                };
                _ = report.send(exchange);
            }
        }
    }
}

/// Answers any request with a stream over HTTP/1.1.
async fn answer_http1(mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 21\r\n\r\ndata: over HTTP/1.1\n\n";
    _ = socket.read(&mut [0; 4096]).await;
    _ = socket.write_all(stream.as_bytes()).await;
    // Wait until the client closes.
    _ = socket.read(&mut [0]).await;
}

impl Exchange {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    /// Begins a stream of events.
    pub(crate) fn stream(self) -> Stream {
        self.respond(200)
    }

    /// Begins a response with this status.
    pub(crate) fn respond(mut self, status: u16) -> Stream {
        let head = http::Response::builder()
            .status(status)
            .header("content-type", "text/event-stream")
            .body(())
            .unwrap();
        Stream {
            body: self.respond.send_response(head, false).unwrap(),
            goaway: self.goaway,
        }
    }

    /// Ends the response with this status and this header, and a cookie.
    #[cfg(feature = "cookies")]
    pub(crate) fn set_cookie(mut self, status: u16, (name, value): (&str, &str), cookie: &str) {
        let head = http::Response::builder()
            .status(status)
            .header(name, value)
            .header("set-cookie", cookie)
            .body(())
            .unwrap();
        self.respond.send_response(head, true).unwrap();
    }

    /// Sends RST_STREAM instead of a response.
    pub(crate) fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }
}

impl Stream {
    pub(crate) fn send(&mut self, bytes: impl Into<Bytes>) -> &mut Self {
        self.body.send_data(bytes.into(), false).unwrap();
        self
    }

    /// Ends the stream cleanly.
    pub(crate) fn end(mut self) {
        self.body.send_data(Bytes::new(), true).unwrap();
    }

    pub(crate) fn reset(mut self, reason: Reason) {
        self.body.send_reset(reason);
    }

    pub(crate) fn go_away(&self) {
        _ = self.goaway.send(GoAway::Graceful);
    }

    pub(crate) fn go_away_abruptly(self, reason: Reason) {
        _ = self.goaway.send(GoAway::Abrupt(reason));
    }
}
