//! The server of `replay` and `serve`: event streams over HTTP/1.1, to any number of clients.
//!
//! HTTP is hyper's. Each client has a task that reads from its source no faster than the client
//! reads.
//!
//! | file | subject |
//! |---|---|
//! | `answer.rs` | requests and responses, and which pages of a browser may read them |
//! | `origin.rs` | the origins of such pages |
//! | `out.rs` | from a source to its client: bytes, or a dropped connection |
//! | `socket.rs` | a connection that can be dropped once everything has been sent |

mod answer;
mod origin;
mod out;
mod socket;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::report::{self, Problem};
use answer::Answers;
pub(crate) use answer::{ClientRequest, Source};
pub(crate) use origin::{HINT as ORIGIN_HINT, is_origin};
use out::Switch;
pub(crate) use out::{ClientGone, Out, Streaming};
use socket::Socket;

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Listen here: an address and a port, or just a port to listen on this machine only. Port 0 is
    /// a free one. The URL is written to standard output.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:0",
        value_parser = parse_address,
    )]
    listen: SocketAddr,

    /// Let web pages of this origin read the stream; `*`: all pages. Pages on this machine (such as
    /// http://localhost:3000) are always allowed (repeatable).
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    allow_origin: Vec<String>,

    /// Only errors on standard error.
    #[arg(short = 's', long, visible_alias = "silent")]
    pub(crate) quiet: bool,
}

/// The pause after a failed accept, for example with too many open files. Without it this would be
/// a busy loop.
const REST: Duration = Duration::from_millis(50);

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| {
        "use a port, or an address and a port: 8000, 127.0.0.1:8000, [::1]:8000, or 0.0.0.0:8000 for all networks"
            .into()
    })
}

fn parse_origin(text: &str) -> Result<String, String> {
    match text == "*" || is_origin(text) {
        true => Ok(text.to_owned()),
        false => Err(ORIGIN_HINT.into()),
    }
}

/// A listening port and its configuration.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    allow_origin: Vec<String>,
}

impl Server {
    pub(crate) fn bind(args: &ServerArgs) -> Result<Server, Problem> {
        let bound = std::net::TcpListener::bind(args.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((TcpListener::from_std(listener)?, address))
        });
        match bound {
            Ok((listener, address)) => Ok(Server {
                listener,
                address,
                allow_origin: args.allow_origin.clone(),
            }),
            Err(error) => {
                let what = format!("can't listen on {}", args.listen);
                let hint = match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another program uses this port; without --listen a free one is chosen"
                    }
                    io::ErrorKind::PermissionDenied => "ports below 1024 need root",
                    _ => "use an address of this machine",
                };
                Err(Problem::because(&what, &error).hint(hint))
            }
        }
    }

    /// Writes the URL to standard output, for people and scripts.
    pub(crate) fn announce(&self) {
        if !self.address.ip().is_loopback() {
            report::info("anyone who can reach this port can read the stream");
        }
        // Clients can't connect to a wildcard address everywhere.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let url = format!("http://{}/\n", SocketAddr::new(ip, self.address.port()));
        // Errors are ignored.
        let mut out = io::stdout().lock();
        _ = out.write_all(url.as_bytes()).and_then(|()| out.flush());
    }

    /// Serves until `until` completes, then stops accepting and returns the open connections.
    /// Dropping them disconnects their clients.
    pub(crate) async fn run<S: Source, T>(
        self,
        source: S,
        until: impl Future<Output = T>,
    ) -> (T, JoinSet<()>) {
        let only_here = self.address.ip().is_loopback();
        let answers = Arc::new(Answers::new(source, self.allow_origin, only_here));
        let mut clients = JoinSet::new();
        let mut until = pin!(until);
        loop {
            tokio::select! {
                end = &mut until => return (end, clients),
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) => _ = clients.spawn(serve(socket, answers.clone())),
                    Err(_) => tokio::time::sleep(REST).await,
                },
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

/// Serves a connection until one side closes it.
async fn serve<S: Source>(socket: TcpStream, answers: Arc<Answers<S>>) {
    // Each event must arrive by itself, without delay.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let switch = Switch::default();
    let socket = TokioIo::new(Socket::new(socket, switch.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A stream is the last response of its connection.
        .keep_alive(false)
        .serve_connection(
            socket,
            service_fn(|request| std::future::ready(answers.answer(&request, &switch))),
        );
    tokio::select! {
        _ = connection => {}
        () = switch.aborted() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_accepts_a_port_or_an_address() {
        for (text, expected) in [
            ("8000", "127.0.0.1:8000"),
            ("0", "127.0.0.1:0"),
            ("localhost:8000", "127.0.0.1:8000"),
            ("0.0.0.0:8000", "0.0.0.0:8000"),
            ("[::1]:8000", "[::1]:8000"),
        ] {
            assert_eq!(parse_address(text).unwrap().to_string(), expected);
        }
        for text in ["", "127.0.0.1", "65536", "example.com:80", ":80", "::1"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
