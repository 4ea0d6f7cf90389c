//! Controls a client from other threads and tasks.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

const INTERRUPTED: u8 = 1;
const CLOSED: u8 = 2;

/// Interrupts, closes and observes a client from any thread or task.
///
/// Clones control the same client. A client that is waiting, whether for DNS, a connection, TLS, a
/// response, data or the end of a delay, stops within milliseconds. If the program isn't reading at
/// that moment, the call takes effect at the next read, or when the client is dropped.
///
/// ```
/// use everstream::blocking::SseClient;
/// # use everstream_testing::{Reply, Server};
/// # let server = Server::start();
/// # server.otherwise(Reply::stream().stall());
/// # let url = server.url("/");
///
/// let mut client = SseClient::new(&url)?;
/// let handle = client.handle();
/// std::thread::spawn(move || handle.close());
/// assert!(client.next_event().is_none()); // ends without an error, and without waiting
/// # Ok::<(), everstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    flags: AtomicU8,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waker: Option<Waker>,
    last_event_id: Option<String>,
    next_retry_delay: Duration,
}

impl Handle {
    pub(crate) fn new(last_event_id: Option<String>) -> Self {
        Handle {
            shared: Arc::new(Shared {
                flags: AtomicU8::new(0),
                state: Mutex::new(State {
                    last_event_id,
                    ..State::default()
                }),
            }),
        }
    }

    /// Drops the current connection, or the attempt at one, as if the server had ended it. Events
    /// received before are delivered first; then the error strategy decides whether to reconnect.
    ///
    /// ```
    /// # let mut client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// client.handle().interrupt(); // nothing to interrupt yet
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn interrupt(&self) {
        self.raise(INTERRUPTED);
    }

    /// Closes the client permanently: the iteration ends without an error, and the client never connects
    /// again.
    ///
    /// ```
    /// # let mut client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// let handle = client.handle();
    /// handle.close();
    /// assert!(handle.is_closed());
    /// assert!(client.next_event().is_none());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn close(&self) {
        self.raise(CLOSED);
    }

    /// Whether the client was closed, by this handle or otherwise.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert!(!client.handle().is_closed());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.flags.load(Ordering::Acquire) & CLOSED != 0
    }

    /// The id to resume from: that of the last delivered event, or the one set in the builder.
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// let client = SseClient::builder("http://localhost/").last_event_id("41").build()?;
    /// assert_eq!(client.handle().last_event_id().as_deref(), Some("41"));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn last_event_id(&self) -> Option<String> {
        self.state().last_event_id.clone()
    }

    /// The delay from the last fault to the next attempt. Zero before the first fault.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert_eq!(client.handle().next_retry_delay(), Duration::ZERO);
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn next_retry_delay(&self) -> Duration {
        self.state().next_retry_delay
    }

    fn raise(&self, flag: u8) {
        self.shared.flags.fetch_or(flag, Ordering::AcqRel);
        // The waker stays registered. It is called outside the lock because wakers run foreign code.
        let waker = self.state().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether neither an interrupt nor a close was requested. Cheap, because it is checked for every
    /// event.
    #[inline]
    pub(crate) fn has_no_pending_request(&self) -> bool {
        self.shared.flags.load(Ordering::Acquire) == 0
    }

    /// Clears the request for an interrupt, and returns whether there was one.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.shared.flags.fetch_and(!INTERRUPTED, Ordering::AcqRel) & INTERRUPTED != 0
    }

    /// From now on, every request wakes this waker. Register before checking the flags.
    pub(crate) fn register(&self, waker: &Waker) {
        // Cloned and dropped outside the lock because wakers run foreign code.
        let waker = waker.clone();
        let earlier = self.state().waker.replace(waker);
        drop(earlier);
    }

    /// Releases the waker, and with it the task or runtime that it refers to.
    pub(crate) fn unregister(&self) {
        let earlier = self.state().waker.take();
        drop(earlier);
    }

    pub(crate) fn publish_last_event_id(&self, id: Option<&str>) {
        let mut state = self.state();
        match (&mut state.last_event_id, id) {
            // The usual case: reuses the allocation.
            (Some(shared), Some(id)) => {
                shared.clear();
                shared.push_str(id);
            }
            (shared, id) => *shared = id.map(String::from),
        }
    }

    pub(crate) fn publish_next_retry_delay(&self, delay: Duration) {
        self.state().next_retry_delay = delay;
    }

    /// Ignores poisoning: no code that holds this lock leaves the state inconsistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
