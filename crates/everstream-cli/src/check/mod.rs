//! `everstream check URL`: examines a server of event streams, and reports what it found.
//!
//! | file | subject |
//! |---|---|
//! | `probe.rs` | asks the server |
//! | `anatomy.rs` | the bytes of a stream, described |
//! | `observed.rs` | what was seen |
//! | `judge/` | from what was seen to findings, without I/O |
//! | `show.rs` | findings, for people and for programs |

mod anatomy;
mod judge;
mod observed;
mod probe;
mod show;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use everstream::{ClientContext, ConnectStrategy, RedactedUrl};
use tokio::sync::watch;

use crate::duration;
use crate::exit::Exit;
use crate::explain::seconds;
use crate::output::Output;
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::server::{ORIGIN_HINT, is_origin};
use crate::stop;
use observed::{Observed, TroubleKind};
use probe::{Prober, Stop};
use show::Report;

/// Of no server: the name is reserved (RFC 2606, section 2).
const DEFAULT_ORIGIN: &str = "https://origin.example";

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// Watch the stream for so long; Ctrl-C and SIGTERM end it earlier. To see silences that proxies don't
    /// stand, it takes more than a minute.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "20s", help_heading = "Examining")]
    duration: Duration,

    /// Watch the stream for so many events at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Examining")]
    count: Option<u64>,

    /// Ask as a page of this origin would: https://app.example.com. Default:
    /// https://origin.example, a stranger to every server.
    #[arg(long, value_name = "ORIGIN", help_heading = "Examining")]
    origin: Option<String>,

    /// How the report is written.
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        default_value = "text",
        help_heading = "Output"
    )]
    format: Form,

    /// Write the report to this file; `-` is standard output.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Only warnings and failures, and no news of what is going on.
    #[arg(
        short = 's',
        long,
        visible_alias = "silent",
        conflicts_with = "verbose",
        help_heading = "Output"
    )]
    quiet: bool,

    /// Also what couldn't be said, and why.
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One document: url, findings, summary, observations.
    Json,
}

/// What a server that answers needs for all but the first stream, many times over.
const FOR_THE_REST: Duration = Duration::from_secs(30);

impl CheckArgs {
    fn max_time(&self) -> Duration {
        let default = self.duration.saturating_add(FOR_THE_REST);
        self.request.max_time().unwrap_or(default)
    }

    fn origin(&self) -> &str {
        self.origin.as_deref().unwrap_or(DEFAULT_ORIGIN)
    }
}

pub(crate) fn run(args: &CheckArgs) -> Exit {
    if args.quiet {
        report::be_quiet();
    }
    match prepare(args) {
        Ok((prober, stop, out)) => match watch_signals(args.max_time(), stop) {
            Ok(()) => crate::block_on(check(prober, out)),
            Err(error) => {
                report::error("signals can't be watched", Some(&error));
                Exit::Failed
            }
        },
        Err(problem) => problem.tell(),
    }
}

/// What asks the server, what ends it, and where the report goes.
type Prepared<'a> = (Prober<'a>, watch::Sender<Option<Stop>>, Output);

/// All that can be wrong with the command line is found here.
fn prepare(args: &CheckArgs) -> Result<Prepared<'_>, Problem> {
    let origin = args.origin();
    if !is_origin(origin) && origin != "null" {
        let problem = Problem::new(format!("--origin {:?} is no origin", RedactedUrl(origin)));
        return Err(problem.hint(ORIGIN_HINT));
    }
    let (ask, stop) = watch::channel(None);
    let prober = Prober {
        args,
        http: args.request.http()?,
        bare: args.request.bare_http()?,
        stop,
    };
    match prober.http.create_client(ClientContext::default()) {
        Ok(_) => Ok((prober, ask, Output::open(args.output.as_deref())?)),
        Err(error) => Err(bad_setting("checked", &args.request.url, &error)),
    }
}

/// Asks the prober to stop, by a signal or because it is out of time. A report that isn't written
/// then, because nobody reads it, doesn't keep the process.
fn watch_signals(limit: Duration, stop: watch::Sender<Option<Stop>>) -> io::Result<()> {
    stop::with_signals(move |mut signals| async move {
        let reason = match tokio::time::timeout(limit, signals.next()).await {
            Ok(name) => Stop::Signal(name),
            Err(_) => Stop::OutOfTime,
        };
        _ = stop.send(Some(reason));
        stop::end_process(&mut signals, Exit::Failed).await;
    })
}

async fn check(prober: Prober<'_>, mut out: Output) -> Exit {
    let args = prober.args;
    let observed = prober.observe().await;
    if matches!(*prober.stop.borrow(), Some(Stop::OutOfTime)) {
        let limit = seconds(args.max_time());
        report::news(&format!("{limit} have passed: the rest isn't examined"));
    }
    // It could be made before.
    let url = args.request.full_url(&args.request.url);
    let report = Report::new(url.as_deref().unwrap_or(&args.request.url), &observed);
    let text = match args.format {
        Form::Text => report.text(args.quiet, args.verbose),
        Form::Json => report.json(),
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit(&observed, &report),
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit(&observed, &report),
        Err(error) => {
            report::error("the report can't be written", Some(&error));
            Exit::Failed
        }
    }
}

fn exit(observed: &Observed, report: &Report<'_>) -> Exit {
    match &observed.trouble {
        Some(trouble) if trouble.kind == TroubleKind::Connect => Exit::NotConnected,
        _ if report.failed() => Exit::CheckFailed,
        _ => Exit::Done,
    }
}
