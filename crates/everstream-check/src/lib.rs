//! Checks a Server-Sent Events server, and says what to fix and why. `everstream check` is the command
//! for it. With this crate, your server's tests can assert the same:
//!
//! ```
//! use everstream_check::{Check, Level, Options, check};
//! # use everstream_testing::{Reply, Server};
//! # let server = Server::start();
//! # server.otherwise(Reply::stream().send("retry: 100\n\nid: 1\ndata: a\n\nid: 2\ndata: b\n\n").stall());
//! # let url = server.url("/feed");
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let report = check(&url, Options::new().events(2)).await;
//!
//! assert_eq!(report.level(Check::ContentType), Level::Pass);
//! assert_eq!(report.level(Check::Ids), Level::Pass);
//! // This server sends every event again, whatever the `Last-Event-ID` is.
//! let resume = report.finding(Check::Resume).unwrap();
//! assert_eq!(resume.level, Level::Warn);
//! println!("{}: {}", resume.observed, resume.advice.unwrap().fix);
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```
//!
//! To assert that nothing fails, with the names of what does:
//! `assert_eq!(report.summary.fail, 0, "{}", report.verdict())`.
//!
//! A check takes seconds: it sends several requests, one after the other, and waits between them as a
//! client does. It needs a tokio runtime with its timers and I/O enabled. It never takes longer than
//! [`Options::max_time`], whatever the server does.
//!
//! # Source files
//!
//! `probe/` sends the requests: the first (`mod.rs`, read by `watch.rs`), further ones (`again.rs`), preflights, other origins.
//! `anatomy/` describes the bytes of a stream, and `observed.rs` what was seen, without a verdict. `judge/`
//! makes findings of that, without I/O; its `mod.rs` has the list of checks. `report.rs` is the report.

mod anatomy;
mod judge;
mod observed;
mod options;
mod probe;
mod report;
mod text;

use std::convert::Infallible;
use std::time::Instant;

use everstream::Http;
use tokio::sync::watch;

pub use judge::{Advice, Check, Finding, Level, Setting};
pub use options::{Options, Progress};
pub use report::{Observations, Report, Summary};

use probe::{Prober, Stop};

/// Checks the stream at this URL.
///
/// There is always a report. If the server can't be reached, or the URL is invalid,
/// [`Check::Reachable`] fails.
///
/// ```
/// use everstream_check::{Check, Level, Options, check};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let report = runtime.block_on(check("http://127.0.0.1:1/", Options::new()));
/// // Nothing listens there.
/// assert_eq!(report.level(Check::Reachable), Level::Fail);
/// # Ok::<_, std::io::Error>(())
/// ```
pub async fn check(url: &str, mut options: Options) -> Report {
    let (ask, stop) = watch::channel(None);
    let limit = options.total_time();
    let asked = options.stop.get_mut().ok().and_then(Option::take);
    let prober = Prober {
        url: url.to_owned(),
        http: options.request.take().unwrap_or_else(|| Http::new(url)),
        bare: options.preflight.take().unwrap_or_else(|| Http::new(url)),
        method: Default::default(),
        options: &options,
        deadline: Instant::now().checked_add(limit),
        stop,
    };
    let asked = async {
        match asked {
            Some(asked) => asked.await,
            None => std::future::pending().await,
        }
    };
    let stopper = async {
        let reason = tokio::select! {
            by = asked => Stop::Asked(by),
            () = tokio::time::sleep(limit) => {
                options.progress(&Progress::OutOfTime(limit));
                Stop::OutOfTime
            }
        };
        _ = ask.send(Some(reason));
        std::future::pending::<Infallible>().await
    };
    let observed = tokio::select! {
        biased;
        observed = prober.observe() => observed,
        never = stopper => match never {},
    };
    Report::new(url, &observed)
}

/// The example of the README runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
