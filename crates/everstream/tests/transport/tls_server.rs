//! Adds TLS to a server without it.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use everstream_testing::Server;
use rustls::{CipherSuite, HandshakeKind, ServerConfig};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::LIMIT;

pub(crate) struct TlsServer {
    addr: SocketAddr,
    handshakes: Mutex<Receiver<Handshake>>,
    runtime: Option<Runtime>,
}

/// The outcome of a handshake.
#[derive(Debug)]
pub(crate) enum Handshake {
    Done {
        alpn: Option<String>,
        resumed: bool,
        suite: CipherSuite,
    },
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseNotify {
    /// TLS ends with `close_notify` when the server's connection ends.
    Sent,
    /// TCP ends without `close_notify`, as if an attacker truncated the response.
    Missing,
}

impl TlsServer {
    pub(crate) fn start(config: ServerConfig, behind: &Server) -> Self {
        Self::start_with(config, behind, CloseNotify::Sent)
    }

    pub(crate) fn start_with(
        config: ServerConfig,
        behind: &Server,
        close_notify: CloseNotify,
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let (report, handshakes) = mpsc::channel();
        let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), behind.addr());
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, report) = (acceptor.clone(), report.clone());
                tokio::spawn(async move {
                    let mut outside = match acceptor.accept(socket).into_fallible().await {
                        Ok(outside) => outside,
                        Err((_, mut socket)) => {
                            _ = report.send(Handshake::Failed);
                            // Closing with an unread request would send a reset, at which
                            // the client's system may discard the alert.
                            _ = socket.shutdown().await;
                            _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
                            return;
                        }
                    };
                    let session = outside.get_ref().1;
                    let alpn = session.alpn_protocol();
                    _ = report.send(Handshake::Done {
                        alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
                        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                        suite: session.negotiated_cipher_suite().unwrap().suite(),
                    });
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    match close_notify {
                        CloseNotify::Sent => {
                            _ = copy_bidirectional(&mut outside, &mut inside).await;
                        }
                        CloseNotify::Missing => {
                            let (mut outside_read, mut outside_write) =
                                tokio::io::split(&mut outside);
                            let (mut inside_read, mut inside_write) = inside.split();
                            tokio::select! {
                                _ = tokio::io::copy(&mut outside_read, &mut inside_write) => {}
                                _ = tokio::io::copy(&mut inside_read, &mut outside_write) => {}
                            }
                            _ = outside.flush().await;
                            _ = outside.into_inner().0.shutdown().await;
                        }
                    }
                });
            }
        });
        TlsServer {
            addr,
            handshakes: Mutex::new(handshakes),
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.addr.port())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn next_handshake(&self) -> Handshake {
        let handshakes = self.handshakes.lock().unwrap();
        handshakes.recv_timeout(LIMIT).expect("a handshake in time")
    }

    /// Returns a handshake that has already ended.
    pub(crate) fn try_next_handshake(&self) -> Option<Handshake> {
        self.handshakes.lock().unwrap().try_recv().ok()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Creates a runtime with its own worker thread.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
