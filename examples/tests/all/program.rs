//! Runs a program, and reads its output line by line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than any wait; only hanging tests take this long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Program {
    child: Child,
    /// Lines of output as they arrive; the last one may have no line end.
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    stdin: Option<ChildStdin>,
}

pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The output that wasn't read before.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Creates the command for a program of this package, without proxy variables.
pub(crate) fn command<A: AsRef<OsStr>>(path: &str, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(path);
    command.args(args);
    // Proxies in the environment would affect the tests.
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Program {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Program {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            stdin: child.stdin.take(),
            child,
        }
    }

    /// Waits for the next line of standard output.
    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(LIMIT)
            .expect("a line on standard output in time")
    }

    pub(crate) fn write_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends SIGINT, like Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Sends this signal, such as `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Kills the program without a chance to clean up, and returns its output.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for the program to end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let rest = |from: &Receiver<String>| {
            let mut text = String::new();
            loop {
                match from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => text.push_str(&line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return text,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        panic!("the program didn't end in time, output: {text:?}")
                    }
                }
            }
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        Ended {
            status: self.child.wait().unwrap(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    fn pass(from: impl Read, to: &Sender<String>) {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|length| length > 0) {
            if to.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    }
    let (to, lines) = mpsc::channel();
    thread::spawn(move || pass(from, &to));
    lines
}
