use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tokio::runtime::{Builder, Runtime};

use super::*;

/// A server that accepts every connection and answers nothing but its settings.
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

async fn opened(pool: &Pool, url: &Url) -> Sender {
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
        _ => panic!("it isn't shared"),
    }
}

#[test]
fn connections_are_shared_within_a_runtime() {
    let (pool, url) = (Pool::new(true), server());
    let (one, other) = (runtime(), runtime());
    let count = |all: &[&Sender]| {
        let streams: HashSet<_> = all.iter().map(|it| Arc::as_ptr(&it.stream)).collect();
        streams.len()
    };
    let open_two = |runtime: &Runtime| {
        runtime.block_on(async {
            let first = opened(&pool, &url).await;
            // The server's settings say that there is room.
            while first.requests.current_max_send_streams() < 2 {
                tokio::task::yield_now().await;
            }
            (first, opened(&pool, &url).await)
        })
    };
    let (a, b) = open_two(&one);
    let (c, d) = open_two(&other);
    assert_eq!((count(&[&a, &b]), count(&[&c, &d])), (1, 1));
    assert_eq!(count(&[&a, &b, &c, &d]), 2);
}

#[test]
fn connections_of_runtimes_that_are_gone_do_not_pile_up() {
    let (pool, url) = (Pool::new(true), server());
    let alive = runtime();
    let kept = alive.block_on(opened(&pool, &url));
    for _ in 0..20 {
        let runtime = runtime();
        let sender = runtime.block_on(opened(&pool, &url));
        drop(runtime);
        assert!(sender.closed.load(Ordering::Acquire));
    }
    let last = runtime();
    let _sender = last.block_on(opened(&pool, &url));
    let origins = lock(&pool.origins);
    assert_eq!(origins.len(), 2, "those of the runtimes that are there");
    drop(origins);
    assert!(!kept.closed.load(Ordering::Acquire));
}

#[test]
fn an_origin_that_requires_http_1_does_so_in_every_runtime() {
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
