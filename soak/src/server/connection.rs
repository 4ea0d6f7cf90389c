//! One connection: its requests, and how it fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::body::Body;
use super::plan::{Close, Fault, Plan};
use super::request::{self, Request};
use super::{State, sabotage};
use crate::feed::{self, Kind};
use crate::numbers::Numbers;

/// How long a client may take to send a request, or to give up on a stalled response.
const CLIENT_LIMIT: Duration = Duration::from_secs(60);
/// The most events between two pauses, so that a client that is far behind doesn't delay the others.
const BATCH: u64 = 64;

/// A socket with or without TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Answers requests until the connection ends.
pub(super) async fn serve(socket: &mut impl Wire, state: &Arc<State>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head = timeout(CLIENT_LIMIT, request::read(socket, &mut buffer)).await??;
        let Some(head) = head else { return Ok(()) };
        state.requests.fetch_add(1, Relaxed);
        state.outages.silence().await;
        let request = request::parse(&head).filter(|it| it.stream < state.settings.streams);
        let Some(request) = request else {
            state.bad_requests.fetch_add(1, Relaxed);
            return answer(socket, "400 Bad Request", "close").await;
        };
        let attempt = state.next_attempt(request.stream);
        let numbers = Numbers::new(&[state.settings.seed, request.stream, attempt, 2]);
        let mut exchange = Exchange {
            socket,
            state,
            numbers,
        };
        if !exchange.run(&request).await? {
            return Ok(());
        }
    }
}

async fn answer(socket: &mut impl Wire, status: &str, connection: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: {connection}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    socket.flush().await
}

/// A request and its response.
struct Exchange<'a, S> {
    socket: &'a mut S,
    state: &'a Arc<State>,
    numbers: Numbers,
}

impl<S: Wire> Exchange<'_, S> {
    /// Returns whether the connection can be used for another request.
    async fn run(&mut self, request: &Request) -> io::Result<bool> {
        let mean = Duration::from_millis(self.state.settings.break_ms);
        let undisturbed =
            self.state.is_finished() || sabotage::needs_no_faults(self.state, request.stream);
        let plan = if undisturbed {
            Plan::undisturbed()
        } else {
            Plan::draw(&mut self.numbers, mean)
        };
        match plan.fault {
            Fault::NoAnswer => {
                self.state.count(plan.fault);
                self.close(plan.close, None).await
            }
            Fault::Unavailable | Fault::TooMany => {
                self.state.count(plan.fault);
                let status = match plan.fault {
                    Fault::Unavailable => "503 Service Unavailable",
                    _ => "429 Too Many Requests",
                };
                let keep = matches!(plan.close, Close::Clean { keep: true });
                answer(
                    self.socket,
                    status,
                    if keep { "keep-alive" } else { "close" },
                )
                .await?;
                Ok(keep)
            }
            _ => self.stream(request, plan).await,
        }
    }

    async fn stream(&mut self, request: &Request, plan: Plan) -> io::Result<bool> {
        let kind = Kind::of(request.stream);
        let mut body = Body::new(kind.gzip, plan.chunked);
        let mut head = String::from("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        if kind.gzip {
            head.push_str("content-encoding: gzip\r\n");
        }
        head.push_str(if plan.chunked {
            "transfer-encoding: chunked\r\n\r\n"
        } else {
            "connection: close\r\n\r\n"
        });
        self.socket.write_all(head.as_bytes()).await?;
        if plan.byte_order_mark {
            body.add("\u{feff}".as_bytes(), &mut self.numbers)?;
        }

        let ends = Instant::now().checked_add(plan.lasts);
        let mut next = kind.first_after(request.last);
        loop {
            let until = self.state.newest().min(next + BATCH);
            let mut bytes = Vec::new();
            while next <= until {
                bytes.extend(sabotage::encoded(self.state, request.stream, next));
                next += 1;
            }
            if bytes.is_empty() {
                bytes.extend(b":\n\n");
            }
            body.add(&bytes, &mut self.numbers)?;
            self.send(body.take()).await?;

            if !self.state.is_finished() && ends.is_some_and(|ends| Instant::now() >= ends) {
                self.state.count(plan.fault);
                return self.end(request.stream, next, plan, body).await;
            }
            if next > self.state.newest() {
                sleep(Duration::from_millis(self.numbers.between(20, 1_000) as u64)).await;
            }
        }
    }

    /// Ends the stream before the event `next`, or within it.
    async fn end(
        &mut self,
        stream: u64,
        next: u64,
        plan: Plan,
        mut body: Body,
    ) -> io::Result<bool> {
        let event = feed::encoded(self.state.settings.seed, stream, next);
        match plan.fault {
            Fault::CutEvent => {
                let cut = self.numbers.between(1, event.len());
                body.add(&event[..cut], &mut self.numbers)?;
            }
            Fault::CutCharacter => {
                let continued: Vec<usize> = (0..event.len())
                    .filter(|at| event[*at] & 0b1100_0000 == 0b1000_0000)
                    .collect();
                let cut = continued[self.numbers.between(0, continued.len())];
                body.add(&event[..cut], &mut self.numbers)?;
            }
            Fault::CutChunkSize => body.begin_chunk_size(),
            Fault::Stall => {
                // Until the client gives up.
                let mut ignored = [0; 64];
                _ = timeout(CLIENT_LIMIT, self.socket.read(&mut ignored)).await;
                return Ok(false);
            }
            _ => {}
        }
        self.send(body.take()).await?;
        self.close(plan.close, Some(body)).await
    }

    async fn close(&mut self, close: Close, body: Option<Body>) -> io::Result<bool> {
        match close {
            Close::Reset => {
                self.socket.tcp().set_zero_linger()?;
                Ok(false)
            }
            // The socket is dropped.
            Close::Fin => Ok(false),
            Close::Clean { keep } => {
                if let Some(mut body) = body {
                    body.end(&mut self.numbers)?;
                    self.send(body.take()).await?;
                    if !keep {
                        self.socket.shutdown().await?;
                    }
                }
                Ok(keep)
            }
        }
    }

    /// Sends in one piece or two.
    async fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.state.outages.silence().await;
        let cut = if self.numbers.once_in(4) {
            self.numbers.between(0, bytes.len())
        } else {
            0
        };
        let (first, second) = bytes.split_at(cut);
        if !first.is_empty() {
            self.socket.write_all(first).await?;
            self.socket.flush().await?;
            tokio::task::yield_now().await;
        }
        self.socket.write_all(second).await?;
        self.socket.flush().await
    }
}
