//! `--jq`: a program in jq's language, run on the data of each event.
//!
//! | file | subject |
//! |---|---|
//! | `program.rs` | the program itself |
//! | `worker.rs` | the process that runs it |
//!
//! It runs in a separate process. A number or a string from the server can make a program recurse
//! deeper than its stack or allocate too much memory. Either of them kills the process, and nothing
//! in Rust can catch it. Only the worker dies, the event has failed, and the next event gets
//! another worker. This also makes it possible to cancel a slow program.

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

/// The hidden subcommand that runs [`work`].
pub(crate) const WORKER: &str = "jq-worker";

pub(crate) struct Jq {
    program: String,
    /// Started by the first event.
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
                Problem::new(format!("invalid --jq program {program:?}: {what}")).hint(
                    "its input is the data of an event; try it out with jq: \
                     echo '{\"a\": 1}' | jq '.a'",
                ),
            ),
        }
    }

    /// Runs the program on this event, and cancels a run for another.
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
        // Even if the file has been replaced by another version.
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
        // Ctrl-C at the terminal is for this process only. When it ends, the worker sees the end of
        // its input.
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
        // A process that died in the middle of a line didn't write its end.
        let line = line.strip_suffix('\n').unwrap_or_default();
        match line.split_at_checked(1) {
            Some(("r", json)) => Ok(Answer::Result(json.to_owned())),
            Some(("e", problem)) => Ok(Answer::Error(serde_json::from_str(problem)?)),
            Some(("d", _)) => Ok(Answer::Done),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Why a process that doesn't answer has ended.
    async fn end(mut self) -> String {
        drop(self.requests);
        match self.process.wait().await {
            Ok(status) if is_killed(status) => {
                format!("its process was killed ({status}): the system may have run out of memory")
            }
            Ok(status) => format!(
                "its process crashed ({status}): it recursed too deeply, used more than 2 GiB of \
                 memory, or hit a bug in jaq"
            ),
            Err(error) => error.to_string(),
        }
    }
}

/// A kill signal comes from outside: a process doesn't kill itself.
#[cfg(unix)]
fn is_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    matches!(status.signal(), Some(1 | 2 | 9 | 15))
}

#[cfg(not(unix))]
fn is_killed(_: ExitStatus) -> bool {
    false
}
