//! Asks the server, and writes down what comes. At most five requests, one after the other:
//!
//! 1. the stream, uncompressed, watched for as long as the user says
//! 2. the stream again, with gzip offered, until its first event
//! 3. the stream after an event in the middle, if there are ids
//! 4. the stream after an id that the server never gave, if there are ids
//! 5. the question of a browser whether it may send this request, if it would ask
//!
//! A request that isn't safe (RFC 9110, section 9.2.1) is sent once only.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use everstream::{ConnectRequest, Connection, Fault, Hop, Http, Probe, RedactedUrl};
use everstream_http::policy::withheld_message;
use tokio::sync::watch;

use super::CheckArgs;
use super::anatomy::Anatomy;
use super::observed::{
    Answer, End, Observed, Preflight, Redirect, Response, Resume, Stream, Trouble, TroubleKind,
};
use crate::{explain, report};

/// How long an event is waited for when one ought to come at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a response is waited for, at least.
const RESPONSE: Duration = Duration::from_secs(10);

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

pub(super) struct Prober<'a> {
    pub(super) args: &'a CheckArgs,
    /// The request, as the user wants it.
    pub(super) http: Http,
    /// A request without the user's headers and credentials.
    pub(super) bare: Http,
    /// Why no more is asked, once that is so.
    pub(super) stop: watch::Receiver<Option<Stop>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// A signal of this name.
    Signal(&'static str),
    /// The time of --max-time has passed.
    OutOfTime,
}

impl Prober<'_> {
    pub(super) async fn observe(&self) -> Observed {
        let mut observed = Observed {
            origin: self.args.origin().to_owned(),
            origin_chosen: self.args.origin.is_some(),
            local: self.args.request.is_local(),
            unverified: self.args.request.is_unverified(),
            requests: 1,
            ..Observed::default()
        };
        let began = Instant::now();
        let mut hops = Vec::new();
        let sent = self.ask("identity", None, &mut hops).await;
        observed.hops = hops.iter().map(redirect).collect();
        warn_of_withheld(&sent);
        let mut probe = match sent {
            Ok(probe) => probe,
            Err(fault) => {
                observed.trouble = Some(match *self.stop.borrow() {
                    Some(stop) => self.stopped(stop),
                    None => trouble(&fault),
                });
                return observed;
            }
        };
        let answered = Instant::now();
        let url = probe.connection.start().url.clone().unwrap_or_default();
        observed.local |= is_loopback(&url);
        let response = response(&probe, answered - began);
        if response.is_stream() {
            report::news(&format!(
                "watches the stream for {}, or until Ctrl-C",
                explain::seconds(self.args.duration)
            ));
            let count = self.args.count;
            let enough = |anatomy: &Anatomy| {
                count.is_some_and(|count| anatomy.events().len() as u64 >= count)
            };
            let limit = self.args.duration;
            let connection = &mut probe.connection;
            let stream = self.watch(connection, answered, limit, enough).await;
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

    /// What is said of what wasn't asked for.
    fn cut(&self) -> Option<String> {
        self.stop.borrow().map(|stop| match stop {
            Stop::Signal(name) => format!("not asked for: stopped by {name} before"),
            Stop::OutOfTime => format!(
                "not asked for: the {} of --max-time had passed",
                explain::seconds(self.args.max_time())
            ),
        })
    }

    fn stopped(&self, stop: Stop) -> Trouble {
        match stop {
            Stop::Signal(name) => Trouble {
                what: format!("stopped by {name} before there was a response"),
                hint: None,
                kind: TroubleKind::Stopped,
            },
            Stop::OutOfTime => Trouble {
                what: format!(
                    "no response within the {} of --max-time",
                    explain::seconds(self.args.max_time())
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
        report::news("asks again: with gzip, after an event, after an unknown one");
        let limit = stream.first_event().unwrap_or_default().saturating_mul(2);
        let limit = limit.max(PATIENCE).min(self.args.duration);
        observed.second = self
            .again("gzip", None, limit, observed, |it| !it.events().is_empty())
            .await;

        let ids = stream.ids();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        if distinct.len() == ids.len() && stream.ids_unsendable == 0 && !ids.is_empty() {
            let after = (ids.len() - 1) / 2;
            let next = ids.get(after + 1).copied();
            // Enough to see whether what is known comes again.
            let all = stream.events.len() + 5;
            let limit = PATIENCE.min(self.args.duration);
            let answer = self
                .again("identity", Some(ids[after]), limit, observed, |it| {
                    let first = it.events().iter().find_map(|event| event.id.as_deref());
                    first.is_some_and(|first| next.is_none_or(|next| next == first))
                        || it.events().len() >= all
                })
                .await;
            observed.resume = answer.map(|answer| Resume { after, answer });
        }
        if !ids.is_empty() {
            let unknown = Some(UNKNOWN_ID);
            observed.unknown_id = self
                .again("identity", unknown, Duration::ZERO, observed, |_| true)
                .await;
        }
    }

    /// A further connection; none, if the user has enough.
    async fn again(
        &self,
        coding: &'static str,
        id: Option<&str>,
        limit: Duration,
        observed: &mut Observed,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Option<Answer> {
        if self.is_stopped() {
            return None;
        }
        observed.requests += 1;
        let began = Instant::now();
        let mut probe = match self.ask(coding, id, &mut Vec::new()).await {
            Ok(probe) => probe,
            Err(fault) => {
                let answer = Answer {
                    error: Some(report::chain(&fault)),
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
            let stream = self.watch(connection, answered, limit, enough).await;
            answer.first_event = stream.first_event();
            answer.waited = stream.watched;
            answer.retries = stream.retries;
            answer.ids = stream.events.into_iter().map(|event| event.id).collect();
        }
        // What was stopped half-way says nothing.
        (!self.is_stopped()).then_some(answer)
    }

    fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn ask(
        &self,
        coding: &'static str,
        id: Option<&str>,
        hops: &mut Vec<Hop>,
    ) -> Result<Probe, Fault> {
        let origin = self.args.origin().to_owned();
        let http = self.http.clone().before_attempt(move |attempt| {
            let attempt = attempt
                .set_header("accept-encoding", coding)
                .set_header("origin", &origin);
            std::future::ready(Ok::<_, Fault>(attempt))
        });
        let mut request = ConnectRequest::default();
        request.last_event_id = id.map(str::to_owned);
        request.read_timeout = Some(self.response_limit());
        let mut stop = self.stop.clone();
        tokio::select! {
            probe = http.probe(request, hops) => probe,
            _ = stop.wait_for(Option::is_some) => {
                Err(Fault::Source("stopped".into()))
            }
        }
    }

    fn response_limit(&self) -> Duration {
        let default = self.args.duration.max(RESPONSE);
        self.args.request.read_timeout.unwrap_or(default)
    }

    /// Reads until there is enough, or until `limit` after the response.
    async fn watch(
        &self,
        connection: &mut Connection,
        answered: Instant,
        limit: Duration,
        enough: impl Fn(&Anatomy) -> bool,
    ) -> Stream {
        let mut anatomy = Anatomy::new();
        let mut stop = self.stop.clone();
        let end = loop {
            if anatomy.is_full() || enough(&anatomy) {
                break End::Open;
            }
            let now = Instant::now();
            let mut wait = limit.saturating_sub(now - answered);
            if let Some(silence) = self.args.request.read_timeout {
                wait = wait.min(silence);
            }
            let chunk = tokio::select! {
                biased;
                chunk = connection.next_chunk() => chunk,
                () = tokio::time::sleep(wait) => break End::Open,
                _ = stop.wait_for(Option::is_some) => break End::Open,
            };
            match chunk {
                Some(Ok(bytes)) => anatomy.take(bytes.as_ref(), answered.elapsed()),
                Some(Err(fault)) => break End::Broke(report::chain(&fault)),
                None => break End::Ended,
            }
            // A server that sends without a pause doesn't get around the limit.
            if answered.elapsed() >= limit {
                break End::Open;
            }
        };
        anatomy.end(end, answered.elapsed())
    }

    /// What a browser asks before it lets a script send this request to another origin.
    async fn ask_for_permission(
        &self,
        response: &Response,
        observed: &mut Observed,
    ) -> Option<Preflight> {
        let wanted = needs_permission(response)?;
        if self.is_stopped() {
            observed.preflight_left_out = true;
            return None;
        }
        observed.requests += 1;
        let (origin, method) = (self.args.origin().to_owned(), response.method.clone());
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
            Err(fault) => preflight.error = Some(report::chain(&fault)),
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

/// Once: the further requests are redirected in the same way.
fn warn_of_withheld(sent: &Result<Probe, Fault>) {
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
        report::warning(&text);
    }
}

fn trouble(fault: &Fault) -> Trouble {
    let kind = match fault {
        Fault::Connect(_) | Fault::ConnectTimeout(_) => TroubleKind::Connect,
        Fault::Redirect(..) => TroubleKind::Redirect,
        Fault::ReadTimeout(_) => TroubleKind::Silence,
        _ => TroubleKind::Other,
    };
    Trouble {
        what: report::chain(fault),
        hint: explain::hint(fault),
        kind,
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
