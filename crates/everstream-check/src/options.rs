//! How a server is examined.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use everstream::{Fault, Http};

/// Of no server: the name is reserved (RFC 2606, section 2).
const DEFAULT_ORIGIN: &str = "https://origin.example";

/// What a server that answers needs for all but the first stream, many times over.
const FOR_THE_REST: Duration = Duration::from_secs(30);

pub(crate) type Stop = Pin<Box<dyn Future<Output = String> + Send>>;

type OnProgress = Box<dyn Fn(&Progress<'_>) + Send + Sync>;

/// How a server is examined. The defaults are those of `everstream check`.
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
    /// In a lock only to be shared between threads: nobody waits for it.
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
        /// For how long it is watched at most.
        limit: Duration,
        /// How many events have arrived.
        events: usize,
        /// How many comments have arrived.
        comments: u64,
    },
    /// A further connection is made; the text says for what.
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
    /// The defaults: the stream is watched for 20 s.
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
    /// `before_attempt` is replaced.
    pub fn request(mut self, http: Http) -> Options {
        self.request = Some(http);
        self
    }

    /// The request of a preflight, without headers and credentials. Default: the URL's.
    pub fn preflight(mut self, http: Http) -> Options {
        self.preflight = Some(http);
        self
    }

    /// Watches the stream for this long.
    pub fn duration(mut self, time: Duration) -> Options {
        self.duration = time;
        self
    }

    /// Watches the stream for this many events at most.
    pub fn events(mut self, count: u64) -> Options {
        self.events = Some(count);
        self
    }

    /// Takes no longer than this for everything. Default: half a minute more than
    /// [`duration`](Options::duration).
    pub fn max_time(mut self, time: Duration) -> Options {
        self.max_time = Some(time);
        self
    }

    /// Asks as a page of this origin would. Default: `https://origin.example`, which the server need
    /// not allow.
    pub fn origin(mut self, origin: impl Into<String>) -> Options {
        self.origin = Some(origin.into());
        self
    }

    /// Waits for this long for headers, and then for bytes. Default: as long as the stream is
    /// watched, and at least 10 s for headers.
    pub fn read_timeout(mut self, time: Duration) -> Options {
        self.read_timeout = Some(time);
        self
    }

    /// States that the server is on this machine, whatever the URL's host is.
    pub fn local(mut self, local: bool) -> Options {
        self.local = local;
        self
    }

    /// States that [`request`](Options::request) doesn't verify certificates.
    pub fn unverified(mut self, unverified: bool) -> Options {
        self.unverified = unverified;
        self
    }

    /// What to try when the server can't be reached, in your program's words.
    pub fn hints(mut self, hints: fn(&Fault) -> Option<&'static str>) -> Options {
        self.hints = hints;
        self
    }

    /// Called with what the check is doing.
    pub fn on_progress(
        mut self,
        report: impl Fn(&Progress<'_>) + Send + Sync + 'static,
    ) -> Options {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Stops the check when this future is ready, and reports what was seen. Its output is what
    /// stopped it, for the report.
    pub fn stop_on(mut self, stop: impl Future<Output = String> + Send + 'static) -> Options {
        self.stop = Mutex::new(Some(Box::pin(stop)));
        self
    }

    /// The time for everything.
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
