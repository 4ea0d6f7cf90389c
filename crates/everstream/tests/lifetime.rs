//! Clients that are moved, dropped, cancelled, or used where they can't work.

use std::thread;
use std::time::Duration;

use everstream::blocking::{Next, SseClient as BlockingClient};
use everstream::{
    Action, Builder, ConnectRequest, Connection, Error, Event, Fault, Handle, Http, SseClient,
};
use everstream_testing::{Feed, Gate, Reply, Server};
use futures_util::{FutureExt, StreamExt};

use crate::support::{self, Client, LIMIT, for_both_clients};

for_both_clients!(
    a_client_dropped_between_reads_closes_its_socket,
    a_client_dropped_before_the_response_closes_its_socket,
    a_client_can_move_to_another_thread,
);

#[test]
fn clients_and_handles_are_send() {
    fn send<T: Send + 'static>() {}
    fn sync<T: Send + Sync + 'static>() {}
    fn clone<T: Clone>() {}
    send::<SseClient>();
    send::<BlockingClient>();
    send::<Builder>();
    send::<everstream::IntoActions>();
    send::<everstream::IntoEvents>();
    send::<everstream::blocking::IntoActions>();
    send::<everstream::blocking::IntoEvents>();
    sync::<Handle>();
    clone::<Handle>();
    sync::<Http>();
    clone::<Http>();
    sync::<Error>();
    sync::<Fault>();
    sync::<Event>();
    // The futures too, so that a task can own a client.
    let mut client = SseClient::new("http://127.0.0.1/").unwrap();
    fn is_send<T: Send>(_: T) {}
    is_send(client.next_event());
    is_send(client.next_action());
    is_send(client.start());
    is_send(client.all());
    is_send(client.events());
}

fn a_client_dropped_between_reads_closes_its_socket<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));
    client.event_data();
    assert_eq!(server.open_connections(), 1);
    drop(client);
    assert!(server.wait_for_open_connections(0, LIMIT));
}

fn a_client_dropped_before_the_response_closes_its_socket<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let mut client = C::quick(server.url("/"));
    while server.request_count() == 0 {
        assert!(client.event_within(Duration::from_millis(5)).is_none());
    }
    drop(client);
    assert!(server.wait_for_open_connections(0, LIMIT));
}

fn a_client_can_move_to_another_thread<C: Client>() {
    let server = Server::start();
    let feed = Feed::new();
    server.otherwise(Reply::stream().resume(&feed));
    let mut client = C::quick(server.url("/"));
    for number in 0..4 {
        feed.push(number.to_string());
        client = thread::spawn(move || {
            assert_eq!(client.event_data(), number.to_string());
            client
        })
        .join()
        .unwrap();
    }
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_stream_dropped_while_it_waits_closes_its_socket() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = SseClient::new(server.url("/")).unwrap();
    client.next_event().await.unwrap().unwrap();
    let task = tokio::spawn(async move { client.next_event().await.is_none() });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let closed = move || server.wait_for_open_connections(0, LIMIT);
    assert!(tokio::task::spawn_blocking(closed).await.unwrap());
}

#[tokio::test]
async fn an_owned_stream_ends_at_an_error_and_returns_its_client() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::stream().event("a").event("b").stall());
    let mut events = SseClient::new(server.url("/")).unwrap().into_events();
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(events.next().await.is_none());
    assert_eq!(server.request_count(), 1);

    let mut actions = events.into_client().into_actions();
    assert!(matches!(actions.next().await, Some(Ok(Action::Start(_)))));
    let handle = actions.handle();
    let reader = tokio::spawn(async move { actions.map(Result::unwrap).count().await });
    let closed_after = tokio::task::spawn_blocking(move || {
        assert!(server.wait_for_open_connections(1, LIMIT));
        handle.close();
        server.wait_for_open_connections(0, LIMIT)
    });
    assert!(closed_after.await.unwrap());
    assert!(reader.await.unwrap() <= 2, "only the events");
}

#[test]
fn an_owned_iterator_ends_at_an_error_and_returns_its_client() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::stream().event("a").stall());
    let mut events = BlockingClient::new(server.url("/")).unwrap().into_events();
    let error = events.next().unwrap().unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(events.next().is_none());
    assert_eq!(server.request_count(), 1);

    let mut actions = events.into_client().into_actions();
    assert!(matches!(actions.next(), Some(Ok(Action::Start(_)))));
    assert!(matches!(actions.next(), Some(Ok(Action::Event(_)))));
    let handle = actions.handle();
    let reader = std::thread::spawn(move || actions.count());
    handle.close();
    assert_eq!(reader.join().unwrap(), 0);
}

#[test]
fn an_async_client_can_move_to_another_runtime_during_every_wait() {
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }
    /// Waits briefly in a new runtime, which is then dropped.
    fn wait_in_new_runtime(
        stream: &mut (impl futures_util::Stream<Item = Result<Event, Error>> + Unpin),
    ) {
        runtime().block_on(async {
            let next = tokio::time::timeout(Duration::from_millis(50), stream.next());
            assert!(next.await.is_err(), "nothing should arrive");
        });
    }
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").pause(Duration::from_millis(10)));
    let mut client = SseClient::builder(server.url("/"))
        .retry_delay_strategy(everstream::retry_delay::from_fn(|_| {
            // Longer than a busy machine needs for the waits below.
            Duration::from_millis(1500)
        }))
        .read_timeout(LIMIT)
        .build()
        .unwrap();
    let mut events = client.events();
    for _ in 0..2 {
        let event = runtime().block_on(events.next());
        assert_eq!(event.unwrap().unwrap().data(), "a");
        // During the retry delay.
        wait_in_new_runtime(&mut events);
    }
    server.otherwise(Reply::stream().event("b").stall());
    let second = runtime();
    let event = second.block_on(events.next());
    assert_eq!(event.unwrap().unwrap().data(), "b");
    // During a read with a deadline.
    second.block_on(async {
        let next = tokio::time::timeout(Duration::from_millis(50), events.next());
        assert!(next.await.is_err(), "nothing should arrive");
    });
    drop(second);
    let event = runtime().block_on(events.next());
    assert_eq!(
        event.unwrap().unwrap().data(),
        "b",
        "the connection ended with its runtime"
    );
}

/// Starts a server that sends the events 0 to 99 in small pieces, over several connections.
fn hundred_events() -> Server {
    let (server, feed) = (Server::start(), Feed::new());
    for number in 0..100 {
        feed.push(number.to_string());
    }
    feed.close();
    for taken in [20, 30, 10] {
        let portion = feed.take(taken).and_half();
        server.enqueue(
            Reply::stream()
                .resume(portion)
                .in_pieces(7)
                .drop_connection(),
        );
    }
    server.otherwise(Reply::stream().resume(&feed).in_pieces(3).stall());
    server
}

#[tokio::test]
async fn dropping_futures_at_every_step_loses_no_events() {
    let server = hundred_events();
    let mut client = support::quick(server.url("/")).build().unwrap();
    let mut next = 0;
    while next < 100 {
        // Poll once, and drop the future unless it is ready.
        match client.next_event().now_or_never() {
            Some(event) => {
                assert_eq!(event.unwrap().unwrap().data(), next.to_string());
                next += 1;
            }
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn dropping_streams_in_select_loses_no_events() {
    let server = hundred_events();
    let mut client = support::quick(server.url("/")).build().unwrap();
    let mut tick = tokio::time::interval(Duration::from_micros(500));
    let mut next = 0;
    while next < 100 {
        let mut events = client.events();
        tokio::select! {
            event = events.next() => {
                assert_eq!(event.unwrap().unwrap().data(), next.to_string());
                next += 1;
            }
            _ = tick.tick() => {}
        }
    }
}

#[test]
fn timeouts_of_the_blocking_client_lose_no_events() {
    let server = hundred_events();
    let mut client = Builder::<BlockingClient>::from(support::quick(server.url("/")))
        .build()
        .unwrap();
    let mut next = 0;
    while next < 100 {
        match client.next_event_timeout(Duration::from_micros(300)) {
            Ok(Next::Item(event)) => {
                assert_eq!(event.data(), next.to_string());
                next += 1;
            }
            other => assert_eq!(other.unwrap(), Next::TimedOut),
        }
    }
}

#[test]
fn a_read_with_a_timeout_distinguishes_a_timeout_from_the_end() {
    let (server, gate) = (Server::start(), Gate::new());
    server.enqueue(Reply::stream().head_after(&gate).stall());
    server.otherwise(Reply::status(404));
    let builder = support::quick(server.url("/"));
    let mut client = Builder::<BlockingClient>::from(builder).build().unwrap();
    let moment = Duration::from_millis(5);
    assert!(!client.start_timeout(moment).unwrap());
    assert_eq!(client.next_event_timeout(moment).unwrap(), Next::TimedOut);
    gate.open();
    assert!(client.start_timeout(LIMIT).unwrap());
    let next = client.next_action_timeout(LIMIT).unwrap();
    assert!(matches!(next, Next::Item(Action::Start(_))));
    assert_eq!(client.next_event_timeout(moment).unwrap(), Next::TimedOut);
    client.interrupt();
    let error = client.next_event_timeout(LIMIT).unwrap_err();
    assert_eq!(error.status(), Some(404));
    client.close();
    assert_eq!(client.next_event_timeout(LIMIT).unwrap(), Next::Ended);
    assert!(matches!(client.start_timeout(LIMIT), Err(Error::Closed)));
}

#[tokio::test]
async fn the_blocking_client_fails_inside_a_runtime() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let mut client = BlockingClient::new(server.url("/")).unwrap();

    assert!(matches!(client.start(), Err(Error::InsideRuntime)));
    assert!(matches!(
        client.next_event(),
        Some(Err(Error::InsideRuntime))
    ));
    assert!(matches!(
        client.next_action(),
        Some(Err(Error::InsideRuntime))
    ));
    assert!(matches!(
        client.events().next(),
        Some(Err(Error::InsideRuntime))
    ));
    assert!(matches!(
        client.next_event_timeout(Duration::ZERO),
        Err(Error::InsideRuntime)
    ));
    let in_blocking_pool = tokio::task::spawn_blocking(move || (client.start(), client));
    let (refused, mut client) = in_blocking_pool.await.unwrap();
    assert!(matches!(refused, Err(Error::InsideRuntime)));
    assert_eq!(server.accepted_connections(), 0);
    client.interrupt();

    // It works in a thread, and then has a connection.
    let mut client = thread::spawn(move || {
        assert_eq!(client.next_event().unwrap().unwrap().data(), "a");
        client
    })
    .join()
    .unwrap();
    assert!(matches!(
        client.next_event(),
        Some(Err(Error::InsideRuntime))
    ));
    assert!(
        client.is_connected(),
        "the refused read kept the connection"
    );
    drop(client);
    let closed = move || server.wait_for_open_connections(0, LIMIT);
    assert!(tokio::task::spawn_blocking(closed).await.unwrap());
}

/// tokio's functions panic there.
#[test]
fn the_async_client_fails_outside_a_runtime_and_works_inside_one_afterwards() {
    fn assert_refused<T: std::fmt::Debug>(read: Option<Option<Result<T, Error>>>) {
        assert!(
            matches!(read, Some(Some(Err(Error::OutsideRuntime)))),
            "{read:?}"
        );
    }
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut client = SseClient::builder(server.url("/"))
        .read_timeout(LIMIT)
        .build()
        .unwrap();

    assert_refused(client.next_event().now_or_never());
    assert_refused(client.start().now_or_never().map(Some));
    assert_eq!(server.accepted_connections(), 0);
    let event = runtime.block_on(client.next_event());
    assert_eq!(event.unwrap().unwrap().data(), "a");

    // While it would wait for data, with a deadline.
    assert_refused(client.next_event().now_or_never());
    assert!(client.is_connected());
    // While it would wait for the retry delay.
    client.interrupt();
    assert!(matches!(
        client.next_action().now_or_never(),
        Some(Some(Ok(Action::End(_))))
    ));
    assert_refused(client.next_action().now_or_never());
    assert_eq!(server.request_count(), 1);
    let event = runtime.block_on(client.next_event());
    assert_eq!(event.unwrap().unwrap().data(), "a");
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_request_outside_a_runtime_is_a_setup_fault() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let http = Http::new(server.url("/"));
    let sent = http.send(ConnectRequest::default()).now_or_never();
    let fault = sent.unwrap().unwrap_err();
    assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
    assert_eq!(
        format!("{:?}", Error::from(fault)),
        "the connection could not be attempted: the async client can't be used outside a tokio \
         runtime: call it inside one, or use blocking::SseClient"
    );
    assert_eq!(server.accepted_connections(), 0);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sent = runtime.block_on(http.send(ConnectRequest::default()));
    let fault = sent.unwrap().into_connection().now_or_never();
    let fault = fault.unwrap().unwrap_err();
    assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
}

#[test]
fn a_source_that_blocks_fails_outside_a_runtime_and_works_inside_one_afterwards() {
    let source = everstream::connect_fn(|_| async {
        Ok::<_, std::io::Error>(Connection::from_read(&b"data: a\n\n"[..]))
    });
    let mut client = SseClient::new(source).unwrap();
    let read = client.next_event().now_or_never();
    assert!(
        matches!(read, Some(Some(Err(Error::OutsideRuntime)))),
        "{read:?}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let event = runtime.block_on(client.next_event());
    assert_eq!(event.unwrap().unwrap().data(), "a");
}

#[tokio::test]
async fn the_blocking_client_can_be_closed_inside_a_runtime() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let url = server.url("/");
    let mut client = thread::spawn(move || {
        let mut client = BlockingClient::new(url).unwrap();
        client.next_event().unwrap().unwrap();
        client
    })
    .join()
    .unwrap();
    client.close();
    let closed = move || server.wait_for_open_connections(0, LIMIT);
    assert!(tokio::task::spawn_blocking(closed).await.unwrap());
    assert!(client.handle().is_closed());
}
