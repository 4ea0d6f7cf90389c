//! Reports to the harness what a client receives.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use everstream::Event;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::sync::mpsc;

/// How long the harness may take to respond.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection is kept for the next callback. Shorter than in any server, because a
/// request on a connection that the server is closing is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Something to report to the harness.
pub(crate) enum Report {
    /// The client delivered an event.
    Event(Event),
    /// The client delivered a comment.
    Comment(String),
    /// A connection broke or could not be made.
    Error(String),
}

/// The JSON format of the harness.
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

impl Report {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let (message, size) = match self {
            Report::Event(event) => {
                let fields = Fields {
                    r#type: event.event(),
                    data: event.data(),
                    id: event.last_event_id().unwrap_or_default(),
                };
                (Message::Event { event: fields }, event.data().len())
            }
            Report::Comment(comment) => (Message::Comment { comment }, comment.len()),
            Report::Error(error) => (Message::Error { error }, error.len()),
        };
        // With room for some escapes: otherwise 15 MB would be copied several times while growing.
        let mut json = Vec::with_capacity(size + size / 8 + 256);
        serde_json::to_writer(&mut json, &message)?;
        Ok(json)
    }
}

/// The client for the callbacks of all streams.
pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        // Connects to the harness directly, whatever the environment says.
        .no_proxy()
        .timeout(RESPONSE_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .build()
}

/// The destination of a stream's callbacks.
pub(crate) struct Callbacks {
    /// Shared with the other streams.
    pub(crate) client: reqwest::Client,
    /// The base URL, to which the number is appended.
    pub(crate) url: String,
    /// The harness's name for the stream.
    pub(crate) tag: String,
}

impl Callbacks {
    /// Posts all reports, one after another.
    ///
    /// A failed callback isn't repeated, because the harness may have received it and must not see
    /// anything twice. Its number isn't reused, so the harness notices the gap.
    pub(crate) async fn report(self, mut reports: mpsc::Receiver<Report>) {
        let mut number: u64 = 0;
        while let Some(report) = reports.recv().await {
            number += 1;
            if let Err(error) = self.post(number, report).await {
                let (tag, problem) = (&self.tag, chain(&*error));
                _ = writeln!(io::stderr(), "{tag}: callback {number} failed: {problem}");
            }
        }
    }

    async fn post(&self, number: u64, report: Report) -> Result<(), Box<dyn Error + Send + Sync>> {
        let url = format!("{}/{number}", self.url.trim_end_matches('/'));
        let json = report.to_json()?;
        drop(report);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(json);
        // Read the whole response, so that the connection can be reused.
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }
}

/// An error with its causes, on one line.
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

    fn json(report: &Report) -> String {
        String::from_utf8(report.to_json().unwrap()).unwrap()
    }

    #[test]
    fn reports_have_the_format_of_the_harness() {
        let event = Event::new("price", "a \"quoted\"\nline", None);
        assert_eq!(
            json(&Report::Event(event)),
            r#"{"kind":"event","event":{"type":"price","data":"a \"quoted\"\nline","id":""}}"#
        );
        assert_eq!(
            json(&Report::Comment("still here".into())),
            r#"{"kind":"comment","comment":"still here"}"#
        );
        assert_eq!(
            json(&Report::Error("it broke".into())),
            r#"{"kind":"error","error":"it broke"}"#
        );
    }
}
