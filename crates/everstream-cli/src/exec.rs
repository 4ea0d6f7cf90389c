//! `--exec`: a command for each event.
//!
//! Commands begin in the order of their events, and no more than `--exec-jobs` run at a time: until
//! one of them ends, no further event is read. There is no shell: what a server sends is data on
//! standard input and in the environment, and never part of a command line.

use std::io;
use std::process::Stdio;

use clap::Args;
use everstream::Event;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::report;
use crate::request::PASSWORD;

#[derive(Debug, Args)]
#[command(next_help_heading = "A command per event")]
pub(crate) struct ExecArgs {
    /// Run this command for each event instead of writing it; all that follows belongs to it, or
    /// all up to ";". The data (or the results of --jq) is its standard input; EVERSTREAM_EVENT,
    /// EVERSTREAM_ID and EVERSTREAM_LAST_EVENT_ID are in its environment.
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        value_terminator = ";",
    )]
    exec: Vec<String>,

    /// How many commands may run at a time; 1 keeps their order.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        requires = "exec",
    )]
    exec_jobs: u16,

    /// With --cursor: go on after a command that failed, and don't repeat its event in the next run.
    #[arg(long, requires = "exec")]
    pub(crate) exec_keep_going: bool,
}

/// The commands that run.
pub(crate) struct Jobs {
    command: Vec<String>,
    limit: usize,
    running: JoinSet<Outcome>,
    pub(crate) failures: u64,
}

/// Which event it was, and whether its command did what it should.
pub(crate) struct Outcome {
    pub(crate) number: u64,
    pub(crate) succeeded: bool,
}

impl Jobs {
    pub(crate) fn new(args: &ExecArgs) -> Option<Jobs> {
        (!args.exec.is_empty()).then(|| Jobs {
            command: args.exec.clone(),
            limit: args.exec_jobs.into(),
            running: JoinSet::new(),
            failures: 0,
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.running.len() >= self.limit
    }

    pub(crate) fn start(&mut self, number: u64, event: &Event, input: String) {
        let Some((program, arguments)) = self.command.split_first() else {
            return;
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("EVERSTREAM_EVENT", event.event())
            .env("EVERSTREAM_ID", event.id().unwrap_or_default())
            .env(
                "EVERSTREAM_LAST_EVENT_ID",
                event.last_event_id().unwrap_or_default(),
            )
            .env_remove(PASSWORD)
            .stdin(Stdio::piped());
        let about = match event.id() {
            Some(id) => format!("{program} failed for the event with id {id}"),
            None => format!("{program} failed for event {number}"),
        };
        self.running.spawn(async move {
            let problem = run(command, input).await.err();
            if let Some(problem) = &problem {
                report::error(&about, Some(problem));
            }
            Outcome {
                number,
                succeeded: problem.is_none(),
            }
        });
    }

    /// The next command that ends; `None` if none runs.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        loop {
            // A task of ours doesn't panic; if one did, its event would count as not done.
            if let Ok(outcome) = self.running.join_next().await? {
                self.failures += u64::from(!outcome.succeeded);
                return Some(outcome);
            }
            self.failures += 1;
        }
    }
}

async fn run(mut command: Command, input: String) -> io::Result<()> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command needn't read it.
        if let Err(error) = stdin.write_all(input.as_bytes()).await {
            if error.kind() != io::ErrorKind::BrokenPipe {
                return Err(error);
            }
        }
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
