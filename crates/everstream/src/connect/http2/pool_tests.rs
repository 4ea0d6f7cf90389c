use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tokio::runtime::{Builder, Runtime};

use super::*;

/// Starts a server that accepts every connection and sends only its settings.
fn server() -> Url {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut socket in listener.incoming().flatten() {
            _ = socket.read_exact(&mut [0; 24]);
            _ = socket.write_all(&SETTINGS);
            open.push(socket);
        }
    });
    url.parse().unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open(pool: &Pool, url: &Url) -> Sender {
    let port = url.port().unwrap();
    let connect = move |_| async move {
        let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        Ok(Connected {
            io: Io::Tcp(socket.unwrap()),
            is_http2: true,
            through_proxy: None,
        })
    };
    let opened = pool.open(url, Versions::Http2PriorKnowledge, connect);
    match opened.await {
        Ok(Opened::Shared(sender)) => sender,
        _ => panic!("the connection isn't shared"),
    }
}

#[test]
fn connections_are_shared_within_a_runtime() {
    let (pool, url) = (Pool::new(true), server());
    let (one, other) = (runtime(), runtime());
    let count = |all: &[&Sender]| {
        let streams: HashSet<_> = all
            .iter()
            .map(|sender| Arc::as_ptr(&sender.stream))
            .collect();
        streams.len()
    };
    let open_two = |runtime: &Runtime| {
        runtime.block_on(async {
            let first = open(&pool, &url).await;
            // Wait for the server's settings, which allow more streams.
            while first.requests.current_max_send_streams() < 2 {
                tokio::task::yield_now().await;
            }
            (first, open(&pool, &url).await)
        })
    };
    let (a, b) = open_two(&one);
    let (c, d) = open_two(&other);
    assert_eq!((count(&[&a, &b]), count(&[&c, &d])), (1, 1));
    assert_eq!(count(&[&a, &b, &c, &d]), 2);
}

#[test]
fn connections_of_dropped_runtimes_are_removed_from_the_pool() {
    let (pool, url) = (Pool::new(true), server());
    let alive = runtime();
    let kept = alive.block_on(open(&pool, &url));
    for _ in 0..20 {
        let runtime = runtime();
        let sender = runtime.block_on(open(&pool, &url));
        drop(runtime);
        assert!(sender.closed.load(Ordering::Acquire));
    }
    let last = runtime();
    let _sender = last.block_on(open(&pool, &url));
    let origins = lock(&pool.origins);
    assert_eq!(origins.len(), 2, "one for each live runtime");
    drop(origins);
    assert!(!kept.closed.load(Ordering::Acquire));
}

#[test]
fn requiring_http1_applies_to_the_origin_in_every_runtime() {
    let (pool, url) = (Pool::new(true), server());
    runtime().block_on(async { pool.require_http1(&url) });
    runtime().block_on(async {
        let connect = |versions| async move {
            assert_eq!(versions, Versions::Http1);
            Err(Failure::new(FailureKind::Other, "as expected").into())
        };
        let opened = pool.open(&url, Versions::Negotiate, connect).await;
        assert!(opened.is_err());
    });
}
