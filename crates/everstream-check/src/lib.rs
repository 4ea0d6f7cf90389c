//! Examines a server of event streams, and says what to fix and why. `everstream check` is the
//! command for it; with this crate the tests of a server assert the same.
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
//! // This server sends everything again, whatever the `Last-Event-ID` is.
//! let resume = report.finding(Check::Resume).unwrap();
//! assert_eq!(resume.level, Level::Warn);
//! println!("{}: {}", resume.observed, resume.advice.unwrap().fix);
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```
//!
//! To assert that nothing fails: `assert_eq!(report.summary.fail, 0, "{}", report.verdict())`.
//!
//! A check sends requests one after the other and waits between them as a client does, so it takes
//! seconds. It needs a tokio runtime with its timers and I/O enabled.
//!
//! # Source files
//!
//! `probe/` sends the requests: the first (`mod.rs`), further ones (`again.rs`), preflights, other origins.
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

use everstream::Http;
use tokio::sync::watch;

pub use judge::{Advice, Check, Finding, Level};
pub use options::{Options, Progress};
pub use report::{Observations, Report, Summary};

use probe::{Prober, Stop};

/// Examines the stream at this URL.
///
/// A server that can't be reached, or a URL that isn't one, is a finding too:
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

/// The example of the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
