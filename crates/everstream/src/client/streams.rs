//! The client's [`Stream`]s.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use everstream_core::{Action, Event};
use futures_core::{FusedStream, Stream};

use super::SseClient;
use crate::error::Error;
use crate::handle::Handle;

/// The stream of [`SseClient::all`].
///
/// ```
/// use everstream::{Action, All, SseClient};
/// use futures_util::TryStreamExt;
/// # use everstream_testing::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
///
/// let mut client = SseClient::new(&server.url("/"))?;
/// let mut all: All<'_> = client.all();
/// assert!(matches!(all.try_next().await?, Some(Action::Start(_))));
/// assert!(matches!(all.try_next().await?, Some(Action::Event(_))));
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct All<'a> {
    pub(super) client: &'a mut SseClient,
    pub(super) ended: bool,
}

impl Stream for All<'_> {
    type Item = Result<Action, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let All { client, ended } = &mut *self;
        poll_action(client, ended, cx)
    }
}

impl FusedStream for All<'_> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// The stream of [`SseClient::events`].
///
/// ```
/// use everstream::{Event, Events, SseClient};
/// use futures_util::{StreamExt, TryStreamExt};
/// # use everstream_testing::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("one").event("two").stall());
///
/// let mut client = SseClient::new(&server.url("/"))?;
/// let events: Events<'_> = client.events();
/// let first_two: Vec<Event> = events.take(2).try_collect().await?;
/// assert_eq!(first_two[1].data(), "two");
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct Events<'a> {
    pub(super) all: All<'a>,
}

impl Stream for Events<'_> {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let All { client, ended } = &mut self.all;
        poll_event(client, ended, cx)
    }
}

impl FusedStream for Events<'_> {
    fn is_terminated(&self) -> bool {
        self.all.is_terminated()
    }
}

/// The stream of [`SseClient::into_actions`]: like [`All`], but owns the client.
///
/// ```
/// use everstream::{Action, IntoActions, SseClient};
/// use futures_util::TryStreamExt;
/// # use everstream_testing::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
///
/// let mut actions: IntoActions = SseClient::new(&server.url("/"))?.into_actions();
/// let watcher = tokio::spawn(async move { actions.try_next().await });
/// assert!(matches!(watcher.await.unwrap()?, Some(Action::Start(_))));
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct IntoActions {
    client: SseClient,
    ended: bool,
}

impl IntoActions {
    pub(super) fn new(client: SseClient) -> Self {
        IntoActions {
            client,
            ended: false,
        }
    }

    /// Returns a handle that controls the client from other tasks and threads.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// let actions = client.into_actions();
    /// let handle = actions.handle();
    /// # drop(handle);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Returns the client, for example to continue reading after an error.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// let client = client.into_actions().into_client();
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_client(self) -> SseClient {
        self.client
    }
}

impl Stream for IntoActions {
    type Item = Result<Action, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let IntoActions { client, ended } = &mut *self;
        poll_action(client, ended, cx)
    }
}

impl FusedStream for IntoActions {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// The stream of [`SseClient::into_events`]: like [`Events`], but owns the client.
///
/// ```
/// use everstream::{Event, IntoEvents, SseClient};
/// use futures_util::{StreamExt, TryStreamExt};
/// # use everstream_testing::{Reply, Server};
///
/// /// The first two events of a feed, as a stream that borrows nothing.
/// fn first_two(
///     client: SseClient,
/// ) -> impl futures_util::Stream<Item = Result<Event, everstream::Error>> + Send + 'static {
///     let events: IntoEvents = client.into_events();
///     events.take(2)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("one").event("two").stall());
///
/// let events: Vec<Event> = first_two(SseClient::new(&server.url("/"))?).try_collect().await?;
/// assert_eq!(events[1].data(), "two");
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct IntoEvents {
    client: SseClient,
    ended: bool,
}

impl IntoEvents {
    pub(super) fn new(client: SseClient) -> Self {
        IntoEvents {
            client,
            ended: false,
        }
    }

    /// Returns a handle that controls the client from other tasks and threads.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// let events = client.into_events();
    /// let handle = events.handle();
    /// # drop(handle);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Returns the client, for example to continue reading after an error.
    ///
    /// ```
    /// # let client = everstream::SseClient::new("http://localhost/")?;
    /// let client = client.into_events().into_client();
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_client(self) -> SseClient {
        self.client
    }
}

impl Stream for IntoEvents {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let IntoEvents { client, ended } = &mut *self;
        poll_event(client, ended, cx)
    }
}

impl FusedStream for IntoEvents {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// Polls for the next action unless the stream has ended.
#[inline]
fn poll_action(
    client: &mut SseClient,
    ended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Action, Error>>> {
    if *ended {
        return Poll::Ready(None);
    }
    let next = ready!(client.poll_next_action(cx));
    *ended = !matches!(next, Some(Ok(_)));
    Poll::Ready(next)
}

/// Polls for the next event unless the stream has ended.
#[inline(always)]
fn poll_event(
    client: &mut SseClient,
    ended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Event, Error>>> {
    if *ended {
        return Poll::Ready(None);
    }
    if let Some(event) = client.driver.ready_event() {
        return Poll::Ready(Some(Ok(event)));
    }
    let next = ready!(client.poll_skip_to_event(cx));
    *ended = !matches!(next, Some(Ok(_)));
    Poll::Ready(next)
}
