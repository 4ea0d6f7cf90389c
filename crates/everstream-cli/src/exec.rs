//! `--exec`: a command for each event.
//!
//! Commands begin in the order of their events, and no more than `--exec-jobs` run at a time: until
//! one of them ends, no further event is read. There is no shell: what a server sends is data on
//! standard input and in the environment, and never part of a command line.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use everstream::Event;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::explain;
use crate::password::PASSWORD;
use crate::report;

/// How long commands that run may go on after Ctrl-C, SIGTERM and the end of --duration: as long as
/// containers are given to stop.
pub(crate) const LAST_TIME: Duration = Duration::from_secs(10);

/// The longest text that is passed in the environment, in bytes. A longer one would keep the command
/// from starting: Linux takes 128 KiB and Windows 32 767 characters.
const LONGEST: usize = 32_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "A command per event")]
pub(crate) struct ExecArgs {
    /// Run this command for each event instead of writing it; all that follows belongs to it, or
    /// all up to ";". The data (or the results of --jq) is its standard input; EVERSTREAM_EVENT,
    /// EVERSTREAM_ID and EVERSTREAM_LAST_EVENT_ID are in its environment, except what is longer
    /// than 32000 bytes or holds a NUL.
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
    /// Variables that hold what commands needn't know.
    secrets: Vec<String>,
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
    pub(crate) fn new(args: &ExecArgs, bearer_env: Option<&str>) -> Option<Jobs> {
        let secrets = bearer_env.into_iter().chain([PASSWORD]);
        (!args.exec.is_empty()).then(|| Jobs {
            command: args.exec.clone(),
            secrets: secrets.map(str::to_owned).collect(),
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
        let about = explain::name(event);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        for secret in &self.secrets {
            command.env_remove(secret);
        }
        for (name, value) in [
            ("EVERSTREAM_EVENT", Some(event.event())),
            ("EVERSTREAM_ID", event.id()),
            ("EVERSTREAM_LAST_EVENT_ID", event.last_event_id()),
        ] {
            match problem(value.unwrap_or_default()) {
                None => _ = command.env(name, value.unwrap_or_default()),
                // Without it the command can start. If it didn't, it wouldn't in the next run either,
                // and the cursor would never get past this event.
                Some(problem) => {
                    _ = command.env_remove(name);
                    report::error(&format!("{name} isn't set for {about}: it {problem}"), None);
                }
            }
        }
        let about = format!("{program} failed for {about}");
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
            // It was killed; or it panicked, which a task of ours doesn't.
            if let Ok(outcome) = self.running.join_next().await? {
                self.failures += u64::from(!outcome.succeeded);
                return Some(outcome);
            }
            self.failures += 1;
        }
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Kills those that run. Their events aren't done.
    pub(crate) fn kill(&mut self) {
        self.running.abort_all();
    }
}

/// Why this can't be in the environment.
fn problem(value: &str) -> Option<String> {
    if value.contains('\0') {
        return Some("holds a NUL".to_owned());
    }
    (value.len() > LONGEST).then(|| format!("is longer than {LONGEST} bytes"))
}

async fn run(mut command: Command, input: String) -> io::Result<()> {
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let write = async move {
        let written = match stdin {
            Some(mut stdin) => stdin.write_all(input.as_bytes()).await,
            None => Ok(()),
        };
        match written {
            // A command needn't read it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return error,
            Ok(()) => {}
        }
        std::future::pending().await
    };
    // What it has started may still hold the pipe when it has ended, and not read it either.
    let status = tokio::select! {
        status = child.wait() => status?,
        error = write => return Err(error),
    };
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
