//! The process that runs the program of `--jq`.
//!
//! It reads a line per event, `[type, id, last id, data]`, and answers with lines: `r` and a result,
//! `e` and an error as a JSON string, `d` when the event is done. An `e` is the last line of an event.

use std::io::{self, BufRead, BufWriter, Write};
use std::sync::mpsc;
use std::thread;

use clap::Args;

use super::program::{Input, Program};
use crate::exit::Exit;
use crate::visible::shortened;

/// The memory limit of the process including its stack, where the system has such a limit: thirty
/// times the largest event.
#[cfg(unix)]
const MEMORY: u64 = 2 << 30;

/// Eight times the stack of a main thread: the user's program recurses.
const STACK: usize = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[arg(allow_hyphen_values = true)]
    program: String,
}

type Request = (String, Option<String>, Option<String>, String);

/// Runs until its input ends.
pub(crate) fn run(args: &WorkerArgs) -> Exit {
    limit_memory();
    // Ends the whole process, because a panic would only end the thread. The parent sees that and
    // reports it.
    std::panic::set_hook(Box::new(|_| std::process::exit(Exit::Failed as i32)));
    let (send, requests) = mpsc::channel();
    let program = args.program.clone();
    let runner = thread::Builder::new()
        .name("program".into())
        .stack_size(STACK)
        .spawn(move || {
            if serve(&program, &requests).is_err() {
                std::process::exit(Exit::Failed as i32);
            }
        });
    if runner.is_err() {
        return Exit::Failed;
    }
    for line in io::stdin().lock().lines() {
        let request = line.and_then(|line| Ok(serde_json::from_str::<Request>(&line)?));
        if !request.is_ok_and(|request| send.send(request).is_ok()) {
            return Exit::Failed;
        }
    }
    // Doesn't wait for a running program: the parent has ended.
    Exit::Done
}

fn serve(program: &str, requests: &mpsc::Receiver<Request>) -> io::Result<()> {
    let program = Program::compile(program).map_err(io::Error::other)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for (event, id, last_event_id, data) in requests {
        let input = Input {
            event: &event,
            id: id.as_deref(),
            last_event_id: last_event_id.as_deref(),
            data: &data,
        };
        let mut last = "d\n".to_owned();
        for result in program.run(input) {
            match result {
                Ok(json) => {
                    writeln!(out, "r{json}")?;
                    // The next one may take long.
                    out.flush()?;
                }
                Err(problem) => last = error(&problem),
            }
        }
        out.write_all(last.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

fn error(problem: &str) -> String {
    // The message may contain the whole value.
    format!("e{}\n", serde_json::Value::from(&*shortened(problem, 500)))
}

/// An allocation beyond the limit kills the process instead of exhausting the machine's memory.
#[cfg(unix)]
fn limit_memory() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::As);
    if limit.current.is_none_or(|current| current > MEMORY) {
        limit.current = Some(MEMORY);
        // Without it only the system's limits apply.
        _ = setrlimit(Resource::As, limit);
    }
}

#[cfg(not(unix))]
fn limit_memory() {}
