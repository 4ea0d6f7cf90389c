//! Control from elsewhere: another thread, another task.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

const INTERRUPTED: u8 = 1;
const CLOSED: u8 = 2;

/// Interrupts, closes and watches a client from any thread or task.
///
/// Clones control the same client. Whatever the client is waiting for (a name look-up, a
/// connection, TLS, a response, the next byte, the end of a delay), it stops within milliseconds.
/// If nobody is reading just then, a call takes effect at the next read, or when the client is
/// dropped.
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
/// assert!(client.next_event().is_none()); // ends quietly, without waiting for an event
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

    /// Drops the present connection, or the attempt at one, as if the server had ended it. Events
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

    /// Ends the client for good: iteration ends quietly, and nothing connects again.
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

    /// Whether the client was closed, from here or anywhere.
    ///
    /// ```
    /// # let client = everstream::blocking::SseClient::new("http://localhost/")?;
    /// assert!(!client.handle().is_closed());
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.flags.load(Ordering::Acquire) & CLOSED != 0
    }

    /// The id to resume from: that of the last delivered event.
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

    /// The delay that follows the last fault, counted from it. Zero before the first fault.
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
        // It stays, so that the client needn't leave it here again. Woken outside the lock: what a
        // waker does is its own business.
        let waker = self.state().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody asked for anything. Cheap: it is looked at for every event.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.shared.flags.load(Ordering::Acquire) == 0
    }

    /// Takes the request for an interruption, if there is one.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.shared.flags.fetch_and(!INTERRUPTED, Ordering::AcqRel) & INTERRUPTED != 0
    }

    /// Has this waker called at every request from now on. Register before looking at the flags.
    pub(crate) fn register(&self, waker: &Waker) {
        // Made and dropped outside the lock: what a waker does is its own business.
        let waker = waker.clone();
        let earlier = self.state().waker.replace(waker);
        drop(earlier);
    }

    /// Lets go of that waker, and of the task or the runtime that it belongs to.
    pub(crate) fn unregister(&self) {
        let earlier = self.state().waker.take();
        drop(earlier);
    }

    pub(crate) fn publish_last_event_id(&self, id: Option<&str>) {
        let mut state = self.state();
        match (&mut state.last_event_id, id) {
            // The usual case, without an allocation.
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

    /// Nothing is left half done under this lock, so a panic elsewhere doesn't matter.
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
