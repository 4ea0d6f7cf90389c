//! Interrupt and close while a connection is made: in a look-up, in CONNECT, and in the TLS handshake
//! through a tunnel. The phases that need neither are in `stopping.rs`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use everstream::{Action, Builder, Fault, Handle, Http, SseClient, retry_delay};
use everstream_testing::Gate;

use super::LIMIT;
use super::client::{Client, Kind, both, in_child};

/// It doesn't connect again by itself while a test runs.
fn patient(http: Http) -> Builder {
    let hour = Duration::from_secs(3600);
    SseClient::builder(http).retry_delay_strategy(retry_delay::from_fn(move |_| hour))
}

fn handle(client: &Client) -> Handle {
    match client {
        Client::Async(client, _) => client.handle(),
        Client::Blocking(client) => client.handle(),
    }
}

/// Interrupts a client, and closes another one, once `reached` returns.
fn stopped(kind: Kind, http: &Http, reached: impl Fn() + Sync, released: impl Fn()) {
    for close in [false, true] {
        let begun = Gate::new();
        let http = http
            .clone()
            // The limit is not what ends it.
            .connect_timeout(Duration::from_secs(3600))
            .before_attempt({
                let begun = begun.clone();
                move |attempt| {
                    begun.open();
                    async { Ok::<_, Fault>(attempt) }
                }
            });
        let mut client = kind.build(patient(http));
        let handle = handle(&client);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Before that there is nothing to interrupt.
                assert!(begun.wait(LIMIT));
                reached();
                match close {
                    true => handle.close(),
                    false => handle.interrupt(),
                }
            });
            match client.next() {
                None if close => {}
                Some(Ok(Action::End(_))) if !close => {}
                other => panic!("{other:?}"),
            }
        });
        released();
    }
}

/// A proxy that answers CONNECT with this and is silent then. It reports when it has done that, and
/// when the client has closed the connection.
fn proxy(answer: &'static str) -> (SocketAddr, Receiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (report, reports) = channel();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            client.write_all(answer.as_bytes()).unwrap();
            // The first byte of the handshake.
            if !answer.is_empty() {
                client.read_exact(&mut [0]).unwrap();
            }
            _ = report.send("reached");
            while matches!(client.read(&mut [0; 4096]), Ok(1..)) {}
            _ = report.send("released");
        }
    });
    (addr, reports)
}

fn stopped_behind_a_proxy(answer: &'static str) {
    both(|kind| {
        let (addr, reports) = proxy(answer);
        let reports = std::sync::Mutex::new(reports);
        let next = || reports.lock().unwrap().recv_timeout(LIMIT).unwrap();
        let http = Http::new("https://feed.test/").proxy(format!("http://{addr}"));
        stopped(
            kind,
            &http,
            || assert_eq!(next(), "reached"),
            || assert_eq!(next(), "released"),
        );
    });
}

#[test]
fn during_connect() {
    stopped_behind_a_proxy("");
}

#[test]
fn during_the_tls_handshake_through_a_tunnel() {
    stopped_behind_a_proxy("HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn during_a_look_up() {
    in_child("closing::child_looks_up", &[]);
}

/// A look-up needs a thread for blocking work, of which this runtime has one, and that is busy. The
/// look-ups of a process wait for each other, so that those of other runtimes wait for it too.
#[test]
#[ignore = "for a child process"]
fn child_looks_up() {
    let free = Gate::new();
    let busy = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let blocked = busy.spawn_blocking({
        let free = free.clone();
        move || free.wait(LIMIT * 2)
    });
    let http = Http::new("http://feed.invalid/").no_proxy();
    // More than may wait for their thread at a time.
    let (begun, begins) = channel();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let begun = begun.clone();
            let http = http.clone().before_attempt(move |attempt| {
                _ = begun.send(());
                async { Ok::<_, Fault>(attempt) }
            });
            let mut client = patient(http).build().unwrap();
            let handle = client.handle();
            (
                handle,
                busy.spawn(async move { client.next_action().await }),
            )
        })
        .collect();
    // One worker polls them one after the other: all look-ups but the last one have begun then.
    for _ in &waiting {
        begins.recv_timeout(LIMIT).unwrap();
    }
    both(|kind| {
        // It waits, or else there would be a fault by now.
        let mut waiting = kind.build(patient(http.clone()));
        let none = match &mut waiting {
            Client::Async(client, runtime) => runtime.block_on(async {
                let limit = Duration::from_millis(200);
                tokio::time::timeout(limit, client.next_action())
                    .await
                    .is_err()
            }),
            Client::Blocking(client) => matches!(
                client.next_action_timeout(Duration::from_millis(200)),
                Ok(everstream::blocking::Next::TimedOut)
            ),
        };
        assert!(none, "the look-up has ended");
        stopped(kind, &http, || {}, || {});
    });
    for (handle, reading) in waiting {
        assert!(!reading.is_finished(), "the look-up has ended");
        handle.close();
        let ended = busy.block_on(async { tokio::time::timeout(LIMIT, reading).await });
        assert!(ended.expect("it closes").unwrap().is_none());
    }
    free.open();
    assert!(busy.block_on(blocked).unwrap());
    // The places are free again.
    both(|kind| {
        let fault = kind.build(patient(http.clone())).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
    });
}
