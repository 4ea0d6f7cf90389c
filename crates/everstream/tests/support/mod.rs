//! Both clients behind one trait, so that every scenario is written once.

// Each test program uses only a part of this; helpers may panic, which fails the test.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[cfg(feature = "reqwest")]
pub(crate) mod reqwest_client;
pub(crate) mod unresponsive;

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

/// Long enough for a loaded machine; only failing tests wait that long.
pub const LIMIT: Duration = Duration::from_secs(90);

/// The delay of [`quick`]: short, and recognizable.
pub const DELAY: Duration = Duration::from_millis(1);

/// Runs each scenario as two tests, one for each client: `async_::name` and `blocking::name`.
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

/// Runs a scenario in its own thread, and fails if it doesn't finish.
pub fn run(scenario: fn()) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        scenario();
        _ = done.send(());
    });
    match is_done.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the scenario didn't finish in {LIMIT:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Settings with which a client reconnects after 1 ms.
pub fn quick(connect: impl IntoConnectStrategy) -> Builder {
    SseClient::builder(connect).retry_delay_strategy(retry_delay::from_fn(|_| DELAY))
}

/// What scenarios need from a client. All calls block.
pub trait Client: Sized + Send + 'static {
    const BLOCKING: bool;

    fn build(builder: Builder) -> Result<Self, Error>;
    fn start(&mut self) -> Result<(), Error>;
    fn next_action(&mut self) -> Option<Result<Action, Error>>;
    fn next_event(&mut self) -> Option<Result<Event, Error>>;
    /// Returns the first item of a new `all()`, and drops that.
    fn first_of_all(&mut self) -> Option<Result<Action, Error>>;
    /// Returns the first item of a new `events()`, and drops that.
    fn first_of_events(&mut self) -> Option<Result<Event, Error>>;
    /// Waits for an event for at most this long. `None` if none arrives in time.
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

    /// Creates a client that reconnects after 1 ms.
    fn quick(connect: impl IntoConnectStrategy) -> Self {
        Self::with(quick(connect))
    }

    #[track_caller]
    fn expect_action(&mut self) -> Action {
        match self.next_action() {
            Some(Ok(action)) => action,
            other => panic!("expected an action, got {other:?}"),
        }
    }

    #[track_caller]
    fn expect_start(&mut self) -> Start {
        match self.next_action() {
            Some(Ok(Action::Start(start))) => *start,
            other => panic!("expected a start, got {other:?}"),
        }
    }

    /// Expects an event with this data as the next action.
    #[track_caller]
    fn expect_event(&mut self, data: &str) -> Event {
        match self.next_action() {
            Some(Ok(Action::Event(event))) if event.data() == data => event,
            other => panic!("expected the event {data:?}, got {other:?}"),
        }
    }

    #[track_caller]
    fn expect_fault(&mut self) -> Fault {
        match self.next_action() {
            Some(Ok(Action::Fault(fault))) => fault,
            other => panic!("expected a fault, got {other:?}"),
        }
    }

    #[track_caller]
    fn expect_clean_end(&mut self) {
        match self.next_action() {
            Some(Ok(Action::End(_))) => {}
            other => panic!("expected a clean end, got {other:?}"),
        }
    }

    /// Expects that the error strategy gives up.
    #[track_caller]
    fn expect_error(&mut self) -> Fault {
        match self.next_action() {
            Some(Err(Error::Fault(fault))) => fault,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// Expects that the error strategy continues, but the request isn't repeated because it isn't safe.
    #[track_caller]
    fn expect_not_repeated(&mut self) -> Fault {
        match self.next_action() {
            Some(Err(Error::NotRepeated(fault))) => fault,
            other => panic!("expected `NotRepeated`, got {other:?}"),
        }
    }

    /// Expects that the iteration ends without an error.
    #[track_caller]
    fn expect_ended(&mut self) {
        match self.next_action() {
            None => {}
            other => panic!("expected the end of the iteration, got {other:?}"),
        }
    }

    /// Returns the data of the next event, skipping other actions.
    #[track_caller]
    fn event_data(&mut self) -> String {
        match self.next_event() {
            Some(Ok(event)) => event.into_data(),
            other => panic!("expected an event, got {other:?}"),
        }
    }

    /// Returns the error that ends the iteration, skipping all actions.
    #[track_caller]
    fn last_error(&mut self) -> Error {
        loop {
            match self.next_action() {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("expected an error, but the iteration ended"),
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

/// Returns the number of unfinished tasks of all async clients.
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
