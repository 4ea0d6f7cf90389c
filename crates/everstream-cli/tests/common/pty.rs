//! A pseudo-terminal for a shell command, created by `script` of util-linux, and its screen.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use super::{PATIENCE, clean};

pub(crate) struct Pty {
    script: Child,
    keyboard: ChildStdin,
    shared: Arc<(Mutex<Shown>, Condvar)>,
}

struct Shown {
    screen: vt100::Parser,
    /// Everything written so far.
    written: String,
    over: bool,
}

impl Pty {
    /// Runs a shell command in a terminal of this size.
    pub(crate) fn run(rows: u16, columns: u16, line: &str, environment: &[(&str, &str)]) -> Pty {
        let mut script = Command::new("script");
        clean(&mut script);
        let line = format!("stty rows {rows} cols {columns}; {line}");
        let mut script = script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need the program script (Debian: bsdutils)");
        let shared = Arc::new((
            Mutex::new(Shown {
                screen: vt100::Parser::new(rows, columns, 1000),
                written: String::new(),
                over: false,
            }),
            Condvar::new(),
        ));
        let mut output = script.stdout.take().unwrap();
        let (shown, pty) = (shared.clone(), shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            let mut rest = Vec::new();
            loop {
                let count = output.read(&mut buffer).unwrap_or(0);
                let mut shown_now = shown.0.lock().unwrap();
                shown_now.screen.process(&buffer[..count]);
                rest.extend_from_slice(&buffer[..count]);
                // A read may split a character.
                let whole = match std::str::from_utf8(&rest) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                let text: Vec<u8> = rest.drain(..whole).collect();
                shown_now.written += std::str::from_utf8(&text).unwrap();
                shown_now.over = count == 0;
                shown.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Pty {
            keyboard: script.stdin.take().unwrap(),
            script,
            shared: pty,
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Resizes the screen; `stty` resizes the terminal itself.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.shared.0.lock().unwrap().screen.set_size(rows, columns);
    }

    /// Waits until the text of the screen satisfies this, and returns it.
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let contents = |shown: &Shown| shown.screen.screen().contents();
        let (shown, changed) = &*self.shared;
        let (shown, _) = changed
            .wait_timeout_while(shown.lock().unwrap(), PATIENCE, |shown| {
                !is(&contents(shown)) && !shown.over
            })
            .unwrap();
        let text = contents(&shown);
        drop(shown);
        assert!(is(&text), "no {what} on this screen:\n{text}");
        text
    }

    /// Waits until the screen shows this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    pub(crate) fn with_screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shared.0.lock().unwrap().screen.screen())
    }

    /// Everything written so far.
    pub(crate) fn written(&self) -> String {
        self.shared.0.lock().unwrap().written.clone()
    }

    /// Waits for the end of the shell command, and returns its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let (shown, changed) = &*self.shared;
        let (shown, _) = changed
            .wait_timeout_while(shown.lock().unwrap(), PATIENCE, |shown| !shown.over)
            .unwrap();
        let text = shown.screen.screen().contents();
        let over = shown.over;
        drop(shown);
        assert!(over, "it still runs:\n{text}");
        self.script.wait().unwrap().code().unwrap()
    }

    /// Closes the terminal abruptly.
    pub(crate) fn kill(&mut self) {
        self.script.kill().unwrap();
        self.script.wait().unwrap();
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        _ = self.script.kill();
        _ = self.script.wait();
    }
}
