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

/// Follows one stream over any number of connections, for async programs on tokio.
///
/// It is inactive until [`start`](Self::start) or the first read, and does its work only while it
/// is polled: there is no task behind it. Every read is cancel-safe: a future or stream that is
/// dropped loses nothing.
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
    /// Futures hold clients by value, and hold them twice where they pass them on.
    driver: Box<Driver>,
    /// A start is polled that hasn't come to its end.
    starting: bool,
}

impl SseClient {
    /// A client with the default settings, from a URL or a
    /// [`ConnectStrategy`](crate::ConnectStrategy).
    ///
    /// # Errors
    ///
    /// [`Error::Config`], if the URL or a setting of the strategy can't be used.
    ///
    /// ```
    /// let client = everstream::SseClient::new("https://example.com/feed")?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn new(connect: impl IntoConnectStrategy) -> Result<Self, Error> {
        Self::builder(connect).build()
    }

    /// A client with other settings.
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

    /// Connects, if there is no connection. It retries as long as the error strategy says so.
    ///
    /// The next read of [`all`](Self::all) delivers what happened meanwhile, such as the
    /// [`Action::Start`].
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the error strategy gives up, [`Error::Closed`] after close,
    /// [`Error::Interrupted`] if it was interrupted and the strategy gives up then.
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

    /// [`start`](Self::start), for executors and bindings that can't keep a future which borrows
    /// the client. After `Pending` the next poll goes on with the same start, unless there was a
    /// read between them.
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

    /// The next event; `None` when the stream is over. Reading connects, and reconnects.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`], if the error strategy gives up. Reading again connects again.
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

    /// Reads actions until there is an event.
    #[inline]
    fn poll_skip_to_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if let Break(next) = event_or_skip(ready!(self.poll_next_action(cx))) {
                return Poll::Ready(next);
            }
        }
    }

    /// The next notification: an event, a comment, a start or a fault; `None` when the stream is
    /// over.
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

    /// [`next_action`](Self::next_action), for executors and bindings that can't keep a future
    /// which borrows the client.
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
        // In the middle of a read this changes nothing.
        self.driver.begin_read();
        self.driver.poll_action(cx)
    }

    /// The next notification, if it is here already: it neither waits nor connects.
    ///
    /// `None` says nothing about what is on its way, not even in the system's buffers:
    /// [`next_action`](Self::next_action) finds out.
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

    /// All notifications, as a [`Stream`](futures_core::Stream). It ends after an error; a new one
    /// continues where it stopped, and no event is lost.
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
            over: false,
        }
    }

    /// The events, as a [`Stream`](futures_core::Stream). See [`all`](Self::all).
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

    /// All notifications, as a [`Stream`](futures_core::Stream) that owns the client: `'static` and
    /// `Send`, to return from a function or to move into a task. Apart from that it is
    /// [`all`](Self::all).
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

    /// The events, as a [`Stream`](futures_core::Stream) that owns the client. See
    /// [`into_actions`](Self::into_actions). A [`Handle`] stops it.
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
    /// client.interrupt(); // there is none yet
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn interrupt(&mut self) {
        self.driver.interrupt();
    }

    /// Ends for good: drops the connection; iteration is over, and `start` is an error.
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

    /// Controls this client from elsewhere.
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

    /// The id to resume from: that of the last delivered event, or the preset one.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.last_event_id(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.driver.last_event_id()
    }

    /// The delay that follows the last fault, counted from it. Zero before the first fault.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.next_retry_delay(), std::time::Duration::ZERO);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.driver.next_retry_delay()
    }

    /// How long nothing has come: since the newest byte, comments' included, or since the connection
    /// was made; `None` if there is no connection. Bytes come only while somebody reads.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.silence(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn silence(&self) -> Option<Duration> {
        self.driver.silence()
    }

    /// Whether there is a connection. One that broke counts until that is noticed.
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
