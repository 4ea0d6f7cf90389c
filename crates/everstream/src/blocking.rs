//! The blocking client.
//!
//! ```
//! use everstream::blocking::SseClient;
//! # use everstream_testing::{Reply, Server};
//! # let server = Server::start();
//! # server.otherwise(Reply::stream().event("hello").stall());
//! # let url = server.url("/");
//!
//! let mut client = SseClient::new(&url)?;
//! for event in client.events() {
//!     let event = event?; // an error only if the error strategy gives up
//!     println!("{}: {}", event.event(), event.data());
//! #   break;
//! }
//! # Ok::<(), everstream::Error>(())
//! ```

mod iterators;
mod timeouts;

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow::Break;
use std::time::Duration;

use everstream_core::{Action, Event};
use tokio::runtime::{self, Runtime};

use crate::builder::Builder;
use crate::connect::IntoConnectStrategy;
use crate::driver::{Driver, event_or_skip};
use crate::error::Error;
use crate::handle::Handle;

pub use self::iterators::{All, Events, IntoActions, IntoEvents};
pub use self::timeouts::Next;

/// Follows one stream, reconnecting as needed, on the caller's thread.
///
/// The client connects at [`start`](Self::start) or at the first read. It runs only inside its
/// methods: there is no background thread. To stop it from another thread, use its [`Handle`].
///
/// Inside a tokio runtime, including the threads of `spawn_blocking`, its methods fail with
/// [`Error::InsideRuntime`]; use [`everstream::SseClient`](crate::SseClient) there.
///
/// ```
/// use everstream::blocking::SseClient;
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
/// # let url = server.url("/");
///
/// let mut client = SseClient::new(&url)?;
/// let event = client.next_event().unwrap()?;
/// assert_eq!(event.data(), "hello");
/// # Ok::<(), everstream::Error>(())
/// ```
pub struct SseClient {
    driver: Driver,
    /// Created by the first wait for a connection, and dropped with that connection.
    runtime: Option<Runtime>,
    /// A `start_timeout` has timed out; the next call continues that start.
    starting: bool,
}

impl SseClient {
    /// Creates a client with default settings from a URL or a
    /// [`ConnectStrategy`](crate::ConnectStrategy).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the URL or a setting of the strategy is invalid.
    ///
    /// ```
    /// let client = everstream::blocking::SseClient::new("https://example.com/feed")?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn new(connect: impl IntoConnectStrategy) -> Result<Self, Error> {
        Self::builder(connect).build()
    }

    /// Returns a builder, to change the settings.
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// let client = SseClient::builder("http://localhost/").last_event_id("41").build()?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn builder(connect: impl IntoConnectStrategy) -> Builder<Self> {
        Builder::new(connect)
    }

    pub(crate) fn from_driver(driver: Driver) -> Self {
        SseClient {
            driver,
            runtime: None,
            starting: false,
        }
    }

    /// Connects unless there is a connection, like [`start`](crate::SseClient::start) of the async
    /// client.
    ///
    /// # Errors
    ///
    /// As for the async client, and [`Error::InsideRuntime`].
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// client.start()?;
    /// assert!(client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn start(&mut self) -> Result<(), Error> {
        if self.begin_start()? {
            return Ok(());
        }
        self.wait(async |driver| poll_fn(|cx| driver.poll_start(cx)).await)?
    }

    fn begin_start(&mut self) -> Result<bool, Error> {
        refuse_inside_runtime()?;
        // An interrupt since a start timed out applies to that start, which this call continues.
        if std::mem::take(&mut self.starting) {
            return Ok(false);
        }
        self.driver.begin_start()
    }

    /// Waits for the next event, connecting and reconnecting as needed. Returns `None` once the stream has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the error strategy gives up; reading again reconnects.
    /// [`Error::NotRepeated`] if it would continue, but the request isn't safe to repeat; only
    /// [`start`](Self::start) sends the request again. [`Error::InsideRuntime`] inside a tokio runtime.
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// assert_eq!(client.next_event().unwrap()?.data(), "hello");
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_event(&mut self) -> Option<Result<Event, Error>> {
        if let Some(event) = self.driver.ready_event() {
            return Some(Ok(event));
        }
        self.skip_to_event()
    }

    /// Skips actions until there is an event.
    fn skip_to_event(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Break(next) = event_or_skip(self.next_action()) {
                return next;
            }
        }
    }

    /// Waits for the next action: an event, a comment, a start, a fault or an end. Returns `None` once
    /// the stream has ended.
    ///
    /// # Errors
    ///
    /// As for [`next_event`](Self::next_event).
    ///
    /// ```
    /// # use everstream::{Action, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let Some(Ok(Action::Start(start))) = client.next_action() else { panic!() };
    /// assert_eq!(start.status, Some(200));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_action(&mut self) -> Option<Result<Action, Error>> {
        self.begin_read();
        // Entering the runtime is expensive, so that is done only to wait.
        if let Some(action) = self.driver.ready_action() {
            return Some(Ok(action));
        }
        self.wait(async |driver| poll_fn(|cx| driver.poll_action(cx)).await)
            .unwrap_or_else(|error| Some(Err(error)))
    }

    /// Returns the next action if it has already been received; neither waits nor connects.
    ///
    /// `None` doesn't mean that no data has arrived: it may still be in the socket's buffer. Use
    /// [`next_action`](Self::next_action) to read it.
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().send("data: a\n\ndata: b\n\n").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// assert!(client.try_next_action().is_none());
    /// client.next_event(); // one chunk holds two events
    /// assert!(client.try_next_action().is_some());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn try_next_action(&mut self) -> Option<Action> {
        self.starting = false;
        self.driver.ready_action()
    }

    /// Returns all actions as an iterator. The iterator ends after an error; a new one continues where it
    /// stopped, without losing events.
    ///
    /// ```
    /// # use everstream::{Action, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let mut all = client.all();
    /// assert!(matches!(all.next(), Some(Ok(Action::Start(_)))));
    /// assert!(matches!(all.next(), Some(Ok(Action::Event(_)))));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn all(&mut self) -> All<'_> {
        All {
            client: self,
            ended: false,
        }
    }

    /// Returns the events as an iterator, which ends like that of [`all`](Self::all).
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let event = client.events().next().unwrap()?;
    /// assert_eq!(event.data(), "hello");
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events { all: self.all() }
    }

    /// Returns all actions as an iterator that owns the client, to return from a function. Otherwise like
    /// [`all`](Self::all).
    ///
    /// ```
    /// # use everstream::{Action, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut actions = SseClient::new(&url)?.into_actions();
    /// assert!(matches!(actions.next(), Some(Ok(Action::Start(_)))));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_actions(self) -> IntoActions {
        IntoActions::new(self)
    }

    /// Returns the events as an iterator that owns the client, like
    /// [`into_actions`](Self::into_actions).
    ///
    /// ```
    /// # use everstream::{Error, Event, blocking::SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// fn follow(url: &str) -> Result<impl Iterator<Item = Result<Event, Error>> + use<>, Error> {
    ///     Ok(SseClient::new(url)?.into_events())
    /// }
    /// assert_eq!(follow(&url)?.next().unwrap()?.data(), "hello");
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_events(self) -> IntoEvents {
        IntoEvents::new(self)
    }

    /// Drops the connection as if the server had ended it. Events received before are delivered first.
    ///
    /// ```
    /// # let mut client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// client.interrupt(); // no effect: there is no connection yet
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn interrupt(&mut self) {
        self.driver.interrupt();
        self.drop_runtime();
    }

    /// Closes the client permanently: drops the connection, ends the iteration and makes `start` fail.
    ///
    /// ```
    /// # let mut client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// client.close();
    /// assert!(client.next_event().is_none());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn close(&mut self) {
        self.driver.close();
        self.drop_runtime();
    }

    /// Returns a handle that controls this client from another thread.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let handle = client.handle();
    /// # drop(handle);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.driver.handle().clone()
    }

    /// The id to resume from: that of the last delivered event, or the one set in the builder.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.last_event_id(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.driver.last_event_id()
    }

    /// The delay from the last fault to the next attempt. Zero before the first fault.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.next_retry_delay(), std::time::Duration::ZERO);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.driver.next_retry_delay()
    }

    /// Time since the last data was received (comments count), or since the connection was established.
    /// `None` if there is no connection. Data is received only during reads.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.silence(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn silence(&self) -> Option<Duration> {
        self.driver.silence()
    }

    /// Whether there is a connection. A broken connection counts until a read notices.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn is_connected(&self) -> bool {
        self.driver.is_connected()
    }

    fn begin_read(&mut self) {
        self.starting = false;
        self.driver.begin_read();
    }

    /// Runs `wait` inside the runtime.
    ///
    /// Drops the runtime once the connection has ended: otherwise the socket would stay open until
    /// the next wait, and a pooled one could break unnoticed until then.
    fn wait<T>(&mut self, wait: impl AsyncFnOnce(&mut Driver) -> T) -> Result<T, Error> {
        refuse_inside_runtime()?;
        let runtime = match &self.runtime {
            Some(runtime) => runtime,
            None => {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                self.runtime.insert(runtime.map_err(Error::Runtime)?)
            }
        };
        let result = runtime.block_on(wait(&mut self.driver));
        if !self.driver.needs_runtime() {
            self.drop_runtime();
        }
        Ok(result)
    }

    /// Doesn't wait for what still runs on the runtime's threads, such as a DNS lookup.
    fn drop_runtime(&mut self) {
        self.driver.detach_from_runtime();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for SseClient {
    fn drop(&mut self) {
        self.drop_runtime();
    }
}

fn refuse_inside_runtime() -> Result<(), Error> {
    match runtime::Handle::try_current() {
        Ok(_) => Err(Error::InsideRuntime),
        Err(_) => Ok(()),
    }
}

impl fmt::Debug for SseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseClient")
            .field("connected", &self.is_connected())
            .field("last_event_id", &self.last_event_id())
            .finish_non_exhaustive()
    }
}
