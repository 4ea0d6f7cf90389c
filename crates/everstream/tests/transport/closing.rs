//! Interrupt and close while connecting: during a DNS lookup, during CONNECT, and during the TLS
//! handshake through a tunnel. `stopping.rs` has the other phases.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use everstream::{Action, Builder, Fault, Handle, Http, SseClient, retry_delay};
use everstream_testing::Gate;

use super::LIMIT;
use super::client::{Client, Kind, both, in_child};

/// Settings for a client that doesn't reconnect during a test.
fn slow_retry(http: Http) -> Builder {
    let hour = Duration::from_secs(3600);
    SseClient::builder(http).retry_delay_strategy(retry_delay::from_fn(move |_| hour))
}

fn handle(client: &Client) -> Handle {
    match client {
        Client::Async(client, _) => client.handle(),
        Client::Blocking(client) => client.handle(),
    }
}

/// Interrupts one client and closes another one, each once `reached` returns.
fn stopped(kind: Kind, http: &Http, reached: impl Fn() + Sync, released: impl Fn()) {
    for close in [false, true] {
        let begun = Gate::new();
        let http = http
            .clone()
            // Rules out that the timeout ends the attempt.
            .connect_timeout(Duration::from_secs(3600))
            .before_attempt({
                let begun = begun.clone();
                move |attempt| {
                    begun.open();
                    async { Ok::<_, Fault>(attempt) }
                }
            });
        let mut client = kind.build(slow_retry(http));
        let handle = handle(&client);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Before the attempt begins, there is nothing to interrupt.
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

/// Starts a proxy that answers CONNECT with `answer` and then sends nothing. It reports when it has
/// answered, and when the client has closed the connection.
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

/// Replaces the system's lookup by one that hangs, in a child process.
#[test]
#[cfg(target_os = "linux")]
fn during_a_lookup() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("hang.c"), folder.path().join("hang.so"));
    std::fs::write(&source, HANGING_LOOKUP).unwrap();
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]);
    let status = compiler.arg(&library).arg(&source).status().unwrap();
    assert!(status.success());
    let preload = [("LD_PRELOAD", library.to_str().unwrap())];
    in_child("closing::child_resolves_a_name", &preload);
}

#[cfg(target_os = "linux")]
const HANGING_LOOKUP: &str = "
    #include <netdb.h>
    #include <unistd.h>
    int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                    struct addrinfo **result) {
        for (;;) pause();
    }
";

/// More lookups than may run concurrently hang.
#[test]
#[ignore = "for a child process"]
fn child_resolves_a_name() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let http = Http::new("http://feed.invalid/").no_proxy();
    let (begun, begins) = channel();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let begun = begun.clone();
            let http = http.clone().before_attempt(move |attempt| {
                _ = begun.send(());
                async { Ok::<_, Fault>(attempt) }
            });
            let mut client = slow_retry(http).build().unwrap();
            let handle = client.handle();
            (
                handle,
                runtime.spawn(async move { client.next_action().await }),
            )
        })
        .collect();
    // The only worker polls them one after the other, so all lookups but the last have begun.
    for _ in &waiting {
        begins.recv_timeout(LIMIT).unwrap();
    }
    both(|kind| {
        // Without a limit, the lookup would have failed by now.
        let mut waiting = kind.build(slow_retry(http.clone()));
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
        assert!(none, "the lookup has ended");
        stopped(kind, &http, || {}, || {});
    });
    for (handle, reading) in waiting {
        assert!(!reading.is_finished(), "the lookup has ended");
        handle.close();
        let ended = runtime.block_on(async { tokio::time::timeout(LIMIT, reading).await });
        assert!(ended.expect("didn't close").unwrap().is_none());
    }
    // Dropping the runtime doesn't wait for the threads that hang.
    drop(runtime);
}
