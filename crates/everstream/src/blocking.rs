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

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow::Break;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use everstream_core::{Action, Event};
use tokio::runtime::{self, Runtime};

use crate::builder::Builder;
use crate::connect::IntoConnectStrategy;
use crate::driver::{Driver, event_or_skip};
use crate::error::Error;
use crate::handle::Handle;

pub use self::iterators::{All, Events, IntoActions, IntoEvents};

/// Follows one stream over any number of connections, on the caller's own thread.
///
/// It is inactive until [`start`](Self::start) or the first read. There is no thread behind it:
/// it works only inside its methods. Another thread stops it through its [`Handle`].
///
/// Inside a tokio runtime it refuses to work, on its threads for blocking work too;
/// [`everstream::SseClient`](crate::SseClient) is for there.
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
    /// Made by the first wait for a connection, and dropped with it.
    runtime: Option<Runtime>,
    /// A start was given up for a while, and will be taken up again.
    starting: bool,
}

/// What a read with a time limit returns: [`SseClient::next_event_timeout`] and
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
///         Next::TimedOut => break, // nothing yet: do something else, and read again
///         Next::Ended => break, // nothing will come
///     }
/// }
/// # Ok::<(), everstream::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // nothing else can happen
pub enum Next<T> {
    /// An event or an action arrived.
    Item(T),
    /// Nothing arrived in this time. Nothing is lost, and the connection stays.
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

/// The time given is over.
struct Elapsed;

impl SseClient {
    /// A client with the default settings, from a URL or a
    /// [`ConnectStrategy`](crate::ConnectStrategy).
    ///
    /// # Errors
    ///
    /// [`Error::Config`], if the URL or a setting of the strategy can't be used.
    ///
    /// ```
    /// let client = everstream::blocking::SseClient::new("https://example.com/feed")?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn new(connect: impl IntoConnectStrategy) -> Result<Self, Error> {
        Self::builder(connect).build()
    }

    /// A client with other settings.
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

    /// Connects, if there is no connection. See [`SseClient::start`](crate::SseClient::start) of
    /// the async client.
    ///
    /// # Errors
    ///
    /// As there, and [`Error::InsideRuntime`].
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

    /// [`start`](Self::start), for at most this long. Returns whether there is a connection; calling it
    /// again continues the same start.
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
    /// // A server that takes its time.
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

    fn begin_start(&mut self) -> Result<bool, Error> {
        refuse_inside_runtime()?;
        // An interruption while it was given up is one of this start, not of what was before.
        if std::mem::take(&mut self.starting) {
            return Ok(false);
        }
        self.driver.begin_start()
    }

    /// The next event; `None` when the stream is over. Reading connects, and reconnects.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`], if the error strategy gives up. Reading again connects again.
    /// [`Error::InsideRuntime`].
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

    /// Reads actions until there is an event.
    fn skip_to_event(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Break(next) = event_or_skip(self.next_action()) {
                return next;
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
        // The runtime is entered only to wait.
        if let Some(action) = self.driver.ready_action() {
            return Some(Ok(action));
        }
        self.wait(async |driver| poll_fn(|cx| driver.poll_action(cx)).await)
            .unwrap_or_else(|error| Some(Err(error)))
    }

    /// [`next_event`](Self::next_event), for at most this long.
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
            let left = limit.saturating_sub(began.elapsed());
            next = if left.is_zero() {
                // Only what is here already: there may be no end of other actions.
                let ready = self.driver.ready_action();
                ready.map_or(Next::TimedOut, Next::Item)
            } else {
                self.next_action_timeout(left)?
            };
        }
    }

    /// [`next_action`](Self::next_action), for at most this long.
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

    /// The next notification, if it is here already: it neither waits nor connects.
    ///
    /// `None` says nothing about what is on its way, not even in the system's buffers:
    /// [`next_action`](Self::next_action) finds out.
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

    /// All notifications, as an iterator. It ends after an error; a new one continues where it
    /// stopped, and no event is lost.
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
            over: false,
        }
    }

    /// The events, as an iterator. See [`all`](Self::all).
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

    /// All notifications, as an iterator that owns the client, to return from a function. Apart from
    /// that it is [`all`](Self::all).
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

    /// The events, as an iterator that owns the client. See [`into_actions`](Self::into_actions).
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
    /// client.interrupt(); // there is none yet
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn interrupt(&mut self) {
        self.driver.interrupt();
        self.drop_runtime();
    }

    /// Ends for good: drops the connection; iteration is over, and `start` is an error.
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

    /// Controls this client from another thread.
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

    /// The id to resume from: that of the last delivered event, or the preset one.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.last_event_id(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.driver.last_event_id()
    }

    /// The delay that follows the last fault, counted from it. Zero before the first fault.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
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
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.silence(), None);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn silence(&self) -> Option<Duration> {
        self.driver.silence()
    }

    /// Whether there is a connection. One that broke counts until that is noticed.
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

    /// Waits inside the runtime.
    ///
    /// When the connection is over, so is the runtime: otherwise the socket would stay open until
    /// the next wait, and one that was kept for another request would break unnoticed until then.
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
        if !self.driver.has_link() {
            self.drop_runtime();
        }
        Ok(result)
    }

    /// What still runs on threads of the runtime's, such as a name look-up, isn't waited for.
    fn drop_runtime(&mut self) {
        self.driver.leave_runtime();
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

/// A limit to a wait. The task that serves the connection has a turn before there is a timer: where
/// something comes all the time, making timers would be a good part of the work.
async fn timeout<T>(
    limit: Duration,
    mut wait: impl Future<Output = T> + Unpin,
) -> Result<T, Elapsed> {
    let mut had_its_turn = false;
    let at_once = poll_fn(|cx| match Pin::new(&mut wait).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if had_its_turn => Poll::Ready(None),
        Poll::Pending => {
            had_its_turn = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    match at_once {
        Some(result) => Ok(result),
        None => tokio::time::timeout(limit, wait).await.map_err(|_| Elapsed),
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
