//! The settings of a client, for both clients.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;
use std::time::Duration;

use everstream_core::error_strategy::ErrorStrategy;
use everstream_core::retry_delay::RetryDelayStrategy;
use everstream_core::{Event, Oversize, SessionConfig};

use crate::blocking;
use crate::client::SseClient;
use crate::connect::{ClientContext, ConnectStrategy, IntoConnectStrategy};
use crate::driver::Driver;
use crate::error::Error;
use crate::trace::{Log, LogLevel};

/// The settings of a client of the type `C`: [`SseClient::builder`] starts one for the async client,
/// [`blocking::SseClient::builder`] one for the blocking client.
///
/// ```
/// use everstream::{SseClient, error_strategy, retry_delay};
/// use std::time::Duration;
///
/// let client = SseClient::builder("https://example.com/feed")
///     .last_event_id("41")
///     .initial_retry_delay(Duration::from_millis(500))
///     .retry_delay_strategy(retry_delay::backoff().max_delay(Duration::from_secs(10)))
///     .error_strategy(error_strategy::reconnect().or_on_status([503]))
///     .read_timeout(Duration::from_secs(90))
///     .build()?;
/// assert_eq!(client.last_event_id(), Some("41"));
/// # Ok::<(), everstream::Error>(())
/// ```
///
/// Settings that both clients share are written once, for any `C`:
///
/// ```
/// use everstream::{Builder, SseClient, blocking};
/// use std::time::Duration;
///
/// fn with_our_settings<C>(builder: Builder<C>) -> Builder<C> {
///     builder.read_timeout(Duration::from_secs(90)).max_event_size(1 << 20)
/// }
///
/// let url = "https://example.com/feed";
/// let client: SseClient = with_our_settings(SseClient::builder(url)).build()?;
/// let client: blocking::SseClient = with_our_settings(blocking::SseClient::builder(url)).build()?;
/// # Ok::<(), everstream::Error>(())
/// ```
#[must_use]
pub struct Builder<C = SseClient> {
    connect: Box<dyn ConnectStrategy>,
    config: SessionConfig,
    repeat_unsafe: bool,
    log: Log,
    client: PhantomData<fn() -> C>,
}

impl<C> Builder<C> {
    pub(crate) fn new(connect: impl IntoConnectStrategy) -> Self {
        Builder {
            connect: connect.into_connect_strategy(),
            config: SessionConfig::default(),
            repeat_unsafe: false,
            log: Log::default(),
            client: PhantomData,
        }
    }

    fn retarget<D>(self) -> Builder<D> {
        Builder {
            connect: self.connect,
            config: self.config,
            repeat_unsafe: self.repeat_unsafe,
            log: self.log,
            client: PhantomData,
        }
    }

    /// The base of the delay before reconnecting, until the server sets it with `retry:`. Default:
    /// 1 s.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/").initial_retry_delay(Duration::ZERO);
    /// # drop(builder);
    /// ```
    pub fn initial_retry_delay(mut self, delay: Duration) -> Self {
        self.config.initial_retry_delay = delay;
        self
    }

    /// The least that a server can set with `retry:`. Default: 100 ms.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/")
    ///     .min_server_retry_delay(Duration::from_secs(1));
    /// # drop(builder);
    /// ```
    pub fn min_server_retry_delay(mut self, delay: Duration) -> Self {
        self.config.min_server_retry_delay = delay;
        self
    }

    /// The most that a server can set with `retry:`. If it asks for more, jitter shortens the delay, as
    /// it does without `retry:`. A larger
    /// [`min_server_retry_delay`](Self::min_server_retry_delay) takes precedence. Default: 1 h.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/")
    ///     .max_server_retry_delay(Duration::from_secs(60));
    /// # drop(builder);
    /// ```
    pub fn max_server_retry_delay(mut self, delay: Duration) -> Self {
        self.config.max_server_retry_delay = delay;
        self
    }

    /// The longest wait that a server can ask for with `Retry-After`. A shorter cap of the strategy
    /// holds too. Default: 24 h.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/")
    ///     .max_retry_after(Duration::from_secs(600));
    /// # drop(builder);
    /// ```
    pub fn max_retry_after(mut self, delay: Duration) -> Self {
        self.config.max_retry_after = delay;
        self
    }

    /// How the delay grows and varies. Default: [`backoff`](crate::retry_delay::backoff), which
    /// doubles it up to 30 s, shortens it by up to half at random, and treats a server that ends its
    /// responses cleanly as one that is polled.
    ///
    /// ```
    /// # use everstream::{SseClient, retry_delay};
    /// let builder = SseClient::builder("http://localhost/")
    ///     .retry_delay_strategy(retry_delay::from_fn(|base| base.delay));
    /// # drop(builder);
    /// ```
    pub fn retry_delay_strategy(mut self, strategy: impl RetryDelayStrategy + 'static) -> Self {
        self.config.retry_delay_strategy = Box::new(strategy);
        self
    }

    /// How long a connection must last for the backoff to reset after it. Default: 60 s.
    ///
    /// At the default the built-in strategy is also reset by a connection of 25 s that delivered an
    /// event, an id or a comment, and has its own delays [after a clean
    /// end](crate::retry_delay::backoff#after-a-clean-end). Any other value turns both off.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/")
    ///     .retry_delay_reset_threshold(Duration::from_secs(10));
    /// # drop(builder);
    /// ```
    pub fn retry_delay_reset_threshold(mut self, threshold: Duration) -> Self {
        self.config.retry_delay_reset_threshold = threshold;
        self
    }

    /// Whether to go on after a fault. Default: [`reconnect`](crate::error_strategy::reconnect).
    ///
    /// ```
    /// # use everstream::{SseClient, error_strategy};
    /// let builder = SseClient::builder("http://localhost/")
    ///     .error_strategy(error_strategy::always_fail());
    /// # drop(builder);
    /// ```
    pub fn error_strategy(mut self, strategy: impl ErrorStrategy + 'static) -> Self {
        self.config.error_strategy = Box::new(strategy);
        self
    }

    /// The id to resume from, which an earlier run kept. Default: none. One with NUL, CR or LF, which no
    /// stream gives, is an error of the build.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// let builder = SseClient::builder("http://localhost/").last_event_id("41");
    /// # drop(builder);
    /// ```
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.config.last_event_id = Some(id.into());
        self
    }

    /// The idle timeout; any data resets it, comments too. `None`: no idle timeout. Default: none.
    ///
    /// It counts from the last byte or from the start of the read, whichever is later: a program
    /// that was busy doesn't see a timeout. If a read is cancelled before any data arrives and then
    /// started again, both count as one read. The wait for the response is limited too, from the
    /// time when the connection is there.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// # use std::time::Duration;
    /// let builder = SseClient::builder("http://localhost/").read_timeout(Duration::from_secs(90));
    /// # drop(builder);
    /// ```
    pub fn read_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.read_timeout = limit.into();
        self
    }

    /// The largest event that is accepted, in bytes: its data, type and id together, and each of
    /// its lines. Default: 64 MiB.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// let builder = SseClient::builder("http://localhost/").max_event_size(1 << 20);
    /// # drop(builder);
    /// ```
    pub fn max_event_size(mut self, bytes: usize) -> Self {
        self.config.max_event_size = bytes;
        self
    }

    /// What to do with a larger one. Default: [`Oversize::Fail`].
    ///
    /// ```
    /// # use everstream::{Oversize, SseClient};
    /// let builder = SseClient::builder("http://localhost/").oversize(Oversize::Skip);
    /// # drop(builder);
    /// ```
    pub fn oversize(mut self, oversize: Oversize) -> Self {
        self.config.oversize = oversize;
        self
    }

    /// Sends requests with POST and other methods that aren't safe (RFC 9110, section 9.2.1) again, as if
    /// they were GET: for subscriptions by POST. Default: false. Then such a request is sent again only
    /// if the server surely didn't get it, and the stream ends with its connection.
    ///
    /// ```
    /// # use everstream::{Http, SseClient};
    /// let builder = SseClient::builder(Http::new("http://localhost/").method("POST"))
    ///     .repeat_unsafe(true);
    /// # drop(builder);
    /// ```
    pub fn repeat_unsafe(mut self, repeat: bool) -> Self {
        self.repeat_unsafe = repeat;
        self
    }

    /// Resumes a stream that was requested by POST, or another method that isn't safe, by GET: once the
    /// server has sent an event id, the next connections send the same headers without a body, and
    /// `Last-Event-ID`. That is how MCP resumes a tool call. Default: false.
    ///
    /// The stream is resumed after a fault and after a clean end. Set [`until`](Self::until), or stop
    /// reading, so that a finished call isn't resumed. A server that answers the GET with 400, 404 or
    /// 405 can't resume: that is an error, whatever the error strategy says. Safe methods aren't
    /// affected, and neither are custom sources, unless they [support
    /// it](crate::ConnectionClient::can_resume_with_get).
    ///
    /// ```
    /// # use everstream::{Http, SseClient};
    /// let builder = SseClient::builder(Http::new("http://localhost/mcp").method("POST"))
    ///     .resume_with_get(true);
    /// # drop(builder);
    /// ```
    pub fn resume_with_get(mut self, resume: bool) -> Self {
        self.config.resume_with_get = resume;
        self
    }

    /// Delivers the last event even if its blank line is missing, provided that the framing of the
    /// response proves that it is complete. The standard discards such an event, but some LLM servers
    /// omit the last blank line. Default: false.
    ///
    /// ```
    /// # use everstream::SseClient;
    /// let builder = SseClient::builder("http://localhost/").dispatch_unfinished(true);
    /// # drop(builder);
    /// ```
    pub fn dispatch_unfinished(mut self, dispatch: bool) -> Self {
        self.config.dispatch_unfinished = dispatch;
        self
    }

    /// The data of the event that ends a one-shot stream, such as `[DONE]`. The iteration ends at
    /// this event without delivering it, and the client doesn't reconnect.
    ///
    /// If the stream ends before it and isn't connected again, the error is
    /// [`Fault::Incomplete`](crate::Fault::Incomplete).
    ///
    /// ```
    /// # use everstream::{Http, SseClient};
    /// let builder = SseClient::builder(Http::new("http://localhost/").method("POST"))
    ///     .until("[DONE]");
    /// # drop(builder);
    /// ```
    pub fn until(self, data: impl Into<String>) -> Self {
        let data = data.into();
        self.until_fn(move |event| event.data() == data)
    }

    /// [`until`](Self::until), with a function that recognises the event.
    ///
    /// ```
    /// # use everstream::{Http, SseClient};
    /// let builder = SseClient::builder(Http::new("http://localhost/").method("POST"))
    ///     .until_fn(|event| event.event() == "message_stop");
    /// # drop(builder);
    /// ```
    pub fn until_fn(mut self, is_last: impl FnMut(&Event) -> bool + Send + 'static) -> Self {
        self.config.until = Some(Box::new(is_last));
        self
    }

    /// Passes each line of the log to a function: for the Python package. `name` says what is connected
    /// to if that has no URL.
    #[doc(hidden)]
    pub fn on_log(
        mut self,
        name: String,
        sink: impl Fn(LogLevel, String) + Send + 'static,
    ) -> Self {
        self.log = Log {
            name: Some(name),
            sink: Some(Box::new(sink)),
        };
        self
    }

    fn driver(mut self, blocking: bool) -> Result<Driver, Error> {
        let id = self.config.last_event_id.as_deref();
        if id.is_some_and(|id| id.contains(['\0', '\r', '\n'])) {
            let problem = "it holds NUL, CR or LF, which no id of a stream does";
            return Err(Error::config("last_event_id", problem));
        }
        let client = self.connect.create_client(ClientContext { blocking })?;
        self.config.repeatable = self.repeat_unsafe || client.is_repeatable();
        self.config.resume_with_get &= !client.is_repeatable() && client.can_resume_with_get();
        // The standard library seeds its hash maps from the system's random numbers.
        self.config.seed = RandomState::new().build_hasher().finish();
        Ok(Driver::new(
            self.config,
            client,
            self.repeat_unsafe,
            self.log,
        ))
    }
}

impl Builder<SseClient> {
    /// Makes the async client. Nothing connects yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], if a setting can't be used.
    ///
    /// ```
    /// # use everstream::{Error, SseClient};
    /// let error = SseClient::builder("htp://localhost/").build().unwrap_err();
    /// assert!(error.to_string().contains("url"));
    /// ```
    pub fn build(self) -> Result<SseClient, Error> {
        self.driver(false).map(SseClient::from_driver)
    }
}

impl Builder<blocking::SseClient> {
    /// Makes the blocking client. Nothing connects yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], if a setting can't be used.
    ///
    /// ```
    /// # use everstream::blocking::SseClient;
    /// let client = SseClient::builder("http://localhost/").last_event_id("41").build()?;
    /// # Ok::<(), everstream::Error>(())
    /// ```
    pub fn build(self) -> Result<blocking::SseClient, Error> {
        self.driver(true).map(blocking::SseClient::from_driver)
    }
}

/// The same settings, for the blocking client.
impl From<Builder<SseClient>> for Builder<blocking::SseClient> {
    fn from(builder: Builder<SseClient>) -> Self {
        builder.retarget()
    }
}

/// The same settings, for the async client.
impl From<Builder<blocking::SseClient>> for Builder<SseClient> {
    fn from(builder: Builder<blocking::SseClient>) -> Self {
        builder.retarget()
    }
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
