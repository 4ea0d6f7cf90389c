//! The client as [`Iterator`]s.

use std::iter::FusedIterator;

use everstream_core::{Action, Event};

use super::SseClient;
use crate::error::Error;

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
    pub(super) over: bool,
}

impl All<'_> {
    #[inline(always)]
    fn ready_event(&mut self) -> Option<Event> {
        match self.over {
            true => None,
            false => self.client.driver.ready_event(),
        }
    }
}

impl Iterator for All<'_> {
    type Item = Result<Action, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.client.next_action();
        self.over = !matches!(next, Some(Ok(_)));
        next
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
        if let Some(event) = self.all.ready_event() {
            return Some(Ok(event));
        }
        if self.all.over {
            return None;
        }
        let next = self.all.client.skip_to_event();
        self.all.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl FusedIterator for Events<'_> {}
