//! The other side of `--jq`: the process that runs the program.
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

/// The most that the process may take, with its stack, where the system has such a limit:
/// thirty times the largest event.
#[cfg(unix)]
const MEMORY: u64 = 2 << 30;

/// Eight times what a main thread has: what recurses is the user's program.
const STACK: usize = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[arg(allow_hyphen_values = true)]
    program: String,
}

type Request = (String, Option<String>, Option<String>, String);

/// Serves until its input ends.
pub(crate) fn run(args: &WorkerArgs) -> Exit {
    limit_memory();
    // Whoever asks sees that the process has ended, and says so. The thread alone would leave it.
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
    // Nobody waits for what still runs: the command has ended, whatever ended it.
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
                    // The next one may take its time.
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
    // It may show the whole value that it is about.
    format!("e{}\n", serde_json::Value::from(&*shortened(problem, 500)))
}

/// What is allocated beyond it ends the process, and doesn't take the machine's memory away.
#[cfg(unix)]
fn limit_memory() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::As);
    if limit.current.is_none_or(|current| current > MEMORY) {
        limit.current = Some(MEMORY);
        // Without it the system's own limits are left.
        _ = setrlimit(Resource::As, limit);
    }
}

#[cfg(not(unix))]
fn limit_memory() {}
