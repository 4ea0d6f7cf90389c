//! The command line. The options of `follow` are in the files of their subjects; those in
//! `request.rs` and `reconnect.rs` are for every subcommand with a URL.

use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::check::CheckArgs;
use crate::completions::CompletionsArgs;
use crate::curl;
use crate::cursor::CursorArgs;
use crate::exec::ExecArgs;
use crate::exit;
use crate::jq;
use crate::man::ManArgs;
use crate::output::OutputArgs;
use crate::reconnect::ReconnectArgs;
use crate::record::RecordArgs;
use crate::replay::ReplayArgs;
use crate::report::Problem;
use crate::request::RequestArgs;
use crate::select::SelectArgs;
use crate::serve::ServeArgs;
use crate::top::TopArgs;

/// Follows an event stream (Server-Sent Events) for as long as it takes.
///
/// It reconnects when the connection is lost and resumes after the last event that came. Events go
/// to standard output: readable on a terminal, one JSON object per line otherwise. What happens to
/// the connection goes to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "everstream",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    // The last one counts, so that an alias of a shell can be overruled.
    args_override_self = true,
    after_help = exit::HELP,
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// All of it: the options of `follow` stand at the top too.
pub(crate) fn definition() -> clap::Command {
    // Flattened options in an `Option` would do it, but clap sees only those that aren't nested.
    FollowArgs::augment_args(Cli::command()).subcommand_negates_reqs(true)
}

/// Without subcommands that aren't for people: scripts of shells name hidden ones too.
pub(crate) fn offered() -> clap::Command {
    let all = definition();
    let subcommands = all.get_subcommands().filter(|it| !it.is_hide_set());
    FollowArgs::augment_args(clap::Command::new("everstream").version(env!("CARGO_PKG_VERSION")))
        .subcommands(subcommands.cloned())
}

/// What is to be done.
pub(crate) fn parse(
    args: impl IntoIterator<Item: Into<OsString> + Clone>,
) -> clap::error::Result<Command> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let headers = takes_headers(args.get(1));
    let name = args.get(1).cloned();
    let matches = match definition().try_get_matches_from(args) {
        Err(error) if headers => {
            let error = curl::explain(error, subcommand(name.as_ref()));
            return Err(hide_stray_value(error));
        }
        matches => matches?,
    };
    let mut command = match Cli::from_arg_matches(&matches)?.command {
        Some(command) => command,
        None => Command::Follow(Box::new(FollowArgs::from_arg_matches(&matches)?)),
    };
    command.settle()?;
    Ok(command)
}

/// The definition of the subcommand with this name, or of `follow`.
fn subcommand(name: Option<&OsString>) -> clap::Command {
    let mut all = definition();
    all.build();
    let found = name.and_then(|name| all.find_subcommand(name));
    found.cloned().unwrap_or(all)
}

/// Whether the subcommand with this name does; what is no subcommand's name belongs to `follow`.
fn takes_headers(name: Option<&OsString>) -> bool {
    let cli = Cli::command();
    let subcommand = name.and_then(|name| cli.find_subcommand(name));
    subcommand.is_none_or(|it| {
        it.get_arguments()
            .any(|argument| argument.get_id() == "headers")
    })
}

/// A header that isn't in quotes leaves its value over, which may be a secret. To clap it is an
/// argument or a subcommand too many.
fn hide_stray_value(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};

    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        let stray = match error.get(kind) {
            // Options, and names that are in the help.
            Some(ContextValue::String(argument)) => {
                !argument.starts_with(['-', '<', '['])
                    && Cli::command().find_subcommand(argument).is_none()
            }
            _ => false,
        };
        if stray {
            let hidden = "(not shown: it may be part of a header that needs quotes)";
            error.insert(kind, ContextValue::String(hidden.to_owned()));
            error.remove(ContextKind::Suggested);
            error.remove(ContextKind::SuggestedSubcommand);
        }
    }
    error
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow a stream and print its events; the same as `everstream URL`.
    #[command(after_help = exit::HELP, args_override_self = true)]
    Follow(Box<FollowArgs>),
    /// Record a stream: its bytes and when they came, in a file.
    ///
    /// It follows the stream as `everstream URL` does. Neither what is sent with the request nor
    /// headers of the response that look like secrets get into the file.
    #[command(after_help = exit::HELP, args_override_self = true, allow_missing_positional = true)]
    Record(Box<RecordArgs>),
    /// Serve a recording again, as it came, to any number of clients.
    ///
    /// Clients resume after their Last-Event-ID. After the end the stream ends, and who comes back
    /// from the last event is told that there is no more (status 204).
    #[command(args_override_self = true)]
    Replay(ReplayArgs),
    /// Serve lines of standard input as an event stream, to any number of clients.
    ///
    /// Each line is an event with that data, or an object of JSON with --json.
    #[command(args_override_self = true)]
    Serve(ServeArgs),
    /// Examine a server of event streams, and report what is right and wrong with it.
    ///
    /// It watches the stream, and asks again to see how the server resumes: at most five requests,
    /// one after the other. A POST is sent once only.
    #[command(after_help = exit::HELP, args_override_self = true)]
    Check(Box<CheckArgs>),
    /// Follow a local server that fails in every way, and check that no event is lost.
    ///
    /// The server drops the connection, cuts it in the middle of an event, resets it, answers
    /// 503, shuts down and restarts. Everything it sent is compared with everything received. It
    /// takes about eight seconds and needs no network.
    #[command(after_help = exit::HELP)]
    Demo(DemoArgs),
    /// Watch one or many streams on a terminal: their state, rates, lags, types and errors.
    #[command(after_help = exit::HELP, args_override_self = true)]
    Top(Box<TopArgs>),
    /// Print a script for a shell, with which it completes this command's line.
    Completions(CompletionsArgs),
    /// Print the manual page, or write all pages into a directory.
    Man(ManArgs),
    /// Runs the program of --jq, for a command that is running.
    #[command(name = jq::WORKER, hide = true)]
    JqWorker(jq::WorkerArgs),
}

impl Command {
    /// What options come to that are another way to say something.
    fn settle(&mut self) -> clap::error::Result<()> {
        let (request, reconnect) = match self {
            Command::Follow(args) => {
                if args.output.jq_join && args.jq.is_none() {
                    let problem = "-j needs --jq, whose option it is";
                    return Err(refused(
                        &Problem::new(problem).hint("without --jq: --join-output"),
                    ));
                }
                (&mut args.request, Some(&mut args.reconnect))
            }
            Command::Record(args) => (&mut args.request, Some(&mut args.reconnect)),
            Command::Top(args) => (&mut args.request, Some(&mut args.reconnect)),
            Command::Check(args) => (&mut args.request, None),
            _ => return Ok(()),
        };
        if let Some(reconnect) = reconnect {
            reconnect.settle();
        }
        request.settle();
        Ok(())
    }
}

/// As clap has it.
fn refused(problem: &Problem) -> clap::Error {
    let hint = problem
        .hint_text()
        .map(|hint| format!("\n\n  hint: {hint}"));
    let message = format!("{}{}\n", problem.what(), hint.unwrap_or_default());
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message)
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

    /// Run this program in jq's language on the data of each event, and write its results, one per
    /// line; none: the event isn't selected. $event, $id and $last_event_id are known to it.
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
    fn the_definition_is_sound() {
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
            other => panic!("{other:?}"),
        };
        let (short, long) = (follow(&["everstream"]), follow(&["everstream", "follow"]));
        assert_eq!(short, long);
        assert!(short.contains(r#"["cat", "-n"]"#), "{short}");
    }

    #[test]
    fn a_demo_has_events() {
        assert!(parse(["everstream", "demo", "--events", "0"]).is_err());
        assert!(parse(["everstream", "demo"]).is_ok());
    }
}
