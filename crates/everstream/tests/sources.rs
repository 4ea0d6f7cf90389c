//! Sources of the user's own, in both clients. No feature is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::future::pending;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
    Error, Fault, Headers, SseClient, connect_fn, error_strategy,
};
use everstream_testing::Gate;
use futures_util::{StreamExt, stream};

use support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    an_async_stream,
    an_async_reader,
    a_blocking_reader,
    an_iterator,
    empty_chunks_are_no_end,
    an_error_of_a_source_breaks_the_connection,
    a_panic_of_a_blocking_source_breaks_the_connection,
    an_interrupted_read_is_repeated,
    an_error_of_connect_is_a_refused_connection,
    a_fault_of_connect_is_passed_on,
    every_attempt_gets_the_id_and_the_time_out,
    a_response_is_what_the_start_tells,
    the_closer_is_called_once_at_the_end,
    the_closer_is_called_once_at_a_fault,
    the_closer_is_called_once_at_an_interrupt,
    the_closer_is_called_once_at_close,
    the_closer_is_called_once_at_the_drop_of_the_client,
    the_closer_is_called_when_a_sentinel_ends_the_stream,
    a_blocked_read_ends_by_its_closer,
    a_blocked_read_without_a_closer_is_left_behind,
    a_connect_that_never_answers_is_abandoned,
    one_strategy_serves_many_clients,
    a_connection_client_is_closed_once,
    a_setting_that_cannot_be_used_is_an_error_of_the_build,
);

/// A strategy that makes this connection every time.
fn connecting(make: impl Fn() -> Connection + Send + Sync + 'static) -> impl ConnectStrategy {
    connect_fn(move |_| {
        let connection = make();
        async { Ok::<_, Fault>(connection) }
    })
}

const CHUNKS: [&str; 3] = ["data: a\n\nda", "ta: b\n", "\n"];

fn assert_a_and_b<C: Client>(make: impl Fn() -> Connection + Send + Sync + 'static) {
    let mut client = C::quick(connecting(make));
    for attempt in [1, 1] {
        assert_eq!(client.expect_start().attempt, attempt);
        client.expect_event("a");
        client.expect_event("b");
        client.expect_clean_end();
    }
}

fn an_async_stream<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_stream(stream::iter(CHUNKS.map(Ok::<_, io::Error>))));
}

fn an_async_reader<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_async_read(&b"data: a\n\ndata: b\n\n"[..]));
}

fn a_blocking_reader<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_read(Cursor::new(CHUNKS.concat())));
}

fn an_iterator<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_iter(CHUNKS.map(Ok::<_, io::Error>)));
}

fn empty_chunks_are_no_end<C: Client>() {
    let chunks = || ["", "data: a\n", "", "", "\n", "data: b\n\n", ""].map(Ok::<_, io::Error>);
    assert_a_and_b::<C>(move || Connection::from_iter(chunks()));
    assert_a_and_b::<C>(move || Connection::from_stream(stream::iter(chunks())));
}

fn an_error_of_a_source_breaks_the_connection<C: Client>() {
    let chunks = || [Ok("data: a\n\n"), Err(io::Error::other("torn"))];
    let makes: [fn() -> Connection; 2] = [
        || Connection::from_iter([Ok("data: a\n\n"), Err(io::Error::other("torn"))]),
        || Connection::from_read(Cursor::new("data: a\n\n").chain(Torn)),
    ];
    let all = makes
        .map(connecting)
        .map(|strategy| C::quick(strategy))
        .into_iter()
        .chain([C::quick(connecting(move || {
            Connection::from_stream(stream::iter(chunks()))
        }))]);
    for mut client in all {
        client.expect_start();
        client.expect_event("a");
        match client.expect_fault() {
            Fault::Read(cause) => assert_eq!(cause.to_string(), "torn"),
            other => panic!("{other:?}"),
        }
        client.expect_start();
    }
}

/// A reader that fails.
struct Torn;

impl Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("torn"))
    }
}

fn a_panic_of_a_blocking_source_breaks_the_connection<C: Client>() {
    let makes: [fn() -> Connection; 2] = [
        || {
            Connection::from_iter(std::iter::from_fn(|| -> Option<io::Result<&str>> {
                panic!("of the source, on purpose")
            }))
        },
        || Connection::from_read(Panicking),
    ];
    for make in makes {
        let mut client = C::quick(connecting(make));
        client.expect_start();
        assert!(matches!(client.expect_fault(), Fault::Read(_)));
        client.expect_start();
    }
}

struct Panicking;

impl Read for Panicking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("of the source, on purpose")
    }
}

fn an_interrupted_read_is_repeated<C: Client>() {
    struct Interrupted(u32);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 | 2 => Err(io::ErrorKind::Interrupted.into()),
                3 => (&b"data: a\n\ndata: b\n\n"[..]).read(buffer),
                _ => Ok(0),
            }
        }
    }
    assert_a_and_b::<C>(|| Connection::from_read(Interrupted(0)));
}

fn an_error_of_connect_is_a_refused_connection<C: Client>() {
    let strategy = connect_fn(|_| async { Err::<Connection, _>(io::Error::other("nobody there")) });
    let mut client = C::quick(strategy);
    match client.expect_fault() {
        Fault::Connect(cause) => assert_eq!(cause.to_string(), "nobody there"),
        other => panic!("{other:?}"),
    }
    client.expect_fault();
}

fn a_fault_of_connect_is_passed_on<C: Client>() {
    let strategy = connect_fn(|_| async { Err::<Connection, _>(Fault::Other("mine".into())) });
    assert!(matches!(C::quick(strategy).expect_error(), Fault::Other(_)));
}

fn every_attempt_gets_the_id_and_the_time_out<C: Client>() {
    let strategy = connect_fn(|request: ConnectRequest| async move {
        let told = format!("{:?} {:?}", request.last_event_id, request.read_timeout);
        let bytes = format!("id: \x01\ndata: {told}\n\n");
        Ok::<_, Fault>(Connection::from_read(Cursor::new(bytes)))
    });
    let mut client = C::with(quick(strategy).last_event_id("7").read_timeout(LIMIT));
    assert_eq!(client.event_data(), format!("Some(\"7\") Some({LIMIT:?})"));
    let second = client.event_data();
    assert!(second.starts_with(r#"Some("\u{1}")"#), "{second}");
}

fn a_response_is_what_the_start_tells<C: Client>() {
    let strategy = connecting(|| {
        let headers = Headers::from_iter([("server", "mine")]);
        Connection::from_read(Cursor::new("")).with_response(201, headers, "unix:/feed")
    });
    let start = C::quick(strategy).expect_start();
    assert_eq!(start.status, Some(201));
    assert_eq!(start.headers.get("Server"), Some("mine"));
    assert_eq!(start.url.as_deref(), Some("unix:/feed"));
}

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

/// A strategy that numbers its clients, and counts how often they are closed.
#[derive(Clone, Default)]
struct Numbered {
    clients: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

struct NumberedClient {
    number: usize,
    closed: Arc<AtomicUsize>,
}

impl ConnectStrategy for Numbered {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(NumberedClient {
            number: self.clients.fetch_add(1, Ordering::SeqCst),
            closed: self.closed.clone(),
        }))
    }
}

impl ConnectionClient for NumberedClient {
    fn connect(&mut self, _: ConnectRequest) -> ConnectFuture {
        let bytes = format!("data: {}\n\n", self.number);
        Box::pin(async { Ok(Connection::from_read(Cursor::new(bytes))) })
    }
    fn close(&mut self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

fn one_strategy_serves_many_clients<C: Client>() {
    let strategy = Numbered::default();
    let mut first = C::quick(strategy.clone());
    let mut second = C::quick(strategy);
    assert_eq!(second.event_data(), "1");
    assert_eq!(first.event_data(), "0");
    assert_eq!(first.event_data(), "0");
}

fn a_connection_client_is_closed_once<C: Client>() {
    for by_handle in [false, true] {
        let strategy = Numbered::default();
        let mut client = C::quick(strategy.clone());
        client.event_data();
        match by_handle {
            true => client.handle().close(),
            false => client.close(),
        }
        client.expect_over();
        client.expect_over();
        client.close();
        assert_eq!(count(&strategy.closed), 1);
        assert_eq!(count(&strategy.clients), 1);
    }
}

fn a_setting_that_cannot_be_used_is_an_error_of_the_build<C: Client>() {
    struct Unusable;
    impl ConnectStrategy for Unusable {
        fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
            Err(Error::config("path", "it is empty"))
        }
    }
    let error = C::build(SseClient::builder(Unusable)).err().unwrap();
    assert!(matches!(
        error,
        Error::Config {
            setting: "path",
            ..
        }
    ));
}
