//! The server's side: what it publishes, and how it fails.

use std::thread;
use std::time::Duration;

use everstream_testing::{Feed, Gate, Reply, Request, Server};

use super::story::Story;
use super::tally::{Published, Sent};

/// The time over which the events are published, whether or not the client is there.
const PUBLISHING: Duration = Duration::from_secs(9);

/// How many refused attempts the server stays away for.
const AWAY: usize = 2;

/// One connection, and what becomes of it.
struct Act {
    /// Milliseconds, for a `retry:` field at the beginning.
    retry: Option<u64>,
    trouble: Trouble,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Drop,
    CutInEvent,
    Reset,
    /// An orderly end, then 503 to the next request.
    Busy,
    Restart,
    /// All is sent: an orderly end, then 204.
    Finish,
}

/// The base of the delays changes, so that the whole takes about ten seconds: without that, the
/// delay would double from one short connection to the next.
const ACTS: [Act; 6] = [
    Act {
        retry: Some(300),
        trouble: Trouble::Drop,
    },
    Act {
        retry: None,
        trouble: Trouble::CutInEvent,
    },
    Act {
        retry: Some(250),
        trouble: Trouble::Reset,
    },
    Act {
        retry: Some(200),
        trouble: Trouble::Busy,
    },
    Act {
        retry: Some(150),
        trouble: Trouble::Restart,
    },
    Act {
        retry: Some(100),
        trouble: Trouble::Finish,
    },
];

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

/// Where the server's troubles happen: after this many events.
fn position(act: usize, events: usize) -> usize {
    events * (act + 1) / ACTS.len()
}

/// The whole script, with the gates at which its replies and its narrator wait for each other.
pub(super) struct Script {
    scenes: Vec<Scene>,
}

/// One connection, which fails after event `after`.
struct Scene {
    act: &'static Act,
    after: usize,
    /// Opened when the request has been told of: lets the response begin.
    answer: Gate,
    /// Opened by the server when all events of this connection have been sent.
    sent: Gate,
    /// Opened when the trouble has been told of: lets it happen.
    fail: Gate,
    /// The status that answers the next request, if it gets no stream, and its gate.
    refusal: Option<(u16, Gate)>,
}

impl Script {
    /// Gives the server all its replies, before the first request can come.
    pub(super) fn prepare(events: usize, server: &Server, feed: &Feed) -> Script {
        let mut before = 0;
        let scenes = ACTS.iter().enumerate().map(|(index, act)| {
            let after = position(index, events);
            let scene = Scene {
                act,
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

    /// Plays it. It returns early if the client is over, or the time.
    pub(super) fn play(&self, server: &Server, feed: &Feed, story: &Story) {
        let mut narrator = Narrator {
            server,
            feed,
            story,
            requests: 0,
        };
        for scene in &self.scenes {
            if narrator.play(scene).is_none() {
                // The client's side tells what has become of it.
                return;
            }
        }
    }
}

impl Scene {
    fn enqueue(&self, server: &Server, feed: &Feed, events: usize) {
        let mut portion = feed.take(events);
        if self.act.trouble == Trouble::CutInEvent {
            portion = portion.and_half();
        }
        let mut reply = Reply::stream().head_after(&self.answer);
        if let Some(retry) = self.act.retry {
            reply = reply.retry(retry);
        }
        reply = reply.resume(portion).open(&self.sent).wait_for(&self.fail);
        server.enqueue(match self.act.trouble {
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

    fn trouble(&self) -> String {
        match self.act.trouble {
            Trouble::Drop => "drops the connection".into(),
            Trouble::CutInEvent => format!(
                "cuts the connection in the middle of event {}",
                self.after + 1
            ),
            Trouble::Reset => "resets the connection".into(),
            Trouble::Busy => "ends the response".into(),
            Trouble::Restart => "stops; nobody listens any more".into(),
            Trouble::Finish => "has published everything; ends the response".into(),
        }
    }
}

/// Tells of each thing before it lets it happen, so that the story is in order.
struct Narrator<'a> {
    server: &'a Server,
    feed: &'a Feed,
    story: &'a Story,
    requests: usize,
}

impl Narrator<'_> {
    /// `None`: the client is over, or the time.
    fn play(&mut self, scene: &Scene) -> Option<()> {
        let request = self.next_request()?;
        self.story.server(&self.asked(&request, scene.act.retry));
        scene.answer.open();
        self.in_slices(|slice| scene.sent.wait(slice))?;
        // What is on its way when a connection is reset may or may not arrive. The client would
        // get it in either case, but the story would differ from time to time.
        if !self
            .story
            .wait_until(|client| client.received >= scene.after)
        {
            return None;
        }
        self.story.server(&scene.trouble());
        if scene.act.trouble == Trouble::Restart {
            self.restart()?;
        }
        scene.fail.open();
        if let Some((status, answer)) = &scene.refusal {
            self.next_request()?;
            self.story.server(match status {
                503 => "is busy: answers 503, come back after 1 s",
                _ => "answers 204: there is nothing more to come",
            });
            answer.open();
        }
        Some(())
    }

    fn restart(&self) -> Option<()> {
        self.server.stop();
        if !self.story.wait_until(|client| client.refused >= AWAY) {
            return None;
        }
        self.story.server("is back on the same port");
        match self.server.restart() {
            Ok(()) => Some(()),
            Err(error) => {
                self.story.server(&format!("can't listen again: {error}"));
                None
            }
        }
    }

    /// What the request asks for, as it came over the wire.
    fn asked(&self, request: &Request, retry: Option<u64>) -> String {
        let mut text = match request.header("last-event-id") {
            None => "is asked for the stream, from its beginning".to_owned(),
            Some(id) => {
                let new = id
                    .parse()
                    .map_or(0, |id: usize| self.feed.len().saturating_sub(id));
                format!("is asked for what follows event {id}; {new} more have come up since")
            }
        };
        if let Some(retry) = retry {
            text += &format!("; sets retry to {retry} ms");
        }
        text
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

    /// Waits in slices, to see in between whether the client is over.
    fn in_slices(&self, wait: impl Fn(Duration) -> bool) -> Option<()> {
        const SLICE: Duration = Duration::from_millis(50);
        loop {
            if wait(SLICE) {
                return Some(());
            }
            if self.story.left().is_zero() || self.story.is_over() {
                return None;
            }
        }
    }
}

/// Runs `work` beside the client.
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
            for (index, act) in ACTS.iter().enumerate() {
                let after = position(index, events);
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
