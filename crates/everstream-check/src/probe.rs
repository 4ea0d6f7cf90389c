//! Asks the server, and writes down what comes. At most five requests, one after the other:
//!
//! 1. the stream, uncompressed, watched for as long as the user says
//! 2. the stream again, with gzip offered, until its first event
//! 3. the stream after an event in the middle, if there are ids
//! 4. the stream after an id that the server never gave, if there are ids
//! 5. the question of a browser whether it may send this request, if it would ask
//!
//! And up to four more where something is wrong: the first one without `Origin` after a refusal, HEAD if no
//! headers arrive, a second try of the second one, and the stream without and with gzip to repeat a comparison.
//!
//! A request that isn't safe (RFC 9110, section 9.2.1) is sent once only.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use everstream::{ConnectRequest, Connection, Fault, Hop, Http, Probe, RedactedUrl};
use everstream_http::policy::withheld_message;
use tokio::sync::watch;
use url::Url;

use crate::anatomy::Anatomy;
use crate::observed::{
    Answer, End, Observed, Preflight, Redirect, Repeat, Response, Resume, Stream, Trouble,
    TroubleKind,
};
use crate::options::{Options, Progress};
use crate::text::{chain, seconds};

/// How long an event is waited for when one ought to come at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a response is waited for, at least.
const RESPONSE: Duration = Duration::from_secs(10);

/// How long an event is waited for that says that an id isn't known.
const ERROR_EVENT: Duration = Duration::from_secs(1);

/// How long a client waits before it connects again, unless the server says so.
const DELAY: Duration = Duration::from_secs(1);

/// A server that wants to be left alone for longer is asked earlier.
const MAX_DELAY: Duration = Duration::from_secs(3);

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(250);

/// No server gives this one.
const UNKNOWN_ID: &str = "everstream-check-0b6f1d";

/// What a browser sends by itself, or without asking for permission (Fetch, section 2.2.2
/// "CORS-safelisted request-header"; `Last-Event-ID`: WHATWG HTML, section 9.2.3).
const NEEDS_NO_PERMISSION: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-language",
    "content-length",
    "cookie",
    "host",
    "last-event-id",
    "origin",
    "referer",
    "user-agent",
];

/// Types of bodies that need no permission either.
const PLAIN_BODIES: &[&str] = &[
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

pub(crate) struct Prober<'a> {
    pub(crate) url: String,
    pub(crate) options: &'a Options,
    /// The request, as the user wants it.
    pub(crate) http: Http,
    /// A request without the user's headers and credentials.
    pub(crate) bare: Http,
    /// The method of the request, once it was sent.
    pub(crate) method: Arc<OnceLock<String>>,
    /// Why no more is asked, once that is so.
    pub(crate) stop: watch::Receiver<Option<Stop>>,
}

/// A request of the stream.
#[derive(Clone, Copy)]
struct Question<'a> {
    coding: &'static str,
    id: Option<&'a str>,
    /// How long the headers may take.
    limit: Duration,
    /// Whether `Origin` is sent.
    origin: bool,
}

/// A further connection.
#[derive(Clone, Copy)]
struct Again<'a> {
    coding: &'static str,
    id: Option<&'a str>,
    /// How long the stream is watched.
    limit: Duration,
    /// How long its headers may take.
    headers: Duration,
    /// The wait before, as a client waits.
    delay: Duration,
    /// What for.
    what: &'static str,
}

/// What it got instead of a stream, if a later try may get one: servers need a moment to notice
/// that a connection was closed. A 204 ends clients for good.
fn second_try(answer: &Answer) -> Option<String> {
    answer
        .refusal()
        .filter(|_| !answer.silent && answer.status != 204)
}

#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// This asked for it.
    Asked(String),
    /// The time of [`Options::max_time`] has passed.
    OutOfTime,
}

impl Prober<'_> {
    pub(crate) async fn observe(&self) -> Observed {
        let mut observed = Observed {
            origin: self.options.origin_or_default().to_owned(),
            origin_chosen: self.options.origin.is_some(),
            local: self.options.local,
            unverified: self.options.unverified,
            ..Observed::default()
        };
        let mut hops = Vec::new();
        let (mut began, mut sent) = self.ask_first(&mut hops, &mut observed).await;
        if let Some(status) = self.refused(&sent) {
            observed.origin_refused = Some(status);
            let (later, other) = self.ask_first(&mut Vec::new(), &mut observed).await;
            match other {
                Ok(probe) if response(&probe, Duration::ZERO).is_stream() => {
                    (began, sent) = (later, Ok(probe));
                }
                Ok(probe) => {
                    observed.origin_refused = None;
                    observed.without_origin = probe.connection.start().status;
                }
                Err(_) => observed.origin_refused = None,
            }
        }
        observed.hops = hops.iter().map(redirect).collect();
        observed.same_origin = is_same_origin(&observed.origin, &self.url)
            && observed.hops.iter().all(|hop| !hop.leaves_origin);
        self.warn_of_withheld(&sent);
        let mut probe = match sent {
            Ok(probe) => probe,
            Err(fault) => {
                observed.trouble = Some(match &*self.stop.borrow() {
                    Some(stop) => self.stopped(stop),
                    None => self.trouble(&fault, began.elapsed()),
                });
                if matches!(fault, Fault::ReadTimeout(_)) {
                    observed.head = self.ask_for_head(&mut observed).await;
                }
                return observed;
            }
        };
        let answered = Instant::now();
        let url = probe.connection.start().url.clone().unwrap_or_default();
        observed.local |= is_loopback(&url);
        let response = response(&probe, answered - began);
        if response.is_stream() {
            let count = self.options.events;
            let enough = |anatomy: &Anatomy| {
                count.is_some_and(|count| anatomy.events().len() as u64 >= count)
            };
            let limit = self.options.duration;
            let connection = &mut probe.connection;
            let stream = self.watch(connection, answered, limit, true, enough).await;
            // It is over for the server too, before the next one begins.
            drop(probe);
            self.ask_again(&response, &stream, &mut observed).await;
            observed.stream = Some(stream);
            observed.preflight = self.ask_for_permission(&response, &mut observed).await;
        }
        observed.response = Some(response);
        observed.cut = self.cut();
        observed
    }

    /// The first request, and when it was sent.
    async fn ask_first(
        &self,
        hops: &mut Vec<Hop>,
        observed: &mut Observed,
    ) -> (Instant, Result<Probe, Fault>) {
        observed.requests += 1;
        let question = Question {
            coding: "identity",
            id: None,
            limit: self.response_limit(),
            origin: observed.origin_refused.is_none(),
        };
        self.options.progress(&Progress::Connecting);
        (Instant::now(), self.ask(question, hops).await)
    }

    /// The status, if it may be due to `Origin` and the request may be sent again.
    fn refused(&self, sent: &Result<Probe, Fault>) -> Option<u16> {
        let probe = sent.as_ref().ok().filter(|probe| probe.repeatable)?;
        let status = probe.connection.start().status?;
        (matches!(status, 400 | 403 | 421) && !self.is_stopped()).then_some(status)
    }

    /// What answers while the stream's headers don't arrive.
    async fn ask_for_head(&self, observed: &mut Observed) -> Option<Response> {
        let safe = |method: &String| matches!(&**method, "GET" | "HEAD");
        if self.is_stopped() || !self.method.get().is_some_and(safe) {
            return None;
        }
        observed.requests += 1;
        let http = self.http.clone().method("HEAD");
        let mut request = ConnectRequest::default();
        request.read_timeout = Some(PATIENCE);
        let (mut hops, mut stop) = (Vec::new(), self.stop.clone());
        let began = Instant::now();
        let probe = tokio::select! {
            probe = http.probe(request, &mut hops) => probe.ok()?,
            _ = stop.wait_for(Option::is_some) => return None,
        };
        Some(response(&probe, began.elapsed()))
    }

    /// What is said of what wasn't asked for.
    fn cut(&self) -> Option<String> {
        self.stop.borrow().as_ref().map(|stop| match stop {
            Stop::Asked(name) => format!("not asked for: stopped by {name} before"),
            Stop::OutOfTime => format!(
                "not asked for: the {} of --max-time had passed",
                seconds(self.options.total_time())
            ),
        })
    }

    fn stopped(&self, stop: &Stop) -> Trouble {
        match stop {
            Stop::Asked(name) => Trouble {
                what: format!("stopped by {name} before there was a response"),
                hint: None,
                kind: TroubleKind::Stopped,
            },
            Stop::OutOfTime => Trouble {
                what: format!(
                    "no response within the {} of --max-time",
                    seconds(self.options.total_time())
                ),
                hint: None,
                kind: TroubleKind::Silence,
            },
        }
    }

    async fn ask_again(&self, response: &Response, stream: &Stream, observed: &mut Observed) {
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
            let again = Again {
                delay,
                what: "a second time, as the server refused",
                ..gzip
            };
            observed.second = self.again(again, observed, event).await;
            if let Some(second) = &mut observed.second {
                (second.first_try, second.delay) = (Some(first), delay);
            }
        }
        let gzip = Again {
            delay,
            what: "with gzip, to compare once more",
            ..gzip
        };
        let plainly = Again {
            coding: "identity",
            what: "without gzip, to compare once more",
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
            // Enough to see whether what is known comes again.
            let all = stream.events.len() + 5;
            let limit = PATIENCE.min(self.options.duration);
            let from = Again {
                id: Some(ids[after]),
                what: "after an event",
                limit,
                ..plainly
            };
            let answer = self
                .again(from, observed, |it| {
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
                // It may say by an event that it doesn't know the id.
                limit: limit.min(ERROR_EVENT),
                ..plainly
            };
            // Whether an error ends the stream is worth a wait.
            let enough = |it: &Anatomy| event(it) && !it.reports_error();
            observed.unknown_id = self.again(unknown, observed, enough).await;
        }
    }

    /// The same two requests once more.
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

    /// A further connection; none, if the user has enough.
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
        let mut probe = match self.ask(question, &mut Vec::new()).await {
            Ok(probe) => probe,
            Err(fault) => {
                let answer = Answer {
                    error: Some(chain(&fault)),
                    silent: matches!(fault, Fault::ReadTimeout(_)),
                    after: began.elapsed(),
                    ..Answer::default()
                };
                return (!self.is_stopped()).then_some(answer);
            }
        };
        let answered = Instant::now();
        let about = response(&probe, Duration::ZERO);
        let mut answer = Answer {
            after: answered - began,
            status: about.status,
            content_type: about.header("content-type").map(str::to_owned),
            coding: about.header("content-encoding").map(str::to_owned),
            ..Answer::default()
        };
        if about.is_stream() {
            let connection = &mut probe.connection;
            let limit = again.limit;
            let stream = self.watch(connection, answered, limit, false, enough).await;
            answer.first_event = stream.first_event();
            answer.waited = stream.watched;
            answer.ended = stream.end != End::Open;
            answer.retries = stream.retries;
            answer.error_event = stream.error_event;
            answer.ids = stream.events.into_iter().map(|event| event.id).collect();
        }
        // What was stopped half-way says nothing.
        (!self.is_stopped()).then_some(answer)
    }

    fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn ask(&self, question: Question<'_>, hops: &mut Vec<Hop>) -> Result<Probe, Fault> {
        let coding = question.coding;
        let origin = question
            .origin
            .then(|| self.options.origin_or_default().to_owned());
        let method = self.method.clone();
        let http = self.http.clone().before_attempt(move |attempt| {
            _ = method.set(attempt.method().to_owned());
            let mut attempt = attempt.set_header("accept-encoding", coding);
            if let Some(origin) = &origin {
                attempt = attempt.set_header("origin", origin);
            }
            std::future::ready(Ok::<_, Fault>(attempt))
        });
        let mut request = ConnectRequest::default();
        request.last_event_id = question.id.map(str::to_owned);
        request.read_timeout = Some(question.limit);
        let mut stop = self.stop.clone();
        tokio::select! {
            probe = http.probe(request, hops) => probe,
            _ = stop.wait_for(Option::is_some) => {
                Err(Fault::Source("stopped".into()))
            }
        }
    }

    fn response_limit(&self) -> Duration {
        let default = self.options.duration.max(RESPONSE);
        self.options.read_timeout.unwrap_or(default)
    }

    /// Reads until there is enough, or until `limit` after the response.
    async fn watch(
        &self,
        connection: &mut Connection,
        answered: Instant,
        limit: Duration,
        shown: bool,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Stream {
        let mut anatomy = Anatomy::new();
        let mut stop = self.stop.clone();
        let mut last = answered;
        let progress = |anatomy: &Anatomy| {
            if shown {
                self.options.progress(&Progress::Watching {
                    elapsed: answered.elapsed(),
                    limit,
                    events: anatomy.events().len(),
                    comments: anatomy.comments(),
                });
            }
        };
        progress(&anatomy);
        let end = loop {
            if anatomy.is_full() || enough(&anatomy) {
                break End::Open;
            }
            let now = Instant::now();
            let mut wait = limit.saturating_sub(now - answered);
            if let Some(silence) = self.options.read_timeout {
                wait = wait.min(silence.saturating_sub(now - last));
            }
            let chunk = tokio::select! {
                biased;
                chunk = connection.next_chunk() => chunk,
                () = tokio::time::sleep(wait.min(TICK)) => {
                    if wait <= TICK {
                        break End::Open;
                    }
                    progress(&anatomy);
                    continue;
                }
                _ = stop.wait_for(Option::is_some) => break End::Open,
            };
            last = Instant::now();
            match chunk {
                Some(Ok(bytes)) => anatomy.take(bytes.as_ref(), answered.elapsed()),
                Some(Err(fault)) => break End::Broke(chain(&fault)),
                None => break End::Ended,
            }
            // A server that sends without a pause doesn't get around the limit.
            if answered.elapsed() >= limit {
                break End::Open;
            }
        };
        anatomy.end(end, answered.elapsed())
    }

    /// Once: the further requests are redirected in the same way.
    fn warn_of_withheld(&self, sent: &Result<Probe, Fault>) {
        let (names, url) = match sent {
            Ok(probe) => {
                let start = probe.connection.start();
                (&start.withheld_headers, start.url.as_deref())
            }
            Err(fault) => match fault.response() {
                Some(response) => (&response.withheld_headers, Some(&*response.url)),
                None => return,
            },
        };
        // This one is ours.
        let names = names.iter().filter(|name| *name != "origin");
        let names: Vec<String> = names.cloned().collect();
        if let Some(text) = withheld_message(&names, url.unwrap_or_default()) {
            self.options.progress(&Progress::Warning(&text));
        }
    }

    fn trouble(&self, fault: &Fault, waited: Duration) -> Trouble {
        let kind = match fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) => TroubleKind::Connect,
            Fault::Redirect(..) => TroubleKind::Redirect,
            Fault::ReadTimeout(_) => TroubleKind::Silence,
            _ => TroubleKind::Other,
        };
        Trouble {
            what: match kind {
                TroubleKind::Silence => format!("no response in {}", seconds(waited)),
                _ => chain(fault),
            },
            hint: (self.options.hints)(fault),
            kind,
        }
    }

    /// What a browser asks before it lets a script send this request to another origin.
    async fn ask_for_permission(
        &self,
        response: &Response,
        observed: &mut Observed,
    ) -> Option<Preflight> {
        let wanted = needs_permission(response).filter(|_| !observed.same_origin)?;
        if self.is_stopped() {
            observed.preflight_left_out = true;
            return None;
        }
        observed.requests += 1;
        let (origin, method) = (
            self.options.origin_or_default().to_owned(),
            response.method.clone(),
        );
        let asked = (method.clone(), wanted.join(","));
        let http = self.bare.clone().method("OPTIONS").redirect_limit(0);
        let http = http.before_attempt(move |attempt| {
            let mut attempt = attempt
                .set_header("accept", "*/*")
                .set_header("origin", &origin)
                .set_header("access-control-request-method", &asked.0);
            if !asked.1.is_empty() {
                attempt = attempt.set_header("access-control-request-headers", &asked.1);
            }
            std::future::ready(Ok::<_, Fault>(attempt))
        });
        let mut request = ConnectRequest::default();
        request.read_timeout = Some(PATIENCE);
        let mut preflight = Preflight {
            method,
            wanted,
            ..Preflight::default()
        };
        let (mut hops, mut stop) = (Vec::new(), self.stop.clone());
        let answer = tokio::select! {
            answer = http.probe(request, &mut hops) => answer,
            _ = stop.wait_for(Option::is_some) => {
                observed.preflight_left_out = true;
                return None;
            }
        };
        match answer {
            Ok(probe) => {
                let start = probe.connection.start();
                preflight.status = start.status.unwrap_or_default();
                preflight.headers = start.headers.clone().unwrap_or_default();
            }
            Err(fault) => preflight.error = Some(chain(&fault)),
        }
        Some(preflight)
    }
}

/// The headers that need permission; `None`, if the request as a whole needs none.
fn needs_permission(response: &Response) -> Option<Vec<String>> {
    let plain = |kind: &String| PLAIN_BODIES.iter().any(|plain| kind.starts_with(plain));
    let plain_body = response.request_type.as_ref().is_none_or(plain);
    let mut wanted: Vec<String> = response
        .sent
        .iter()
        .filter(|name| !NEEDS_NO_PERMISSION.contains(&name.as_str()))
        .filter(|name| *name != "content-type" || !plain_body)
        .cloned()
        .collect();
    wanted.sort_unstable();
    let plain_method = matches!(&*response.method, "GET" | "HEAD" | "POST");
    (!plain_method || !wanted.is_empty()).then_some(wanted)
}

fn response(probe: &Probe, after: Duration) -> Response {
    let start = probe.connection.start();
    Response {
        status: start.status.unwrap_or_default(),
        version: probe.version.clone(),
        headers: start.headers.clone().unwrap_or_default(),
        url: redacted(start.url.as_deref().unwrap_or_default()),
        method: probe.method.clone(),
        repeatable: probe.repeatable,
        sent: probe.sent.clone(),
        request_type: probe.content_type.clone(),
        readable: probe.readable,
        after,
    }
}

fn redirect(hop: &Hop) -> Redirect {
    Redirect {
        status: hop.status,
        from: redacted(&hop.from),
        to: redacted(&hop.to),
        leaves_origin: origin(&hop.from) != origin(&hop.to),
    }
}

fn redacted(url: &str) -> String {
    RedactedUrl(url).to_string()
}

/// Whether a page of this origin needs no permission.
fn is_same_origin(origin: &str, url: &str) -> bool {
    match (Url::parse(origin), Url::parse(url)) {
        (Ok(origin), Ok(url)) => origin.origin() == url.origin(),
        _ => false,
    }
}

/// Scheme, host and port of a URL as the `url` crate writes it, without user info.
fn origin(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (scheme, host)
}

fn is_loopback(url: &str) -> bool {
    let (_, authority) = origin(url);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        for url in [
            "http://localhost/",
            "http://localhost:80/x",
            "https://u:p@127.0.0.1:1/",
            "http://[::1]:80/",
            "http://a.localhost/",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://localhost@example.com/",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn user_info_is_no_part_of_an_origin() {
        assert_eq!(origin("http://u:p@a:80/x@y"), ("http", "a:80"));
        assert_eq!(origin("https://a?x"), ("https", "a"));
    }
}
