//! The async client.

mod streams;

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow::Break;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use everstream_core::{Action, Event};

use crate::builder::Builder;
use crate::connect::IntoConnectStrategy;
use crate::driver::{Driver, event_or_skip};
use crate::error::Error;
use crate::handle::Handle;

pub use self::streams::{All, Events, IntoActions, IntoEvents};

/// Follows one stream, reconnecting as needed, for async programs on tokio.
///
/// The client connects at [`start`](Self::start) or at the first read. It runs only while it is
/// polled: there is no background task. Every read is cancel-safe: dropping a future or stream
/// loses no events.
///
/// The runtime needs I/O and timers (`enable_all`). Outside a tokio runtime, its methods fail with
/// [`Error::OutsideRuntime`]; use [`blocking::SseClient`](crate::blocking::SseClient) there.
///
/// ```
/// use everstream::SseClient;
/// # use everstream_testing::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
/// # let url = server.url("/");
///
/// let mut client = SseClient::new(&url)?;
/// while let Some(event) = client.next_event().await {
///     let event = event?; // an error only if the error strategy gives up
///     println!("{}: {}", event.event(), event.data());
/// #   break;
/// }
/// # Ok(())
/// # }
/// ```
pub struct SseClient {
    /// Boxed because futures store the client by value, and twice if they pass it on.
    driver: Box<Driver>,
    /// A start has been polled and hasn't finished.
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
    /// let client = everstream::SseClient::new("https://example.com/feed")?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn new(connect: impl IntoConnectStrategy) -> Result<Self, Error> {
        Self::builder(connect).build()
    }

    /// Returns a builder, to change the settings.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// let client = SseClient::builder("https://example.com/feed").last_event_id("41").build()?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn builder(connect: impl IntoConnectStrategy) -> Builder {
        Builder::new(connect)
    }

    pub(crate) fn from_driver(driver: Driver) -> Self {
        SseClient {
            driver: Box::new(driver),
            starting: false,
        }
    }

    /// Connects unless there is a connection, retrying for as long as the error strategy says so.
    ///
    /// What happens meanwhile, such as the [`Action::Start`], is delivered by the next reads of
    /// [`all`](Self::all).
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] or [`Error::NotRepeated`] if the client gives up, [`Error::Closed`] if it has been
    /// closed, [`Error::Interrupted`] if it was interrupted and the strategy then gave up.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::status(404));
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let error = client.start().await.unwrap_err();
    /// assert_eq!(error.status(), Some(404));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(&mut self) -> Result<(), Error> {
        self.starting = false;
        poll_fn(|cx| self.poll_start(cx)).await
    }

    /// Polls a [`start`](Self::start), for executors and bindings that can't hold a future that borrows
    /// the client. After `Pending`, the next poll continues the same start, unless the client was read
    /// in between.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// std::future::poll_fn(|cx| client.poll_start(cx)).await?;
    /// assert!(client.is_connected());
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.starting {
            match self.driver.begin_start() {
                Ok(false) => self.starting = true,
                Ok(true) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let result = ready!(self.driver.poll_start(cx));
        self.starting = false;
        Poll::Ready(result)
    }

    /// Waits for the next event, connecting and reconnecting as needed. Returns `None` once the stream has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the error strategy gives up; reading again reconnects.
    /// [`Error::NotRepeated`] if it would continue, but the request isn't safe to repeat; only
    /// [`start`](Self::start) sends the request again.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// assert_eq!(client.next_event().await.unwrap()?.data(), "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_event(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| {
            if let Some(event) = self.driver.ready_event() {
                return Poll::Ready(Some(Ok(event)));
            }
            self.poll_skip_to_event(cx)
        })
        .await
    }

    /// Skips actions until there is an event.
    #[inline]
    fn poll_skip_to_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if let Break(next) = event_or_skip(ready!(self.poll_next_action(cx))) {
                return Poll::Ready(next);
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
    /// # use everstream::{Action, SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let Some(Ok(Action::Start(start))) = client.next_action().await else { panic!() };
    /// assert_eq!(start.status, Some(200));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_action(&mut self) -> Option<Result<Action, Error>> {
        poll_fn(|cx| self.poll_next_action(cx)).await
    }

    /// Polls for the [next action](Self::next_action), for executors and bindings that can't hold a
    /// future that borrows the client.
    ///
    /// # Errors
    ///
    /// As for [`next_event`](Self::next_event).
    ///
    /// ```
    /// # use everstream::{Action, SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let action = std::future::poll_fn(|cx| client.poll_next_action(cx)).await;
    /// assert!(matches!(action, Some(Ok(Action::Start(_)))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_next_action(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Action, Error>>> {
        if let Some(event) = self.driver.ready_event() {
            return Poll::Ready(Some(Ok(Action::Event(event))));
        }
        self.starting = false;
        // No effect if a read has already begun.
        self.driver.begin_read();
        self.driver.poll_action(cx)
    }

    /// Returns the next action if it has already been received; neither waits nor connects.
    ///
    /// `None` doesn't mean that no data has arrived: it may still be in the socket's buffer. Use
    /// [`next_action`](Self::next_action) to read it.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().send("data: a\n\ndata: b\n\n").stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// assert!(client.try_next_action().is_none());
    /// client.next_event().await; // one chunk holds two events
    /// assert!(client.try_next_action().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_next_action(&mut self) -> Option<Action> {
        self.starting = false;
        self.driver.ready_action()
    }

    /// Returns all actions as a [`Stream`](futures_core::Stream). The stream ends after an error; a new
    /// one continues where it stopped, without losing events.
    ///
    /// ```
    /// use everstream::{Action, SseClient};
    /// use futures_util::StreamExt;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    ///
    /// let mut client = SseClient::new(&url)?;
    /// let mut all = client.all();
    /// assert!(matches!(all.next().await, Some(Ok(Action::Start(_)))));
    /// assert!(matches!(all.next().await, Some(Ok(Action::Event(_)))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn all(&mut self) -> All<'_> {
        All {
            client: self,
            ended: false,
        }
    }

    /// Returns the events as a [`Stream`](futures_core::Stream), which ends like that of [`all`](Self::all).
    ///
    /// ```
    /// use everstream::SseClient;
    /// use futures_util::TryStreamExt;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    ///
    /// let mut client = SseClient::new(&url)?;
    /// let event = client.events().try_next().await?.unwrap();
    /// assert_eq!(event.data(), "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events { all: self.all() }
    }

    /// Returns all actions as a [`Stream`](futures_core::Stream) that owns the client: `'static` and
    /// `Send`, to return from a function or move into a task. Otherwise like [`all`](Self::all).
    ///
    /// ```
    /// use everstream::{Action, SseClient};
    /// use futures_util::StreamExt;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    ///
    /// let mut actions = SseClient::new(&url)?.into_actions();
    /// assert!(matches!(actions.next().await, Some(Ok(Action::Start(_)))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_actions(self) -> IntoActions {
        IntoActions::new(self)
    }

    /// Returns the events as a [`Stream`](futures_core::Stream) that owns the client, like
    /// [`into_actions`](Self::into_actions). Use a [`Handle`] to stop it.
    ///
    /// ```
    /// use everstream::SseClient;
    /// use futures_util::StreamExt;
    /// # use everstream_testing::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().event("hello").stall());
    /// # let url = server.url("/");
    ///
    /// let mut events = SseClient::new(&url)?.into_events();
    /// let handle = events.handle();
    /// let reader = tokio::spawn(async move {
    ///     let mut count = 0;
    ///     while let Some(Ok(_)) = events.next().await {
    ///         count += 1;
    ///         handle.close();
    ///     }
    ///     count
    /// });
    /// assert_eq!(reader.await.unwrap(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_events(self) -> IntoEvents {
        IntoEvents::new(self)
    }

    /// Drops the connection as if the server had ended it. Events received before are delivered first.
    ///
    /// ```
    /// # let mut client = everstream::SseClient::new("http://localhost/")?;
    /// client.interrupt(); // no effect: there is no connection yet
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn interrupt(&mut self) {
        self.driver.interrupt();
    }

    /// Closes the client permanently: drops the connection, ends the iteration and makes `start` fail.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), everstream::Error> {
    /// # let mut client = everstream::SseClient::new("http://localhost/")?;
    /// client.close();
    /// assert!(client.next_event().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&mut self) {
        self.driver.close();
    }

    /// Returns a handle that controls this client from other tasks and threads.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
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
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.last_event_id(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.driver.last_event_id()
    }

    /// The delay from the last fault to the next attempt. Zero before the first fault.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
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
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.silence(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn silence(&self) -> Option<Duration> {
        self.driver.silence()
    }

    /// Whether there is a connection. A broken connection counts until a read notices.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn is_connected(&self) -> bool {
        self.driver.is_connected()
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
