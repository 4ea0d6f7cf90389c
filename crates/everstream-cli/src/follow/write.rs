//! What is done with an event: it is written, goes through `--jq`, or to a command.

use std::time::SystemTime;

use everstream::Event;

use super::Follower;
use crate::end::End;
use crate::explain;
use crate::jq;
use crate::report;

/// The results of the `--jq` program for an event.
enum Results {
    None,
    /// The event is done.
    Written,
    /// The input of a command.
    Input(String),
}

impl Follower<'_> {
    /// Writes the event, or passes it to a command. Returns false if the `--jq` program has no
    /// result for it.
    pub(super) async fn write(&mut self, event: &Event, now: SystemTime) -> Result<bool, End> {
        let input = match (&self.jq, &self.jobs) {
            // MCP servers begin a stream with such an event.
            (Some(_), _) if event.data().is_empty() => return Ok(false),
            (Some(_), _) => match self.results(event).await? {
                Results::None => return Ok(false),
                Results::Written => return Ok(true),
                Results::Input(input) => input,
            },
            (None, Some(_)) => event.data().to_owned(),
            (None, None) => {
                self.printer.event(event, now).map_err(End::Output)?;
                return Ok(true);
            }
        };
        if let Some(jobs) = &mut self.jobs {
            self.progress.begin(self.received, event.last_event_id());
            jobs.start(self.received, event, input);
        }
        Ok(true)
    }

    /// Runs the `--jq` program. After an error there is no input for a command.
    async fn results(&mut self, event: &Event) -> Result<Results, End> {
        let Some(jq) = &mut self.jq else {
            return Ok(Results::None);
        };
        let (mut any, mut input) = (false, String::new());
        let mut results = jq.run(event).await;
        let problem = loop {
            let result = tokio::select! {
                result = results.next() => result,
                // A program may run forever.
                () = self.stop.close_when_requested() => {
                    drop(results);
                    self.interrupted = true;
                    return Err(self.over());
                }
            };
            match result {
                None => break None,
                Some(Err(problem)) => break Some(problem),
                Some(Ok(json)) if self.jobs.is_none() => {
                    self.printer.result(&json).map_err(End::Output)?;
                }
                Some(Ok(json)) if input.len() + json.len() > jq::LONGEST => {
                    break Some("its results are longer than 128 MiB in total".to_owned());
                }
                Some(Ok(json)) => {
                    input += &json;
                    input.push('\n');
                }
            }
            any = true;
        };
        self.failed_last = problem.is_some();
        if let Some(problem) = problem {
            self.failures += 1;
            let name = explain::name(event);
            report::error(&format!("--jq failed for {name}: {problem}"), None);
            if self.args.select.until.option().is_none() {
                explain::hint_at_done(event);
            }
            return Ok(Results::Written);
        }
        Ok(match (any, &self.jobs) {
            (false, _) => Results::None,
            (true, None) => Results::Written,
            (true, Some(_)) => Results::Input(input),
        })
    }
}
