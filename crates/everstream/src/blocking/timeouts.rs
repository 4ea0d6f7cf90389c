//! Starts and reads with a timeout.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use everstream_core::{Action, Event};

use super::SseClient;
use crate::error::Error;

/// The result of a read with a timeout: [`SseClient::next_event_timeout`] and
/// [`SseClient::next_action_timeout`].
///
/// ```
/// use everstream::blocking::{Next, SseClient};
/// use std::time::Duration;
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().event("hello").stall());
/// # let url = server.url("/");
///
/// let mut client = SseClient::new(&url)?;
/// loop {
///     match client.next_event_timeout(Duration::from_millis(50))? {
///         Next::Item(event) => println!("{}", event.data()),
///         Next::TimedOut => break, // nothing yet: do something else, then read again
///         Next::Ended => break, // there won't be any more events
///     }
/// }
/// # Ok::<(), everstream::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // nothing else can happen
pub enum Next<T> {
    /// An event or an action arrived.
    Item(T),
    /// Nothing arrived in time. The connection stays open, and no event is lost.
    TimedOut,
    /// The stream has ended, or the client was closed.
    Ended,
}

impl<T> Next<T> {
    /// The event or action, if one arrived.
    ///
    /// ```
    /// use everstream::blocking::Next;
    ///
    /// assert_eq!(Next::Item(7).item(), Some(7));
    /// assert_eq!(Next::<u32>::TimedOut.item(), None);
    /// ```
    pub fn item(self) -> Option<T> {
        match self {
            Next::Item(item) => Some(item),
            Next::TimedOut | Next::Ended => None,
        }
    }

    fn from_read(next: Option<Result<T, Error>>) -> Result<Self, Error> {
        match next {
            Some(item) => item.map(Next::Item),
            None => Ok(Next::Ended),
        }
    }
}

impl SseClient {
    /// Like [`start`](Self::start), for at most `limit`. Returns whether there is a connection; if not,
    /// another call continues the same start.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// # use everstream_testing::{Gate, Reply, Server};
    /// # use std::time::Duration;
    /// # let server = Server::start();
    /// # let gate = Gate::new();
    /// # server.otherwise(Reply::stream().head_after(&gate).stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// // The server is slow to respond.
    /// assert!(!client.start_timeout(Duration::from_millis(10))?);
    /// # gate.open();
    /// assert!(client.start_timeout(Duration::from_secs(10))?);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn start_timeout(&mut self, limit: Duration) -> Result<bool, Error> {
        if self.begin_start()? {
            return Ok(true);
        }
        let result =
            self.wait(async |driver| timeout(limit, poll_fn(|cx| driver.poll_start(cx))).await)?;
        self.starting = result.is_err();
        match result {
            Ok(started) => started.map(|()| true),
            Err(Elapsed) => Ok(false),
        }
    }

    /// Like [`next_event`](Self::next_event), for at most `limit`.
    ///
    /// # Errors
    ///
    /// As for [`next_event`](Self::next_event).
    ///
    /// ```
    /// # use everstream::blocking::{Next, SseClient};
    /// # use everstream_testing::{Reply, Server};
    /// # use std::time::Duration;
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let nothing = client.next_event_timeout(Duration::from_millis(10))?;
    /// assert_eq!(nothing, Next::TimedOut);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_event_timeout(&mut self, limit: Duration) -> Result<Next<Event>, Error> {
        let began = Instant::now();
        let mut next = self.next_action_timeout(limit)?;
        loop {
            match next {
                Next::Item(Action::Event(event)) => return Ok(Next::Item(event)),
                Next::Item(_) => {}
                Next::TimedOut => return Ok(Next::TimedOut),
                Next::Ended => return Ok(Next::Ended),
            }
            let remaining = limit.saturating_sub(began.elapsed());
            next = if remaining.is_zero() {
                // Deliver only what has been received: other actions could keep arriving forever.
                let ready = self.driver.ready_action();
                ready.map_or(Next::TimedOut, Next::Item)
            } else {
                self.next_action_timeout(remaining)?
            };
        }
    }

    /// Like [`next_action`](Self::next_action), for at most `limit`.
    ///
    /// # Errors
    ///
    /// As for [`next_event`](Self::next_event).
    ///
    /// ```
    /// # use everstream::{Action, blocking::{Next, SseClient}};
    /// # use everstream_testing::{Reply, Server};
    /// # use std::time::Duration;
    /// # let server = Server::start();
    /// # server.otherwise(Reply::stream().stall());
    /// # let url = server.url("/");
    /// let mut client = SseClient::new(&url)?;
    /// let next = client.next_action_timeout(Duration::from_secs(10))?;
    /// assert!(matches!(next, Next::Item(Action::Start(_))));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_action_timeout(&mut self, limit: Duration) -> Result<Next<Action>, Error> {
        self.begin_read();
        if let Some(action) = self.driver.ready_action() {
            return Ok(Next::Item(action));
        }
        match self
            .wait(async |driver| timeout(limit, poll_fn(|cx| driver.poll_action(cx))).await)?
        {
            Ok(next) => Next::from_read(next),
            Err(Elapsed) => Ok(Next::TimedOut),
        }
    }
}

/// The timeout has expired.
struct Elapsed;

/// Limits the time of a wait. The task that serves the connection runs once before a timer is
/// created: on a busy stream, creating timers would take a good part of the CPU time.
async fn timeout<T>(
    limit: Duration,
    mut wait: impl Future<Output = T> + Unpin,
) -> Result<T, Elapsed> {
    let mut has_yielded = false;
    let without_timer = poll_fn(|cx| match Pin::new(&mut wait).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if has_yielded => Poll::Ready(None),
        Poll::Pending => {
            has_yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    match without_timer {
        Some(result) => Ok(result),
        None => tokio::time::timeout(limit, wait).await.map_err(|_| Elapsed),
    }
}
