//! Requests and responses. Every path is the stream.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::origin::{host, is_local};
use super::out::{Out, Pieces, Streaming, Switch};

/// Where the events come from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Starts a stream; `None` if there is nothing more for this client (status 204).
    fn stream(&self, asked: &ClientRequest) -> Option<Box<dyn FnOnce(Out) -> Streaming>>;
}

/// The request of a client.
pub(crate) struct ClientRequest {
    /// The number of the client, counted from 1.
    pub(crate) number: u64,
    pub(crate) last_event_id: Option<String>,
}

pub(super) struct Answers<S> {
    source: S,
    allow_origin: Vec<String>,
    /// Only this machine can reach the port.
    only_here: bool,
    asked: AtomicU64,
}

impl<S: Source> Answers<S> {
    pub(super) fn new(source: S, allow_origin: Vec<String>, only_here: bool) -> Answers<S> {
        Answers {
            source,
            allow_origin,
            only_here,
            asked: AtomicU64::new(0),
        }
    }

    pub(super) fn answer<B>(
        &self,
        request: &Request<B>,
        switch: &Switch,
    ) -> Result<Response<Pieces>, Infallible> {
        let mut response = Response::new(Pieces::none(switch));
        if !self.may_ask(request.headers()) {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Ok(response);
        }
        match *request.method() {
            // Browsers request it when somebody opens the stream.
            _ if request.uri().path() == "/favicon.ico" => {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            // A browser's preflight request, before a script may send a header such as this.
            Method::OPTIONS => {
                *response.status_mut() = StatusCode::NO_CONTENT;
                let wanted = request.headers().get("access-control-request-headers");
                if let Some(wanted) = wanted {
                    let allowed = wanted.clone();
                    let headers = response.headers_mut();
                    headers.insert("access-control-allow-headers", allowed);
                    let methods = HeaderValue::from_static("GET, HEAD, POST");
                    headers.insert("access-control-allow-methods", methods);
                }
            }
            Method::HEAD => stream_headers(response.headers_mut()),
            // A stream may be the response to a POST.
            Method::GET | Method::POST => {
                let asked = ClientRequest {
                    number: self.asked.fetch_add(1, Ordering::Relaxed) + 1,
                    last_event_id: last_event_id(request.headers()),
                };
                match self.source.stream(&asked) {
                    None => *response.status_mut() = StatusCode::NO_CONTENT,
                    Some(source) => {
                        stream_headers(response.headers_mut());
                        *response.body_mut() = Pieces::of(source, switch);
                    }
                }
            }
            _ => {
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                let allow = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        if let Some(origin) = self.allowed_origin(request.headers()) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            // Allows pages that send requests with cookies.
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        Ok(response)
    }

    /// DNS rebinding: a page can point its own host name to this machine, and for its browser the
    /// stream then has the page's origin. Clients elsewhere that can reach this port need no such
    /// trick.
    fn may_ask(&self, headers: &HeaderMap) -> bool {
        let Some(asked) = headers.get(header::HOST).filter(|_| self.only_here) else {
            return true;
        };
        let asked = host(asked.to_str().unwrap_or_default());
        let allowed = |allowed: &String| {
            let allowed_host = allowed.split_once("://").map(|(_, it)| host(it));
            allowed == "*" || allowed_host == Some(asked)
        };
        is_local(asked) || self.allow_origin.iter().any(allowed)
    }

    /// The origin of the requesting page, if it may read the response.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let allowed = |allowed: &String| allowed == "*" || allowed == text;
        let local = |(_, authority): (&str, &str)| is_local(host(authority));
        let may =
            self.allow_origin.iter().any(allowed) || text.split_once("://").is_some_and(local);
        may.then(|| origin.clone())
    }
}

fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    let uncached = HeaderValue::from_static("no-cache, no-transform");
    headers.insert(header::CACHE_CONTROL, uncached);
    // nginx buffers responses by default.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?.as_bytes();
    // Clients send the id as UTF-8 (WHATWG HTML, 9.2.5).
    let id = String::from_utf8_lossy(id).into_owned();
    (!id.is_empty()).then_some(id)
}
