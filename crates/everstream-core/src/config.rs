//! What a session is told at its start.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use crate::decoder::DEFAULT_MAX_EVENT_SIZE;
use crate::event::Event;
use crate::item::Oversize;
use crate::strategy::delay::{self, RetryDelayStrategy};
use crate::strategy::error::{self, ErrorStrategy};

/// The default of [`SessionConfig::retry_delay_reset_threshold`].
pub(crate) const DEFAULT_RESET_THRESHOLD: Duration = Duration::from_secs(60);

/// The settings of a [`Session`](crate::Session). All fields have a default.
///
/// ```
/// use everstream_core::{Session, SessionConfig, error_strategy};
/// use std::time::Duration;
///
/// let mut config = SessionConfig::default();
/// config.initial_retry_delay = Duration::from_millis(200);
/// config.error_strategy = Box::new(error_strategy::always_continue());
/// let session: Session = Session::new(config);
/// # _ = session;
/// ```
#[non_exhaustive]
pub struct SessionConfig {
    /// The base of the delay until the server sends `retry:`. Default: 1 s.
    pub initial_retry_delay: Duration,
    /// The least that a server can make the base with `retry:`, so that `retry: 0` is no storm.
    /// Default: 100 ms.
    pub min_server_retry_delay: Duration,
    /// The most that a server can make the base with `retry:`. If it asks for more, the built-in strategy
    /// waits no longer than this: jitter shortens the delay, as it does without `retry:`. A larger
    /// [`min_server_retry_delay`](Self::min_server_retry_delay) takes precedence. Default: 1 h.
    pub max_server_retry_delay: Duration,
    /// The longest wait that a server can ask for with `Retry-After`. A shorter cap of the strategy
    /// holds too. Default: 24 h.
    pub max_retry_after: Duration,
    /// How long to wait. Default: [`backoff`](crate::retry_delay::backoff).
    pub retry_delay_strategy: Box<dyn RetryDelayStrategy>,
    /// How long a connection must last for the backoff to reset. Default: 60 s; then a connection of
    /// 25 s that delivered an event, an id or a comment resets the built-in strategy too. With any
    /// other value that is off, and so are the delays after a clean end (see
    /// [`backoff`](crate::retry_delay::backoff)).
    pub retry_delay_reset_threshold: Duration,
    /// Whether to go on. Default: [`reconnect`](crate::error_strategy::reconnect).
    pub error_strategy: Box<dyn ErrorStrategy>,
    /// The id of the last event that an earlier run received. Default: none.
    pub last_event_id: Option<String>,
    /// How long to wait for the next byte. Default: for ever.
    pub read_timeout: Option<Duration>,
    /// The largest event that is accepted, in bytes. Default: 64 MiB.
    pub max_event_size: usize,
    /// What to do with a larger one. Default: fail.
    pub oversize: Oversize,
    /// Whether the request may be repeated although the server may have acted on it: for GET and
    /// other safe methods (RFC 9110, section 9.2.1), or if the user says so. If not, it is sent again
    /// only if the server surely didn't get it, or by [`Session::start`](crate::Session::start).
    /// Default: true.
    pub repeatable: bool,
    /// Whether a request that isn't repeated is resumed by a GET with the last event id, once the
    /// server has sent one. Default: false.
    pub resume_with_get: bool,
    /// Whether the last event is delivered although no blank line followed it, if the framing of the
    /// body proves that nothing is missing ([`Ending::Complete`](crate::Ending::Complete)). The
    /// standard discards it. Default: false.
    pub dispatch_unfinished: bool,
    /// The event after which a one-shot stream is complete. It isn't handed out, and the stream
    /// isn't connected again. Default: none.
    #[allow(clippy::type_complexity)] // it is said once
    pub until: Option<Box<dyn FnMut(&Event) -> bool + Send>>,
    /// For the random part of the delays. Give each session its own. Default: 0.
    pub seed: u64,
}

/// The settings that a session needs after its start. Programs keep thousands of sessions that wait,
/// so the others aren't kept.
pub(crate) struct Settings {
    pub(crate) min_server_retry_delay: Duration,
    pub(crate) max_server_retry_delay: Duration,
    pub(crate) max_retry_after: Duration,
    pub(crate) retry_delay_strategy: Box<dyn RetryDelayStrategy>,
    pub(crate) retry_delay_reset_threshold: Duration,
    pub(crate) error_strategy: Box<dyn ErrorStrategy>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) repeatable: bool,
    pub(crate) resume_with_get: bool,
    pub(crate) dispatch_unfinished: bool,
    #[allow(clippy::type_complexity)] // it is said once
    pub(crate) until: Option<Box<dyn FnMut(&Event) -> bool + Send>>,
}

impl From<SessionConfig> for Settings {
    fn from(config: SessionConfig) -> Self {
        Settings {
            min_server_retry_delay: config.min_server_retry_delay,
            max_server_retry_delay: config.max_server_retry_delay,
            max_retry_after: config.max_retry_after,
            retry_delay_strategy: config.retry_delay_strategy,
            retry_delay_reset_threshold: config.retry_delay_reset_threshold,
            error_strategy: config.error_strategy,
            read_timeout: config.read_timeout,
            repeatable: config.repeatable,
            resume_with_get: config.resume_with_get,
            dispatch_unfinished: config.dispatch_unfinished,
            until: config.until,
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            initial_retry_delay: Duration::from_secs(1),
            min_server_retry_delay: Duration::from_millis(100),
            max_server_retry_delay: Duration::from_secs(60 * 60),
            max_retry_after: Duration::from_secs(24 * 60 * 60),
            retry_delay_strategy: Box::new(delay::backoff()),
            retry_delay_reset_threshold: DEFAULT_RESET_THRESHOLD,
            error_strategy: Box::new(error::reconnect()),
            last_event_id: None,
            read_timeout: None,
            max_event_size: DEFAULT_MAX_EVENT_SIZE,
            oversize: Oversize::Fail,
            repeatable: true,
            resume_with_get: false,
            dispatch_unfinished: false,
            until: None,
            seed: 0,
        }
    }
}
