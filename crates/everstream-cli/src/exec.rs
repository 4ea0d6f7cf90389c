//! `--exec`: a command for each event.
//!
//! Commands start in the order of their events, at most `--exec-jobs` at a time; meanwhile no
//! further event is read. There is no shell: what a server sends is data on standard input and in
//! the environment, and never part of a command line.

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use everstream::Event;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::explain;
use crate::password::PASSWORD;
use crate::report::{self, Problem};

/// How long running commands have to finish after Ctrl-C, SIGTERM and the end of --duration: as
/// long as containers usually get to stop.
pub(crate) const LAST_TIME: Duration = Duration::from_secs(10);

/// The longest value in the environment, in bytes. A longer one would prevent the command from
/// starting: Linux allows 128 KiB and Windows 32 767 characters.
const LONGEST: usize = 32_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "A command per event")]
pub(crate) struct ExecArgs {
    /// Run this command for each event instead of writing it. Everything after --exec, up to ";" if
    /// there is one, belongs to the command. Its standard input is the data (or the results of
    /// --jq). Its environment has EVERSTREAM_EVENT, EVERSTREAM_ID and EVERSTREAM_LAST_EVENT_ID,
    /// except values that are longer than 32000 bytes or contain a NUL.
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        value_terminator = ";",
    )]
    exec: Vec<String>,

    /// Run up to N commands at a time; 1 keeps their order.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        requires = "exec",
    )]
    exec_jobs: u16,

    /// With --cursor: continue after a command that failed, and don't repeat its event in the next
    /// run.
    #[arg(long, requires = "exec")]
    pub(crate) exec_keep_going: bool,
}

/// The running commands.
pub(crate) struct Jobs {
    command: Vec<String>,
    /// Variables with secrets, which commands don't get.
    secrets: Vec<String>,
    limit: usize,
    running: JoinSet<Outcome>,
    pub(crate) failures: u64,
}

/// The event, and whether its command succeeded.
pub(crate) struct Outcome {
    pub(crate) number: u64,
    pub(crate) succeeded: bool,
}

impl Jobs {
    pub(crate) fn new(args: &ExecArgs, bearer_env: Option<&str>) -> Result<Option<Jobs>, Problem> {
        let Some(program) = args.exec.first() else {
            return Ok(None);
        };
        if is_missing(program) {
            return Err(missing(program));
        }
        let secrets = bearer_env.into_iter().chain([PASSWORD]);
        Ok(Some(Jobs {
            command: args.exec.clone(),
            secrets: secrets.map(str::to_owned).collect(),
            limit: args.exec_jobs.into(),
            running: JoinSet::new(),
            failures: 0,
        }))
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
                // Without the variable the command can start. Otherwise it would fail in the next
                // run too, and the cursor would never get past this event.
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

    /// Waits for the next command to end; `None` if none is running.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        loop {
            // It was killed, because our task doesn't panic.
            if let Ok(outcome) = self.running.join_next().await? {
                self.failures += u64::from(!outcome.succeeded);
                return Some(outcome);
            }
            self.failures += 1;
        }
    }

    /// The number of running commands.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Kills the running commands. Their events don't count as done.
    pub(crate) fn kill(&mut self) {
        self.running.abort_all();
    }
}

/// Whether there certainly is no such program: neither this path, nor a file of that name in `PATH`.
#[cfg(unix)]
fn is_missing(program: &str) -> bool {
    if program.contains('/') {
        return !Path::new(program).exists();
    }
    // Without it, the system searches its own default.
    std::env::var_os("PATH").is_some_and(|path| {
        // An empty entry is the current folder.
        !std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    })
}

/// Windows also searches other folders, for several extensions.
#[cfg(not(unix))]
fn is_missing(_: &str) -> bool {
    false
}

fn missing(program: &str) -> Problem {
    let shell = |c: char| c.is_whitespace() || "|&;<>()$`\"'*?[]{}~=#!".contains(c);
    let problem = Problem::new(format!("the program of --exec doesn't exist: {program}"));
    problem.hint(match (program.contains(shell), program.contains('/')) {
        (true, _) => "there is no shell: --exec sh -c '...'",
        (false, true) => "check its path",
        (false, false) => "install it, or give its path, such as ./handle",
    })
}

/// Why this value can't be in the environment.
fn problem(value: &str) -> Option<String> {
    if value.contains('\0') {
        return Some("contains a NUL".to_owned());
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
            // A command doesn't have to read its input.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return error,
            Ok(()) => {}
        }
        std::future::pending().await
    };
    // A child of the command may still hold the pipe, without reading it, after the command has
    // ended.
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
