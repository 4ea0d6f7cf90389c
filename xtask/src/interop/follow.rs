//! The command under observation, and what it prints.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Context, PATIENCE, programs};
use crate::sh;

/// One event, as sent or as printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) id: String,
    pub(super) data: String,
}

impl Event {
    pub(super) fn new(event: &str, id: &str, data: &str) -> Event {
        Event {
            event: event.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    /// Reads a line of the command's output. Every event here carries an id of its own,
    /// so that `last_event_id` must be the same.
    fn parse(line: &str) -> sh::Outcome<Event> {
        let bad = |what: &str| format!("stdout has a line {what}: {line}");
        let value: Value = serde_json::from_str(line)
            .map_err(|error| bad(&format!("that is no JSON ({error})")))?;
        let text = |key: &str| {
            value[key]
                .as_str()
                .ok_or_else(|| bad(&format!("without a text `{key}`")))
        };
        let event = Event::new(text("event")?, text("id")?, text("data")?);
        if text("last_event_id")? != event.id {
            return Err(bad("whose id and last_event_id differ").into());
        }
        Ok(event)
    }
}

/// A running `everstream URL`.
pub(super) struct Follower {
    process: sh::Guard,
    lines: Receiver<std::io::Result<String>>,
    /// What it has printed so far.
    seen: Vec<Event>,
}

impl Follower {
    /// Starts the command; its diagnostics go to `<name>.log`.
    pub(super) fn start(context: &Context, name: &str, args: &[&str]) -> sh::Outcome<Follower> {
        let log = File::create(context.folder.join(format!("{name}.log")))?;
        let mut command = Command::new(&context.command);
        programs::without_proxies(command.args(args));
        let mut process =
            sh::Guard::start_with("everstream", &command, Stdio::piped(), log.into())?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = process.child().stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines() {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Follower {
            process,
            lines,
            seen: Vec::new(),
        })
    }

    /// Waits until at least `count` events have been printed in all.
    pub(super) fn wait_for(&mut self, count: usize) -> sh::Outcome {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(Event::parse(&line?)?),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "{} of {count} events within {PATIENCE:?}",
                        self.seen.len()
                    )
                    .into());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.process.wait(Duration::from_secs(5))?;
                    return Err(format!(
                        "everstream ended ({status}) after {} of {count} events",
                        self.seen.len()
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    /// How many events it has printed until now, without waiting.
    pub(super) fn count(&mut self) -> sh::Outcome<usize> {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(Event::parse(&line?)?);
        }
        Ok(self.seen.len())
    }

    /// Ends it as Ctrl-C does, requires a clean exit, and returns all that was printed.
    pub(super) fn finish(mut self) -> sh::Outcome<Vec<Event>> {
        self.process.signal("INT")?;
        let status = self.process.wait(Duration::from_secs(5))?;
        if !status.success() {
            return Err(format!("after SIGINT, everstream ended with {status}").into());
        }
        for line in self.lines.iter() {
            self.seen.push(Event::parse(&line?)?);
        }
        Ok(self.seen)
    }
}

/// The lines of a log file, or none while there is no such file.
pub(super) fn log_lines(path: &std::path::Path) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .map(str::to_owned)
        .collect()
}
