//! The client's [`Iterator`]s.

use std::iter::FusedIterator;

use everstream_core::{Action, Event};

use super::SseClient;
use crate::error::Error;
use crate::handle::Handle;

/// The iterator of [`SseClient::all`].
///
/// ```
/// use everstream::{Action, blocking::{All, SseClient}};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
///
/// let mut client = SseClient::new(&server.url("/"))?;
/// let mut all: All<'_> = client.all();
/// assert!(matches!(all.next(), Some(Ok(Action::Start(_)))));
/// assert!(matches!(all.next(), Some(Ok(Action::Event(_)))));
/// # Ok::<(), everstream::Error>(())
/// ```
#[must_use = "iterators do nothing unless consumed"]
#[derive(Debug)]
pub struct All<'a> {
    pub(super) client: &'a mut SseClient,
    pub(super) ended: bool,
}

impl Iterator for All<'_> {
    type Item = Result<Action, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_action(self.client, &mut self.ended)
    }
}

impl FusedIterator for All<'_> {}

/// The iterator of [`SseClient::events`].
///
/// ```
/// use everstream::blocking::{Events, SseClient};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("one").event("two").stall());
///
/// let mut client = SseClient::new(&server.url("/"))?;
/// let events: Events<'_> = client.events();
/// let first_two = events.take(2).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(first_two[1].data(), "two");
/// # Ok::<(), everstream::Error>(())
/// ```
#[must_use = "iterators do nothing unless consumed"]
#[derive(Debug)]
pub struct Events<'a> {
    pub(super) all: All<'a>,
}

impl Iterator for Events<'_> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_event(self.all.client, &mut self.all.ended)
    }
}

impl FusedIterator for Events<'_> {}

/// The iterator of [`SseClient::into_actions`]: like [`All`], but owns the client.
///
/// ```
/// use everstream::{Action, blocking::{IntoActions, SseClient}};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
///
/// let mut actions: IntoActions = SseClient::new(&server.url("/"))?.into_actions();
/// assert!(matches!(actions.next(), Some(Ok(Action::Start(_)))));
/// # Ok::<(), everstream::Error>(())
/// ```
#[must_use = "iterators do nothing unless consumed"]
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

    /// Returns a handle that controls the client from another thread.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let mut actions = client.into_actions();
    /// actions.handle().close();
    /// assert!(actions.next().is_none());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Returns the client, for example to continue reading after an error.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let client = client.into_actions().into_client();
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_client(self) -> SseClient {
        self.client
    }
}

impl Iterator for IntoActions {
    type Item = Result<Action, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_action(&mut self.client, &mut self.ended)
    }
}

impl FusedIterator for IntoActions {}

/// The iterator of [`SseClient::into_events`]: like [`Events`], but owns the client.
///
/// ```
/// use everstream::blocking::{IntoEvents, SseClient};
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("one").event("two").stall());
///
/// let events: IntoEvents = SseClient::new(&server.url("/"))?.into_events();
/// let first_two = events.take(2).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(first_two[1].data(), "two");
/// # Ok::<(), everstream::Error>(())
/// ```
#[must_use = "iterators do nothing unless consumed"]
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

    /// Returns a handle that controls the client from another thread.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let mut events = client.into_events();
    /// events.handle().close();
    /// assert!(events.next().is_none());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Returns the client, for example to continue reading after an error.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let client = client.into_events().into_client();
    /// assert!(!client.is_connected());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn into_client(self) -> SseClient {
        self.client
    }
}

impl Iterator for IntoEvents {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_event(&mut self.client, &mut self.ended)
    }
}

impl FusedIterator for IntoEvents {}

/// Returns the next action unless the iteration has ended.
#[inline]
fn next_action(client: &mut SseClient, ended: &mut bool) -> Option<Result<Action, Error>> {
    if *ended {
        return None;
    }
    let next = client.next_action();
    *ended = !matches!(next, Some(Ok(_)));
    next
}

/// Returns the next event unless the iteration has ended.
#[inline(always)]
fn next_event(client: &mut SseClient, ended: &mut bool) -> Option<Result<Event, Error>> {
    if *ended {
        return None;
    }
    if let Some(event) = client.driver.ready_event() {
        return Some(Ok(event));
    }
    let next = client.skip_to_event();
    *ended = !matches!(next, Some(Ok(_)));
    next
}
