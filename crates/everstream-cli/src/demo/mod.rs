//! `everstream demo`: follows a server that fails in every way, and counts what arrives.
//!
//! The server is a real one, on a free port of this machine, and the client is the one that
//! everybody uses. Its script is in `script.rs`, the count in `tally.rs`, and what the two sides
//! tell in `story.rs`.

mod script;
mod story;
mod tally;

use std::time::Duration;

use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Action, Error, Fault, Http, SseClient};
use everstream_testing::{Feed, Server};

use crate::args::DemoArgs;
use crate::exit::Exit;
use crate::explain::seconds;
use crate::report;
use crate::stop::{Limits, Stop};
use script::Script;
use story::Story;
use tally::{Sent, Summary, Tally};

/// Far more than the ten seconds that it takes; only a hang gets there.
const LIMIT: Duration = Duration::from_secs(60);

/// More than twice the longest silence, which is that between two events if there are only two.
const SILENCE: Duration = Duration::from_secs(15);

/// More time for many events, on a slow machine.
const LIMIT_PER_EVENT: Duration = Duration::from_millis(1);

pub(crate) fn run(args: &DemoArgs) -> Exit {
    crate::block_on(demo(args.events))
}

async fn demo(events: u32) -> Exit {
    let story = Story::begin(LIMIT + LIMIT_PER_EVENT * events);
    let exit = match prepare(events as usize, &story) {
        Ok(mut client) => client.follow().await,
        Err(problem) => {
            report::error("the demo can't begin", Some(&*problem));
            Exit::Failed
        }
    };
    // Lets the server's side end, if it hasn't.
    story.update(|client| client.over = true);
    exit
}

/// The client's side.
struct Client {
    client: SseClient,
    stop: Stop,
    story: Story,
    tally: Tally,
    connections: usize,
    /// The newest event that has been told of.
    told: usize,
    /// Kept alive until the end.
    _server: std::sync::Arc<Server>,
}

fn prepare(events: usize, story: &Story) -> Result<Client, Box<dyn std::error::Error>> {
    let server = std::sync::Arc::new(Server::try_start()?);
    // A proxy in the environment has no way to this port.
    let client = SseClient::builder(Http::new(server.url("/readings")).no_proxy())
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
        .build()?;
    let limits = Limits {
        exit: Exit::Failed,
        deadline: None,
        commands: None,
    };
    let stop = Stop::watch(client.handle(), limits)?;
    let (feed, sent) = (Feed::new(), Sent::default());
    let script = Script::prepare(events, &server, &feed);

    story.server(&format!(
        "publishes {events} events at {}",
        server.url("/readings")
    ));
    script::spawn("publisher", {
        let (feed, sent, story) = (feed.clone(), sent.clone(), story.clone());
        move || script::publish(events, &feed, &sent, &story)
    })?;
    script::spawn("script", {
        let (server, story) = (server.clone(), story.clone());
        move || script.play(&server, &feed, &story)
    })?;
    Ok(Client {
        client,
        stop,
        story: story.clone(),
        tally: Tally::new(sent),
        connections: 0,
        told: 0,
        _server: server,
    })
}

impl Client {
    async fn follow(&mut self) -> Exit {
        loop {
            let patience = self.story.left().min(SILENCE);
            let next = tokio::time::timeout(patience, self.client.next_action()).await;
            match next {
                Ok(Some(Ok(action))) => self.take(action),
                Ok(Some(Err(error))) => return self.end(&error),
                Ok(None) => {
                    let by = self.stop.asked().unwrap_or("the client");
                    return self
                        .unfinished(&format!("the demo was stopped by {by} before its end"));
                }
                Err(_) => {
                    let what = if self.story.left().is_zero() {
                        "it isn't finished"
                    } else {
                        "nothing happens any more"
                    };
                    return self.unfinished(&format!(
                        "the demo was ended after {}, because {what}: a fault in Everstream, \
                         unless this machine has far too much to do",
                        seconds(self.story.elapsed())
                    ));
                }
            }
            if self.story.is_unheard() {
                // Whoever reads has enough, as in `| head -1`.
                return Exit::Done;
            }
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Event(event) => {
                self.tally.receive(&event, self.story.elapsed());
                let received = self.tally.highest();
                self.story.update(|client| client.received = received);
            }
            Action::Start(_) => {
                self.connections += 1;
                self.story.update(|client| client.refused = 0);
                match (self.connections, self.client.last_event_id()) {
                    (1, _) => self.story.client("connected"),
                    (_, None) => self.story.client("connected again, from the beginning"),
                    (_, Some(id)) => self.story.client(&format!("resumed after event {id}")),
                }
            }
            Action::Fault(fault) => self.lost(fault.as_ref()),
            _ => {}
        }
    }

    fn lost(&mut self, fault: Option<&Fault>) {
        self.tell_received();
        let what = match fault {
            None => "the server has ended the response".to_owned(),
            Some(fault) if fault.is_connect() => "connection refused".to_owned(),
            Some(Fault::Status(response)) => format!("got status {}", response.status),
            Some(fault) => format!("connection lost ({})", cause(fault)),
        };
        self.story.client(&format!(
            "{what}; {} received so far; asks again in {}",
            self.tally.received(),
            seconds(self.client.next_retry_delay())
        ));
        if fault.is_some_and(Fault::is_connect) {
            self.story.update(|client| client.refused += 1);
        }
    }

    fn tell_received(&mut self) {
        let (first, last) = (self.told + 1, self.tally.highest());
        if last > first {
            self.story
                .client(&format!("received events {first} to {last}"));
        } else if last == first {
            self.story.client(&format!("received event {last}"));
        }
        self.told = last;
    }

    /// The iteration is over: as it should be, if the server has said so.
    fn end(&mut self, error: &Error) -> Exit {
        if error.status() != Some(204) {
            return self.unfinished(&format!("the demo failed: {}", report::chain(error)));
        }
        self.story.client("stops asking");
        let summary = self.tally.summary(true);
        self.sum_up(&summary);
        if summary.is_perfect() {
            self.story
                .print("\nEvery event arrived once, unchanged and in order.");
            Exit::Done
        } else {
            self.story
                .print("\nNot every event arrived once, unchanged and in order.");
            Exit::Failed
        }
    }

    fn unfinished(&self, why: &str) -> Exit {
        self.sum_up(&self.tally.summary(false));
        report::error(why, None);
        Exit::Failed
    }

    fn sum_up(&self, summary: &Summary) {
        let line = |name: &str, value: &dyn std::fmt::Display| {
            self.story.print(&format!("  {name:<14} {value:>7}"));
        };
        self.story.print("");
        line("events sent", &(summary.sent - summary.to_come));
        line("received", &summary.received);
        if summary.to_come > 0 {
            line("still to come", &summary.to_come);
        }
        line("lost", &summary.lost);
        line("duplicated", &summary.duplicated);
        line("altered", &summary.altered);
        line("out of order", &summary.misplaced);
        line("never sent", &summary.unknown);
        line("reconnects", &self.connections.saturating_sub(1));
        line("longest gap", &seconds(summary.longest_gap));
    }
}

/// The innermost cause, which is the one that says what happened.
fn cause(fault: &Fault) -> String {
    let mut cause: &dyn std::error::Error = fault;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
