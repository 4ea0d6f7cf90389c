//! Tells the harness what a client sees.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use everstream::Event;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::sync::mpsc;

/// How long the harness may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a connection is kept for the next callback: shorter than any server keeps it, because
/// a request that meets a closing connection is lost.
const KEPT: Duration = Duration::from_secs(1);

/// Something that the harness is told of.
pub(crate) enum Seen {
    /// An event was handed out.
    Event(Event),
    /// A comment was handed out.
    Comment(String),
    /// A connection broke or could not be made.
    Error(String),
}

/// Seen things in the harness's JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Message<'a> {
    Event { event: Fields<'a> },
    Comment { comment: &'a str },
    Error { error: &'a str },
}

#[derive(Serialize)]
struct Fields<'a> {
    r#type: &'a str,
    data: &'a str,
    id: &'a str,
}

impl Seen {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let (message, size) = match self {
            Seen::Event(event) => {
                let fields = Fields {
                    r#type: event.event(),
                    data: event.data(),
                    id: event.last_event_id().unwrap_or_default(),
                };
                (Message::Event { event: fields }, event.data().len())
            }
            Seen::Comment(comment) => (Message::Comment { comment }, comment.len()),
            Seen::Error(error) => (Message::Error { error }, error.len()),
        };
        // With room for some escapes: 15 MB that grow by doubling are copied several times.
        let mut json = Vec::with_capacity(size + size / 8 + 256);
        serde_json::to_writer(&mut json, &message)?;
        Ok(json)
    }
}

/// The client for the callbacks of all streams.
pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        // The harness is reached directly, whatever the environment says.
        .no_proxy()
        .timeout(ANSWER)
        .pool_idle_timeout(KEPT)
        .build()
}

/// Where one stream's callbacks go.
pub(crate) struct Callbacks {
    /// Shared with the other streams.
    pub(crate) client: reqwest::Client,
    /// What the number is appended to.
    pub(crate) url: String,
    /// The harness's name for the stream.
    pub(crate) tag: String,
}

impl Callbacks {
    /// Posts everything that is seen, one after another.
    ///
    /// A callback that fails isn't repeated: the harness may have got it, and is to see everything
    /// once. It keeps its number, so that the harness sees the gap.
    pub(crate) async fn report(self, mut seen: mpsc::Receiver<Seen>) {
        let mut number: u64 = 0;
        while let Some(thing) = seen.recv().await {
            number += 1;
            if let Err(error) = self.post(number, thing).await {
                let (tag, problem) = (&self.tag, chain(&*error));
                _ = writeln!(io::stderr(), "{tag}: callback {number} failed: {problem}");
            }
        }
    }

    async fn post(&self, number: u64, thing: Seen) -> Result<(), Box<dyn Error + Send + Sync>> {
        let url = format!("{}/{number}", self.url.trim_end_matches('/'));
        let json = thing.to_json()?;
        drop(thing);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(json);
        // The whole answer, so that the connection serves the next callback.
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test
mod tests {
    use super::*;

    fn json(seen: &Seen) -> String {
        String::from_utf8(seen.to_json().unwrap()).unwrap()
    }

    #[test]
    fn seen_things_are_told_in_the_harness_words() {
        let event = Event::new("price", "a \"quoted\"\nline", None);
        assert_eq!(
            json(&Seen::Event(event)),
            r#"{"kind":"event","event":{"type":"price","data":"a \"quoted\"\nline","id":""}}"#
        );
        assert_eq!(
            json(&Seen::Comment("still here".into())),
            r#"{"kind":"comment","comment":"still here"}"#
        );
        assert_eq!(
            json(&Seen::Error("it broke".into())),
            r#"{"kind":"error","error":"it broke"}"#
        );
    }
}
