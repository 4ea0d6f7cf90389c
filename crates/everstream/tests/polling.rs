//! The async client's poll functions.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use everstream::{Action, Error, SseClient, error_strategy};
use everstream_testing::{Gate, Reply, Server};
use futures_util::task::noop_waker;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

async fn action(client: &mut SseClient) -> Action {
    let next = timeout(LIMIT, poll_fn(|cx| client.poll_next_action(cx)));
    next.await.expect("in time").expect("an action").unwrap()
}

fn event(action: Action) -> String {
    match action {
        Action::Event(event) => event.data().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn try_next_action_returns_received_actions_without_waiting() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .send("data: a\n\n: c\n\ndata: b\n\n")
            .stall(),
    );
    let mut client = SseClient::new(server.url("/")).unwrap();
    assert!(client.try_next_action().is_none());
    assert_eq!(server.accepted_connections(), 0, "it must not connect");
    assert!(matches!(action(&mut client).await, Action::Start(_)));
    assert_eq!(event(action(&mut client).await), "a");
    assert!(matches!(client.try_next_action(), Some(Action::Comment(_))));
    assert_eq!(event(client.try_next_action().unwrap()), "b");
    assert!(client.try_next_action().is_none());
    client.close();
    assert!(client.try_next_action().is_none());
}

#[tokio::test]
async fn try_next_action_updates_the_id_of_a_block_without_data() {
    let server = Server::start();
    server.otherwise(Reply::stream().send("data: a\n\nid: 7\n\n").stall());
    let mut client = SseClient::new(server.url("/")).unwrap();
    assert!(matches!(action(&mut client).await, Action::Start(_)));
    assert_eq!(event(action(&mut client).await), "a");
    assert_eq!(client.last_event_id(), None);
    assert!(client.try_next_action().is_none());
    assert_eq!(client.last_event_id(), Some("7"));
    assert_eq!(client.handle().last_event_id().as_deref(), Some("7"));
}

#[tokio::test]
async fn a_pending_poll_is_woken_and_continues() {
    let server = Server::start();
    let gate = Gate::new();
    server.otherwise(Reply::stream().head_after(&gate).event("a").stall());
    let mut client = SseClient::new(server.url("/")).unwrap();
    let first = poll_fn(|cx| Poll::Ready(client.poll_next_action(cx).is_pending())).await;
    assert!(first);
    gate.open();
    assert!(matches!(action(&mut client).await, Action::Start(_)));
    assert_eq!(event(action(&mut client).await), "a");
    assert_eq!(server.request_count(), 1);
}

/// Polling a start again doesn't begin a new one, so an interrupt in between is reported.
#[tokio::test]
async fn an_interrupt_between_two_polls_of_a_start_interrupts_it() {
    let server = Server::start();
    server.otherwise(Reply::stream().head_after(&Gate::new()));
    let mut client = SseClient::builder(server.url("/"))
        .error_strategy(error_strategy::always_fail())
        .build()
        .unwrap();
    let mut poll = || client.poll_start(&mut Context::from_waker(&noop_waker()));
    assert!(poll().is_pending());
    client.handle().interrupt();
    let mut poll = || client.poll_start(&mut Context::from_waker(&noop_waker()));
    assert!(matches!(poll(), Poll::Ready(Err(Error::Interrupted))));
    assert!(poll().is_pending(), "the next poll begins a new start");
}

#[tokio::test]
async fn poll_start_returns_success_failure_and_closed() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::stream().stall());
    let mut client = SseClient::new(server.url("/")).unwrap();
    let failed = timeout(LIMIT, poll_fn(|cx| client.poll_start(cx)));
    assert_eq!(failed.await.unwrap().unwrap_err().status(), Some(404));
    let started = timeout(LIMIT, poll_fn(|cx| client.poll_start(cx)));
    started.await.unwrap().unwrap();
    assert!(client.is_connected());
    client.close();
    let closed = poll_fn(|cx| client.poll_start(cx)).await;
    assert!(matches!(closed, Err(Error::Closed)));
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn taken(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

fn client_that_waits() -> SseClient {
    let source = everstream::connect_fn(|_| std::future::pending::<Result<_, std::io::Error>>());
    SseClient::new(source).unwrap()
}

#[tokio::test]
async fn a_handle_wakes_the_task_that_polled_last() {
    let mut client = client_that_waits();
    let (first, last) = (Arc::<Count>::default(), Arc::<Count>::default());
    for waker in [&first, &last, &last] {
        let waker = Waker::from(waker.clone());
        let poll = client.poll_next_action(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
    }
    client.handle().close();
    assert_eq!((first.taken(), last.taken()), (0, 1));
}

/// A waker keeps its task alive, and in a blocking client the whole runtime with two descriptors.
#[tokio::test]
async fn a_handle_of_a_closed_or_dropped_client_keeps_no_waker() {
    let ends: [fn(SseClient) -> Option<SseClient>; 3] = [
        |client| {
            drop(client);
            None
        },
        |mut client| {
            client.close();
            Some(client)
        },
        |mut client| {
            client.handle().close();
            for _ in 0..2 {
                let poll = client.poll_next_action(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(poll, Poll::Ready(None)));
            }
            Some(client)
        },
    ];
    for end in ends {
        let mut client = client_that_waits();
        let (handle, count) = (client.handle(), Arc::<Count>::default());
        let waker = Waker::from(count.clone());
        let poll = client.poll_next_action(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        drop(waker);
        assert!(Arc::strong_count(&count) > 1);
        let _client = end(client);
        assert_eq!(Arc::strong_count(&count), 1);
        drop(handle);
    }
}

#[tokio::test]
async fn a_handle_wakes_the_same_task_every_time() {
    let mut client = client_that_waits();
    let handle = client.handle();
    let count = Arc::<Count>::default();
    let waker = Waker::from(count.clone());
    for _ in 0..3 {
        let poll = client.poll_next_action(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        count.taken();
        handle.interrupt();
        assert_eq!(count.taken(), 1);
        let poll = client.poll_next_action(&mut Context::from_waker(&waker));
        assert!(matches!(poll, Poll::Ready(Some(Ok(Action::End(_))))));
    }
}
