//! Clients that share an HTTP/2 connection: how many streams it has, and how clients affect each other.
//! With async clients, in one runtime unless a test says otherwise.

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

/// Connects a client in the caller's runtime.
fn starting(mut client: SseClient) -> JoinHandle<SseClient> {
    tokio::spawn(async move {
        match client.next_action().await {
            Some(Ok(Action::Start(_))) => client,
            other => panic!("expected a start, got {other:?}"),
        }
    })
}

fn next(server: &H2Server) -> Exchange {
    block_in_place(|| server.next())
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("timed out")
}

/// Connects a client. Returns it, its stream, and the number of its connection.
async fn connected(http: &Http, server: &H2Server) -> (SseClient, Stream, usize) {
    let starting = starting(client(http));
    let exchange = next(server);
    let connection = exchange.connection;
    let stream = exchange.stream();
    (in_time(starting).await.unwrap(), stream, connection)
}

async fn next_data(client: &mut SseClient) -> String {
    let event = in_time(client.next_event()).await;
    event.unwrap().unwrap().into_data()
}

#[test]
fn a_stream_above_the_servers_limit_opens_a_second_connection() {
    let server = H2Server::with_streams(100);
    let http = cleartext(&server);
    runtime().block_on(async {
        let mut all = Vec::new();
        for number in 0..101 {
            let (client, stream, connection) = connected(&http, &server).await;
            assert_eq!(connection, usize::from(number == 100), "stream {number}");
            all.push((client, stream));
        }
        // All streams work.
        for (number, (client, stream)) in all.iter_mut().enumerate() {
            stream.send(format!("data: {number}\n\n"));
            assert_eq!(next_data(client).await, number.to_string());
        }
        // An ended stream can be replaced by a new one.
        let (first, _) = all.swap_remove(0);
        drop(first);
        let (_client, _stream, connection) = connected(&http, &server).await;
        assert_eq!(connection, 0);
        let (_client, _stream, connection) = connected(&http, &server).await;
        assert_eq!(connection, 1);
    });
}

/// Before the server has announced its limit.
#[test]
fn clients_that_start_at_the_same_time_do_not_wait_for_each_other() {
    for _ in 0..10 {
        let server = H2Server::with_streams(1);
        let http = cleartext(&server);
        runtime().block_on(async {
            let starting: Vec<_> = (0..5).map(|_| starting(client(&http))).collect();
            let exchanges: Vec<_> = starting.iter().map(|_| next(&server)).collect();
            let mut connections: Vec<_> = exchanges
                .iter()
                .map(|exchange| exchange.connection)
                .collect();
            connections.sort_unstable();
            assert_eq!(connections, [0, 1, 2, 3, 4]);
            let _streams: Vec<_> = exchanges.into_iter().map(Exchange::stream).collect();
            for starting in starting {
                in_time(starting).await.unwrap();
            }
        });
    }
}

/// Each unread client has begun a connection that the others wait for.
#[test]
fn an_unread_connecting_client_does_not_block_others() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let marked = http.clone().header("X-Unread", "yes");
        let mut unread: Vec<_> = (0..3).map(|_| client(&marked)).collect();
        for client in &mut unread {
            // Poll only once.
            let waker = std::task::Waker::noop();
            let mut reading = std::pin::pin!(client.next_action());
            let polled = reading
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
            assert!(polled.is_pending());
        }
        // Much less than connect_timeout.
        let began = std::time::Instant::now();
        let starting = starting(client(&http));
        // A single poll is enough to send a request over an existing connection.
        let mut unanswered = Vec::new();
        let exchange = loop {
            let exchange = next(&server);
            match exchange.header("x-unread") {
                Some(_) => unanswered.push(exchange),
                None => break exchange,
            }
        };
        let _stream = exchange.stream();
        in_time(starting).await.unwrap();
        assert!(began.elapsed() < LIMIT / 2);
    });
}

#[test]
fn a_stalled_reader_does_not_block_others() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let mut idle = Vec::new();
        for _ in 0..20 {
            let (client, mut stream, connection) = connected(&http, &server).await;
            assert_eq!(connection, 0);
            // More than the stream's window.
            stream.send(format!("data: {}\n\n", "x".repeat(1 << 20)));
            idle.push((client, stream));
        }
        let (mut client, mut stream, connection) = connected(&http, &server).await;
        assert_eq!(connection, 0);
        for number in 0..100 {
            let data = format!("{number} {}", "y".repeat(10_000));
            stream.send(format!("data: {data}\n\n"));
            assert_eq!(next_data(&mut client).await, data);
        }
        // The stalled clients get their data.
        for (client, _) in &mut idle {
            assert_eq!(next_data(client).await.len(), 1 << 20);
        }
    });
}

#[test]
fn a_connection_that_is_going_away_gets_no_new_requests() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    runtime().block_on(async {
        let (mut first, mut stream, connection) = connected(&http, &server).await;
        assert_eq!(connection, 0);
        stream.go_away();
        stream.send("data: still here\n\n");
        assert_eq!(next_data(&mut first).await, "still here");
        // No client sees a fault while the first stream lasts. Data may overtake GOAWAY, and requests
        // sent before GOAWAY arrives are still answered on the old connection.
        let mut requests = 0;
        while connected(&http, &server).await.2 == 0 {
            requests += 1;
            assert!(requests < 1000, "GOAWAY had no effect");
        }
        for _ in 0..3 {
            let (_second, _stream, connection) = connected(&http, &server).await;
            assert_eq!(connection, 1);
        }
        stream.send("data: to the end\n\n");
        assert_eq!(next_data(&mut first).await, "to the end");
    });
}

/// Runtimes that run only during `block_on`.
#[test]
fn a_runtime_that_is_not_running_does_not_block_clients_of_another() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    let connect = |runtime: &Runtime| {
        let http = http.clone();
        runtime.block_on(async {
            let mut starting = starting(client(&http));
            let request = in_time(async {
                loop {
                    // Let the client run in between.
                    tokio::task::yield_now().await;
                    if let Some(exchange) = server.try_next() {
                        return exchange;
                    }
                }
            });
            let exchange = request.await;
            let (connection, stream) = (exchange.connection, exchange.stream());
            (in_time(&mut starting).await.unwrap(), stream, connection)
        })
    };
    let (first, second) = (current_thread_runtime(), current_thread_runtime());
    let (mut one, mut stream_of_one, connection) = connect(&first);
    assert_eq!(connection, 0);
    let (mut two, mut stream_of_two, connection) = connect(&second);
    assert_eq!(
        connection, 1,
        "the first connection's runtime isn't running"
    );
    // Clients in one runtime share a connection.
    let (_three, _stream, connection) = connect(&second);
    assert_eq!(connection, 1);
    stream_of_two.send("data: two\n\n");
    second.block_on(async { assert_eq!(next_data(&mut two).await, "two") });
    stream_of_one.send("data: one\n\n");
    first.block_on(async { assert_eq!(next_data(&mut one).await, "one") });
}

fn current_thread_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The client is read in a different runtime from the one in which it connected.
#[test]
fn a_client_reconnects_in_the_reading_runtime_if_that_of_its_connection_was_dropped() {
    let server = H2Server::cleartext();
    let http = cleartext(&server);
    let (first, other): (Runtime, Runtime) = (runtime(), runtime());
    let (mut client, mut stream, connection) = first.block_on(connected(&http, &server));
    assert_eq!(connection, 0);
    stream.send("id: 7\ndata: a\n\n");
    other.block_on(async { assert_eq!(next_data(&mut client).await, "a") });
    first.shutdown_timeout(LIMIT);
    other.block_on(async {
        match in_time(client.next_action()).await {
            Some(Ok(Action::Fault(Fault::Read(_)))) => {}
            other => panic!("{other:?}"),
        }
        let starting = starting(client);
        let exchange = next(&server);
        assert_eq!(exchange.connection, 1);
        assert_eq!(exchange.header("last-event-id"), Some("7"));
        let mut stream = exchange.stream();
        stream.send("data: b\n\n");
        let mut client = in_time(starting).await.unwrap();
        assert_eq!(next_data(&mut client).await, "b");
        // New clients share the new connection.
        let (_second, _stream, connection) = connected(&http, &server).await;
        assert_eq!(connection, 1);
    });
}

/// Starts a server that accepts no streams. It reports 1 when a connection begins, and -1 when it ends.
fn without_streams() -> (String, std::sync::mpsc::Receiver<i32>) {
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
fn connections_to_a_server_without_streams_do_not_pile_up() {
    let (url, changes) = without_streams();
    let http = Http::new(url).version(HttpVersion::Http2);
    runtime().block_on(async {
        let mut client = SseClient::builder(http)
            .initial_retry_delay(Duration::ZERO)
            .read_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        for _ in 0..10 {
            match in_time(client.next_action()).await {
                Some(Ok(Action::Fault(Fault::ResponseTimeout(_)))) => {}
                other => panic!("{other:?}"),
            }
        }
        block_in_place(|| {
            let mut open = changes.recv_timeout(LIMIT).expect("a connection");
            open += changes.try_iter().sum::<i32>();
            while open > 1 {
                open += changes
                    .recv_timeout(LIMIT)
                    .expect("all but the last connection should end");
            }
        });
    });
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (ended, has_ended) = std::sync::mpsc::channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut h2 = h2::server::handshake(socket).await.unwrap();
        let (_, mut respond) = h2.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", "text/event-stream");
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        body.send_data("data: a\n\n".into(), true).unwrap();
        // `None` if the connection ends cleanly.
        _ = ended.send(h2.accept().await.map(|request| request.map(drop)));
    });
    let http = Http::new(url).version(HttpVersion::Http2);
    let mut client = SseClient::new(http.clone()).unwrap();
    assert_eq!(next_data(&mut client).await, "a");
    drop(client);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(121)).await;
    // The network takes real time; a blocking task stops the paused clock meanwhile.
    let waiting = tokio::task::spawn_blocking(move || has_ended.recv_timeout(LIMIT));
    let end = waiting.await.unwrap().expect("the connection stays open");
    assert!(end.is_none(), "{end:?}");
    drop(http);
}
