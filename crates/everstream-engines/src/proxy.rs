//! Between a client and an engine: bytes that arrive late.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Far more than anything here takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// Where an engine listens.
#[derive(Debug, Clone)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port of loopback.
    Port(u16),
}

/// Forwards connections, and delays what clients send: as a network does, or a client whose machine stopped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    /// Connections with a smaller number deliver nothing to the engine.
    held_below: usize,
    /// How many bytes were kept back since then, and sent on afterwards.
    held: usize,
    delivered: usize,
    /// What the engine has sent to connections whose bytes were kept back.
    answered: usize,
}

impl Proxy {
    /// Listens on a free port of loopback.
    pub fn start(target: Target) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let shared = state.clone();
        // It ends with the process: a test has few.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, connect(&target)) else {
                    continue;
                };
                let _ = forward(client, server, &shared);
            }
        });
        Proxy { port, state }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on, what clients send over connections of before isn't delivered. New connections work.
    pub fn hold(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.held_below = state.connections;
        (state.held, state.delivered, state.answered) = (0, 0, 0);
    }

    /// Delivers all that was kept back, also if its client has gone, and waits until the engine answers.
    pub fn release(&self) {
        let (lock, changed) = &*self.state;
        let mut state = lock.lock().unwrap();
        assert!(state.held > 0, "nothing was kept back");
        let held = state.held;
        state.held_below = 0;
        state.answered = 0;
        changed.notify_all();
        let (state, waited) = changed
            .wait_timeout_while(state, LIMIT, |it| it.delivered < held || it.answered == 0)
            .unwrap();
        assert!(!waited.timed_out(), "{state:?}");
    }
}

fn connect(target: &Target) -> io::Result<Server> {
    match target {
        Target::Unix(path) => UnixStream::connect(path).map(Server::Unix),
        Target::Port(port) => TcpStream::connect(("127.0.0.1", *port)).map(Server::Tcp),
    }
}

enum Server {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Server {
    fn halves(self) -> io::Result<(Box<dyn Read + Send>, Box<dyn Write + Send>)> {
        Ok(match self {
            Server::Unix(it) => (Box::new(it.try_clone()?), Box::new(it)),
            Server::Tcp(it) => (Box::new(it.try_clone()?), Box::new(it)),
        })
    }
}

fn forward(
    client: TcpStream,
    server: Server,
    shared: &Arc<(Mutex<State>, Condvar)>,
) -> io::Result<()> {
    let (mut from_server, mut to_server) = server.halves()?;
    let (mut from_client, mut to_client) = (client.try_clone()?, client);
    let number = {
        let mut state = shared.0.lock().unwrap();
        state.connections += 1;
        state.connections - 1
    };
    let state = shared.clone();
    thread::spawn(move || {
        let (lock, changed) = &*state;
        let mut buffer = vec![0; 64 << 10];
        // The end isn't forwarded: the engine is to execute what it got, and answer.
        while let Ok(read @ 1..) = from_client.read(&mut buffer) {
            let mut state = lock.lock().unwrap();
            let was_held = number < state.held_below;
            if was_held {
                state.held += read;
                state = changed
                    .wait_while(state, |it| number < it.held_below)
                    .unwrap();
            }
            drop(state);
            if to_server.write_all(&buffer[..read]).is_err() {
                break;
            }
            if was_held {
                lock.lock().unwrap().delivered += read;
                changed.notify_all();
            }
        }
        // Keeps the connection until the engine ends it, or the test.
        thread::park();
        drop(to_server);
    });
    let state = shared.clone();
    thread::spawn(move || {
        let (lock, changed) = &*state;
        let mut buffer = vec![0; 64 << 10];
        let mut client_is_there = true;
        while let Ok(read @ 1..) = from_server.read(&mut buffer) {
            client_is_there = client_is_there && to_client.write_all(&buffer[..read]).is_ok();
            lock.lock().unwrap().answered += read;
            changed.notify_all();
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}
