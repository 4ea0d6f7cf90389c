//! The processes of an engine, and its log.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far more than anything here takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that changes soon.
const LOOK: Duration = Duration::from_millis(5);

/// An engine of some kind.
#[derive(Debug)]
pub struct Engine {
    name: &'static str,
    folder: TempDir,
    /// How it is started, again and again.
    command: Command,
    /// What it logs each time it is ready.
    ready: &'static str,
    child: Option<Child>,
    /// How much earlier runs have logged.
    earlier: usize,
    is_stopped: bool,
}

impl Engine {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(
        name: &'static str,
        folder: TempDir,
        command: Command,
        ready: &'static str,
    ) -> Engine {
        let mut engine = Engine {
            name,
            folder,
            command,
            ready,
            child: None,
            earlier: 0,
            is_stopped: false,
        };
        engine.restart();
        engine
    }

    /// Where its data, its log and its socket are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills all its processes at once, without a chance to write anything.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let root = child.id();
        // So that it starts no others meanwhile.
        signal("STOP", &[root]);
        let others = descendants(root);
        signal("KILL", &others);
        signal("KILL", &[root]);
        child.wait().unwrap();
        let began = Instant::now();
        // PostgreSQL refuses to start next to a process of its last run.
        while others.iter().any(|&it| is_alive(it)) {
            assert!(
                began.elapsed() < LIMIT,
                "{}: a process doesn't end",
                self.name
            );
            thread::sleep(LOOK);
        }
        self.is_stopped = false;
    }

    /// Starts it with the same data, and waits until it is ready; kills it first, if it runs.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_until_ready();
    }

    /// The same without waiting.
    pub fn start_again(&mut self) {
        self.kill();
        self.earlier = self.log().len();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.unwrap();
        self.command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = self.command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            let log = self.log();
            if log[self.earlier.min(log.len())..].contains(self.ready) {
                return;
            }
            let ended = self.child.as_mut().and_then(|it| it.try_wait().unwrap());
            assert!(ended.is_none(), "{} ended: {log}", self.name);
            assert!(began.elapsed() < LIMIT, "{} isn't ready: {log}", self.name);
            thread::sleep(LOOK);
        }
    }

    /// Stops all its processes (SIGSTOP): connections stay, and nobody answers.
    pub fn stop(&mut self) {
        let Some(child) = &self.child else {
            panic!("{} doesn't run", self.name);
        };
        let root = child.id();
        signal("STOP", &[root]);
        signal("STOP", &descendants(root));
        self.is_stopped = true;
    }

    /// Continues them (SIGCONT): they do all that was sent to them meanwhile.
    pub fn resume(&mut self) {
        if let Some(child) = self.child.as_ref().filter(|_| self.is_stopped) {
            let root = child.id();
            signal("CONT", &descendants(root));
            signal("CONT", &[root]);
            self.is_stopped = false;
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
        if !thread::panicking() {
            return;
        }
        // The folder's name is unique; several engines may fail.
        let unique = self.folder.path().file_name().unwrap_or_default();
        let kept = format!("everstream-{}{}.log", self.name, unique.to_string_lossy());
        let kept = std::env::temp_dir().join(kept);
        match fs::copy(self.log_path(), &kept) {
            Ok(_) => eprintln!("the log of {}: {}", self.name, kept.display()),
            Err(error) => eprintln!("the log of {} is lost: {error}", self.name),
        }
    }
}

/// A program, by its name or in one of the folders where Debian puts it.
pub(crate) fn program(name: &str, folders: &[PathBuf], package: &str) -> PathBuf {
    let found = folders
        .iter()
        .map(|it| it.join(name))
        .find(|it| it.exists());
    let program = found.unwrap_or_else(|| PathBuf::from(name));
    if let Err(error) = Command::new(&program).arg("--version").output() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        panic!(
            "{name} isn't installed. On Debian: apt-get install {package}, \
             which `cargo xtask test` does by itself as root"
        );
    }
    program
}

/// A port of loopback that nobody listens on. Linux doesn't assign it to another process, because it is below
/// the range of ports that Linux assigns. Processes that call this function at the same time are unlikely to
/// choose the same port.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u64> = 10_000..32_768;
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let port = PORTS.start + random % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sends a signal to each of these that still exists.
fn signal(name: &str, processes: &[u32]) {
    for process in processes {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &process.to_string()]);
        // One that has just ended can't be signalled.
        kill.stderr(Stdio::null()).status().unwrap();
    }
}

/// The processes that this one has started, and those that they have.
fn descendants(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten() {
        let name = entry.unwrap().file_name();
        if let Some(process) = name.to_str().and_then(|it| it.parse::<u32>().ok()) {
            if let Some((_, parent)) = state(process) {
                parents.push((process, parent));
            }
        }
    }
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|it| it.1 == parent).map(|it| it.0));
        next += 1;
    }
    found.split_off(1)
}

/// Whether it runs; one that has ended and that nobody has waited for doesn't.
fn is_alive(process: u32) -> bool {
    state(process).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// The state of a process, and its parent.
fn state(process: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may contain anything, parentheses too.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
