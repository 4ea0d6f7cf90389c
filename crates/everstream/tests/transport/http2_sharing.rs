//! Clients that share an HTTP/2 connection: how many it takes, and what one does to the others. Async
//! clients, which share a runtime as well unless a test says otherwise.

use std::future::Future;
use std::time::Duration;

use everstream::{Action, Fault, Http, HttpVersion, SseClient};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, block_in_place};

use super::LIMIT;
use super::h2_server::{Exchange, H2Server, Stream};
use super::tls_server::runtime;

fn cleartext(server: &H2Server) -> Http {
    Http::new(server.url("/feed"))
        .version(HttpVersion::Http2)
        .connect_timeout(LIMIT)
}

fn client(http: &Http) -> SseClient {
    SseClient::builder(http.clone())
        .initial_retry_delay(Duration::ZERO)
        .build()
        .unwrap()
}

/// Connects a client, on the runtime of the caller.
fn starting(mut client: SseClient) -> JoinHandle<SseClient> {
    tokio::spawn(async move {
        match client.next_action().await {
            Some(Ok(Action::Start(_))) => client,
            other => panic!("a start was expected, and it was {other:?}"),
        }
    })
}

fn next(server: &H2Server) -> Exchange {
    block_in_place(|| server.next())
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("in time")
}

/// A client that has begun to read, its stream, and the number of its connection.
async fn followed(http: &Http, server: &H2Server) -> (SseClient, Stream, usize) {
    let starting = starting(client(http));
    let exchange = next(server);
    let connection = exchange.connection;
    let stream = exchange.stream();
    (soon(starting).await.unwrap(), stream, connection)
}

async fn next_data(client: &mut SseClient) -> String {
    let event = soon(client.next_event()).await;
    event.unwrap().unwrap().into_data()
}

#[test]
fn a_stream_beyond_the_servers_limit_opens_a_second_connection() {
    let server = H2Server::with_streams(100);
    let http = cleartext(&server);
    runtime().block_on(async {
        let mut all = Vec::new();
        for number in 0..101 {
            let (client, stream, connection) = followed(&http, &server).await;
            assert_eq!(connection, usize::from(number == 100), "stream {number}");
            all.push((client, stream));
        }
        // All of them are alive.
        for (number, (client, stream)) in all.iter_mut().enumerate() {
            stream.send(format!("data: {number}\n\n"));
            assert_eq!(next_data(client).await, number.to_string());
        }
        // A stream that has ended makes room.
        let (first, _) = all.swap_remove(0);
        drop(first);
        let (_client, _stream, connection) = followed(&http, &server).await;
        assert_eq!(connection, 0);
        let (_client, _stream, connection) = followed(&http, &server).await;
        assert_eq!(connection, 1);
    });
}

/// Before the server has said how many streams it takes.
#[test]
fn clients_that_start_at_once_do_not_wait_for_each_other() {
    for _ in 0..10 {
        let server = H2Server::with_streams(1);
        let http = cleartext(&server);
        runtime().block_on(async {
            let starting: Vec<_> = (0..5).map(|_| starting(client(&http))).collect();
            let exchanges: Vec<_> = starting.iter().map(|_| next(&server)).collect();
            let mut connections: Vec<_> = exchanges.iter().map(|it| it.connection).collect();
            connections.sort_unstable();
            assert_eq!(connections, [0, 1, 2, 3, 4]);
            let _streams: Vec<_> = exchanges.into_iter().map(Exchange::stream).collect();
            for starting in starting {
                soon(starting).await.unwrap();
            }
        });
    }
}

/// Each of them has a connection on its way that the others wait for, until somebody reads it.
#[test]
fn a_client_that_is_not_read_while_it_connects_does_not_stall_the_others() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let marked = http.clone().header("X-Unread", "yes");
        let mut unread: Vec<_> = (0..3).map(|_| client(&marked)).collect();
        for client in &mut unread {
            // Only a glance.
            let waker = std::task::Waker::noop();
            let mut reading = std::pin::pin!(client.next_action());
            let glance = reading
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
            assert!(glance.is_pending());
        }
        // Long before connect_timeout.
        let began = std::time::Instant::now();
        let starting = starting(client(&http));
        // A glance is enough to send a request over a connection that is there already.
        let mut unanswered = Vec::new();
        let exchange = loop {
            let exchange = next(&server);
            match exchange.header("x-unread") {
                Some(_) => unanswered.push(exchange),
                None => break exchange,
            }
        };
        let _stream = exchange.stream();
        soon(starting).await.unwrap();
        assert!(began.elapsed() < LIMIT / 2);
    });
}

#[test]
fn a_reader_that_stops_does_not_stall_the_others() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let mut idle = Vec::new();
        for _ in 0..20 {
            let (client, mut stream, connection) = followed(&http, &server).await;
            assert_eq!(connection, 0);
            // More than the server may send of one stream.
            stream.send(format!("data: {}\n\n", "x".repeat(1 << 20)));
            idle.push((client, stream));
        }
        let (mut client, mut stream, connection) = followed(&http, &server).await;
        assert_eq!(connection, 0);
        for number in 0..100 {
            let data = format!("{number} {}", "y".repeat(10_000));
            stream.send(format!("data: {data}\n\n"));
            assert_eq!(next_data(&mut client).await, data);
        }
        // What waited is still there.
        for (client, _) in &mut idle {
            assert_eq!(next_data(client).await.len(), 1 << 20);
        }
    });
}

#[test]
fn a_connection_that_is_going_away_takes_no_new_request() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let (mut first, mut stream, connection) = followed(&http, &server).await;
        assert_eq!(connection, 0);
        stream.go_away();
        stream.send("data: still here\n\n");
        assert_eq!(next_data(&mut first).await, "still here");
        // None of them sees a fault, as long as the first one lasts. The data may overtake GOAWAY, and
        // what is asked for before it arrives is still answered on the old connection.
        let mut asked = 0;
        while followed(&http, &server).await.2 == 0 {
            asked += 1;
            assert!(asked < 1000, "GOAWAY had no effect");
        }
        for _ in 0..3 {
            let (_second, _stream, connection) = followed(&http, &server).await;
            assert_eq!(connection, 1);
        }
        stream.send("data: to the end\n\n");
        assert_eq!(next_data(&mut first).await, "to the end");
    });
}

/// Runtimes that rest between calls, as in a program that calls `block_on` from time to time.
#[test]
fn a_runtime_that_rests_does_not_stall_the_clients_of_another_one() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    let resting = |runtime: &Runtime| {
        let http = http.clone();
        runtime.block_on(async {
            let mut starting = starting(client(&http));
            let asked = soon(async {
                loop {
                    // The client does its part between the looks.
                    tokio::task::yield_now().await;
                    if let Some(exchange) = server.try_next() {
                        return exchange;
                    }
                }
            });
            let exchange = asked.await;
            let (connection, stream) = (exchange.connection, exchange.stream());
            (soon(&mut starting).await.unwrap(), stream, connection)
        })
    };
    let (first, second) = (resting_runtime(), resting_runtime());
    let (mut one, mut stream_of_one, connection) = resting(&first);
    assert_eq!(connection, 0);
    let (mut two, mut stream_of_two, connection) = resting(&second);
    assert_eq!(connection, 1, "nothing drives the first connection now");
    // In one runtime they share.
    let (_three, _stream, connection) = resting(&second);
    assert_eq!(connection, 1);
    stream_of_two.send("data: two\n\n");
    second.block_on(async { assert_eq!(next_data(&mut two).await, "two") });
    stream_of_one.send("data: one\n\n");
    first.block_on(async { assert_eq!(next_data(&mut one).await, "one") });
}

fn resting_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A client that is read in another runtime than the one it connected in.
#[test]
fn when_the_runtime_of_its_connection_is_gone_a_client_reconnects_in_the_one_that_reads_it() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    let (made_by, other): (Runtime, Runtime) = (runtime(), runtime());
    let (mut client, mut stream, connection) = made_by.block_on(followed(&http, &server));
    assert_eq!(connection, 0);
    stream.send("id: 7\ndata: a\n\n");
    other.block_on(async { assert_eq!(next_data(&mut client).await, "a") });
    made_by.shutdown_timeout(LIMIT);
    other.block_on(async {
        match soon(client.next_action()).await {
            Some(Ok(Action::Fault(Fault::Read(_)))) => {}
            other => panic!("{other:?}"),
        }
        let starting = starting(client);
        let exchange = next(&server);
        assert_eq!(exchange.connection, 1);
        assert_eq!(exchange.header("last-event-id"), Some("7"));
        let mut stream = exchange.stream();
        stream.send("data: b\n\n");
        let mut client = soon(starting).await.unwrap();
        assert_eq!(next_data(&mut client).await, "b");
        // New ones share the new connection.
        let (_second, _stream, connection) = followed(&http, &server).await;
        assert_eq!(connection, 1);
    });
}

/// A server that takes no streams. Tells of each connection when it begins, 1, and when it ends, -1.
fn full() -> (String, std::sync::mpsc::Receiver<i32>) {
    use std::io::{Read, Write, copy, sink};
    const NO_STREAMS: [u8; 15] = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (changed, changes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let changed = changed.clone();
            _ = changed.send(1);
            std::thread::spawn(move || {
                _ = socket.read_exact(&mut [0; 24]);
                _ = socket.write_all(&NO_STREAMS);
                _ = copy(&mut socket, &mut sink());
                _ = changed.send(-1);
            });
        }
    });
    (url, changes)
}

#[test]
fn a_server_that_takes_no_streams_does_not_get_ever_more_connections() {
    let (url, changes) = full();
    let http = Http::new(url).version(HttpVersion::Http2);
    runtime().block_on(async {
        let mut client = SseClient::builder(http)
            .initial_retry_delay(Duration::ZERO)
            .read_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        for _ in 0..10 {
            match soon(client.next_action()).await {
                Some(Ok(Action::Fault(Fault::ReadTimeout(_)))) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut open: i32 = changes.try_iter().sum();
        assert!(open > 0);
        block_in_place(|| {
            while open > 1 {
                open += changes
                    .recv_timeout(LIMIT)
                    .expect("all but the last one end");
            }
        });
    });
}

#[tokio::test]
async fn a_connection_that_nobody_uses_ends() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut h2 = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = h2.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", "text/event-stream");
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        body.send_data("data: a\n\n".into(), true).unwrap();
        // In an orderly way.
        assert!(h2.accept().await.is_none());
    });
    let http = Http::new(url).version(HttpVersion::Http2);
    let mut client = SseClient::new(http.clone()).unwrap();
    assert_eq!(next_data(&mut client).await, "a");
    drop(client);
    tokio::time::pause();
    let minutes = Duration::from_secs(121);
    let ended = tokio::time::timeout(minutes, serving).await;
    ended.expect("in time").unwrap();
    drop(http);
}
