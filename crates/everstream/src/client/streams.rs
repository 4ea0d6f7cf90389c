//! The client as [`Stream`]s.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use everstream_core::{Action, Event};
use futures_core::{FusedStream, Stream};

use super::SseClient;
use crate::error::Error;

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

impl Stream for All<'_> {
    type Item = Result<Action, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.client.poll_next_action(cx));
        self.over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl FusedStream for All<'_> {
    fn is_terminated(&self) -> bool {
        self.over
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
        if let Some(event) = self.all.ready_event() {
            return Poll::Ready(Some(Ok(event)));
        }
        if self.all.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.all.client.poll_skip_to_event(cx));
        self.all.over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl FusedStream for Events<'_> {
    fn is_terminated(&self) -> bool {
        self.all.is_terminated()
    }
}
