//! `everstream relay`: stores a feed in a log, each event once and in order.
//!
//! The relay is that of the crate everstream-relay.
//!
//! | file | subject |
//! |---|---|
//! | `sink.rs` | from the URL of a sink to the sink, and its password |
//! | `show.rs` | messages and the status: a line on a terminal, JSON otherwise |
//! | `metrics.rs` | `--metrics`: Prometheus, and whether all is well |
//! | `check.rs` | `--check` |

mod check;
mod metrics;
mod show;
mod sink;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use everstream::{Builder, Http};
use everstream_relay::{Config, End, Error, Failure, Relay, Stopper};

use crate::client_builder::client_builder;
use crate::duration;
use crate::exit::Exit;
use crate::explain;
use crate::reconnect::ReconnectArgs;
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::stop::{Signals, with_signals};
use crate::terminal;
use crate::waiting::{Detail, Waiting};
use metrics::Metrics;
use show::Show;
use sink::NamedSink;

/// How long the append that is on its way has after a signal: as long as a sink waits for its engine.
const FINISH: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// The log: postgres://HOST/DB?table=events&feed=NAME, redis://HOST/0?key=FEED or
    /// nats://HOST/STREAM. Its password is read from the variable EVERSTREAM_SINK_PASSWORD.
    #[arg(
        value_name = "SINK",
        index = 2,
        required_unless_present = "sink_url_file"
    )]
    sink: Option<String>,

    /// Only connect to the feed and the log, and say where the log ends. Nothing is written.
    #[arg(long, help_heading = "Relay", conflicts_with = "metrics")]
    check: bool,

    /// Read the URL of the log from this file; it may contain a password.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Relay",
        conflicts_with = "sink"
    )]
    sink_url_file: Option<PathBuf>,

    /// Accept a feed without ids. Events may be missed while it is disconnected, and a second relay
    /// fails instead of standing by.
    #[arg(long, help_heading = "Relay")]
    no_ids: bool,

    /// Store a placeholder for an event that the log can't store, instead of stopping.
    #[arg(long, help_heading = "Relay")]
    dead_letter: bool,

    /// As the standby, take over when an event has been missing from the log for this long.
    #[arg(long, value_name = "TIME", help_heading = "Relay", value_parser = duration::parse, default_value = "5s")]
    takeover: Duration,

    /// Serve metrics for Prometheus (/metrics) and the state (/healthz) here.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Relay")]
    metrics: Option<SocketAddr>,

    /// Store at most this many events at once.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Relay",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=100_000),
    )]
    batch: u32,

    /// Let a batch wait this long for more events.
    #[arg(long, value_name = "TIME", help_heading = "Relay", value_parser = duration::parse, default_value = "5ms")]
    linger: Duration,

    /// Keep the last N ids, to recognize events that the feed repeats after a reconnect.
    #[arg(long, value_name = "N", help_heading = "Relay", default_value_t = 1024)]
    recent: u32,

    /// The layout of records. cloudevents adds CloudEvents headers to NATS messages.
    #[arg(
        long,
        value_name = "LAYOUT",
        help_heading = "Relay",
        value_enum,
        default_value = "sse"
    )]
    layout: Layout,

    // After the options above, so that --help begins with them.
    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) reconnect: ReconnectArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    Sse,
    Cloudevents,
}

/// The beginning of `--help`.
pub(crate) fn about() -> String {
    format!(
        "Store a stream in PostgreSQL, Redis or NATS JetStream: each event once, in order.\n\n\
         The position to resume from is stored with the events. A second process with the same \
         arguments is the standby.\n\n{}",
        sink::engines()
    )
}

pub(crate) fn run(args: &RelayArgs) -> Exit {
    match prepare(args) {
        Ok((http, sink)) if args.check => crate::block_on(check::check(args, http, sink)),
        Ok((http, sink)) => crate::block_on(relay(args, http, sink)),
        Err(problem) => problem.tell(),
    }
}

/// All that can be wrong with the command line is found here. The request comes last, because a
/// password may be asked for.
fn prepare(args: &RelayArgs) -> Result<(Http, NamedSink), Problem> {
    if args.request.max_time().is_some() {
        return Err(Problem::new("relay doesn't support --max-time").hint(
            "use timeout(1), whose SIGTERM ends it cleanly: timeout 60 everstream relay ...",
        ));
    }
    let url = args.request.full_url(&args.request.url)?;
    let sink = NamedSink::new(args.sink.as_deref(), args.sink_url_file.as_deref(), &url)?;
    let mut sink = sink.trusting(args.request.root_certificates()?);
    if args.layout == Layout::Cloudevents {
        sink = sink.with_cloudevents()?;
    }
    let http = args.request.http()?;
    builder(args, &http)?
        .build()
        .map_err(|error| bad_setting("relayed", &args.request.url, &error))?;
    Ok((http, sink))
}

fn builder(args: &RelayArgs, http: &Http) -> Result<Builder, Problem> {
    client_builder(http.clone(), &args.request, &args.reconnect)
}

fn config(args: &RelayArgs) -> Config {
    let mut config = Config::default();
    config.batch = args.batch as usize;
    config.buffer = 4 * config.batch;
    config.linger = args.linger;
    config.takeover = args.takeover;
    config.poll = config.poll.min(args.takeover / 2).max(MIN_POLL);
    config.recent = args.recent as usize;
    config.no_ids = args.no_ids;
    config.dead_letter = args.dead_letter;
    config
}

/// With `--takeover 0` the log isn't asked without a rest.
const MIN_POLL: Duration = Duration::from_millis(10);

async fn relay(args: &RelayArgs, http: Http, sink: NamedSink) -> Exit {
    let waiting = Waiting::new(Detail::Outages);
    let http = waiting.watch(http);
    let show = Show::new(waiting);
    // It is the same as that which `prepare` has tried.
    let feed = || {
        builder(args, &http).map_err(|_| everstream::Error::config("feed", "it can't be followed"))
    };
    let relay = Relay::new(config(args), sink, feed)
        .on_notice(show.on_notice())
        .on_feed(show.on_feed());
    if let Some(address) = args.metrics {
        match Metrics::bind(address) {
            Ok(metrics) => metrics.serve(relay.monitor()),
            Err(problem) => return problem.tell(),
        }
    }
    let stopper = relay.stopper();
    if let Err(error) = with_signals(move |signals| stop(stopper, signals)) {
        report::error("can't handle signals", Some(&error));
        return Exit::Failed;
    }
    let monitor = relay.monitor();
    let result = tokio::select! {
        result = relay.run() => result,
        never = show.keep(monitor.clone()) => match never {},
    };
    show.end(&monitor.snapshot());
    tell(args, &result, show.connections())
}

async fn stop(stopper: Stopper, mut signals: Signals) {
    signals.next().await;
    stopper.stop();
    let at_once = tokio::time::timeout(FINISH, signals.next()).await.is_ok();
    terminal::erase_status();
    if !at_once {
        report::error("the log didn't answer within 10 s of the signal", None);
        report::hint(
            "start the relay again: it reads the log to see whether the last batch was stored",
        );
    }
    std::process::exit(Exit::Failed as i32);
}

/// The exit code, after what there is to say.
fn tell(args: &RelayArgs, result: &Result<End, Error>, connections: u64) -> Exit {
    let error = match result {
        Ok(_) => return Exit::Done,
        Err(error) => error,
    };
    match error {
        Error::Feed {
            error,
            resumed_after,
        } => {
            let asked = explain::Asked {
                connections,
                last_event_id: resumed_after.as_deref(),
                ..explain::Asked::new(&args.request, &args.reconnect)
            };
            explain::gave_up(error, &asked);
            let forgotten = [400, 404, 409, 410, 412, 416, 422];
            if let (Some(id), Some(status)) = (resumed_after, error.status()) {
                if forgotten.contains(&status) {
                    report::hint(&format!(
                        "the log ends with id {}: the feed may no longer know it",
                        explain::id(id)
                    ));
                }
            }
            return Exit::from(error);
        }
        Error::Failure(failure) => {
            report::error(&error.to_string(), None);
            match failure {
                Failure::NoIds { .. } => report::hint(
                    "--no-ids accepts such a feed: events may be missed, and there is no standby",
                ),
                Failure::Rejected { .. } => {
                    report::hint("--dead-letter stores a placeholder for it and continues");
                }
                _ => {}
            }
        }
        _ => report::error("the relay failed", Some(error)),
    }
    Exit::Failed
}
