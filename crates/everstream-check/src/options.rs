//! The options of a check.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use everstream::{Fault, Http};

/// No server has it: the name is reserved (RFC 2606, section 2).
const DEFAULT_ORIGIN: &str = "https://origin.example";

/// Far more than a server that answers needs for everything but the first stream.
const FOR_THE_REST: Duration = Duration::from_secs(30);

pub(crate) type Stop = Pin<Box<dyn Future<Output = String> + Send>>;

type OnProgress = Box<dyn Fn(&Progress<'_>) + Send + Sync>;

/// The options of a check. The defaults are those of `everstream check`.
///
/// ```
/// use std::time::Duration;
/// use everstream_check::Options;
///
/// let options = Options::new()
///     .duration(Duration::from_secs(2))
///     .events(5)
///     .origin("https://app.example.com");
/// # drop(options);
/// ```
pub struct Options {
    pub(crate) request: Option<Http>,
    pub(crate) preflight: Option<Http>,
    pub(crate) duration: Duration,
    pub(crate) max_time: Option<Duration>,
    pub(crate) events: Option<u64>,
    pub(crate) origin: Option<String>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) local: bool,
    pub(crate) unverified: bool,
    pub(crate) hints: fn(&Fault) -> Option<&'static str>,
    pub(crate) on_progress: Option<OnProgress>,
    /// The lock only makes the options `Sync`: nothing waits for it.
    pub(crate) stop: Mutex<Option<Stop>>,
}

/// What the check is doing.
///
/// ```
/// use everstream_check::{Options, Progress};
///
/// let options = Options::new().on_progress(|progress| {
///     if let Progress::Watching { events, .. } = progress {
///         eprintln!("{events} events so far");
///     }
/// });
/// # _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The first request was sent.
    Connecting,
    /// The stream is being watched. Reported at its start, and about every quarter of a second.
    #[non_exhaustive]
    Watching {
        /// Since the response's headers.
        elapsed: Duration,
        /// How long it is watched at most.
        limit: Duration,
        /// How many events have arrived.
        events: usize,
        /// How many comments have arrived.
        comments: u64,
    },
    /// A further connection is made. The text says what for.
    AskingAgain(&'a str),
    /// Something that the report doesn't contain.
    Warning(&'a str),
    /// The time of [`Options::max_time`] has passed.
    OutOfTime(Duration),
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Options {
        Options {
            request: None,
            preflight: None,
            duration: Duration::from_secs(20),
            max_time: None,
            events: None,
            origin: None,
            read_timeout: None,
            local: false,
            unverified: false,
            hints: |_| None,
            on_progress: None,
            stop: Mutex::new(None),
        }
    }

    /// The request, with its method, headers, body and TLS settings. Default: a GET of the URL. Its
    /// [`before_attempt`](Http::before_attempt) runs before each request, except for the preflight. The
    /// check replaces its [`on_redirect`](Http::on_redirect).
    pub fn request(mut self, http: Http) -> Options {
        self.request = Some(http);
        self
    }

    /// The request to use for a preflight: without your headers and credentials, but with the same
    /// connection settings. Default: a plain request of the URL.
    pub fn preflight(mut self, http: Http) -> Options {
        self.preflight = Some(http);
        self
    }

    /// How long to watch the stream. Default: 20 s.
    pub fn duration(mut self, time: Duration) -> Options {
        self.duration = time;
        self
    }

    /// How many events to watch at most. Default: no limit but the time.
    pub fn events(mut self, count: u64) -> Options {
        self.events = Some(count);
        self
    }

    /// The time limit for the whole check. Default: [`duration`](Options::duration) plus 30 s.
    pub fn max_time(mut self, time: Duration) -> Options {
        self.max_time = Some(time);
        self
    }

    /// The origin to send, such as that of your site. It has to be allowed by the server. Default:
    /// `https://origin.example`, which may be refused.
    pub fn origin(mut self, origin: impl Into<String>) -> Options {
        self.origin = Some(origin.into());
        self
    }

    /// How long to wait for headers, and then for data. Default: [`duration`](Options::duration), and
    /// at least 10 s for headers.
    pub fn read_timeout(mut self, time: Duration) -> Options {
        self.read_timeout = Some(time);
        self
    }

    /// Says that the server is on this machine, whatever the URL's host is. Default: only if the host
    /// is `localhost` or a loopback address.
    pub fn local(mut self, local: bool) -> Options {
        self.local = local;
        self
    }

    /// Says that [`request`](Options::request) doesn't verify certificates. Default: false.
    pub fn unverified(mut self, unverified: bool) -> Options {
        self.unverified = unverified;
        self
    }

    /// What to try when the server can't be reached, in your program's words: the `fix` of
    /// [`Check::Reachable`](crate::Check::Reachable). Default: general advice.
    pub fn hints(mut self, hints: fn(&Fault) -> Option<&'static str>) -> Options {
        self.hints = hints;
        self
    }

    /// Called with the progress of the check.
    pub fn on_progress(
        mut self,
        report: impl Fn(&Progress<'_>) + Send + Sync + 'static,
    ) -> Options {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Stops the check when this future is ready. The report then has what was observed so far. The
    /// output names what stopped it, for the report: `Ctrl-C`.
    pub fn stop_on(mut self, stop: impl Future<Output = String> + Send + 'static) -> Options {
        self.stop = Mutex::new(Some(Box::pin(stop)));
        self
    }

    /// The time limit for the whole check, as [`max_time`](Options::max_time) or the default has it.
    pub fn total_time(&self) -> Duration {
        let default = self.duration.saturating_add(FOR_THE_REST);
        self.max_time.unwrap_or(default)
    }

    pub(crate) fn origin_or_default(&self) -> &str {
        self.origin.as_deref().unwrap_or(DEFAULT_ORIGIN)
    }

    pub(crate) fn progress(&self, progress: &Progress<'_>) {
        if let Some(report) = &self.on_progress {
            report(progress);
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("duration", &self.duration)
            .field("max_time", &self.max_time)
            .field("events", &self.events)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
