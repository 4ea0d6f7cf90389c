//! `--jq`: a program in jq's language, run on the data of each event.
//!
//! | file | subject |
//! |---|---|
//! | `program.rs` | the program itself |
//! | `worker.rs` | the process that runs it |
//!
//! It runs in a process of its own. A number or a text of the server's can make a program recurse
//! deeper than its stack or ask for more memory than there is, and either of them ends a process:
//! nothing in Rust catches it. So it ends that one, the event has failed, and the next event gets
//! another. For the same reason a program that takes its time can be given up.

mod program;
mod worker;

use std::io;
use std::process::{ExitStatus, Stdio};

use everstream::Event;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::report::Problem;
pub(crate) use program::LONGEST;
use program::Program;
pub(crate) use worker::{WorkerArgs, run as work};

/// The subcommand behind which [`work`] is.
pub(crate) const WORKER: &str = "jq-worker";

pub(crate) struct Jq {
    program: String,
    /// Begun by the first event.
    worker: Option<Box<Worker>>,
}

struct Worker {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Jq {
    pub(crate) fn new(program: &str) -> Result<Jq, Problem> {
        match Program::compile(program) {
            Ok(_) => Ok(Jq {
                program: program.to_owned(),
                worker: None,
            }),
            Err(what) => Err(
                Problem::new(format!("--jq {program:?} can't be used: {what}")).hint(
                    "its input is the data of an event; it is tried out best with \
                     jq itself: echo '{\"a\": 1}' | jq '.a'",
                ),
            ),
        }
    }

    /// Runs it on this event. What it was still doing for another is given up.
    pub(crate) async fn run(&mut self, event: &Event) -> Results<'_> {
        let worker = match self.worker.take() {
            Some(worker) => Ok(worker),
            None => Worker::start(&self.program),
        };
        let begun = match worker {
            Ok(mut worker) => match worker.ask(event).await {
                Ok(()) => Ok(worker),
                Err(_) => Err(worker.end().await),
            },
            Err(error) => Err(format!("its process can't be started: {error}")),
        };
        Results {
            idle: &mut self.worker,
            state: match begun {
                Ok(worker) => State::Running(worker),
                Err(problem) => State::Failed(problem),
            },
        }
    }
}

/// The results for one event. If they are dropped before the last one, so is the process.
pub(crate) struct Results<'a> {
    idle: &'a mut Option<Box<Worker>>,
    state: State,
}

enum State {
    Running(Box<Worker>),
    Failed(String),
    Over,
}

impl Results<'_> {
    /// The next result as JSON; an error is the last.
    pub(crate) async fn next(&mut self) -> Option<Result<String, String>> {
        let worker = match &mut self.state {
            State::Running(worker) => worker,
            State::Failed(problem) => {
                let problem = std::mem::take(problem);
                self.state = State::Over;
                return Some(Err(problem));
            }
            State::Over => return None,
        };
        let answer = worker.answer().await;
        if let Ok(Answer::Result(json)) = answer {
            return Some(Ok(json));
        }
        let State::Running(worker) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        match answer {
            Ok(Answer::Error(problem)) => {
                *self.idle = Some(worker);
                Some(Err(problem))
            }
            Ok(_) => {
                *self.idle = Some(worker);
                None
            }
            Err(_) => Some(Err(worker.end().await)),
        }
    }
}

enum Answer {
    Result(String),
    Error(String),
    Done,
}

impl Worker {
    fn start(program: &str) -> io::Result<Box<Worker>> {
        // Also when the file has been replaced by another version.
        #[cfg(target_os = "linux")]
        let this = "/proc/self/exe";
        #[cfg(not(target_os = "linux"))]
        let this = std::env::current_exe()?;
        let mut command = Command::new(this);
        command
            .args([WORKER, "--", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Ctrl-C at the terminal is for this process alone. When it ends, the other finds the end
        // of its input.
        #[cfg(unix)]
        command.arg0("everstream").process_group(0);
        let mut process = command.spawn()?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(requests), Some(answers)) => Ok(Box::new(Worker {
                process,
                requests,
                answers: BufReader::new(answers),
            })),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    async fn ask(&mut self, event: &Event) -> io::Result<()> {
        let request = (
            event.event(),
            event.id(),
            event.last_event_id(),
            event.data(),
        );
        let mut line = serde_json::to_string(&request)?;
        line.push('\n');
        self.requests.write_all(line.as_bytes()).await
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line).await?;
        // A process that ended in the middle of a line didn't write its end.
        let line = line.strip_suffix('\n').unwrap_or_default();
        match line.split_at_checked(1) {
            Some(("r", json)) => Ok(Answer::Result(json.to_owned())),
            Some(("e", problem)) => Ok(Answer::Error(serde_json::from_str(problem)?)),
            Some(("d", _)) => Ok(Answer::Done),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// How it ended, of a process that doesn't answer.
    async fn end(mut self) -> String {
        drop(self.requests);
        match self.process.wait().await {
            Ok(status) if is_killed(status) => format!(
                "its process was killed ({status}): by the system, which ran out of memory, or by \
                 somebody"
            ),
            Ok(status) => format!(
                "its process ended ({status}): it recursed too deep, took more than 2 GiB of memory, \
                 or met a fault of jaq"
            ),
            Err(error) => error.to_string(),
        }
    }
}

/// A kill comes from outside: a process doesn't do that to itself.
#[cfg(unix)]
fn is_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    matches!(status.signal(), Some(1 | 2 | 9 | 15))
}

#[cfg(not(unix))]
fn is_killed(_: ExitStatus) -> bool {
    false
}
