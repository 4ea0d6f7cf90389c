//! The connections after the first one.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use everstream::Fault;
use everstream_http::message_with_cause;
use everstream_http::policy::parse_retry_after;

use super::{PATIENCE, Prober, Question};
use crate::anatomy::Anatomy;
use crate::observed::{Answer, End, Observed, Repeat, Response, Resume, Stream};
use crate::options::Progress;

/// How long a client waits before it connects again, unless the server says so.
const DELAY: Duration = Duration::from_secs(1);

/// The longest wait, even if the server asks for more.
const MAX_DELAY: Duration = Duration::from_secs(3);

/// The longest wait that a server can ask for with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long to wait for an event that reports an unknown id.
const ERROR_EVENT: Duration = Duration::from_secs(1);

/// An id that no server sends.
const UNKNOWN_ID: &str = "everstream-check-0b6f1d";

/// A further connection.
#[derive(Clone, Copy)]
struct Again<'a> {
    coding: &'static str,
    id: Option<&'a str>,
    /// How long the stream is watched.
    limit: Duration,
    /// How long its headers may take.
    headers: Duration,
    /// The wait before it, as a client waits.
    delay: Duration,
    /// The purpose, for progress.
    what: &'static str,
}

/// What it got instead of a stream, if another try may get one: servers need a moment to notice
/// that a connection was closed. A 204 is final.
fn second_try(answer: &Answer) -> Option<String> {
    answer
        .refusal()
        .filter(|_| !answer.silent && answer.status != 204)
}

impl Prober<'_> {
    pub(super) async fn ask_again(
        &self,
        response: &Response,
        stream: &Stream,
        observed: &mut Observed,
    ) {
        if !response.repeatable || self.is_stopped() {
            return;
        }
        let plain = stream.first_event().map(|event| response.after + event);
        let limit = plain.unwrap_or_default().saturating_mul(2);
        let limit = limit.max(PATIENCE).min(self.options.duration);
        let mut delay = match stream.retries.last() {
            Some(retry) => Duration::from_millis(*retry).min(MAX_DELAY),
            None => DELAY,
        };
        let gzip = Again {
            coding: "gzip",
            id: None,
            limit,
            headers: PATIENCE.max(response.after.saturating_mul(2)),
            delay,
            what: "with gzip",
        };
        let event = |it: &Anatomy| !it.events().is_empty();
        observed.second = self.again(gzip, observed, event).await;
        if let Some(first) = observed.second.as_ref().and_then(second_try) {
            delay = delay.saturating_mul(2).min(MAX_DELAY);
            let asked = observed.second.as_ref().and_then(|it| it.retry_after);
            let wait = asked.filter(|wait| self.has_time_for(*wait));
            let wait = wait.unwrap_or_default().max(delay);
            let again = Again {
                delay: wait,
                what: "a second time, because the server refused",
                ..gzip
            };
            observed.second = self.again(again, observed, event).await;
            if let Some(second) = &mut observed.second {
                (second.first_try, second.delay) = (Some(first), wait);
            }
        }
        let gzip = Again {
            delay,
            what: "with gzip, to repeat the comparison",
            ..gzip
        };
        let plainly = Again {
            coding: "identity",
            what: "without gzip, to repeat the comparison",
            ..gzip
        };
        let late = |plain| observed.second.as_ref().is_some_and(|it| it.is_late(plain));
        if plain.is_some_and(late) {
            observed.repeat = self.repeat(plainly, gzip, observed).await;
        }

        let ids = stream.ids();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        if distinct.len() == ids.len() && stream.ids_unsendable == 0 && !ids.is_empty() {
            let after = (ids.len() - 1) / 2;
            let next = ids.get(after + 1).copied();
            // Enough to see whether known events are repeated.
            let all = stream.events.len() + 5;
            let limit = PATIENCE.min(self.options.duration);
            let from = Again {
                id: Some(ids[after]),
                what: "after an event",
                limit,
                ..plainly
            };
            let answer = self
                .again_within_limits(from, observed, |it| {
                    let first = it.events().iter().find_map(|event| event.id.as_deref());
                    first.is_some_and(|first| next.is_none_or(|next| next == first))
                        || it.events().len() >= all
                })
                .await;
            observed.resume = answer.map(|answer| Resume { after, answer });
        }
        if !ids.is_empty() {
            let unknown = Again {
                id: Some(UNKNOWN_ID),
                what: "after an unknown event",
                // The server may report an unknown id by an event.
                limit: limit.min(ERROR_EVENT),
                ..plainly
            };
            // After an error it is worth waiting to see whether the stream ends.
            let enough = |it: &Anatomy| event(it) && !it.reports_error();
            observed.unknown_id = self.again_within_limits(unknown, observed, enough).await;
        }
    }

    /// A further connection, and a second try if the server limits how often clients connect: this check
    /// connects more often than they do.
    async fn again_within_limits(
        &self,
        again: Again<'_>,
        observed: &mut Observed,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Option<Answer> {
        let first = self.again(again, observed, &enough).await?;
        let delay = first.retry_after.unwrap_or(MAX_DELAY);
        if !first.is_limited() || !self.has_time_for(delay) {
            return Some(first);
        }
        let later = Again {
            delay,
            what: "a second time, because the server limits requests",
            ..again
        };
        let mut second = self.again(later, observed, enough).await?;
        (second.first_try, second.delay) = (first.refusal(), delay);
        Some(second)
    }

    fn has_time_for(&self, wait: Duration) -> bool {
        let end = Instant::now() + wait.min(MAX_RETRY_AFTER);
        wait <= MAX_RETRY_AFTER && self.deadline.is_none_or(|deadline| end < deadline)
    }

    /// Both requests of the comparison, a second time.
    async fn repeat(
        &self,
        plain: Again<'_>,
        gzip: Again<'_>,
        observed: &mut Observed,
    ) -> Option<Repeat> {
        let event = |it: &Anatomy| !it.events().is_empty();
        let plain = self.again(plain, observed, event).await?;
        let gzip = self.again(gzip, observed, event).await?;
        Some(Repeat { plain, gzip })
    }

    /// A further connection; `None` if the check is stopped.
    async fn again(
        &self,
        again: Again<'_>,
        observed: &mut Observed,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Option<Answer> {
        let mut stop = self.stop.clone();
        if !self.is_stopped() {
            self.options.progress(&Progress::AskingAgain(again.what));
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => return None,
            () = tokio::time::sleep(again.delay) => {}
        }
        observed.requests += 1;
        let question = Question {
            coding: again.coding,
            id: again.id,
            limit: again.headers.min(self.response_limit()),
            origin: observed.origin_refused.is_none(),
        };
        let began = Instant::now();
        let reply = match self.ask(question, &mut Vec::new()).await {
            Ok(reply) => reply,
            Err(fault) => {
                let answer = Answer {
                    error: Some(message_with_cause(&fault)),
                    silent: matches!(fault, Fault::ResponseTimeout(_)),
                    after: began.elapsed(),
                    ..Answer::default()
                };
                return (!self.is_stopped()).then_some(answer);
            }
        };
        let about = &reply.response;
        let answered = began + about.after;
        let mut answer = Answer {
            after: about.after,
            status: about.status,
            content_types: about
                .content_types()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            retry_after: about
                .header("retry-after")
                .and_then(|value| parse_retry_after(value, SystemTime::now())),
            coding: about.header("content-encoding").map(str::to_owned),
            ..Answer::default()
        };
        let is_stream = about.is_stream();
        if let (Some(mut body), true) = (reply.body, is_stream) {
            let limit = again.limit;
            let stream = self.watch(&mut body, answered, limit, false, enough).await;
            answer.first_event = stream.first_event();
            answer.waited = stream.watched;
            answer.ended = stream.end != End::Open;
            answer.retries = stream.retries;
            answer.error_event = stream.error_event;
            answer.ids = stream.events.into_iter().map(|event| event.id).collect();
        }
        // A connection that was stopped early says nothing.
        (!self.is_stopped()).then_some(answer)
    }
}
