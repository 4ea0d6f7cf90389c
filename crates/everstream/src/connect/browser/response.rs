//! What the response to a request is: [`Http::send`], and the body of an error.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use everstream_core::{Ending, ErrorResponse, Fault, Start};
use everstream_http::exchange::ERROR_BODY_TIME;
use everstream_http::policy::{
    Verdict, is_event_stream_type, is_framed_by, judge_decoded, parse_delay_seconds,
};

use super::Settings;
use super::fetch::Body;
use crate::clock::{Alarm, Instant};
use crate::connect::{ConnectRequest, Connection, Http, Source};

impl Http {
    /// Sends the request once, and returns the response, whether or not it is an event stream.
    ///
    /// For servers that answer the same request with a stream or with a document, as servers of the
    /// Model Context Protocol do. To follow a stream, build an [`SseClient`](crate::SseClient) instead: it
    /// reconnects and resumes.
    ///
    /// `request` has the id to resume from, and how long to wait for the response.
    ///
    /// # Errors
    ///
    /// [`Fault::Setup`] if a setting can't be used, and any other fault if there is no response.
    pub async fn send(&self, request: ConnectRequest) -> Result<Response, Fault> {
        match self.create() {
            Ok(mut client) => client.send(request).await,
            Err(error) => Err(Fault::Setup(error.into())),
        }
    }
}

/// The response to [`Http::send`], whatever it is. Dropping it closes the connection.
pub struct Response {
    start: Start,
    verdict: Verdict,
    body: Body,
    /// How many bytes of the body of an error response are kept.
    error_body: usize,
}

impl Response {
    pub(super) fn new(start: Start, body: Body, settings: &Settings) -> Self {
        let headers = start.headers.as_ref();
        let types = headers
            .into_iter()
            .flat_map(|it| it.get_all("content-type"));
        let accepted = settings.any_content_type || is_event_stream_type(types.map(str::as_bytes));
        Response {
            verdict: judge_decoded(start.status.unwrap_or_default(), accepted),
            start,
            body,
            error_body: settings.error_body,
        }
    }

    /// Its status, headers and URL. Another origin shows few headers
    /// (`Access-Control-Expose-Headers`).
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Whether a client would read it as an event stream, by its status and content type.
    pub fn is_event_stream(&self) -> bool {
        matches!(self.verdict, Verdict::Stream(_))
    }

    /// The event stream, as a client reads it.
    ///
    /// # Errors
    ///
    /// If the response [isn't one](Self::is_event_stream): the fault that a client gets, with the first
    /// KiB of the body.
    pub async fn into_connection(self) -> Result<Connection, Fault> {
        let fault = match self.verdict {
            Verdict::Stream(_) => return self.into_body(),
            Verdict::ContentType | Verdict::ContentEncoding => Fault::ContentType,
            // The browser follows redirects.
            Verdict::Status | Verdict::Redirect => Fault::Status,
        };
        Err(fault(Box::new(self.into_error().await)))
    }

    /// The body, decoded, whatever the response is.
    ///
    /// # Errors
    ///
    /// None in the browser.
    pub fn into_body(self) -> Result<Connection, Fault> {
        // The browser doesn't tell the version, and to other origins only few headers.
        let framed = self.start.headers.as_ref().is_some_and(|headers| {
            let coding = headers.get_all("transfer-encoding").last();
            is_framed_by(headers.get("content-length").is_some(), coding)
        });
        let mut connection = Connection::from_source(Source::Body(self.body));
        connection.start = self.start;
        Ok(connection.with_ending(match framed {
            true => Ending::Complete,
            false => Ending::Unproven,
        }))
    }

    async fn into_error(mut self) -> ErrorResponse {
        let mut response = ErrorResponse::new(self.start.status.unwrap_or_default());
        response.headers = self.start.headers.unwrap_or_default();
        response.url = self.start.url.unwrap_or_default();
        response.retry_after = response.headers.get("retry-after").and_then(retry_after);
        let (kept, limit) = (&mut response.body, self.error_body);
        let due = Instant::now() + ERROR_BODY_TIME;
        let mut alarm = Alarm::default();
        // A body that breaks or stalls doesn't hide the error it belongs to.
        poll_fn(|cx| {
            while kept.len() < limit {
                let Poll::Ready(next) = self.body.poll_bytes(cx) else {
                    return alarm.poll_at(due, cx).map(drop);
                };
                let Some(Ok(bytes)) = next else {
                    break;
                };
                let missing = limit - kept.len();
                kept.extend_from_slice(bytes.get(..missing).unwrap_or(&bytes));
            }
            Poll::Ready(())
        })
        .await;
        response
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// As [`everstream_http::policy::parse_retry_after`]; the browser parses dates, which takes less code.
fn retry_after(value: &str) -> Option<Duration> {
    parse_delay_seconds(value).or_else(|| {
        // It would also take numbers such as "5 s" for a date.
        let value = value.trim_ascii();
        if !value.as_bytes().first()?.is_ascii_alphabetic() {
            return None;
        }
        // The oldest of the three formats names no time zone.
        let zone = if value.ends_with("GMT") { "" } else { " GMT" };
        let remaining = js_sys::Date::parse(&(value.to_owned() + zone)) - js_sys::Date::now();
        (!remaining.is_nan()).then(|| Duration::from_millis(remaining as u64))
    })
}
