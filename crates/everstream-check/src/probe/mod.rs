//! Sends the requests and records the responses. At most five requests, one after the other:
//!
//! 1. the stream, uncompressed, watched for as long as the user says
//! 2. the stream again, with gzip offered, until its first event
//! 3. the stream after an event in the middle, if there are ids
//! 4. the stream after an id that the server never sent, if there are ids
//! 5. the preflight that a browser would send before this request, if it would send one
//!
//! And up to six more if something is wrong: the first one without `Origin` if it was refused, HEAD if no
//! headers arrive or only with the break of the connection, a second try of the second one, the stream
//! without and with gzip to repeat a comparison, and a second try of 3 and 4 after status 429.
//!
//! A request that isn't safe (RFC 9110, section 9.2.1) is sent once only.

mod again;
mod origin;
mod preflight;
mod watch;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use everstream::{ConnectRequest, Connection, Fault, Http, RedactedUrl, Redirect as Hop};
use everstream_http::{message_with_cause, policy::withheld_message};
use tokio::sync::watch as channel;

use crate::anatomy::Anatomy;
use crate::judge::{is_held_back, may_be_held_back};
use crate::observed::{self, End, Observed, Redirect, Response, Trouble, TroubleKind};
use crate::options::{Options, Progress};
use crate::text::seconds;
use origin::{is_loopback, is_same_origin, origin};

/// How long to wait for an event that should arrive at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for a response, at least.
const RESPONSE: Duration = Duration::from_secs(10);

pub(crate) struct Prober<'a> {
    pub(crate) url: String,
    pub(crate) options: &'a Options,
    /// The request, with the user's settings.
    pub(crate) http: Http,
    /// A request without the user's headers and credentials.
    pub(crate) bare: Http,
    /// The method of the request, once it was sent.
    pub(crate) method: Arc<OnceLock<String>>,
    /// When `stop` says that the time of [`Options::max_time`] has passed.
    pub(crate) deadline: Option<Instant>,
    /// Why no more requests are sent, once that is so.
    pub(crate) stop: channel::Receiver<Option<Stop>>,
}

/// A request for the stream.
#[derive(Clone, Copy)]
struct Question<'a> {
    coding: &'static str,
    id: Option<&'a str>,
    /// How long the headers may take.
    limit: Duration,
    /// Whether `Origin` is sent.
    origin: bool,
}

/// A response, whatever it is.
struct Reply {
    response: Response,
    /// The URL that answered. It may hold secrets.
    url: String,
    withheld: Vec<String>,
    /// `None`: it is in a content coding that can't be decoded.
    body: Option<Connection>,
}

#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// [`Options::stop_on`] is ready; what stopped it.
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
                Ok(reply) if reply.response.is_stream() => {
                    (began, sent) = (later, Ok(reply));
                }
                Ok(reply) => {
                    observed.origin_refused = None;
                    observed.without_origin = Some(reply.response.status);
                }
                Err(_) => observed.origin_refused = None,
            }
        }
        observed.hops = hops.iter().map(redirect).collect();
        observed.same_origin = is_same_origin(&observed.origin, &self.url)
            && observed.hops.iter().all(|hop| !hop.leaves_origin);
        self.warn_of_withheld(&sent);
        let Reply {
            response,
            url,
            body,
            ..
        } = match sent {
            Ok(reply) => reply,
            Err(fault) => {
                observed.trouble = Some(match &*self.stop.borrow() {
                    Some(stop) => self.stopped(stop),
                    None => self.trouble(&fault, began.elapsed()),
                });
                if matches!(fault, Fault::ResponseTimeout(_)) {
                    observed.head = self.ask_for_head(&mut observed).await;
                }
                return observed;
            }
        };
        let answered = began + response.after;
        observed.local |= is_loopback(&url);
        if let (Some(mut body), true) = (body, response.is_stream()) {
            let count = self.options.events;
            let enough = |anatomy: &Anatomy| {
                count.is_some_and(|count| anatomy.events().len() as u64 >= count)
            };
            let limit = self.options.duration;
            let stream = self.watch(&mut body, answered, limit, true, enough).await;
            // The server sees it end before the next one begins.
            drop(body);
            observed.whole_duration = stream.end == End::Open && stream.watched >= limit;
            if may_be_held_back(&response, &stream) {
                observed.head = self.ask_for_head(&mut observed).await;
            }
            if !is_held_back(&response, &stream, observed.head.as_ref()) {
                self.ask_again(&response, &stream, &mut observed).await;
            }
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
    ) -> (Instant, Result<Reply, Fault>) {
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

    /// The status, if `Origin` may be the reason for it and the request may be sent again.
    fn refused(&self, sent: &Result<Reply, Fault>) -> Option<u16> {
        let response = &sent.as_ref().ok()?.response;
        let may_be = response.repeatable && matches!(response.status, 400 | 403 | 421);
        (may_be && !self.is_stopped()).then_some(response.status)
    }

    /// Whether anything answers while the stream's headers don't arrive.
    async fn ask_for_head(&self, observed: &mut Observed) -> Option<Response> {
        let same = |method: &String| matches!(&**method, "GET" | "HEAD");
        if self.is_stopped() || !self.method.get().is_some_and(same) {
            return None;
        }
        observed.requests += 1;
        let http = self.http.clone().method("HEAD");
        let reply = self.send(http, None, PATIENCE, &mut Vec::new()).await;
        Some(reply.ok()?.response)
    }

    /// Why some checks have no answer.
    fn cut(&self) -> Option<String> {
        self.stop.borrow().as_ref().map(|stop| match stop {
            Stop::Asked(name) => format!("not checked: stopped by {name}"),
            Stop::OutOfTime => format!(
                "not checked within the time limit of {}",
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
                    "no response within the time limit of {}",
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

    async fn ask(&self, question: Question<'_>, hops: &mut Vec<Hop>) -> Result<Reply, Fault> {
        let coding = question.coding;
        let origin = question
            .origin
            .then(|| self.options.origin_or_default().to_owned());
        let (method, chosen) = (self.method.clone(), self.options.origin.is_some());
        let http = self.http.clone().before_attempt(move |attempt| {
            _ = method.set(attempt.method().to_owned());
            let safe = is_safe(attempt.method());
            let mut attempt = attempt.set_header("accept-encoding", coding);
            // A server may refuse the default origin, and an unsafe request can't be sent again without.
            if let Some(origin) = origin.as_ref().filter(|_| safe || chosen) {
                attempt = attempt.set_header("origin", origin);
            }
            std::future::ready(Ok::<_, Fault>(attempt))
        });
        self.send(http, question.id, question.limit, hops).await
    }

    /// Sends a request, unless the check is stopped. `hops` gets the redirects, also if it fails.
    async fn send(
        &self,
        http: Http,
        id: Option<&str>,
        limit: Duration,
        hops: &mut Vec<Hop>,
    ) -> Result<Reply, Fault> {
        let followed: Arc<Mutex<Vec<Hop>>> = Arc::default();
        let report = followed.clone();
        let http = http.on_redirect(move |redirect| {
            let mut followed = report.lock().unwrap_or_else(PoisonError::into_inner);
            followed.push(redirect.clone());
        });
        let mut request = ConnectRequest::new(id.map(str::to_owned));
        request.read_timeout = Some(limit);
        let mut stop = self.stop.clone();
        let began = Instant::now();
        let sent = tokio::select! {
            sent = http.send(request) => sent,
            _ = stop.wait_for(Option::is_some) => Err(Fault::Source("stopped".into())),
        };
        let after = began.elapsed();
        hops.append(&mut followed.lock().unwrap_or_else(PoisonError::into_inner));
        sent.map(|response| Reply::new(response, after))
    }

    fn response_limit(&self) -> Duration {
        let default = self.options.duration.max(RESPONSE);
        self.options.read_timeout.unwrap_or(default)
    }

    /// Once: later requests are redirected in the same way.
    fn warn_of_withheld(&self, sent: &Result<Reply, Fault>) {
        let (names, url) = match sent {
            Ok(reply) => (&reply.withheld, &*reply.url),
            Err(fault) => match fault.response() {
                Some(response) => (&response.withheld_headers, &*response.url),
                None => return,
            },
        };
        // The check added this one.
        let names = names.iter().filter(|name| *name != "origin");
        let names: Vec<String> = names.cloned().collect();
        if let Some(text) = withheld_message(&names, url) {
            self.options.progress(&Progress::Warning(&text));
        }
    }

    fn trouble(&self, fault: &Fault, waited: Duration) -> Trouble {
        let kind = match fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) => TroubleKind::Connect,
            Fault::Redirect(..) => TroubleKind::Redirect,
            Fault::ResponseTimeout(_) => TroubleKind::Silence,
            _ => TroubleKind::Other,
        };
        Trouble {
            what: match kind {
                TroubleKind::Silence => format!("no response in {}", seconds(waited)),
                _ => message_with_cause(fault),
            },
            hint: (self.options.hints)(fault),
            kind,
        }
    }
}

impl Reply {
    /// `after` is the time from the request to the headers.
    fn new(response: everstream::Response, after: Duration) -> Reply {
        let now = SystemTime::now();
        let start = response.start().clone();
        let url = start.url.unwrap_or_default();
        let request = response.request_headers();
        let request_type = request.get("content-type");
        let mut facts = Response {
            status: start.status.unwrap_or_default(),
            version: format!("{:?}", response.version()),
            headers: start.headers.unwrap_or_default(),
            url: redacted(&url),
            method: response.request_method().to_string(),
            repeatable: is_safe(response.request_method().as_str()),
            sent: request
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect(),
            request_type: request_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            readable: false,
            after,
            age: None,
        };
        facts.age = observed::age(&facts.headers, now);
        let body = response.into_body().ok();
        facts.readable = body.is_some();
        Reply {
            response: facts,
            url,
            withheld: start.withheld_headers,
            body,
        }
    }
}

/// RFC 9110, section 9.2.1.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
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
