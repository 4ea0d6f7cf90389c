//! The driver: does what the machine says, with a client, a sink and a clock.

use std::error;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use everstream::{Action, Builder, Event, SseClient};
use everstream_core::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{
    AppendError, Command, Config, End, Failure, Held, Machine, Notice, Output, Record, Sink,
    SinkError, Snapshot, Tail,
};

/// The shortest time between two snapshots, unless the role changes.
const SNAPSHOTS: Duration = Duration::from_millis(100);

/// Follows a feed, and stores it in a log: each event once, in order, with a standby.
///
/// The feed is a function that makes the client's settings, because each takeover needs a client of its
/// own. The relay sets where the client resumes. Its error strategy decides when the feed has ended.
///
/// ```
/// use everstream::SseClient;
/// use everstream_relay::{Config, MemorySink, Relay};
/// # use everstream_testing::{Reply, Server};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream_relay::Error> {
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().send("id: 7\ndata: hello\n\n").stall());
/// # let url = server.url("/");
///
/// let sink = MemorySink::new();
/// # let mut config = Config::default();
/// # config.takeover = Duration::from_millis(50);
/// # config.poll = Duration::from_millis(10);
/// let relay = Relay::new(config, sink.clone(), || Ok(SseClient::builder(&url)));
/// # let (stopper, mut monitor) = (relay.stopper(), relay.monitor());
/// # let stop = async { while monitor.changed().await.is_some_and(|it| it.stored < 1) {} stopper.stop(); };
/// # let (ended, ()) = tokio::join!(relay.run(), stop);
/// # ended?;
/// # assert_eq!(sink.records()[0].data, "hello");
/// # Ok(())
/// # }
/// ```
#[must_use = "a relay does nothing until it is run"]
pub struct Relay<S, F> {
    machine: Machine,
    sink: S,
    feed: F,
    on_notice: Box<dyn FnMut(&Notice) + Send>,
    on_feed: Box<dyn FnMut(&Action) + Send>,
    snapshots: watch::Sender<Snapshot>,
    stop: watch::Sender<bool>,
}

/// Why a relay gave up.
///
/// ```
/// use everstream_relay::{Error, Failure};
///
/// let error = Error::Failure(Failure::SecondWriter);
/// assert!(error.to_string().contains("another writer"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The feed can't be followed any longer, as its error strategy says.
    Feed {
        /// Why.
        error: everstream::Error,
        /// The id after which it was to resume when it was connected first.
        resumed_after: Option<String>,
    },
    /// The relay has to stop.
    Failure(Failure),
}

/// Stops a relay from elsewhere. Clones stop the same one.
///
/// ```
/// # use everstream::SseClient;
/// # use everstream_relay::{Config, End, MemorySink, Relay};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), everstream_relay::Error> {
/// let feed = || Ok(SseClient::builder("http://localhost/feed"));
/// let relay = Relay::new(Config::default(), MemorySink::new(), feed);
/// let stopper = relay.stopper();
/// stopper.stop(); // or later, from another task or thread
/// assert_eq!(relay.run().await?, End::Stopped);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Ends the relay after the append that is on its way.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Watches a relay from elsewhere.
///
/// ```
/// # use everstream::SseClient;
/// # use everstream_relay::{Config, MemorySink, Relay, Role};
/// let feed = || Ok(SseClient::builder("http://localhost/feed"));
/// let relay = Relay::new(Config::default(), MemorySink::new(), feed);
/// assert_eq!(relay.monitor().snapshot().role, Role::Standby);
/// ```
#[derive(Debug, Clone)]
pub struct Monitor(watch::Receiver<Snapshot>);

impl Monitor {
    /// The newest snapshot. They are taken every 100 ms at most, and when the role changes.
    pub fn snapshot(&self) -> Snapshot {
        self.0.borrow().clone()
    }

    /// Waits for the next snapshot. `None` when the relay has ended.
    pub async fn changed(&mut self) -> Option<Snapshot> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

/// What a command came to.
enum Outcome {
    Opened(Result<Held, SinkError>),
    Tail(Result<Tail, SinkError>),
    Appended(Result<Tail, AppendError>),
}

type Call<S> = Pin<Box<dyn Future<Output = (S, Outcome)> + Send>>;

impl<S, F> Relay<S, F>
where
    S: Sink + 'static,
    F: FnMut() -> Result<Builder, everstream::Error>,
{
    /// A relay from the feed to the sink.
    pub fn new(config: Config, sink: S, feed: F) -> Relay<S, F> {
        Relay {
            machine: Machine::new(config),
            sink,
            feed,
            on_notice: Box::new(|_| {}),
            on_feed: Box::new(|_| {}),
            snapshots: watch::Sender::default(),
            stop: watch::Sender::default(),
        }
    }

    /// Calls this with everything that happens to the relay.
    pub fn on_notice(mut self, call: impl FnMut(&Notice) + Send + 'static) -> Self {
        self.on_notice = Box::new(call);
        self
    }

    /// Calls this with everything that happens to the feed's connections, but not with events.
    pub fn on_feed(mut self, call: impl FnMut(&Action) + Send + 'static) -> Self {
        self.on_feed = Box::new(call);
        self
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// What watches it.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.snapshots.subscribe())
    }

    /// Runs it until it is stopped, the feed has ended, or it has to give up. Dropping the future is as safe
    /// as a crash: the next relay asks the log.
    ///
    /// # Errors
    ///
    /// [`Error::Feed`] if the feed's error strategy gives up, [`Error::Failure`] otherwise.
    ///
    /// ```no_run
    /// # use everstream_relay::{Config, MemorySink, Relay};
    /// # async fn run() -> Result<(), everstream_relay::Error> {
    /// let feed = || Ok(everstream::SseClient::builder("http://localhost/feed"));
    /// let relay = Relay::new(Config::default(), MemorySink::new(), feed);
    /// relay.on_notice(|notice| eprintln!("{notice}")).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(self) -> Result<End, Error> {
        let Relay {
            machine,
            sink,
            feed,
            on_notice,
            on_feed,
            snapshots,
            stop,
        } = self;
        let mut driver = Driver {
            begin: Instant::now(),
            machine,
            sink: Some(sink),
            feed,
            client: None,
            call: None,
            on_notice,
            on_feed,
            snapshots,
            published: None,
            resumed_after: None,
            feed_error: None,
        };
        let result = driver.run(stop.subscribe()).await;
        driver.publish(true);
        result
    }
}

struct Driver<S, F> {
    begin: Instant,
    machine: Machine,
    /// None while it is lent to the call.
    sink: Option<S>,
    feed: F,
    client: Option<SseClient>,
    call: Option<Call<S>>,
    on_notice: Box<dyn FnMut(&Notice) + Send>,
    on_feed: Box<dyn FnMut(&Action) + Send>,
    snapshots: watch::Sender<Snapshot>,
    published: Option<Instant>,
    resumed_after: Option<String>,
    feed_error: Option<everstream::Error>,
}

impl<S, F> Driver<S, F>
where
    S: Sink + 'static,
    F: FnMut() -> Result<Builder, everstream::Error>,
{
    async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<End, Error> {
        let mut stopping = false;
        loop {
            let (until, read) = match self.machine.poll_output(self.now()) {
                Output::Connect { last_event_id } => {
                    self.connect(last_event_id)?;
                    continue;
                }
                Output::Sink(command) => {
                    self.call = self.sink.take().map(|sink| call(sink, command));
                    continue;
                }
                Output::Notice(notice) => {
                    (self.on_notice)(&notice);
                    continue;
                }
                Output::Stop(result) => return self.ended(result),
                Output::Wait { until, read } => (until, read),
            };
            let client = self.client.as_mut().filter(|_| read);
            if let Some(action) = client.and_then(SseClient::try_next_action) {
                self.handle_action(action);
                continue;
            }
            let until = self
                .publish(false)
                .into_iter()
                .chain(until.map(|until| self.begin + until.elapsed()))
                .min();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    self.machine.stop();
                }
                (sink, outcome) = running(&mut self.call) => {
                    self.call = None;
                    self.sink = Some(sink);
                    self.handle_outcome(outcome);
                }
                action = next_action(&mut self.client), if read => match action {
                    Some(Ok(action)) => self.handle_action(action),
                    end => {
                        self.client = None;
                        self.feed_error = end.and_then(Result::err);
                        self.machine.handle_feed_ended();
                    }
                },
                () = sleep_until(until) => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::since_start(self.begin.elapsed())
    }

    fn connect(&mut self, last_event_id: Option<String>) -> Result<(), Error> {
        self.client = None;
        self.feed_error = None;
        self.resumed_after = last_event_id.clone();
        let builder = (self.feed)().map(|builder| match last_event_id {
            Some(id) => builder.last_event_id(id),
            None => builder,
        });
        self.client = Some(
            builder
                .and_then(Builder::<SseClient>::build)
                .map_err(|error| self.feed_failed(error))?,
        );
        Ok(())
    }

    fn feed_failed(&self, error: everstream::Error) -> Error {
        Error::Feed {
            error,
            resumed_after: self.resumed_after.clone(),
        }
    }

    fn handle_action(&mut self, action: Action) {
        match action {
            Action::Event(event) => {
                let now = self.now();
                self.machine.handle_event(record(event), now);
                return;
            }
            Action::Start(_) => self.machine.handle_connected(),
            _ => {}
        }
        (self.on_feed)(&action);
    }

    fn handle_outcome(&mut self, outcome: Outcome) {
        let now = self.now();
        match outcome {
            Outcome::Opened(result) => self.machine.handle_opened(result, now),
            Outcome::Tail(result) => self.machine.handle_tail(result, now),
            Outcome::Appended(result) => self.machine.handle_appended(result, now),
        }
    }

    fn ended(&mut self, result: Result<End, Failure>) -> Result<End, Error> {
        match (result, self.feed_error.take()) {
            (Ok(End::FeedEnded), Some(error)) => Err(self.feed_failed(error)),
            (result, _) => result.map_err(Error::Failure),
        }
    }

    /// Publishes a snapshot, if one is due. If not, says when it will be.
    fn publish(&mut self, at_once: bool) -> Option<Instant> {
        let now = Instant::now();
        let due = self.published.map(|published| published + SNAPSHOTS);
        let changed = self.snapshots.borrow().role != self.machine.role();
        if let Some(due) = due.filter(|due| *due > now && !changed && !at_once) {
            return Some(due);
        }
        self.published = Some(now);
        let snapshot = self.machine.snapshot(self.now());
        self.snapshots.send_if_modified(|old| {
            let modified = *old != snapshot;
            *old = snapshot;
            modified
        });
        None
    }
}

fn call<S: Sink + 'static>(mut sink: S, command: Command) -> Call<S> {
    Box::pin(async move {
        let outcome = match command {
            Command::Open { recent } => Outcome::Opened(sink.open(recent).await),
            Command::Tail => Outcome::Tail(sink.tail().await),
            Command::Append { after, batch } => {
                Outcome::Appended(sink.append(&after, &batch).await)
            }
        };
        (sink, outcome)
    })
}

fn record(event: Event) -> Record {
    let id = event.id().map(str::to_owned);
    let kind = event.event().to_owned();
    Record::new(id, kind, event.into_data(), SystemTime::now())
}

async fn running<S>(call: &mut Option<Call<S>>) -> (S, Outcome) {
    match call {
        Some(call) => call.await,
        None => pending().await,
    }
}

async fn next_action(client: &mut Option<SseClient>) -> Option<Result<Action, everstream::Error>> {
    match client {
        Some(client) => client.next_action().await,
        None => pending().await,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}

impl<S, F> fmt::Debug for Relay<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Feed {
                resumed_after: None,
                ..
            } => f.write_str("the feed can't be followed"),
            Error::Feed {
                resumed_after: Some(id),
                ..
            } => {
                write!(f, "the feed can't be followed after id {id}")
            }
            Error::Failure(failure) => failure.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Feed { error, .. } => Some(error),
            Error::Failure(_) => None,
        }
    }
}
