//! A shared log of events. Replies stream from it, each starting where its client stopped.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sync::lock;
use crate::wire;

/// An append-only log of events with the ids `1`, `2`, `3` and so on. Clones share one log.
///
/// [`Reply::resume`](crate::Reply::resume) streams the events after the client's `Last-Event-ID`, then
/// new ones as they are pushed, until the client disconnects, the server drops the connection or the
/// feed is closed.
///
/// ```
/// use everstream_testing::{Feed, Reply, Server};
///
/// let feed = Feed::new();
/// feed.push("hello");
/// let server = Server::start();
/// // Two events, then half of the third. A client that reconnects gets the third and all later ones.
/// server.enqueue(Reply::stream().resume(feed.take(2).and_half()).drop_connection());
/// server.otherwise(Reply::stream().resume(&feed));
/// feed.push_event("price", "42");
/// ```
#[derive(Clone, Default)]
pub struct Feed {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    log: Mutex<Log>,
    grown: Condvar,
}

/// The encoded events, back to back, so that a backlog can be copied in large pieces.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    /// `ends[n]` is the offset in `bytes` just after the event with id `n + 1`.
    ends: Vec<usize>,
    closed: bool,
}

/// The part of a feed that one connection gets: everything, or what [`Feed::take`] allows.
///
/// ```
/// use everstream_testing::{Feed, Reply};
///
/// let feed = Feed::new();
/// let cut_after_three = Reply::stream().resume(feed.take(3)).reset();
/// let cut_in_the_fourth = Reply::stream().resume(feed.take(3).and_half()).reset();
/// ```
#[derive(Clone, Debug)]
pub struct Portion {
    pub(crate) feed: Feed,
    pub(crate) limit: Option<usize>,
    pub(crate) half: bool,
}

impl Portion {
    /// Adds the first half of the bytes of one more event.
    ///
    /// ```
    /// let feed = everstream_testing::Feed::new();
    /// let portion = feed.take(3).and_half();
    /// ```
    #[must_use]
    pub fn and_half(mut self) -> Portion {
        self.half = true;
        self
    }
}

impl From<&Feed> for Portion {
    fn from(feed: &Feed) -> Portion {
        Portion {
            feed: feed.clone(),
            limit: None,
            half: false,
        }
    }
}

impl Feed {
    /// Creates an empty feed.
    ///
    /// ```
    /// assert!(everstream_testing::Feed::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Feed {
        Feed::default()
    }

    /// Appends a message and returns its id. Ignored after [`close`](Feed::close).
    ///
    /// ```
    /// let feed = everstream_testing::Feed::new();
    /// assert_eq!(feed.push("a"), 1);
    /// assert_eq!(feed.push("b"), 2);
    /// ```
    pub fn push(&self, data: impl AsRef<str>) -> usize {
        self.append(None, data.as_ref())
    }

    /// Appends an event of type `kind` and returns its id.
    ///
    /// ```
    /// let feed = everstream_testing::Feed::new();
    /// assert_eq!(feed.push_event("price", "42"), 1);
    /// ```
    pub fn push_event(&self, kind: impl AsRef<str>, data: impl AsRef<str>) -> usize {
        self.append(Some(kind.as_ref()), data.as_ref())
    }

    fn append(&self, kind: Option<&str>, data: &str) -> usize {
        let mut log = lock(&self.inner.log);
        if log.closed {
            return log.ends.len();
        }
        let id = log.ends.len() + 1;
        let event = wire::event(Some(&id.to_string()), kind, data);
        log.bytes.extend_from_slice(&event);
        let end = log.bytes.len();
        log.ends.push(end);
        drop(log);
        self.inner.grown.notify_all();
        id
    }

    /// Closes the feed: a reply that has sent all events continues with the rest of its script.
    ///
    /// ```
    /// let feed = everstream_testing::Feed::new();
    /// feed.push("the last one");
    /// feed.close();
    /// feed.push("too late");
    /// assert_eq!(feed.len(), 1);
    /// ```
    pub fn close(&self) {
        lock(&self.inner.log).closed = true;
        self.inner.grown.notify_all();
    }

    /// The number of events pushed so far, which is also the newest id.
    ///
    /// ```
    /// let feed = everstream_testing::Feed::new();
    /// feed.push("a");
    /// assert_eq!(feed.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.inner.log).ends.len()
    }

    /// Whether nothing has been pushed yet.
    ///
    /// ```
    /// assert!(everstream_testing::Feed::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Limits one connection to this many complete events.
    ///
    /// ```
    /// use everstream_testing::{Feed, Reply};
    ///
    /// let feed = Feed::new();
    /// let reply = Reply::stream().resume(feed.take(3)).drop_connection();
    /// ```
    #[must_use]
    pub fn take(&self, events: usize) -> Portion {
        Portion {
            limit: Some(events),
            ..Portion::from(self)
        }
    }

    /// The number of events that a client with this `Last-Event-ID` has seen; 0 for an unknown id.
    pub(crate) fn position_after(&self, id: Option<&str>) -> usize {
        id.and_then(|id| id.parse().ok())
            .filter(|&position| position <= self.len())
            .unwrap_or(0)
    }

    /// Waits until the feed has more than `position` events or is closed.
    pub(crate) fn wait_past(&self, position: usize, limit: Duration) -> bool {
        let log = lock(&self.inner.log);
        let (log, _) = self
            .inner
            .grown
            .wait_timeout_while(log, limit, |log| log.ends.len() <= position && !log.closed)
            .unwrap_or_else(PoisonError::into_inner);
        log.ends.len() > position || log.closed
    }

    /// Copies events after `position`: at most `limit` of them and about 16 KiB, but at least one if
    /// there is one. Returns their number and bytes.
    pub(crate) fn read(&self, position: usize, limit: usize) -> (usize, Vec<u8>) {
        const BATCH: usize = 16 * 1024;
        let log = lock(&self.inner.log);
        let start = log.start_of(position);
        let Some(pending) = log.ends.get(position..) else {
            return (0, Vec::new());
        };
        let count = pending
            .partition_point(|&end| end - start <= BATCH)
            .max(1)
            .min(limit)
            .min(pending.len());
        let end = log.start_of(position + count);
        (count, log.bytes[start..end].to_vec())
    }

    /// The address of the shared log, which identifies the feed.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }
}

impl Log {
    /// The offset of the event that follows the first `position` events.
    fn start_of(&self, position: usize) -> usize {
        match position {
            0 => 0,
            _ => self
                .ends
                .get(position - 1)
                .copied()
                .unwrap_or(self.bytes.len()),
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
