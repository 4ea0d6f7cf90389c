//! `everstream`: follows event streams from a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `args.rs` | the command line |
//! | `follow.rs` | `everstream URL` |
//! | `demo/` | `everstream demo` |
//! | `print.rs` | events on standard output |
//! | `report.rs` | news and errors on standard error |
//! | `stop.rs` | Ctrl-C and SIGTERM |
//! | `exit.rs` | exit codes |

mod args;
mod demo;
mod exit;
mod follow;
mod print;
mod report;
mod stop;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    run(Cli::parse()).into()
}

fn run(cli: Cli) -> Exit {
    match (cli.command, cli.follow) {
        (Some(Command::Follow(args)), _) | (None, Some(args)) => follow::run(&args),
        (Some(Command::Demo(args)), _) => demo::run(&args),
        (None, None) => {
            report::error("there is nothing to follow", None);
            report::raw(&Cli::command().render_usage().to_string());
            Exit::Usage
        }
    }
}

/// Runs a subcommand's future to its end on this thread.
fn block_on(future: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            report::error(
                "the system refuses what a network client needs",
                Some(&error),
            );
            Exit::Failed
        }
    }
}
