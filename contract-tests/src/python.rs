//! Clients of the Python package: each stream is a process, `python/follow.py`.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;

use crate::api::StreamRequest;
use crate::callback::Report;
use crate::control::Finished;
use crate::stream::StartError;

/// A Python with the package. Without this variable it is `python3`.
const INTERPRETER: &str = "EVERSTREAM_PYTHON";

/// A process that follows a stream until it is dropped.
pub(crate) struct Follower {
    /// Its end makes the process close its client, and exit.
    input: Mutex<ChildStdin>,
}

impl Follower {
    /// Blocks until the client accepts its settings.
    pub(crate) fn start(
        client: &str,
        stream_request: &StreamRequest,
        reports: mpsc::Sender<Report>,
    ) -> Result<Follower, StartError> {
        let interpreter = std::env::var_os(INTERPRETER).unwrap_or_else(|| "python3".into());
        let mut child = Command::new(interpreter)
            .args(["-W", "error", "-B"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/follow.py"))
            .arg(client)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the process has no pipes").into());
        };
        let mut line = serde_json::to_vec(stream_request).map_err(io::Error::from)?;
        line.push(b'\n');
        input.write_all(&line)?;
        let mut lines = BufReader::new(output).lines();
        match lines.next() {
            Some(Ok(ready)) if ready == "ready" => {}
            Some(Ok(problem)) => return Err(StartError::Rejected(problem)),
            _ => return Err(io::Error::other("the process has ended").into()),
        }
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if reports.blocking_send(Report::Json(line)).is_err() {
                    break;
                }
            }
            child.wait()
        });
        let input = Mutex::new(input);
        Ok(Follower { input })
    }

    /// Drops the connection and reconnects at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.write_all(b"restart\n").map_err(|_| Finished)
    }
}
