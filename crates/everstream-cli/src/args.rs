//! The command line. The options of `follow` are in the files of their subjects; those in
//! `request.rs` and `reconnect.rs` are for every subcommand with a URL.

use std::ffi::OsString;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::check::CheckArgs;
use crate::completions::CompletionsArgs;
use crate::curl;
use crate::cursor::CursorArgs;
use crate::exec::ExecArgs;
#[cfg(feature = "jq")]
use crate::jq;
use crate::man::ManArgs;
use crate::misuse;
use crate::output::OutputArgs;
use crate::reconnect::ReconnectArgs;
use crate::record::RecordArgs;
use crate::relay::{self, RelayArgs};
use crate::replay::ReplayArgs;
use crate::report::Problem;
use crate::request::RequestArgs;
use crate::select::SelectArgs;
use crate::serve::ServeArgs;
use crate::top::TopArgs;
use crate::usage::{self, EarlyExit};

/// Follow an event stream (Server-Sent Events) and print its events.
///
/// Reconnects when the connection is lost, and resumes after the last event. Events go to standard
/// output: readable on a terminal, one JSON object per line otherwise. Messages about the
/// connection go to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "everstream",
    version,
    args_conflicts_with_subcommands = true,
    // The last occurrence wins, so that options override those of a shell alias.
    args_override_self = true,
    before_help = usage::EXAMPLES,
    before_long_help = usage::EXAMPLES,
    after_help = usage::MORE,
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// The whole command line, with the options of `follow` at the top too.
pub(crate) fn definition() -> clap::Command {
    // Flattened options in an `Option` would do the same, but clap sees only those that aren't
    // nested.
    FollowArgs::augment_args(Cli::command())
        .subcommand_negates_reqs(true)
        .mut_args(describe_url)
        .mut_subcommand("follow", |follow| follow.mut_args(describe_url))
}

/// `follow` reads files too.
fn describe_url(argument: Arg) -> Arg {
    match argument.get_id() == "url" {
        true => argument.help(usage::FOLLOW_URL),
        false => argument,
    }
}

/// Without subcommands that aren't for people; completion scripts list hidden ones too.
pub(crate) fn offered() -> clap::Command {
    let all = definition();
    let subcommands = all.get_subcommands().filter(|it| !it.is_hide_set());
    FollowArgs::augment_args(clap::Command::new("everstream").version(env!("CARGO_PKG_VERSION")))
        .subcommands(subcommands.cloned())
}

/// Parses the command line.
pub(crate) fn parse(
    args: impl IntoIterator<Item: Into<OsString> + Clone>,
) -> Result<Command, EarlyExit> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    usage::before_parsing(&args)?;
    let parsed = definition()
        .try_get_matches_from(&args)
        .and_then(|matches| {
            Ok(match Cli::from_arg_matches(&matches)?.command {
                Some(command) => command,
                None => Command::Follow(Box::new(FollowArgs::from_arg_matches(&matches)?)),
            })
        });
    let mut command = parsed.map_err(|error| refused(error, &args))?;
    command.resolve_aliases().map_err(EarlyExit::Problem)?;
    Ok(command)
}

/// The definition of the subcommand with this name, or of `follow`.
fn subcommand(name: Option<&OsString>) -> clap::Command {
    let mut all = definition();
    all.build();
    let found = name.and_then(|name| all.find_subcommand(name));
    found.cloned().unwrap_or(all)
}

pub(crate) fn is_command(name: &str) -> bool {
    Cli::command().find_subcommand(name).is_some()
}

/// The names of the subcommands for people.
pub(crate) fn names() -> Vec<String> {
    let cli = Cli::command();
    let shown = cli.get_subcommands().filter(|it| !it.is_hide_set());
    shown.map(|it| it.get_name().to_owned()).collect()
}

/// Whether this subcommand has `-H`; any other word belongs to `follow`.
fn takes_headers(name: Option<&OsString>) -> bool {
    let cli = Cli::command();
    let subcommand = name.and_then(|name| cli.find_subcommand(name));
    subcommand.is_none_or(|it| {
        it.get_arguments()
            .any(|argument| argument.get_id() == "headers")
    })
}

/// What is wrong with the command line, or the help that it asks for.
fn refused(error: clap::Error, args: &[OsString]) -> EarlyExit {
    if !error.use_stderr() {
        return EarlyExit::Shown(error);
    }
    let name = args.get(1);
    let known = match takes_headers(name) {
        true => usage::common_mistake(&error, args)
            .or_else(|| curl::refused(&error))
            .or_else(|| stray_value(&error, args)),
        false => None,
    };
    EarlyExit::Problem(known.unwrap_or_else(|| misuse::problem(&error, &subcommand(name))))
}

/// An argument too many. It may be the value of an unquoted header, and so a secret, unless it is a URL.
fn stray_value(error: &clap::Error, args: &[OsString]) -> Option<Problem> {
    use clap::error::{ContextKind, ContextValue};

    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        let stray = match error.get(kind) {
            // Except options, and names from the help.
            Some(ContextValue::String(argument))
                if (kind == ContextKind::InvalidSubcommand
                    || !argument.starts_with(['-', '<', '[']))
                    && Cli::command().find_subcommand(argument).is_none() =>
            {
                argument.clone()
            }
            _ => continue,
        };
        return Some(usage::second_url(&stray, args).unwrap_or_else(|| {
            Problem::new("an argument too many (not shown: it may be a part of a header)")
                .hint("write headers in quotes: -H 'NAME: VALUE'")
        }));
    }
    None
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow a stream and print its events; the same as `everstream URL`.
    #[command(after_help = usage::MORE, args_override_self = true)]
    Follow(Box<FollowArgs>),
    /// Record a stream to a file: its bytes and their timing.
    ///
    /// Follows the stream like `everstream URL`. The file contains neither the request nor response
    /// headers that look like secrets.
    #[command(after_help = usage::MORE, args_override_self = true, allow_missing_positional = true)]
    Record(Box<RecordArgs>),
    /// Play a recording back, with its timing, to any number of clients.
    ///
    /// Clients resume after their Last-Event-ID. At the end of the recording the stream ends; a
    /// client that reconnects after the last event gets status 204, which tells it to stop.
    #[command(args_override_self = true)]
    Replay(ReplayArgs),
    /// Store a stream in PostgreSQL, Redis or NATS JetStream: each event once, in order.
    #[command(long_about = relay::about(), after_help = usage::MORE, args_override_self = true)]
    Relay(Box<RelayArgs>),
    /// Stream lines of standard input to any number of clients.
    ///
    /// Each line is the data of an event or, with --json, an object with the fields of an event.
    #[command(args_override_self = true)]
    Serve(ServeArgs),
    /// Check an event stream server, and report what is wrong and how to fix it.
    ///
    /// It watches the stream, then reconnects to see how the server resumes: usually at most five requests,
    /// one after the other. A POST is sent only once.
    #[command(after_help = usage::MORE, args_override_self = true)]
    Check(Box<CheckArgs>),
    /// Follow a local server that keeps failing, and check that no event is lost.
    ///
    /// The server drops the connection, cuts it in the middle of an event, resets it, answers 503,
    /// shuts down and restarts. Everything it sent is compared with everything received. Takes
    /// about eight seconds and needs no network.
    #[command(after_help = usage::MORE)]
    Demo(DemoArgs),
    /// Watch one or many streams on a terminal: their state, rates, lags, types and errors.
    #[command(after_help = usage::MORE, args_override_self = true)]
    Top(Box<TopArgs>),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, or write all pages to a directory.
    Man(ManArgs),
    /// Runs the program of --jq for another everstream process.
    #[cfg(feature = "jq")]
    #[command(name = jq::WORKER, hide = true)]
    JqWorker(jq::WorkerArgs),
}

impl Command {
    /// Resolves options that are another way to say something.
    fn resolve_aliases(&mut self) -> Result<(), Problem> {
        let (request, reconnect) = match self {
            Command::Follow(args) => {
                if args.output.jq_join && args.jq.is_none() {
                    return Err(Problem::new("-j needs --jq")
                        .hint("to join without --jq, use --join-output"));
                }
                (&mut args.request, Some(&mut args.reconnect))
            }
            Command::Record(args) => (&mut args.request, Some(&mut args.reconnect)),
            Command::Relay(args) => (&mut args.request, Some(&mut args.reconnect)),
            #[cfg(feature = "top")]
            Command::Top(args) => (&mut args.request, Some(&mut args.reconnect)),
            Command::Check(args) => (&mut args.request, None),
            _ => return Ok(()),
        };
        if let Some(reconnect) = reconnect {
            reconnect.resolve_aliases();
        }
        request.resolve_aliases();
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) reconnect: ReconnectArgs,
    #[command(flatten)]
    pub(crate) cursor: CursorArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,

    /// Run this jq program on the data of each event and write its results, one per line. An event
    /// without results isn't selected. The program can use $event, $id and $last_event_id.
    #[arg(long, value_name = "PROGRAM", help_heading = "Selecting and stopping")]
    pub(crate) jq: Option<String>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) exec: ExecArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many events the server publishes, over about seven seconds.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
    )]
    pub(crate) events: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_definition_is_valid() {
        definition().debug_assert();
    }

    #[test]
    fn follow_is_the_default_subcommand() {
        let options = [
            "http://a/",
            "-H",
            "a: b",
            "--count",
            "3",
            "--exec",
            "cat",
            "-n",
        ];
        let follow = |first: &[&str]| match parse(first.iter().copied().chain(options)) {
            Ok(Command::Follow(args)) => format!("{args:?}"),
            _ => panic!("another command"),
        };
        let (short, long) = (follow(&["everstream"]), follow(&["everstream", "follow"]));
        assert_eq!(short, long);
        assert!(short.contains(r#"["cat", "-n"]"#), "{short}");
    }

    #[test]
    fn a_demo_needs_at_least_one_event() {
        assert!(parse(["everstream", "demo", "--events", "0"]).is_err());
        assert!(parse(["everstream", "demo"]).is_ok());
    }
}
