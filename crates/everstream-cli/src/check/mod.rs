//! `everstream check URL`: checks an event stream server, and reports what it found.
//!
//! The crate everstream-check does the checking. Here are the options of the command, and the output.

mod show;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use everstream::{ClientContext, ConnectStrategy, RedactedUrl};
use everstream_check::{Options, Report, check};
use tokio::sync::oneshot;

use crate::duration;
use crate::exit::Exit;
use crate::explain;
use crate::output::Output;
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::server::{ORIGIN_HINT, is_origin};
use crate::stop;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// How long to watch the stream; Ctrl-C and SIGTERM end it earlier. Use more than a minute to see
    /// silences that proxies don't tolerate.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "20s", help_heading = "Examining")]
    duration: Duration,

    /// Watch the stream for at most N events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Examining")]
    count: Option<u64>,

    /// Send requests as a page of this origin would, such as https://app.example.com. Default:
    /// https://origin.example, which servers don't have to allow.
    #[arg(long, value_name = "ORIGIN", help_heading = "Examining")]
    origin: Option<String>,

    /// The format of the report.
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

    /// Show only the verdict, problems and warnings, and no progress.
    #[arg(
        short = 's',
        long,
        visible_alias = "silent",
        conflicts_with = "verbose",
        help_heading = "Output"
    )]
    quiet: bool,

    /// Also show each check that passed, and why others have no result.
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,

    // After the options above, so that --help begins with them.
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Text for people.
    Text,
    /// One JSON document: url, findings, summary, observations.
    Json,
}

pub(crate) fn run(args: &CheckArgs) -> Exit {
    if args.quiet {
        report::be_quiet();
    }
    let (options, out) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(problem) => return problem.tell(),
    };
    let (ask, asked) = oneshot::channel();
    match watch_signals(options.total_time(), ask) {
        Ok(()) => crate::block_on(examine(args, options, asked, out)),
        Err(error) => {
            report::error("can't watch for signals", Some(&error));
            Exit::Failed
        }
    }
}

/// Reports everything that can be wrong with the command line.
fn prepare(args: &CheckArgs) -> Result<(Options, Output), Problem> {
    if let Some(origin) = &args.origin {
        if !is_origin(origin) && origin != "null" {
            let problem = Problem::new(format!(
                "--origin {:?} isn't an origin",
                RedactedUrl(origin)
            ));
            return Err(problem.hint(ORIGIN_HINT));
        }
    }
    let http = args.request.http()?;
    if let Err(error) = http.create_client(ClientContext::default()) {
        return Err(bad_setting("checked", &args.request.url, &error));
    }
    let mut options = Options::new()
        .request(http)
        .preflight(args.request.bare_http()?)
        .duration(args.duration)
        .local(args.request.is_local())
        .unverified(args.request.is_unverified())
        .hints(explain::hint);
    if let Some(time) = args.request.max_time() {
        options = options.max_time(time);
    }
    if let Some(count) = args.count {
        options = options.events(count);
    }
    if let Some(origin) = &args.origin {
        options = options.origin(origin);
    }
    if let Some(time) = args.request.read_timeout {
        options = options.read_timeout(time);
    }
    Ok((options, Output::open(args.output.as_deref(), false)?))
}

/// Stops the check at a signal. If the report can't be written after that, or after the time limit, because
/// nothing reads it, the process ends without it.
fn watch_signals(limit: Duration, ask: oneshot::Sender<&'static str>) -> io::Result<()> {
    stop::with_signals(move |mut signals| async move {
        if let Ok(name) = tokio::time::timeout(limit, signals.next()).await {
            _ = ask.send(name);
        }
        stop::end_process(&mut signals, Exit::Failed).await;
    })
}

async fn examine(
    args: &CheckArgs,
    options: Options,
    asked: oneshot::Receiver<&'static str>,
    mut out: Output,
) -> Exit {
    let asked = async {
        match asked.await {
            Ok(name) => name.to_owned(),
            Err(_) => std::future::pending().await,
        }
    };
    let messages = show::Messages::new(args.quiet);
    let options = options
        .stop_on(asked)
        .on_progress(move |progress| messages.show(progress));
    // `prepare` has built it already.
    let url = args.request.full_url(&args.request.url);
    let report = check(url.as_deref().unwrap_or(&args.request.url), options).await;
    crate::terminal::erase_status();
    let text = match args.format {
        Form::Text => show::text(&report, args.quiet, args.verbose),
        Form::Json => show::json(&report),
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit(&report),
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit(&report),
        Err(error) => {
            report::error("can't write the report", Some(&error));
            Exit::Failed
        }
    }
}

fn exit(report: &Report) -> Exit {
    match report.summary.fail {
        _ if !report.connected() => Exit::NotConnected,
        0 => Exit::Done,
        _ => Exit::CheckFailed,
    }
}
