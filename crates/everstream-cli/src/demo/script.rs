//! The server's side: what it publishes, and how it fails.

use std::thread;
use std::time::Duration;

use everstream_testing::{Feed, Gate, Reply, Request, Server};

use super::story::{Story, Tone};
use super::tally::{Published, Sent};

/// The time over which the events are published, whether or not the client is connected.
const PUBLISHING: Duration = Duration::from_millis(7200);

/// The milliseconds that the server asks for with `retry:`.
const RETRY: u64 = 200;

/// How many attempts are refused before the server is back.
const REFUSED: usize = 2;

/// One connection, and how it ends.
struct Act {
    trouble: Trouble,
    /// Which part of all events has been sent then, in percent.
    percent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Drop,
    CutInEvent,
    Reset,
    /// The response ends, and the next request is answered with 503.
    Busy,
    Restart,
    /// Everything has been sent: the response ends, and the next request is answered with 204.
    Finish,
}

/// A connection that follows a long outage begins with a backlog; its share is larger, so that it
/// lasts as long as the others do.
const ACTS: [Act; 6] = [
    act(Trouble::Drop, 12),
    act(Trouble::CutInEvent, 25),
    act(Trouble::Reset, 37),
    act(Trouble::Busy, 50),
    act(Trouble::Restart, 74),
    act(Trouble::Finish, 100),
];

const fn act(trouble: Trouble, percent: usize) -> Act {
    Act { trouble, percent }
}

/// Publishes event after event, evenly over the time.
pub(super) fn publish(events: usize, feed: &Feed, sent: &Sent, story: &Story) {
    let begin = story.elapsed();
    let mut published = 0;
    while published < events {
        let share = (story.elapsed() - begin).as_secs_f64() / PUBLISHING.as_secs_f64();
        // The first one is due at once.
        let due = ((share * events as f64) as usize + 1).min(events);
        while published < due {
            published += 1;
            let event = reading(published);
            sent.note(event.clone());
            feed.push_event(event.event, &event.data);
        }
        let next = PUBLISHING.mul_f64(published as f64 / events as f64);
        let wait = (begin + next).saturating_sub(story.elapsed());
        // Many events are published in batches.
        if !story.pause(wait.max(Duration::from_millis(10))) {
            return;
        }
    }
}

/// An event worth comparing: each is different, and what is hard to transport is among them.
fn reading(number: usize) -> Published {
    let celsius = (number * 37 % 400) as f64 / 10.0;
    match number % 4 {
        0 => Published {
            event: "note",
            data: format!("sensor {number}:\n\n  {celsius} °C\n: not a comment"),
        },
        3 => Published {
            event: "alert",
            data: format!("{{\"n\":{number},\"text\":\"température ≥ {celsius} 🌡\"}}"),
        },
        _ => Published {
            event: "message",
            data: format!("{{\"n\":{number},\"celsius\":{celsius}}}"),
        },
    }
}

impl Act {
    /// How many events have been sent when the connection ends.
    fn position(&self, events: usize) -> usize {
        events * self.percent / 100
    }
}

/// The whole script, with the gates at which its replies and its narrator wait for each other.
pub(super) struct Script {
    scenes: Vec<Scene>,
}

/// One connection, which ends after event `after`.
struct Scene {
    trouble: Trouble,
    after: usize,
    /// Opened when the request has been reported: lets the response begin.
    answer: Gate,
    /// Opened by the server when all events of this connection have been sent.
    sent: Gate,
    /// Opened when the trouble has been announced: lets it happen.
    fail: Gate,
    /// The status that answers the next request, if it gets no stream, and its gate.
    refusal: Option<(u16, Gate)>,
}

impl Script {
    /// Gives the server all its replies, before the first request can arrive.
    pub(super) fn prepare(events: usize, server: &Server, feed: &Feed) -> Script {
        let mut before = 0;
        let scenes = ACTS.iter().map(|act| {
            let after = act.position(events);
            let scene = Scene {
                trouble: act.trouble,
                after,
                answer: Gate::new(),
                sent: Gate::new(),
                fail: Gate::new(),
                refusal: match act.trouble {
                    Trouble::Busy => Some((503, Gate::new())),
                    Trouble::Finish => Some((204, Gate::new())),
                    _ => None,
                },
            };
            scene.enqueue(server, feed, after - before);
            before = after;
            scene
        });
        Script {
            scenes: scenes.collect(),
        }
    }

    /// Plays it to its end, or until the client ends.
    pub(super) fn play(&self, server: &Server, feed: &Feed, story: &Story) {
        let mut narrator = Narrator {
            server,
            feed,
            story,
            requests: 0,
        };
        for scene in &self.scenes {
            if narrator.play(scene).is_none() {
                // The client's side says what has happened.
                return;
            }
        }
    }
}

impl Scene {
    fn enqueue(&self, server: &Server, feed: &Feed, events: usize) {
        let mut portion = feed.take(events);
        if self.trouble == Trouble::CutInEvent {
            portion = portion.and_half();
        }
        let reply = Reply::stream()
            .head_after(&self.answer)
            .retry(RETRY)
            .resume(portion)
            .open(&self.sent)
            .wait_for(&self.fail);
        server.enqueue(match self.trouble {
            Trouble::Drop | Trouble::CutInEvent | Trouble::Restart => reply.drop_connection(),
            Trouble::Reset => reply.reset(),
            Trouble::Busy | Trouble::Finish => reply.end(),
        });
        if let Some((status, answer)) = &self.refusal {
            let mut reply = Reply::status(*status).head_after(answer);
            if *status == 503 {
                reply = reply.header("Retry-After", "1");
            }
            server.enqueue(reply);
        }
    }

    fn announcement(&self) -> String {
        match self.trouble {
            Trouble::Drop => "drops the connection".into(),
            Trouble::CutInEvent => format!(
                "cuts the connection in the middle of event {}",
                self.after + 1
            ),
            Trouble::Reset => "resets the connection".into(),
            Trouble::Busy => "ends the response".into(),
            Trouble::Restart => "shuts down".into(),
            Trouble::Finish => "ends the response: all events are sent".into(),
        }
    }

    fn tone(&self) -> Tone {
        match self.trouble {
            Trouble::Finish => Tone::Plain,
            _ => Tone::Trouble,
        }
    }
}

/// Announces each thing before it lets it happen, so that the lines are in order.
struct Narrator<'a> {
    server: &'a Server,
    feed: &'a Feed,
    story: &'a Story,
    requests: usize,
}

impl Narrator<'_> {
    /// `None`: the demo has ended.
    fn play(&mut self, scene: &Scene) -> Option<()> {
        let request = self.next_request()?;
        self.story.server(Tone::Plain, &self.asked(&request));
        scene.answer.open();
        self.in_slices(|slice| scene.sent.wait(slice))?;
        // A reset may discard events that are still in transit. The client would get them after
        // it has resumed, but the lines would differ from run to run.
        if !self
            .story
            .wait_until(|client| client.received >= scene.after)
        {
            return None;
        }
        self.story.report_received();
        self.story.server(scene.tone(), &scene.announcement());
        if scene.trouble == Trouble::Restart {
            self.restart()?;
        }
        scene.fail.open();
        if let Some((status, answer)) = &scene.refusal {
            self.next_request()?;
            match status {
                503 => {
                    let text = "answers 503 with Retry-After: 1";
                    self.story.server(Tone::Trouble, text);
                }
                _ => self
                    .story
                    .server(Tone::Plain, "answers 204: no more events"),
            }
            answer.open();
        }
        Some(())
    }

    fn restart(&self) -> Option<()> {
        self.server.stop();
        if !self.story.wait_until(|client| client.refused >= REFUSED) {
            return None;
        }
        match self.server.restart() {
            Ok(()) => {
                let text = "is back on the same port";
                self.story.server(Tone::Recovery, text);
                Some(())
            }
            Err(error) => {
                let text = format!("can't listen on its port again: {error}");
                self.story.server(Tone::Trouble, &text);
                self.story.update(|progress| progress.over = true);
                None
            }
        }
    }

    /// What the request asks for, as it was received.
    fn asked(&self, request: &Request) -> String {
        let Some(id) = request.header("last-event-id") else {
            return format!("gets a request without Last-Event-ID; sends retry: {RETRY}");
        };
        let new = id
            .parse()
            .map_or(0, |id: usize| self.feed.len().saturating_sub(id));
        let plural = if new == 1 { "" } else { "s" };
        format!("gets a request with Last-Event-ID: {id} ({new} event{plural} published since)")
    }

    fn next_request(&mut self) -> Option<Request> {
        self.requests += 1;
        let number = self.requests;
        self.in_slices(|slice| self.server.wait_for_requests(number, slice))?;
        self.server
            .requests()
            .into_iter()
            .find(|request| request.number == number)
    }

    /// Waits in slices, to see in between whether the demo has ended.
    fn in_slices(&self, wait: impl Fn(Duration) -> bool) -> Option<()> {
        const SLICE: Duration = Duration::from_millis(50);
        loop {
            if wait(SLICE) {
                return Some(());
            }
            if self.story.has_ended() {
                return None;
            }
        }
    }
}

/// Runs `work` concurrently with the client.
pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_in_an_event_has_an_event_to_cut() {
        for events in (1..=100).chain([1000, 99_999, 1_000_000]) {
            for act in &ACTS {
                let after = act.position(events);
                match act.trouble {
                    Trouble::Finish => assert_eq!(after, events),
                    _ => assert!(after < events),
                }
            }
        }
    }

    #[test]
    fn consecutive_events_differ() {
        for number in 1..1000 {
            assert_ne!(reading(number), reading(number + 1));
        }
    }
}
