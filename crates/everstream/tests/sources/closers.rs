//! Closers, and reads and attempts that block.

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

use super::{Torn, connecting};
use crate::support::{self, Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    the_closer_is_called_once_at_the_end,
    the_closer_is_called_once_at_a_fault,
    the_closer_is_called_once_at_an_interrupt,
    the_closer_is_called_once_at_close,
    the_closer_is_called_once_at_the_drop_of_the_client,
    the_closer_is_called_when_a_sentinel_ends_the_stream,
    a_blocked_read_ends_by_its_closer,
    a_blocked_read_without_a_closer_is_left_behind,
    a_connect_that_never_answers_is_abandoned,
    what_comes_with_a_close_is_not_handed_out,
    what_comes_with_an_interrupt_is_handed_out_first,
    a_source_that_an_interrupt_ends_is_not_complete,
);

/// Makes connections that count how often their closers are called. Each gives one event, then
/// what `then` is.
fn counted(then: fn() -> Connection) -> (impl ConnectStrategy, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let strategy = connecting({
        let closed = closed.clone();
        move || {
            let closed = closed.clone();
            then().with_closer(move || _ = closed.fetch_add(1, Ordering::SeqCst))
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
    let (strategy, closed) = counted(|| Connection::from_read(Torn));
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
        client.expect_over();
        assert_eq!(count(&closed), 1);
        client.close();
        client.expect_over();
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
    client.expect_over();
    assert_eq!(count(&closed), 1);
}

/// A reader whose read returns only when the sender is dropped.
struct Stuck {
    blocked: Gate,
    released: mpsc::Receiver<()>,
    returned: Gate,
}

impl Read for Stuck {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.blocked.open();
        _ = self.released.recv();
        self.returned.open();
        Ok(0)
    }
}

/// A client that is closed while a read blocks. `closes`: the connection has a closer that
/// releases the read.
fn closed_while_a_read_blocks<C: Client>(closes: bool) {
    let (release, released) = mpsc::channel();
    let (blocked, returned) = (Gate::new(), Gate::new());
    let stuck = Stuck {
        blocked: blocked.clone(),
        released,
        returned: returned.clone(),
    };
    let only = std::sync::Mutex::new(Some((stuck, release.clone())));
    let strategy = connect_fn(move |_| {
        let made = only.lock().unwrap().take().map(|(stuck, release)| {
            let connection = Connection::from_read(stuck);
            match closes {
                true => connection.with_closer(move || _ = release.send(())),
                false => connection,
            }
        });
        async { made.ok_or("it is made once") }
    });
    let mut client = C::quick(strategy);
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(blocked.wait(LIMIT));
            handle.close();
        });
        client.expect_start();
        client.expect_over();
    });
    assert_eq!(
        returned.wait(if closes { LIMIT } else { support::DELAY }),
        closes
    );
    // Neither does dropping the client wait.
    drop(client);
    _ = release.send(());
    assert!(returned.wait(LIMIT));
}

fn a_blocked_read_ends_by_its_closer<C: Client>() {
    closed_while_a_read_blocks::<C>(true);
}

fn a_blocked_read_without_a_closer_is_left_behind<C: Client>() {
    closed_while_a_read_blocks::<C>(false);
}

fn a_connect_that_never_answers_is_abandoned<C: Client>() {
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
        client.expect_over();
    });
    assert!(abandoned.is_open());
}

/// A client whose source calls this before it gives an event.
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

fn what_comes_with_a_close_is_not_handed_out<C: Client>() {
    calling::<C>(Handle::close).expect_over();
}

fn what_comes_with_an_interrupt_is_handed_out_first<C: Client>() {
    let mut client = calling::<C>(Handle::interrupt);
    client.expect_event("a");
    client.expect_clean_end();
}

/// A source that blocks within its poll, as those of Python do, is ended by whoever interrupts.
fn a_source_that_an_interrupt_ends_is_not_complete<C: Client>() {
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
