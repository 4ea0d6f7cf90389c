//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::exit;

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
    after_help = exit::HELP,
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) follow: Option<FollowArgs>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow a stream and print its events; the same as `everstream URL`.
    #[command(after_help = exit::HELP)]
    Follow(FollowArgs),
    /// Follow a server on this machine that fails in every way, and count what arrives.
    ///
    /// The server drops the connection, cuts it in the middle of an event, resets it, answers
    /// 503, goes away and comes back. All that was sent is compared with all that was received.
    #[command(after_help = exit::HELP)]
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// The stream: http://... or https://...
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Send this header (may be repeated); it never follows a redirect to another origin.
    // Taken as it is: clap would print a value that it refuses, and it may be a secret.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Resume after the event with this id.
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many events the server publishes, within nine seconds.
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
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn follow_is_the_default_subcommand() {
        let short = Cli::try_parse_from(["everstream", "http://a/", "-H", "a: b"]).unwrap();
        let long =
            Cli::try_parse_from(["everstream", "follow", "http://a/", "-H", "a: b"]).unwrap();
        let Some(Command::Follow(long)) = long.command else {
            panic!("follow wasn't understood");
        };
        let short = short.follow.unwrap();
        assert_eq!((short.url, short.headers), (long.url, long.headers));
    }

    #[test]
    fn a_demo_has_events() {
        assert!(Cli::try_parse_from(["everstream", "demo", "--events", "0"]).is_err());
        assert!(Cli::try_parse_from(["everstream", "demo"]).is_ok());
    }
}
