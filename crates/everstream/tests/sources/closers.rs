//! Closers, and blocking reads and attempts.

use std::future::pending;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::Poll;

use everstream::{
    Action, ConnectStrategy, Connection, End, Ending, Fault, Handle, connect_fn, error_strategy,
};
use everstream_testing::Gate;
use futures_util::{StreamExt, stream};

use super::{FailingReader, connecting};
use crate::support::{self, Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    the_closer_is_called_once_at_the_end,
    the_closer_is_called_once_at_a_fault,
    the_closer_is_called_once_at_an_interrupt,
    the_closer_is_called_once_at_close,
    the_closer_is_called_once_at_the_drop_of_the_client,
    the_closer_is_called_when_a_sentinel_ends_the_stream,
    a_closer_unblocks_a_blocked_read,
    a_blocked_read_without_a_closer_is_abandoned,
    a_hanging_connect_is_abandoned,
    an_event_that_arrives_with_a_close_is_not_delivered,
    an_event_that_arrives_with_an_interrupt_is_delivered_first,
    a_source_ended_by_an_interrupt_is_not_complete,
);

/// Returns a strategy whose connections count how often their closers are called.
fn counted(connection: fn() -> Connection) -> (impl ConnectStrategy, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let strategy = connecting({
        let closed = closed.clone();
        move || {
            let closed = closed.clone();
            connection().with_closer(move || _ = closed.fetch_add(1, Ordering::SeqCst))
        }
    });
    (strategy, closed)
}

fn count(closed: &AtomicUsize) -> usize {
    closed.load(Ordering::SeqCst)
}

fn ending() -> Connection {
    Connection::from_read(Cursor::new("data: a\n\n"))
}

fn silent() -> Connection {
    let first = stream::iter([Ok::<_, io::Error>("data: a\n\n")]);
    Connection::from_stream(first.chain(stream::pending()))
}

fn the_closer_is_called_once_at_the_end<C: Client>() {
    let (strategy, closed) = counted(ending);
    let mut client = C::quick(strategy);
    for connections in 1..=3 {
        client.expect_start();
        client.expect_event("a");
        assert_eq!(count(&closed), connections - 1);
        client.expect_clean_end();
        assert_eq!(count(&closed), connections);
    }
    drop(client);
    assert_eq!(count(&closed), 3);
}

fn the_closer_is_called_once_at_a_fault<C: Client>() {
    let (strategy, closed) = counted(|| Connection::from_read(FailingReader));
    let mut client = C::with(quick(strategy).error_strategy(error_strategy::always_fail()));
    client.expect_start();
    client.expect_error();
    assert_eq!(count(&closed), 1);
    drop(client);
    assert_eq!(count(&closed), 1);
}

fn the_closer_is_called_once_at_an_interrupt<C: Client>() {
    for by_handle in [false, true] {
        let (strategy, closed) = counted(silent);
        let mut client = C::quick(strategy);
        client.expect_start();
        client.expect_event("a");
        assert_eq!(count(&closed), 0);
        match by_handle {
            true => client.handle().interrupt(),
            false => client.interrupt(),
        }
        client.expect_clean_end();
        assert_eq!(count(&closed), 1);
        client.expect_start();
        drop(client);
        assert_eq!(count(&closed), 2);
    }
}

fn the_closer_is_called_once_at_close<C: Client>() {
    for by_handle in [false, true] {
        let (strategy, closed) = counted(silent);
        let mut client = C::quick(strategy);
        client.expect_start();
        client.expect_event("a");
        match by_handle {
            true => client.handle().close(),
            false => client.close(),
        }
        client.expect_ended();
        assert_eq!(count(&closed), 1);
        client.close();
        client.expect_ended();
        drop(client);
        assert_eq!(count(&closed), 1);
    }
}

fn the_closer_is_called_once_at_the_drop_of_the_client<C: Client>() {
    let (strategy, closed) = counted(silent);
    let mut client = C::quick(strategy);
    client.event_data();
    assert_eq!(count(&closed), 0);
    drop(client);
    assert_eq!(count(&closed), 1);
}

fn the_closer_is_called_when_a_sentinel_ends_the_stream<C: Client>() {
    let (strategy, closed) = counted(silent);
    let mut client = C::with(quick(strategy).until("a"));
    client.expect_start();
    client.expect_ended();
    assert_eq!(count(&closed), 1);
}

/// A reader whose read returns only when it is released.
struct BlockedReader {
    blocked: Gate,
    released: mpsc::Receiver<()>,
    returned: Gate,
}

impl Read for BlockedReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.blocked.open();
        _ = self.released.recv();
        self.returned.open();
        Ok(0)
    }
}

/// Closes a client while a read blocks. `has_closer`: the connection has a closer that releases the read.
fn closed_while_a_read_blocks<C: Client>(has_closer: bool) {
    let (release, released) = mpsc::channel();
    let (blocked, returned) = (Gate::new(), Gate::new());
    let reader = BlockedReader {
        blocked: blocked.clone(),
        released,
        returned: returned.clone(),
    };
    let only = std::sync::Mutex::new(Some((reader, release.clone())));
    let strategy = connect_fn(move |_| {
        let connection = only.lock().unwrap().take().map(|(reader, release)| {
            let connection = Connection::from_read(reader);
            match has_closer {
                true => connection.with_closer(move || _ = release.send(())),
                false => connection,
            }
        });
        async { connection.ok_or("there is only one connection") }
    });
    let mut client = C::quick(strategy);
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(blocked.wait(LIMIT));
            handle.close();
        });
        client.expect_start();
        client.expect_ended();
    });
    assert_eq!(
        returned.wait(if has_closer { LIMIT } else { support::DELAY }),
        has_closer
    );
    // Dropping the client doesn't wait, either.
    drop(client);
    _ = release.send(());
    assert!(returned.wait(LIMIT));
}

fn a_closer_unblocks_a_blocked_read<C: Client>() {
    closed_while_a_read_blocks::<C>(true);
}

fn a_blocked_read_without_a_closer_is_abandoned<C: Client>() {
    closed_while_a_read_blocks::<C>(false);
}

fn a_hanging_connect_is_abandoned<C: Client>() {
    struct Dropped(Gate);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.open();
        }
    }
    let (begun, abandoned) = (Gate::new(), Gate::new());
    let strategy = connect_fn({
        let (begun, abandoned) = (begun.clone(), abandoned.clone());
        move |_| {
            let (begun, dropped) = (begun.clone(), Dropped(abandoned.clone()));
            async move {
                let _dropped = dropped;
                begun.open();
                pending::<Result<Connection, Fault>>().await
            }
        }
    });
    let mut client = C::quick(strategy);
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(begun.wait(LIMIT));
            handle.close();
        });
        client.expect_ended();
    });
    assert!(abandoned.is_open());
}

/// Returns a client whose source calls `call` right before it returns an event.
fn calling<C: Client>(call: fn(&Handle)) -> C {
    let handle = Arc::new(OnceLock::<Handle>::new());
    let mut client = C::quick(connecting({
        let handle = handle.clone();
        move || {
            let handle = handle.clone();
            let event = stream::once(async move {
                call(handle.get().unwrap());
                Ok::<_, io::Error>("data: a\n\n")
            });
            Connection::from_stream(event.chain(stream::pending()).boxed())
        }
    }));
    handle.set(client.handle()).unwrap();
    client.expect_start();
    client
}

fn an_event_that_arrives_with_a_close_is_not_delivered<C: Client>() {
    calling::<C>(Handle::close).expect_ended();
}

fn an_event_that_arrives_with_an_interrupt_is_delivered_first<C: Client>() {
    let mut client = calling::<C>(Handle::interrupt);
    client.expect_event("a");
    client.expect_clean_end();
}

/// Sources that block within their poll, as those in Python do, end because of the interrupt.
fn a_source_ended_by_an_interrupt_is_not_complete<C: Client>() {
    let handle: Arc<OnceLock<Handle>> = Arc::default();
    let strategy = connecting({
        let handle = handle.clone();
        move || {
            let handle = handle.clone();
            let first = stream::iter([Ok::<_, io::Error>("data: a\n\ndata: b\n")]);
            let rest = stream::poll_fn(move |_| {
                handle.get().unwrap().interrupt();
                Poll::Ready(None)
            });
            Connection::from_stream(first.chain(rest)).with_ending(Ending::Complete)
        }
    });
    let mut client = C::build(quick(strategy).dispatch_unfinished(true)).unwrap();
    _ = handle.set(client.handle());
    client.expect_start();
    client.expect_event("a");
    match client.next_action() {
        Some(Ok(Action::End(end))) => assert_eq!(*end, End::default()),
        other => panic!("{other:?}"),
    }
}
