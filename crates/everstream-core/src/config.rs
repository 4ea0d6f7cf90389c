//! The settings of a session.

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
    /// The base delay, until the server sends `retry:`. Default: 1 s.
    pub initial_retry_delay: Duration,
    /// The shortest base delay that a server can set with `retry:`, so that `retry: 0` doesn't cause a
    /// reconnect storm. Default: 100 ms.
    pub min_server_retry_delay: Duration,
    /// The longest base delay that a server can set with `retry:`. If the server asks for more, the
    /// built-in strategy waits no longer than this: jitter shortens the delay, as it does without
    /// `retry:`. A larger [`min_server_retry_delay`](Self::min_server_retry_delay) takes precedence.
    /// Default: 1 h.
    pub max_server_retry_delay: Duration,
    /// The longest wait that a server can ask for with `Retry-After`. A shorter cap of the strategy
    /// applies too. Default: 24 h.
    pub max_retry_after: Duration,
    /// Decides how long to wait before reconnecting. Default:
    /// [`backoff`](crate::retry_delay::backoff).
    pub retry_delay_strategy: Box<dyn RetryDelayStrategy>,
    /// How long a connection must last for the backoff to reset. Default: 60 s. With the default, the
    /// built-in strategy also resets after a connection of 25 s that delivered an event, an id or a
    /// comment. Any other value disables that, and the delays after a clean end (see
    /// [`backoff`](crate::retry_delay::backoff)).
    pub retry_delay_reset_threshold: Duration,
    /// Decides whether to reconnect. Default: [`reconnect`](crate::error_strategy::reconnect).
    pub error_strategy: Box<dyn ErrorStrategy>,
    /// The id of the last event that an earlier run received. Default: none.
    pub last_event_id: Option<String>,
    /// How long to wait for the next byte. Default: indefinitely.
    pub read_timeout: Option<Duration>,
    /// The largest event that is accepted, in bytes. Default: 64 MiB.
    pub max_event_size: usize,
    /// What to do with a larger event. Default: fail.
    pub oversize: Oversize,
    /// Whether the request may be repeated although the server may have acted on it: true for GET and
    /// other safe methods (RFC 9110, section 9.2.1), and if the user allows it. If false, the request is
    /// sent again only if the server can't have received it, or after
    /// [`Session::start`](crate::Session::start). Default: true.
    pub repeatable: bool,
    /// Whether a request is resumed by a GET with the last event id, once the server has sent one.
    /// Default: false.
    pub resume_with_get: bool,
    /// Whether to deliver the last event although no blank line followed it, if the framing proves that
    /// the body is complete ([`Ending::Complete`](crate::Ending::Complete)). The standard discards such
    /// an event. Default: false.
    pub dispatch_unfinished: bool,
    /// Recognizes the last event of a one-shot stream. That event isn't delivered, and the session
    /// doesn't reconnect after it. Default: none.
    #[allow(clippy::type_complexity)] // used once
    pub until: Option<Box<dyn FnMut(&Event) -> bool + Send>>,
    /// The seed of the jitter. Give each session its own. Default: 0.
    pub seed: u64,
}

/// The settings that a session needs after it is created. The others aren't stored, because programs
/// keep thousands of waiting sessions.
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
    #[allow(clippy::type_complexity)] // used once
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
