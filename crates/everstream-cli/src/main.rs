//! `everstream`: follows event streams from a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `args.rs`, `usage.rs` | the command line; its mistakes |
//! | `follow.rs`, `follow/` | `everstream URL` |
//! | `check/` | `everstream check`, the face of everstream-check |
//! | `demo/` | `everstream demo` |
//! | `top/` | `everstream top` |
//! | `completions.rs`, `man.rs` | `everstream completions`, `everstream man` |
//! | `record/` | `everstream record` |
//! | `replay/` | `everstream replay` |
//! | `serve/` | `everstream serve` |
//! | `request.rs`, `reconnect.rs` | the options of every subcommand with a URL |
//! | `client_builder.rs` | from these to the client of `follow`, `record` and `top` |
//! | `password.rs` | the password that `-u` leaves out |
//! | `source.rs` | a server, or a saved body |
//! | `select.rs`, `until.rs`, `jq/` | which events, and what of them |
//! | `output/` | events on standard output |
//! | `exec.rs` | a command per event |
//! | `cursor.rs`, `progress.rs` | the last id, kept for the next run |
//! | `recording/` | the files of `record` and `replay` |
//! | `server/` | the HTTP server of `replay` and `serve` |
//! | `report.rs`, `explain.rs`, `explain/`, `status.rs` | news, errors and the status on standard error |
//! | `terminal.rs` | what the terminal supports, and what its last line shows |
//! | `visible.rs` | text that can't do anything to a terminal |
//! | `stop.rs` | Ctrl-C, SIGTERM, the end of the output |
//! | `duration.rs` | durations on the command line |
//! | `end.rs`, `exit.rs` | why it is over, and exit codes |

mod args;
mod check;
mod client_builder;
mod completions;
mod cursor;
mod demo;
mod duration;
mod end;
mod exec;
mod exit;
mod explain;
mod follow;
mod jq;
mod man;
mod output;
mod password;
mod progress;
mod reconnect;
mod record;
mod recording;
mod replay;
mod report;
mod request;
mod select;
mod serve;
mod server;
mod source;
mod status;
mod stop;
mod terminal;
mod top;
mod until;
mod usage;
mod visible;

use std::process::ExitCode;

use args::Command;
use exit::Exit;

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(Command::Follow(args)) => follow::run(&args),
        Ok(Command::Record(args)) => record::run(&args),
        Ok(Command::Replay(args)) => replay::run(&args),
        Ok(Command::Serve(args)) => serve::run(&args),
        Ok(Command::Check(args)) => check::run(&args),
        Ok(Command::Demo(args)) => demo::run(&args),
        Ok(Command::Top(args)) => top::run(&args),
        Ok(Command::Completions(args)) => completions::run(&args),
        Ok(Command::Man(args)) => man::run(&args),
        Ok(Command::JqWorker(args)) => jq::work(&args),
        Err(instead) => instead.tell(),
    }
    .into()
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
