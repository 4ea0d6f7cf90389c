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

mod again;
mod origin;
mod preflight;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use everstream::{ConnectRequest, Connection, Fault, Hop, Http, Probe, RedactedUrl};
use everstream_http::policy::withheld_message;
use tokio::sync::watch;

use crate::anatomy::Anatomy;
use crate::observed::{End, Observed, Redirect, Response, Stream, Trouble, TroubleKind};
use crate::options::{Options, Progress};
use crate::text::{chain, seconds};
use origin::{is_loopback, is_same_origin, origin};

/// How long an event is waited for when one ought to come at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a response is waited for, at least.
const RESPONSE: Duration = Duration::from_secs(10);

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(250);

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
