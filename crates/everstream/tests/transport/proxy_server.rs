//! A proxy that forwards `http` requests, and opens tunnels for CONNECT.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use everstream_testing::Gate;

pub(crate) struct Proxy {
    addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
pub(crate) enum Behavior {
    /// Connects to this server, whatever host is requested, so names needn't be resolved.
    ConnectTo(SocketAddr),
    /// The same, once the gate is open.
    ConnectLaterTo(SocketAddr, Gate),
    /// Sends requests to the first server and tunnels to the second, as for default ports.
    ByScheme(SocketAddr, SocketAddr),
    /// Answers every request with this.
    Answer(&'static str),
}

impl Proxy {
    /// Starts a proxy that runs until the process ends.
    pub(crate) fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (behavior, seen) = (behavior.clone(), seen.clone());
                thread::spawn(move || serve(client, behavior, &seen));
            }
        });
        Proxy { addr, heads }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn url_with_password(&self) -> String {
        format!("http://user:hunter2@{}", self.addr)
    }

    /// Returns the heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Serves a connection until it ends; `None` after an error.
fn serve(client: TcpStream, behavior: Behavior, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    seen.lock().unwrap().push(head.clone());
    let target = match behavior {
        Behavior::ConnectTo(target) => target,
        Behavior::ConnectLaterTo(target, gate) => {
            gate.wait(super::LIMIT).then_some(())?;
            target
        }
        Behavior::ByScheme(http, https) => match head.starts_with("CONNECT ") {
            true => https,
            false => http,
        },
        Behavior::Answer(answer) => return (&client).write_all(answer.as_bytes()).ok(),
    };
    let server = TcpStream::connect(target).ok()?;
    if head.starts_with("CONNECT ") {
        (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    } else {
        (&server)
            .write_all(in_origin_form(&head)?.as_bytes())
            .ok()?;
    }
    let back = (server.try_clone().ok()?, client.try_clone().ok()?);
    let down = thread::spawn(move || pump(back.0, back.1));
    pump(reader, server);
    down.join().ok()
}

/// Converts `GET http://host/path` to `GET /path`.
fn in_origin_form(head: &str) -> Option<String> {
    let (method, rest) = head.split_once(' ')?;
    let (_, after_scheme) = rest.split_once("://")?;
    let path = &after_scheme[after_scheme.find('/')?..];
    Some(format!("{method} {path}"))
}

/// Forwards each piece as it arrives.
fn pump(mut from: impl Read, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    _ = to.shutdown(Shutdown::Write);
}
