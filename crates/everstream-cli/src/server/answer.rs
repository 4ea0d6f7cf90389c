//! Requests and responses. Every path is that of the stream.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::out::{Out, Pieces, Switch};

/// What writes a stream, until its end.
pub(crate) type Streaming = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the events come from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Begins a stream; `None`, if there will be no more for this client (status 204).
    fn stream(&self, asked: &Asked) -> Option<Box<dyn FnOnce(Out) -> Streaming>>;
}

/// What a client asks for.
pub(crate) struct Asked {
    /// How many have asked before it, and it.
    pub(crate) number: u64,
    pub(crate) last_event_id: Option<String>,
}

pub(super) struct Answers<S> {
    source: S,
    allow_origin: Vec<String>,
    asked: AtomicU64,
}

impl<S: Source> Answers<S> {
    pub(super) fn new(source: S, allow_origin: Vec<String>) -> Answers<S> {
        Answers {
            source,
            allow_origin,
            asked: AtomicU64::new(0),
        }
    }

    pub(super) fn answer<B>(
        &self,
        request: &Request<B>,
        switch: &Switch,
    ) -> Result<Response<Pieces>, Infallible> {
        let mut response = Response::new(Pieces::none(switch));
        match *request.method() {
            // What a browser asks before a page's own code may send a header such as this.
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
            // A stream may be the answer to a question.
            Method::GET | Method::POST => {
                let asked = Asked {
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
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        Ok(response)
    }

    /// The origin of the page that asks, if it may read the answer.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let allowed = |allowed: &String| allowed == "*" || allowed == text;
        let may = self.allow_origin.iter().any(allowed) || is_local(text);
        may.then(|| origin.clone())
    }
}

fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?.as_bytes();
    // Browsers and others send it as UTF-8 (WHATWG HTML, 9.2.5).
    let id = String::from_utf8_lossy(id).into_owned();
    (!id.is_empty()).then_some(id)
}

/// Whether a page comes from this machine.
fn is_local(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else {
        return false;
    };
    let host = match host.rsplit_once(':') {
        Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => host,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_known() {
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://app.localhost:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert!(is_local(origin), "{origin}");
        }
        for origin in [
            "null",
            "https://example.com",
            "https://localhost.example.com",
            "https://127.0.0.1.example.com:80",
            "http://10.0.0.1",
            "http://notlocalhost",
        ] {
            assert!(!is_local(origin), "{origin}");
        }
    }
}
