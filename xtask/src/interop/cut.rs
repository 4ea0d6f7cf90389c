//! A network that fails: between a client and a server, at a moment that a scenario chooses.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::sh;

/// What passed, and when the network is back.
#[derive(Default)]
struct State {
    requests: Vec<String>,
    back_at: Option<Instant>,
}

/// Passes connections on. The response to the first request that has `call` in it breaks off once
/// `after` has passed; until `down` later, the network takes connections and closes them.
pub(super) struct Cut {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

impl Cut {
    pub(super) fn start(
        server: u16,
        call: &'static str,
        after: &'static str,
        down: Duration,
    ) -> sh::Outcome<Cut> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = shared.clone();
                // What fails here fails at the client, too.
                thread::spawn(move || pass(client, server, &state, call, after, down));
            }
        });
        Ok(Cut { port, state })
    }

    /// The requests that reached the server, by method; calls as `call`.
    pub(super) fn requests(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.clone()
    }
}

fn pass(
    mut client: TcpStream,
    server: u16,
    state: &Mutex<State>,
    call: &str,
    after: &str,
    down: Duration,
) -> std::io::Result<()> {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let request = read_request(&mut client)?;
    if lock().back_at.is_some_and(|back| Instant::now() < back) {
        return client.shutdown(Shutdown::Both);
    }
    let is_call = request.contains(call);
    let method = request.split(' ').next().unwrap_or_default();
    let seen = if is_call { "call" } else { method };
    lock().requests.push(seen.to_owned());
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    // The next request has a connection of its own, and is seen.
    let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(request.as_bytes())?;
    let (mut passed, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let length = server.read(&mut buffer)?;
        if length == 0 {
            return client.shutdown(Shutdown::Both);
        }
        let bytes = match passed.is_empty() {
            true => closing(&buffer[..length]),
            false => buffer[..length].to_vec(),
        };
        client.write_all(&bytes)?;
        passed += &String::from_utf8_lossy(&buffer[..length]);
        if is_call && lock().back_at.is_none() && passed.contains(after) {
            lock().back_at = Some(Instant::now() + down);
            client.shutdown(Shutdown::Both)?;
            return server.shutdown(Shutdown::Both);
        }
    }
}

/// The beginning of a response, from a server that would keep the connection although it was asked not
/// to.
fn closing(bytes: &[u8]) -> Vec<u8> {
    const KEEP: &[u8] = b"onnection: keep-alive\r\n";
    match bytes.windows(KEEP.len()).position(|part| part == KEEP) {
        Some(at) => [
            &bytes[..at],
            b"onnection: close\r\n",
            &bytes[at + KEEP.len()..],
        ]
        .concat(),
        None => bytes.to_vec(),
    }
}

/// A request with its body. The client sends nothing after it.
fn read_request(client: &mut TcpStream) -> std::io::Result<String> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().unwrap_or_default())
            });
            if body.len() >= length.unwrap_or_default() {
                return Ok(text.into_owned());
            }
        }
        match client.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
}
