//! Headless Chromium.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Outcome;

/// A headless Chromium with one page. Dropping it ends the process.
pub(crate) struct Browser(Child);

impl Browser {
    pub(crate) fn open(chromium: &Path, profile: &Path, url: &str) -> Outcome<Self> {
        let child = Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Keeps the browser open.
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Browser(child))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
