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

/// Plays all acts. It returns early if the client is over, or the time.
pub(super) fn play(events: usize, server: &Server, feed: &Feed, story: &Story) {
    let mut director = Director {
        server,
        feed,
        story,
        requests: 0,
    };
    // None: the client says how far it came, and that nothing follows.
    _ = director.play(events);
}

struct Director<'a> {
    server: &'a Server,
    feed: &'a Feed,
    story: &'a Story,
    requests: usize,
}

impl Director<'_> {
    fn play(&mut self, events: usize) -> Option<()> {
        let mut before = 0;
        for (index, act) in ACTS.iter().enumerate() {
            let after = position(index, events);
            self.act(act, before, after, events)?;
            before = after;
        }
        Some(())
    }

    /// Serves one connection, which begins after event `before` and fails after event `after`.
    fn act(&mut self, act: &Act, before: usize, after: usize, events: usize) -> Option<()> {
        let (answer, sent, fail) = (Gate::new(), Gate::new(), Gate::new());
        let mut portion = self.feed.take(after - before);
        if act.trouble == Trouble::CutInEvent {
            portion = portion.and_half();
        }
        let mut reply = Reply::stream();
        if let Some(retry) = act.retry {
            reply = reply.retry(retry);
        }
        let reply = reply
            .head_after(&answer)
            .resume(portion)
            .open(&sent)
            .wait_for(&fail);
        let reply = match act.trouble {
            Trouble::Drop | Trouble::CutInEvent | Trouble::Restart => reply.drop_connection(),
            Trouble::Reset => reply.reset(),
            Trouble::Busy | Trouble::Finish => reply.end(),
        };

        self.server.enqueue(reply);
        let request = self.next_request()?;
        self.story.server(&self.asked(&request, act.retry));
        answer.open();
        self.wait(&sent)?;
        self.wait_received(after)?;
        match act.trouble {
            Trouble::Drop => {
                self.story.server("drops the connection");
                fail.open();
            }
            Trouble::CutInEvent => {
                let half = after + 1;
                self.story.server(&format!(
                    "cuts the connection in the middle of event {half}"
                ));
                fail.open();
            }
            Trouble::Reset => {
                self.story.server("resets the connection");
                fail.open();
            }
            Trouble::Busy => {
                self.story.server("ends the response");
                fail.open();
                self.answer_with(
                    Reply::status(503).header("Retry-After", "1"),
                    "is busy: answers 503, come back after 1 s",
                )?;
            }
            Trouble::Restart => self.restart()?,
            Trouble::Finish => {
                self.story.server(&format!(
                    "has published all {events} events; ends the response"
                ));
                fail.open();
                self.answer_with(
                    Reply::status(204),
                    "answers 204: there is nothing more to come",
                )?;
            }
        }
        Some(())
    }

    fn restart(&self) -> Option<()> {
        self.story.server("stops; nobody listens any more");
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

    fn answer_with(&mut self, reply: Reply, text: &str) -> Option<()> {
        let answer = Gate::new();
        self.server.enqueue(reply.head_after(&answer));
        self.next_request()?;
        self.story.server(text);
        answer.open();
        Some(())
    }

    /// What the request asks for, as it came over the wire.
    fn asked(&self, request: &Request, retry: Option<u64>) -> String {
        let mut text = match request.header("last-event-id") {
            None => "is asked for the stream, from its beginning".to_owned(),
            Some(id) => {
                let new = id
                    .parse()
                    .map_or(0, |id: usize| self.feed.len().saturating_sub(id));
                format!("is asked for what follows event {id}; {new} have been published since")
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

    fn wait(&self, gate: &Gate) -> Option<()> {
        self.in_slices(|slice| gate.wait(slice))
    }

    fn wait_received(&self, id: usize) -> Option<()> {
        self.story
            .wait_until(|client| client.received >= id)
            .then_some(())
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
