//! A client that is stopped in any phase leaves no thread, task or descriptor behind.
//!
//! One test in a program of its own: what is counted is the process's.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::fs;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use everstream::{Builder, ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy};
use everstream::{
    Connection, ConnectionClient, Error, Fault, Handle, Http, SseClient, retry_delay,
};
use everstream_testing::{Gate, Reply, Server};

use support::deaf::Deaf;
use support::{Async, Blocking, Client, LIMIT, alive_tasks};

/// How often each phase is stopped by each means once everything is warm. One leak in one of them
/// is then this many threads, tasks or descriptors.
const ROUNDS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Stop {
    Interrupt,
    Close,
    Drop,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Held {
    threads: usize,
    descriptors: usize,
    tasks: usize,
}

impl Held {
    fn now() -> Held {
        let entries = |folder| fs::read_dir(folder).unwrap().count();
        Held {
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            tasks: alive_tasks(),
        }
    }

    fn is_within(self, other: Held) -> bool {
        self.threads <= other.threads
            && self.descriptors <= other.descriptors
            && self.tasks <= other.tasks
    }
}

/// A client that never comes back by itself.
fn patient(connect: impl everstream::IntoConnectStrategy) -> Builder {
    let hour = Duration::from_secs(3600);
    SseClient::builder(connect).retry_delay_strategy(retry_delay::from_fn(move |_| hour))
}

/// They outlast their clients: each held a blocking client's runtime.
static HANDLES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

/// Stops `client` from another thread once `reached` has returned, while this one reads.
fn stop<C: Client>(mut client: C, how: Stop, reached: impl FnOnce() + Send) {
    let handle = client.handle();
    HANDLES.lock().unwrap().push(handle.clone());
    thread::scope(|scope| {
        scope.spawn(|| {
            reached();
            match how {
                Stop::Interrupt => handle.interrupt(),
                // A read in progress can't be dropped from elsewhere.
                Stop::Close | Stop::Drop => handle.close(),
            }
        });
        client.next_action();
    });
}

fn at_server<C: Client>(how: Stop, reply: &Reply, scheme: &str, actions: usize) {
    let server = Server::start();
    let sent = Gate::new();
    server.otherwise(reply.clone().open(&sent).stall());
    let url = server.url("/").replace("http:", scheme);
    let mut client = C::with(patient(Http::new(url)));
    for _ in 0..actions {
        client.expect_action();
    }
    if matches!(how, Stop::Drop) && actions > 0 {
        HANDLES.lock().unwrap().push(client.handle());
        drop(client);
    } else {
        stop(client, how, || assert!(sent.wait(LIMIT)));
    }
    assert!(server.wait_for_open_connections(0, LIMIT));
}

fn while_connecting<C: Client>(how: Stop, deaf: &Deaf) {
    let begun = Gate::new();
    let http = Http::new(format!("http://{}/", deaf.addr)).before_attempt({
        let begun = begun.clone();
        move |attempt| {
            begun.open();
            async { Ok::<_, Fault>(attempt) }
        }
    });
    stop(C::with(patient(http)), how, || assert!(begun.wait(LIMIT)));
}

fn during_the_back_off<C: Client>(how: Stop) {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let mut client = C::with(patient(Http::new(server.url("/"))));
    for _ in 0..3 {
        client.expect_action();
    }
    stop(client, how, || {});
}

/// A blocking read, which needs a thread; its closer wakes it.
struct Socket(SocketAddr);

impl ConnectStrategy for Socket {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(Socket(self.0)))
    }
}

impl ConnectionClient for Socket {
    fn connect(&mut self, _: ConnectRequest) -> ConnectFuture {
        let socket = TcpStream::connect(self.0).unwrap();
        let closer = socket.try_clone().unwrap();
        Box::pin(async move {
            Ok(Connection::from_read(socket).with_closer(move || {
                _ = closer.shutdown(Shutdown::Both);
            }))
        })
    }
}

fn within_a_blocking_read<C: Client>(how: Stop) {
    let server = Server::start();
    server.otherwise(Reply::on_accept().send("data: a\n\n").stall());
    let mut client = C::with(patient(Socket(server.addr())));
    client.expect_start();
    client.expect_event("a");
    stop(client, how, || {});
    assert!(server.wait_for_open_connections(0, LIMIT));
}

fn every_phase<C: Client>(deaf: &Deaf) {
    let stream = Reply::stream();
    for how in [Stop::Interrupt, Stop::Close, Stop::Drop] {
        while_connecting::<C>(how, deaf);
        if cfg!(feature = "rustls") {
            at_server::<C>(how, &Reply::on_accept(), "https:", 0);
        }
        at_server::<C>(how, &Reply::raw(""), "http:", 0);
        at_server::<C>(how, &Reply::raw("HTTP/1.1 200 O"), "http:", 0);
        at_server::<C>(how, &stream.clone().send("data: half"), "http:", 1);
        at_server::<C>(how, &stream.clone().event("a"), "http:", 2);
        during_the_back_off::<C>(how);
        within_a_blocking_read::<C>(how);
    }
}

#[test]
fn a_client_stopped_in_any_phase_leaves_no_thread_task_or_descriptor() {
    let deaf = Deaf::start();
    let round = || {
        every_phase::<Async>(&deaf);
        every_phase::<Blocking>(&deaf);
    };
    round();
    let before = Held::now();
    for _ in 0..ROUNDS {
        round();
    }
    // Threads that tokio keeps for the next blocking call go after ten seconds.
    let began = Instant::now();
    while !Held::now().is_within(before) {
        assert!(
            began.elapsed() < LIMIT,
            "{:?} are left, and there were {before:?} after the first round",
            Held::now()
        );
        thread::yield_now();
    }
    println!("before {before:?}, after {ROUNDS} rounds {:?}", Held::now());
}
