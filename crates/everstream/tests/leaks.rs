//! Stopping a client in any phase leaks no thread, task or file descriptor.
//!
//! The only test in its program, because it counts those of the whole process.

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

use support::unresponsive::UnresponsiveListener;
use support::{Async, Blocking, Client, LIMIT, alive_tasks};

/// How often each phase is stopped in each way after warming up. Each leak adds this many threads, tasks
/// or descriptors.
const ROUNDS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Stop {
    Interrupt,
    Close,
    Drop,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Resources {
    threads: usize,
    descriptors: usize,
    tasks: usize,
}

impl Resources {
    fn now() -> Resources {
        let entries = |folder| fs::read_dir(folder).unwrap().count();
        Resources {
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            tasks: alive_tasks(),
        }
    }

    fn is_within(self, other: Resources) -> bool {
        self.threads <= other.threads
            && self.descriptors <= other.descriptors
            && self.tasks <= other.tasks
    }
}

/// Settings for a client that reconnects only after an hour.
fn slow_retry(connect: impl everstream::IntoConnectStrategy) -> Builder {
    let hour = Duration::from_secs(3600);
    SseClient::builder(connect).retry_delay_strategy(retry_delay::from_fn(move |_| hour))
}

/// Handles that outlive their clients, to check that they don't keep a client's runtime alive.
static HANDLES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

/// Stops `client` from another thread once `reached` has returned, while this thread reads.
fn stop<C: Client>(mut client: C, how: Stop, reached: impl FnOnce() + Send) {
    let handle = client.handle();
    HANDLES.lock().unwrap().push(handle.clone());
    thread::scope(|scope| {
        scope.spawn(|| {
            reached();
            match how {
                Stop::Interrupt => handle.interrupt(),
                // A client can't be dropped during a read.
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
    let mut client = C::with(slow_retry(Http::new(url)));
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

fn while_connecting<C: Client>(how: Stop, unresponsive: &UnresponsiveListener) {
    let begun = Gate::new();
    let http = Http::new(format!("http://{}/", unresponsive.addr)).before_attempt({
        let begun = begun.clone();
        move |attempt| {
            begun.open();
            async { Ok::<_, Fault>(attempt) }
        }
    });
    stop(C::with(slow_retry(http)), how, || {
        assert!(begun.wait(LIMIT))
    });
}

fn during_backoff<C: Client>(how: Stop) {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let mut client = C::with(slow_retry(Http::new(server.url("/"))));
    for _ in 0..3 {
        client.expect_action();
    }
    stop(client, how, || {});
}

/// A source with blocking reads, each in a thread; its closer unblocks them.
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
    let mut client = C::with(slow_retry(Socket(server.addr())));
    client.expect_start();
    client.expect_event("a");
    stop(client, how, || {});
    assert!(server.wait_for_open_connections(0, LIMIT));
}

fn every_phase<C: Client>(unresponsive: &UnresponsiveListener) {
    let stream = Reply::stream();
    for how in [Stop::Interrupt, Stop::Close, Stop::Drop] {
        while_connecting::<C>(how, unresponsive);
        if cfg!(feature = "rustls") {
            at_server::<C>(how, &Reply::on_accept(), "https:", 0);
        }
        at_server::<C>(how, &Reply::raw(""), "http:", 0);
        at_server::<C>(how, &Reply::raw("HTTP/1.1 200 O"), "http:", 0);
        at_server::<C>(how, &stream.clone().send("data: half"), "http:", 1);
        at_server::<C>(how, &stream.clone().event("a"), "http:", 2);
        during_backoff::<C>(how);
        within_a_blocking_read::<C>(how);
    }
}

#[test]
fn stopping_a_client_in_any_phase_leaks_no_thread_task_or_descriptor() {
    let unresponsive = UnresponsiveListener::start();
    let round = || {
        every_phase::<Async>(&unresponsive);
        every_phase::<Blocking>(&unresponsive);
    };
    round();
    let before = Resources::now();
    for _ in 0..ROUNDS {
        round();
    }
    // tokio ends idle blocking threads after ten seconds.
    let began = Instant::now();
    while !Resources::now().is_within(before) {
        assert!(
            began.elapsed() < LIMIT,
            "{:?} are left, {before:?} existed after the first round",
            Resources::now()
        );
        thread::yield_now();
    }
    println!(
        "before {before:?}, after {ROUNDS} rounds {:?}",
        Resources::now()
    );
}
