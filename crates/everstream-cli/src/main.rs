//! `everstream`: follows event streams from a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `args.rs`, `usage.rs`, `misuse.rs`, `typos.rs` | the command line, and corrections |
//! | `follow.rs`, `follow/` | `everstream URL` |
//! | `check/` | `everstream check`, the face of everstream-check |
//! | `demo/` | `everstream demo` |
//! | `top/` | `everstream top` |
//! | `completions.rs`, `man.rs` | `everstream completions`, `everstream man` |
//! | `record/` | `everstream record` |
//! | `relay/` | `everstream relay` |
//! | `replay/` | `everstream replay` |
//! | `serve/` | `everstream serve` |
//! | `request.rs`, `reconnect.rs` | the options of every subcommand with a URL |
//! | `curl/` | curl's options without effect, and hints for those that are refused |
//! | `client_builder.rs` | builds the client of `follow`, `record` and `top` |
//! | `password.rs` | asks for missing passwords |
//! | `source.rs` | a server, or a saved body |
//! | `select.rs`, `until.rs`, `jq/` | which events, and which parts of them |
//! | `output/` | events on standard output |
//! | `exec.rs` | a command per event |
//! | `cursor.rs`, `progress.rs` | the last id, saved for the next run |
//! | `recording/` | the files of `record` and `replay` |
//! | `server/` | the HTTP server of `replay` and `serve` |
//! | `report.rs`, `explain.rs`, `explain/`, `status.rs` | messages, errors and the status on standard error |
//! | `waiting.rs` | where an attempt hangs |
//! | `terminal.rs` | what the terminal supports, and what its last line shows |
//! | `visible.rs` | text that is safe for a terminal |
//! | `stop.rs` | Ctrl-C, SIGTERM, a closed output |
//! | `without/` | replaces `jq/` and `top/` if the command is built without them |
//! | `duration.rs`, `size.rs` | durations and sizes on the command line |
//! | `end.rs`, `exit.rs` | how a run ended, and exit codes |

mod args;
mod check;
mod client_builder;
mod completions;
mod curl;
mod cursor;
mod demo;
mod duration;
mod end;
mod exec;
mod exit;
mod explain;
mod follow;
#[cfg(feature = "jq")]
mod jq;
mod man;
mod misuse;
mod output;
mod password;
mod progress;
mod reconnect;
mod record;
mod recording;
mod relay;
mod replay;
mod report;
mod request;
mod select;
mod serve;
mod server;
mod size;
mod source;
mod status;
mod stop;
mod terminal;
#[cfg(feature = "top")]
mod top;
mod typos;
mod until;
mod usage;
mod visible;
mod waiting;
#[cfg(not(all(feature = "jq", feature = "top")))]
mod without;

use std::process::ExitCode;

use args::Command;
use exit::Exit;
#[cfg(not(feature = "jq"))]
use without::jq;
#[cfg(not(feature = "top"))]
use without::top;

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(Command::Follow(args)) => follow::run(&args),
        Ok(Command::Record(args)) => record::run(&args),
        Ok(Command::Relay(args)) => relay::run(&args),
        Ok(Command::Replay(args)) => replay::run(&args),
        Ok(Command::Serve(args)) => serve::run(&args),
        Ok(Command::Check(args)) => check::run(&args),
        Ok(Command::Demo(args)) => demo::run(&args),
        Ok(Command::Top(args)) => top::run(&args),
        Ok(Command::Completions(args)) => completions::run(&args),
        Ok(Command::Man(args)) => man::run(&args),
        #[cfg(feature = "jq")]
        Ok(Command::JqWorker(args)) => jq::work(&args),
        Err(exit) => exit.print(),
    }
    .into()
}

/// Runs the future of a subcommand to its end on this thread.
fn block_on(future: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            report::error("can't start the network runtime", Some(&error));
            Exit::Failed
        }
    }
}
