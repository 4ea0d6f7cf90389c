//! `everstream serve` and `everstream replay`, under observation.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use super::Context;
use super::follow::{Event, log_lines};
use super::programs::wait;
use crate::sh;

pub(super) struct Served {
    _process: sh::Guard,
    input: Option<ChildStdin>,
    log: PathBuf,
    pub(super) port: u16,
}

impl Served {
    /// Starts `everstream ARGS`; its diagnostics go to `<name>.log`.
    pub(super) fn start(context: &Context, name: &str, args: &[&str]) -> sh::Outcome<Served> {
        let log = context.folder.join(format!("{name}.log"));
        let mut command = Command::new(&context.command);
        command.args(args);
        let streams = [Stdio::piped(), Stdio::piped(), File::create(&log)?.into()];
        let mut process = sh::Guard::start_reading("everstream", &command, streams)?;
        let mut url = String::new();
        if let Some(stdout) = process.child().stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let port = url.trim().trim_end_matches('/').rsplit(':').next();
        let port = port.and_then(|port| port.parse().ok());
        let input = process.child().stdin.take();
        Ok(Served {
            port: port.ok_or_else(|| format!("no URL; see {}", log.display()))?,
            _process: process,
            input,
            log,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Writes a line to its standard input.
    pub(super) fn line(&mut self, line: &str) -> sh::Outcome {
        let input = self.input.as_mut().ok_or("it reads nothing")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// How many clients it has had.
    pub(super) fn clients(&self) -> usize {
        let is_client = |line: &&String| line.contains("everstream: client ");
        log_lines(&self.log).iter().filter(is_client).count()
    }

    /// Waits until it has had this many clients.
    pub(super) fn wait_for_clients(&self, count: usize) -> sh::Outcome {
        wait(&format!("{count} clients"), || Ok(self.clients() >= count))
    }
}

/// Events without what differs from run to run of `serve`: `5f2c81d0-7` is `7`.
pub(super) fn without_run(events: &[Event]) -> Vec<Event> {
    let number = |id: &str| id.rsplit('-').next().unwrap_or_default().to_owned();
    let event = |event: &Event| Event::new(&event.event, &number(&event.id), &event.data);
    events.iter().map(event).collect()
}
