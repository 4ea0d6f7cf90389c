//! Both clients behind one trait, so that every scenario is told once.

// Each test program uses a part of this; a helper that fails fails its test.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub(crate) mod deaf;
#[cfg(feature = "reqwest")]
pub(crate) mod reqwest_client;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use everstream::{
    Action, Builder, Error, Event, Fault, Handle, IntoConnectStrategy, SseClient, Start, blocking,
    retry_delay,
};
use futures_util::StreamExt;
use tokio::runtime::{self, Runtime};

/// Long enough for a loaded machine; nothing waits that long when all is well.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The delay of [`quick`]: too short to be noticed, and recognisable.
pub const DELAY: Duration = Duration::from_millis(1);

/// Runs each scenario as two tests, one with either client: `async_::name` and `blocking::name`.
macro_rules! for_both_clients {
    ($($name:ident),* $(,)?) => {
        mod async_ {
            $(#[test]
            fn $name() {
                crate::support::run(super::$name::<crate::support::Async>);
            })*
        }
        mod blocking {
            $(#[test]
            fn $name() {
                crate::support::run(super::$name::<crate::support::Blocking>);
            })*
        }
    };
}
pub(crate) use for_both_clients;

/// Runs a scenario on a thread of its own, and fails if it doesn't come to an end.
pub fn run(scenario: fn()) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        scenario();
        _ = done.send(());
    });
    match is_done.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the scenario hangs: not over after {LIMIT:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Settings that make a client reconnect at once.
pub fn quick(connect: impl IntoConnectStrategy) -> Builder {
    SseClient::builder(connect).retry_delay_strategy(retry_delay::from_fn(|_| DELAY))
}

/// What the scenarios need of a client. Every call waits as long as it takes.
pub trait Client: Sized + Send + 'static {
    const BLOCKING: bool;

    fn build(builder: Builder) -> Result<Self, Error>;
    fn start(&mut self) -> Result<(), Error>;
    fn next_action(&mut self) -> Option<Result<Action, Error>>;
    fn next_event(&mut self) -> Option<Result<Event, Error>>;
    /// The first of a new `all()`, which is dropped then.
    fn first_of_all(&mut self) -> Option<Result<Action, Error>>;
    /// The first of a new `events()`, which is dropped then.
    fn first_of_events(&mut self) -> Option<Result<Event, Error>>;
    /// Begins to wait for an event, and gives up after this time if none comes.
    fn event_within(&mut self, limit: Duration) -> Option<Option<Result<Event, Error>>>;
    fn interrupt(&mut self);
    fn close(&mut self);
    fn handle(&self) -> Handle;
    fn last_event_id(&self) -> Option<String>;
    fn next_retry_delay(&self) -> Duration;
    fn is_connected(&self) -> bool;

    fn with(builder: Builder) -> Self {
        Self::build(builder).unwrap()
    }

    /// A client that reconnects at once.
    fn quick(connect: impl IntoConnectStrategy) -> Self {
        Self::with(quick(connect))
    }

    #[track_caller]
    fn expect_action(&mut self) -> Action {
        match self.next_action() {
            Some(Ok(action)) => action,
            other => panic!("an action was expected, and it was {other:?}"),
        }
    }

    #[track_caller]
    fn expect_start(&mut self) -> Start {
        match self.next_action() {
            Some(Ok(Action::Start(start))) => *start,
            other => panic!("a start was expected, and it was {other:?}"),
        }
    }

    /// The next action is an event with this data.
    #[track_caller]
    fn expect_event(&mut self, data: &str) -> Event {
        match self.next_action() {
            Some(Ok(Action::Event(event))) if event.data() == data => event,
            other => panic!("the event {data:?} was expected, and it was {other:?}"),
        }
    }

    #[track_caller]
    fn expect_fault(&mut self) -> Fault {
        match self.next_action() {
            Some(Ok(Action::Fault(fault))) => fault,
            other => panic!("a fault was expected, and it was {other:?}"),
        }
    }

    #[track_caller]
    fn expect_clean_end(&mut self) {
        match self.next_action() {
            Some(Ok(Action::End(_))) => {}
            other => panic!("a clean end was expected, and it was {other:?}"),
        }
    }

    /// The error strategy gave up.
    #[track_caller]
    fn expect_error(&mut self) -> Fault {
        match self.next_action() {
            Some(Err(Error::Fault(fault))) => fault,
            other => panic!("an error was expected, and it was {other:?}"),
        }
    }

    /// The error strategy would have gone on, but the request isn't safe.
    #[track_caller]
    fn expect_not_repeated(&mut self) -> Fault {
        match self.next_action() {
            Some(Err(Error::NotRepeated(fault))) => fault,
            other => panic!("a request that isn't repeated was expected, and it was {other:?}"),
        }
    }

    /// The iteration is over, quietly.
    #[track_caller]
    fn expect_over(&mut self) {
        match self.next_action() {
            None => {}
            other => panic!("the quiet end was expected, and it was {other:?}"),
        }
    }

    /// The data of the next event, whatever happens before it.
    #[track_caller]
    fn event_data(&mut self) -> String {
        match self.next_event() {
            Some(Ok(event)) => event.into_data(),
            other => panic!("an event was expected, and it was {other:?}"),
        }
    }

    /// The error that ends the iteration, whatever happens before it.
    #[track_caller]
    fn last_error(&mut self) -> Error {
        loop {
            match self.next_action() {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("an error was expected, and it was the quiet end"),
            }
        }
    }
}

/// Runs the connections of all async clients, like the runtime of a program.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// The tasks of all async clients that haven't ended.
pub fn alive_tasks() -> usize {
    RUNTIME.metrics().num_alive_tasks()
}

pub struct Async(pub SseClient);

impl Client for Async {
    const BLOCKING: bool = false;

    fn build(builder: Builder) -> Result<Self, Error> {
        builder.build().map(Async)
    }
    fn start(&mut self) -> Result<(), Error> {
        wait(self.0.start())
    }
    fn next_action(&mut self) -> Option<Result<Action, Error>> {
        wait(self.0.next_action())
    }
    fn next_event(&mut self) -> Option<Result<Event, Error>> {
        wait(self.0.next_event())
    }
    fn first_of_all(&mut self) -> Option<Result<Action, Error>> {
        wait(self.0.all().next())
    }
    fn first_of_events(&mut self) -> Option<Result<Event, Error>> {
        wait(self.0.events().next())
    }
    fn event_within(&mut self, limit: Duration) -> Option<Option<Result<Event, Error>>> {
        wait(async { tokio::time::timeout(limit, self.0.next_event()).await.ok() })
    }
    fn interrupt(&mut self) {
        self.0.interrupt();
    }
    fn close(&mut self) {
        self.0.close();
    }
    fn handle(&self) -> Handle {
        self.0.handle()
    }
    fn last_event_id(&self) -> Option<String> {
        self.0.last_event_id().map(String::from)
    }
    fn next_retry_delay(&self) -> Duration {
        self.0.next_retry_delay()
    }
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }
}

pub struct Blocking(pub blocking::SseClient);

impl Client for Blocking {
    const BLOCKING: bool = true;

    fn build(builder: Builder) -> Result<Self, Error> {
        Builder::<blocking::SseClient>::from(builder)
            .build()
            .map(Blocking)
    }
    fn start(&mut self) -> Result<(), Error> {
        self.0.start()
    }
    fn next_action(&mut self) -> Option<Result<Action, Error>> {
        self.0.next_action()
    }
    fn next_event(&mut self) -> Option<Result<Event, Error>> {
        self.0.next_event()
    }
    fn first_of_all(&mut self) -> Option<Result<Action, Error>> {
        self.0.all().next()
    }
    fn first_of_events(&mut self) -> Option<Result<Event, Error>> {
        self.0.events().next()
    }
    fn event_within(&mut self, limit: Duration) -> Option<Option<Result<Event, Error>>> {
        match self.0.next_event_timeout(limit) {
            Ok(blocking::Next::Item(event)) => Some(Some(Ok(event))),
            Ok(blocking::Next::TimedOut) => None,
            Ok(blocking::Next::Ended) => Some(None),
            Err(error) => Some(Some(Err(error))),
        }
    }
    fn interrupt(&mut self) {
        self.0.interrupt();
    }
    fn close(&mut self) {
        self.0.close();
    }
    fn handle(&self) -> Handle {
        self.0.handle()
    }
    fn last_event_id(&self) -> Option<String> {
        self.0.last_event_id().map(String::from)
    }
    fn next_retry_delay(&self) -> Duration {
        self.0.next_retry_delay()
    }
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }
}
