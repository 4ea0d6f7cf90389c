//! A headless Chromium, driven over a pipe with the DevTools protocol.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;

/// How long a command of the protocol may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How long Chromium may take to exit.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// Chromium reads commands from file descriptor 3, and exits once this program has closed it, even if the
/// program was killed. The shell then removes the profile.
const SCRIPT: &str = r#"profile=$1; shift; "$@" 3<&0 4>&1 </dev/null >/dev/null
    for attempt in 1 2 3; do rm -rf "$profile" && break; sleep 1; done"#;

/// A Chromium with a fresh profile. Dropping it ends the process and removes the profile.
pub struct Browser {
    shell: Child,
    pipe: Mutex<Option<Pipe>>,
}

struct Pipe {
    commands: ChildStdin,
    responses: Receiver<Value>,
    last_id: u64,
}

/// A page in a window of its own.
pub struct Window(String);

impl Browser {
    /// Starts Chromium. `profile` must not exist yet.
    pub fn start(chromium: &Path, profile: &Path) -> Outcome<Self> {
        let log = File::create(profile.with_extension("log"))?;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args([profile, chromium])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            // Dates without a time zone must not be taken for local ones.
            .env("TZ", "America/New_York")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // To end all of its processes, should that be necessary.
            .process_group(0)
            .spawn()?;
        let (Some(commands), Some(output)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err("the shell has no pipes".into());
        };
        let (sender, responses) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                if let Ok(message) = serde_json::from_slice(&message) {
                    let _ = sender.send(message);
                }
            }
        });
        let pipe = Pipe {
            commands,
            responses,
            last_id: 0,
        };
        let browser = Browser {
            shell,
            pipe: Mutex::new(Some(pipe)),
        };
        browser.call("Browser.getVersion", &json!({}))?;
        Ok(browser)
    }

    /// Opens a page in a new window. A new tab would hide the page in front, whose timers would then be
    /// throttled.
    pub fn open(&self, url: &str) -> Outcome<Window> {
        let parameters = json!({ "url": url, "newWindow": true });
        let result = self.call("Target.createTarget", &parameters)?;
        match result["targetId"].as_str() {
            Some(id) => Ok(Window(id.to_owned())),
            None => Err(format!("Chromium opened no window: {result}").into()),
        }
    }

    /// Minimizes the page's window: the page is then hidden, and its timers are throttled.
    pub fn minimize(&self, window: &Window) -> Outcome {
        let found = self.call(
            "Browser.getWindowForTarget",
            &json!({ "targetId": window.0 }),
        )?;
        let bounds = json!({ "windowState": "minimized" });
        let parameters = json!({ "windowId": found["windowId"], "bounds": bounds });
        self.call("Browser.setWindowBounds", &parameters).map(drop)
    }

    /// Closes a window. Its page and workers end, and their connections are closed.
    pub fn close(&self, window: &Window) -> Outcome {
        self.call("Target.closeTarget", &json!({ "targetId": window.0 }))
            .map(drop)
    }

    fn call(&self, method: &str, parameters: &Value) -> Outcome<Value> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = pipe.as_mut().ok_or("Chromium has ended")?;
        pipe.last_id += 1;
        let command = json!({ "id": pipe.last_id, "method": method, "params": parameters });
        pipe.commands.write_all(format!("{command}\0").as_bytes())?;
        let deadline = Instant::now() + COMMAND_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = pipe.responses.recv_timeout(left);
            let message = message.map_err(|_| format!("no response from Chromium to {method}"))?;
            // Others are events, or responses to commands that took too long.
            if message["id"] == pipe.last_id {
                return match message.get("error") {
                    None => Ok(message["result"].clone()),
                    Some(error) => Err(format!("{method}: {error}").into()),
                };
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let pipe = self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
        let deadline = Instant::now() + EXIT_LIMIT;
        while let Ok(None) = self.shell.try_wait() {
            if Instant::now() > deadline {
                let group = format!("-{}", self.shell.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.shell.wait();
    }
}
