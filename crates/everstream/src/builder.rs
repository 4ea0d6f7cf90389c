//! The settings of both clients.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use everstream_core::error_strategy::ErrorStrategy;
use everstream_core::retry_delay::RetryDelayStrategy;
use everstream_core::{Event, Oversize, SessionConfig};

#[cfg(not(target_family = "wasm"))]
use crate::blocking;
use crate::client::SseClient;
use crate::connect::{ClientContext, ConnectStrategy, IntoConnectStrategy};
use crate::driver::Driver;
use crate::error::{Error, message};
use crate::random;
use crate::trace::Log;
#[cfg(not(target_family = "wasm"))]
use crate::trace::LogLevel;

/// Builds a client of the type `C`: [`SseClient::builder`] returns one for the async client,
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
/// To share settings between both clients, write them for any `C`:
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

    #[cfg(not(target_family = "wasm"))]
    fn retarget<D>(self) -> Builder<D> {
        Builder {
            connect: self.connect,
            config: self.config,
            repeat_unsafe: self.repeat_unsafe,
            log: self.log,
            client: PhantomData,
        }
    }

    /// Sets the base delay before reconnecting, which `retry:` from the server overrides. Default: 1 s.
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

    /// Sets the shortest base delay that a server can set with `retry:`. Default: 100 ms.
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

    /// Sets the longest base delay that a server can set with `retry:`. Default: 1 h.
    ///
    /// If the server asks for more, jitter shortens the delay, as it does without `retry:`. A larger
    /// [`min_server_retry_delay`](Self::min_server_retry_delay) takes precedence.
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

    /// Sets the longest wait that a server can ask for with `Retry-After`. Default: 24 h. A shorter cap of
    /// the retry delay strategy applies as well.
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

    /// Sets how the delay grows and varies. Default: [`backoff`](crate::retry_delay::backoff), which
    /// doubles it up to 30 s, shortens it at random by up to 50 %, and polls a server that ends its
    /// responses cleanly.
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

    /// Sets how long a connection must last to reset the backoff. Default: 60 s.
    ///
    /// With the default value, the built-in strategy is also reset by a connection of 25 s that delivered
    /// an event, an id or a comment, and uses different delays [after a clean
    /// end](crate::retry_delay::backoff#after-a-clean-end). Any other value turns off both.
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

    /// Sets which faults end the iteration, and after which the client reconnects. Default:
    /// [`reconnect`](crate::error_strategy::reconnect).
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

    /// Sets the id to resume from, saved by an earlier run. Default: none. An id with NUL, CR or LF, which
    /// never occur in ids, makes `build` fail.
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

    /// Sets the idle timeout; any data resets it, comments too. Default: `None`, no idle timeout.
    ///
    /// The time counts from the last byte or from the start of the read, whichever is later, so a program
    /// that was busy doesn't see a timeout. A read that is cancelled before any data arrives and then
    /// started again counts as one read. The timeout also limits the wait for the response, once the
    /// connection has been established.
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

    /// Sets the largest event that is accepted, in bytes: its data, type and id together, and each of
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

    /// Sets what to do with an event larger than [`max_event_size`](Self::max_event_size). Default:
    /// [`Oversize::Fail`].
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

    /// Repeats requests with POST and other methods that aren't safe (RFC 9110, section 9.2.1) as if they
    /// were GET: for subscriptions by POST.
    ///
    /// Default: false. Such a request is then sent again only if the server certainly didn't process it,
    /// and the stream ends with its connection.
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

    /// Resumes by GET a stream that was requested by POST, or another method that isn't safe. Default:
    /// false.
    ///
    /// Once the server has sent an event id, later connections send the same headers and `Last-Event-ID`,
    /// without a body. This is how MCP resumes a tool call.
    ///
    /// The stream is resumed after a fault and after a clean end. Set [`until`](Self::until), or stop
    /// reading, so that a finished call isn't resumed. A 400, 404 or 405 response to the GET means that the
    /// server can't resume, and ends the iteration with an error, whatever the error strategy says. Safe
    /// methods aren't affected, and neither are custom sources, unless they [support
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
    /// response proves that the response is complete. Default: false.
    ///
    /// The standard discards such an event, but some LLM servers omit the last blank line.
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

    /// Sets the data of the event that ends a one-shot stream, such as `[DONE]`. The iteration ends at
    /// this event without delivering it, and the client doesn't reconnect.
    ///
    /// If the stream ends before that event and the client doesn't reconnect, the error is
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

    /// Like [`until`](Self::until), with a function that recognizes the event.
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

    /// Passes each log line to a function, for the Python package. `name` names a source that has no URL.
    #[cfg(not(target_family = "wasm"))]
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
        let is_invalid = |byte: u8| matches!(byte, b'\0' | b'\r' | b'\n');
        if id.is_some_and(|id| id.bytes().any(is_invalid)) {
            let problem = "it contains NUL, CR or LF, which an id can't contain";
            return Err(Error::config("last_event_id", message(problem)));
        }
        let client = self.connect.create_client(ClientContext { blocking })?;
        self.config.repeatable = self.repeat_unsafe || client.is_repeatable();
        self.config.resume_with_get &= !client.is_repeatable() && client.can_resume_with_get();
        self.config.seed = random::seed();
        Ok(Driver::new(
            self.config,
            client,
            self.repeat_unsafe,
            self.log,
        ))
    }
}

impl Builder<SseClient> {
    /// Builds the async client. It doesn't connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a setting is invalid.
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

#[cfg(not(target_family = "wasm"))]
impl Builder<blocking::SseClient> {
    /// Builds the blocking client. It doesn't connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a setting is invalid.
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
#[cfg(not(target_family = "wasm"))]
impl From<Builder<SseClient>> for Builder<blocking::SseClient> {
    fn from(builder: Builder<SseClient>) -> Self {
        builder.retarget()
    }
}

/// The same settings, for the async client.
#[cfg(not(target_family = "wasm"))]
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
