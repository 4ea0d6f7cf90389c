//! Running other programs: in the foreground, captured, logged to a file, or guarded.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Wrong arguments, as opposed to a check that failed: exit status 2 instead of 1.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

/// A failure that the command has already reported in its output.
#[derive(Debug)]
pub(crate) struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed; see above")
    }
}

impl Error for Reported {}

/// For commands that take no arguments.
pub(crate) fn no_arguments(command: &str, args: &[String]) -> Outcome {
    match args.first() {
        None => Ok(()),
        Some(arg) => {
            Err(UsageError(format!("`cargo xtask {command}` takes no argument `{arg}`")).into())
        }
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder, even if it is configured elsewhere: this program is in its `debug` folder.
pub(crate) fn target() -> Outcome<PathBuf> {
    let exe = std::env::current_exe()?;
    match exe.parent().and_then(Path::parent) {
        Some(target) => Ok(target.to_path_buf()),
        None => Err(format!("{} isn't in a target folder", exe.display()).into()),
    }
}

/// Cargo's folder with the registries.
pub(crate) fn cargo_home() -> Outcome<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = std::env::home_dir().ok_or("there is no home directory")?;
    Ok(home.join(".cargo"))
}

/// Creates an empty folder, and deletes one with the same path first.
pub(crate) fn empty_folder(path: &Path) -> Outcome {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(fs::create_dir_all(path)?)
}

/// The cargo that runs this program, started in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    command
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// Shows the command that is about to run, on stderr like cargo's progress.
pub(crate) fn announce(command: &Command) {
    eprintln!("\n$ {}", shown(command));
}

/// Runs in the foreground; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Outcome {
    announce(command);
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    success(command, status)
}

/// Runs quietly and returns stdout; on failure the error carries stderr.
pub(crate) fn capture(command: &mut Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{}` ended with {}:\n{}",
        shown(command),
        output.status,
        stderr.trim_end()
    )
    .into())
}

/// Runs quietly, all output to a log file; on failure the error names the file.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Outcome {
    announce(command);
    let file = File::create(log)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .map_err(|error| not_started(command, &error))?;
    success(command, status).map_err(|error| format!("{error}; see {}", log.display()).into())
}

pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Box<dyn Error> {
    format!("cannot start `{}`: {error}", shown(command)).into()
}

fn success(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", shown(command)).into())
    }
}

/// A process that ends with this value, and with this program.
pub(crate) struct Guard {
    name: String,
    child: Child,
}

impl Guard {
    /// Starts `command`, without standard input.
    ///
    /// Call this from the main thread only: the kernel ends the child when the *thread*
    /// that started it ends.
    pub(crate) fn start_with(
        name: &str,
        command: &Command,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Outcome<Guard> {
        Guard::start_reading(name, command, [Stdio::null(), stdout, stderr])
    }

    /// Starts `command` with its standard input, output and error.
    pub(crate) fn start_reading(
        name: &str,
        command: &Command,
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> Outcome<Guard> {
        // `drop` covers errors and panics. `setpriv`, if installed, covers the death of this
        // program by a signal, which runs no destructor. It replaces itself with the program, so
        // the process id is that of the program.
        let setpriv = Path::new("/usr/bin/setpriv");
        let mut wrapped = if setpriv.exists() {
            let mut wrapped = Command::new(setpriv);
            wrapped
                .args(["--pdeathsig", "TERM"])
                .arg(command.get_program());
            wrapped
        } else {
            Command::new(command.get_program())
        };
        wrapped.args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        let child = wrapped
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|error| not_started(command, &error))?;
        Ok(Guard {
            name: name.to_owned(),
            child,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error if the process has ended.
    pub(crate) fn check_alive(&mut self) -> Outcome {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended unexpectedly with {status}", self.name).into()),
        }
    }

    /// Sends a signal by its short name, such as `TERM`.
    pub(crate) fn signal(&mut self, signal: &str) -> Outcome {
        // After a wait, the id may belong to another process.
        self.check_alive()?;
        signal_process(self.id(), signal)
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(format!("{} did not end within {limit:?}", self.name).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // TERM first: a killed server leaves its workers running.
        if self.signal("TERM").is_ok() && self.wait(Duration::from_secs(3)).is_ok() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its short name to one process. The standard library can only kill.
pub(crate) fn signal_process(id: u32, signal: &str) -> Outcome {
    capture(Command::new("kill").args([format!("-{signal}"), id.to_string()]))?;
    Ok(())
}
