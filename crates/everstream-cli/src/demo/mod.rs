//! `everstream demo`: follows a server that keeps failing, and checks every event.
//!
//! The server is a real one, on a free port of this machine; its script is in `script.rs`. The
//! client is the library's, with shorter delays than its defaults. `tally.rs` compares what was
//! sent with what was received, and `story.rs` prints what the two sides do.

mod script;
mod story;
mod tally;

use std::time::Duration;

use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::retry_delay::backoff;
use everstream::{Action, Error, Failure, FailureKind, Fault, Http, SseClient};
use everstream_testing::{Feed, Server};

use crate::args::DemoArgs;
use crate::exit::Exit;
use crate::explain::seconds;
use crate::report;
use crate::stop::{Limits, Stop};
use script::Script;
use story::{Story, Tone};
use tally::{Sent, Summary, Tally};

/// The longest delay. The default of 30 s suits servers that may be down for hours.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The backoff resets after a connection that lasted this long. The default is 60 s.
const RESET_THRESHOLD: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &DemoArgs) -> Exit {
    crate::block_on(demo(args.events))
}

async fn demo(events: u32) -> Exit {
    let story = Story::begin();
    let exit = match prepare(events as usize, &story) {
        Ok(mut client) => client.follow().await,
        Err(problem) => {
            report::error("the demo can't start", Some(&*problem));
            Exit::Failed
        }
    };
    // Lets the server's side end, if it hasn't.
    story.update(|progress| progress.over = true);
    exit
}

/// The client's side.
struct Client {
    client: SseClient,
    stop: Stop,
    story: Story,
    tally: Tally,
    connections: usize,
    /// Kept alive until the end.
    _server: std::sync::Arc<Server>,
}

fn prepare(events: usize, story: &Story) -> Result<Client, Box<dyn std::error::Error>> {
    let server = std::sync::Arc::new(Server::try_start()?);
    // A proxy in the environment has no way to this port.
    let client = SseClient::builder(Http::new(server.url("/readings")).no_proxy())
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
        .retry_delay_strategy(backoff().max_delay(MAX_DELAY))
        .retry_delay_reset_threshold(RESET_THRESHOLD)
        .build()?;
    let limits = Limits {
        exit: Exit::Failed,
        deadline: None,
        commands: None,
    };
    let stop = Stop::watch(client.handle(), limits)?;
    let (feed, sent) = (Feed::new(), Sent::default());
    let script = Script::prepare(events, &server, &feed);

    let plural = if events == 1 { "" } else { "s" };
    let text = format!(
        "publishes {events} event{plural} at {}",
        server.url("/readings")
    );
    story.server(Tone::Plain, &text);
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
        _server: server,
    })
}

impl Client {
    async fn follow(&mut self) -> Exit {
        loop {
            let patience = self.story.patience();
            let next = tokio::time::timeout(patience, self.client.next_action()).await;
            match next {
                Ok(Some(Ok(action))) => self.take(action),
                Ok(Some(Err(error))) => return self.end(&error),
                Ok(None) => {
                    let by = self.stop.asked().unwrap_or("the client");
                    let why = format!("the demo was stopped by {by} before it had finished");
                    return self.unfinished(&why);
                }
                Err(_) => {
                    let time = seconds(self.story.elapsed());
                    return self
                        .unfinished(&format!("the demo hung, and was stopped after {time}"));
                }
            }
            if self.story.output_is_closed() {
                return Exit::Done;
            }
            if self.story.has_ended() {
                return self.unfinished("the server can't continue");
            }
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Event(event) => {
                self.tally.receive(&event, self.story.elapsed());
                self.story.receive(self.tally.highest());
            }
            Action::Start(_) => {
                self.connections += 1;
                self.story.update(|progress| progress.refused = 0);
                let text = match (self.connections, self.client.last_event_id()) {
                    (1, _) => "connected".to_owned(),
                    (_, None) => "reconnected, from the start".to_owned(),
                    (_, Some(id)) => format!("resumed after event {id}"),
                };
                self.story.client(Tone::Recovery, &text);
            }
            Action::Fault(fault) => self.lost(Some(&fault)),
            Action::End(_) => self.lost(None),
            _ => {}
        }
    }

    fn lost(&mut self, fault: Option<&Fault>) {
        self.story.report_received();
        let what = match fault {
            None => "the server ended the response".to_owned(),
            Some(fault) if fault.is_connect() => "connection refused".to_owned(),
            Some(Fault::Status(response)) => format!("got status {}", response.status),
            Some(fault) => format!("connection lost ({})", cause(fault)),
        };
        let delay = seconds(self.client.next_retry_delay());
        self.story
            .client(Tone::Fault, &format!("{what}; retrying in {delay}"));
        if fault.is_some_and(Fault::is_connect) {
            self.story.update(|progress| progress.refused += 1);
        }
    }

    /// The client has given up, as it should after a 204.
    fn end(&mut self, error: &Error) -> Exit {
        if error.status() != Some(204) {
            return self.unfinished(&format!("the demo failed: {}", report::chain(error)));
        }
        let text = "the stream has ended (status 204); not retrying";
        self.story.client(Tone::Plain, text);
        let summary = self.tally.summary(true);
        self.sum_up(&summary);
        if summary.is_perfect() {
            let text = "Every event arrived once, unchanged and in order.";
            self.story.verdict(true, text);
            self.story
                .print("Check your own server: everstream check URL");
            Exit::Done
        } else {
            let text = "Not every event arrived once, unchanged and in order.";
            self.story.verdict(false, text);
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
        let wrong = |name: &str, count: usize| {
            let color = if count > 0 { "\x1b[31m" } else { "" };
            let text = self.story.painted(color, &format!("{name:<14} {count:>7}"));
            self.story.print(&format!("  {text}"));
        };
        self.story.print("");
        line("events sent", &(summary.sent - summary.pending));
        line("received", &summary.received);
        if summary.pending > 0 {
            line("not yet sent", &summary.pending);
        }
        wrong("lost", summary.lost);
        wrong("duplicated", summary.duplicated);
        wrong("altered", summary.altered);
        wrong("out of order", summary.misplaced);
        wrong("unexpected", summary.unknown);
        line("reconnects", &self.connections.saturating_sub(1));
        line("longest gap", &seconds(summary.longest_gap));
    }
}

/// How the connection was lost, in a few words.
fn cause(fault: &Fault) -> String {
    match fault.failure().map(Failure::kind) {
        Some(FailureKind::Reset) => "reset by the server".to_owned(),
        Some(FailureKind::Closed) => "closed mid-response".to_owned(),
        _ => report::chain(fault),
    }
}
