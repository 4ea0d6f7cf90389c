//! The built command as a child process, and what it prints.
// Some modules are for Linux or Unix only, or need a feature.
#![cfg_attr(
    not(all(target_os = "linux", feature = "jq", feature = "top")),
    allow(dead_code)
)]

#[cfg(target_os = "linux")]
pub(crate) mod pty;
pub(crate) mod recorded;
#[cfg(target_os = "linux")]
pub(crate) mod svg;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Far longer than anything takes on a slow machine; only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The command, in a neutral environment.
pub(crate) fn everstream<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everstream"));
    command.args(args).stdin(Stdio::null());
    clean(&mut command);
    command
}

pub(crate) fn clean(command: &mut Command) {
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "NO_COLOR",
        "TERM",
        "EVERSTREAM_PASSWORD",
    ] {
        command.env_remove(name);
    }
}

/// The lines, and whether the output has ended.
type Seen = (Vec<String>, bool);

/// Lines as they arrive, read by another thread.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

impl Lines {
    fn read(from: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let shared = lines.shared.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { break };
                shared.0.lock().unwrap().0.push(line);
                shared.1.notify_all();
            }
            shared.0.lock().unwrap().1 = true;
            shared.1.notify_all();
        });
        lines
    }

    fn wait(&self, what: &str, is: impl Fn(&[String], bool) -> bool) -> Vec<String> {
        let (lines, changed) = &*self.shared;
        let (state, _) = changed
            .wait_timeout_while(lines.lock().unwrap(), PATIENCE, |(lines, over)| {
                !is(lines, *over) && !*over
            })
            .unwrap();
        assert!(is(&state.0, state.1), "no {what} in {:#?}", state.0);
        state.0.clone()
    }

    /// Waits for this many lines; returns all lines so far.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<String> {
        self.wait(&format!("{count} lines"), |lines, _| lines.len() >= count)
    }

    /// Waits for a line that contains this.
    pub(crate) fn wait_for_text(&self, text: &str) -> Vec<String> {
        self.wait(&format!("{text:?}"), |lines, _| {
            lines.iter().any(|line| line.contains(text))
        })
    }

    /// Waits for a line that contains one of these.
    pub(crate) fn wait_for_one_of(&self, texts: &[&str]) {
        self.wait(&format!("{texts:?}"), |lines, _| {
            lines
                .iter()
                .any(|line| texts.iter().any(|text| line.contains(text)))
        });
    }

    /// Whether there is a line yet that contains this.
    pub(crate) fn has(&self, text: &str) -> bool {
        let lines = &self.shared.0.lock().unwrap().0;
        lines.iter().any(|line| line.contains(text))
    }

    /// Waits for the end; returns everything.
    pub(crate) fn all(&self) -> Vec<String> {
        self.wait("end", |_, over| over)
    }
}

/// A running command. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Running {
    pub(crate) fn start(command: Command) -> Running {
        let (mut running, stdout) = Running::start_unread(command);
        running.out = Lines::read(stdout);
        running
    }

    /// Its standard output isn't read until the caller reads it.
    pub(crate) fn start_unread(mut command: Command) -> (Running, ChildStdout) {
        command.stdout(Stdio::piped());
        let mut running = Running::spawn(command);
        let stdout = running.child.stdout.take().unwrap();
        (running, stdout)
    }

    /// The caller sets its standard output.
    pub(crate) fn spawn(mut command: Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let err = Lines::read(child.stderr.take().unwrap());
        Running {
            child,
            out: Lines::default(),
            err,
        }
    }

    pub(crate) fn follow<'a>(args: impl IntoIterator<Item = &'a str>) -> Running {
        Running::start(everstream(args))
    }

    /// Its standard input, if that is a pipe.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "the process has gone");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it still runs: {:#?}",
                self.err.shared.0
            );
            // std can't wait with a timeout.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; returns the exit code and all of standard error.
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = self.wait().code().expect("ended by a signal");
        (code, self.err.all().join("\n"))
    }

    /// Its peak memory, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let words = line.unwrap().split_whitespace().nth(1);
        words.unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Runs the command with a time limit, in seconds. If less has happened than `enough` says, because the
/// machine was busy, it runs again with a longer limit.
pub(crate) fn in_time<T>(run: impl Fn(&str) -> T, enough: impl Fn(&T) -> bool) -> T {
    for limit in ["0.3", "3"] {
        let outcome = run(limit);
        if enough(&outcome) {
            return outcome;
        }
    }
    run("30")
}

/// Waits until the closure returns a value.
pub(crate) fn wait_for<T>(what: &str, value: impl Fn() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The server's response to this request line and these headers, until it closes the connection.
pub(crate) fn exchange(url: &str, method: &str, headers: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    _ = open(url, method, headers).read_to_end(&mut answer);
    answer
}

/// Sends a request, as HTTP/1.0, so that the body has no framing.
pub(crate) fn open(url: &str, method: &str, headers: &str) -> TcpStream {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = TcpStream::connect(host).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        socket,
        "{method} / HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n"
    )
    .unwrap();
    socket
}

/// A folder that is deleted when dropped. Two of the same name differ.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let prefix = format!("es-cli-{name}-");
        Folder(tempfile::Builder::new().prefix(&prefix).tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this content.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}
