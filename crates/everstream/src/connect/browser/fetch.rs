//! One request with `fetch`, and the body of its response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use everstream_core::{Failure, FailureKind, Fault};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader};

use super::{Credentials, LAST_EVENT_ID, Url};

pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<&'a [u8]>,
    pub(super) credentials: Credentials,
}

pub(super) struct Response {
    pub(super) status: u16,
    /// After redirects.
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Sends the request and waits for the head of the response. Dropping the future aborts the request.
pub(super) async fn send(request: Request<'_>) -> Result<Response, Fault> {
    let controller = AbortController::new().map_err(|error| Fault::Setup(text(&error).into()))?;
    let aborter = Aborter(controller);
    let sent =
        call_fetch(&request, &aborter.0).map_err(|error| Fault::Setup(text(&error).into()))?;
    // Every failure is a `TypeError`, so a refused connection looks like a lost response.
    let response = JsFuture::from(sent).await.map_err(|_| {
        let failure = Failure::new(FailureKind::Other, failure_message(&request));
        Fault::Request(failure.into())
    })?;
    let response: web_sys::Response = response.unchecked_into();
    let reader = response
        .body()
        .map(|body| ReadableStreamDefaultReader::new(&body))
        .transpose()
        .map_err(|error| Fault::Request(text(&error).into()))?;
    Ok(Response {
        status: response.status(),
        url: response.url(),
        headers: headers(&response),
        body: Body(SendWrapper::new(Reading {
            reader,
            pending: None,
            _aborter: aborter,
        })),
    })
}

fn call_fetch(request: &Request<'_>, controller: &AbortController) -> Result<Promise, JsValue> {
    let init = Object::new();
    let set = |name: &str, value: &JsValue| Reflect::set(&init, &name.into(), value).map(drop);
    set("method", &request.method.as_str().into())?;
    let headers = Array::new();
    for (name, value) in request.headers {
        // `fetch` takes each character for one byte.
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        headers.push(&Array::of2(&name.as_str().into(), &value.into()));
    }
    set("headers", &headers)?;
    if let Some(body) = request.body {
        set("body", &Uint8Array::from(body))?;
    }
    let credentials = match request.credentials {
        Credentials::Omit => "omit",
        Credentials::SameOrigin => "same-origin",
        Credentials::Include => "include",
    };
    set("credentials", &credentials.into())?;
    set("cache", &"no-store".into())?;
    set("signal", &controller.signal())?;
    let global = js_sys::global();
    let fetch: Function = Reflect::get(&global, &"fetch".into())?.dyn_into()?;
    fetch
        .call2(&global, &request.url.as_str().into(), &init)?
        .dyn_into()
}

fn failure_message(request: &Request<'_>) -> String {
    let message = "the browser got no response: the network failed, or it refused the request";
    match request.headers.contains_key(LAST_EVENT_ID) && request.url.is_cross_origin() {
        false => message.to_owned(),
        true => format!(
            "{message} (this request resumes a stream of another origin, whose answer to the \
             preflight request must have Access-Control-Allow-Headers: Last-Event-ID)"
        ),
    }
}

fn headers(response: &web_sys::Response) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for entry in response.headers().entries().into_iter().flatten() {
        let entry: Array = entry.unchecked_into();
        let (Some(name), Some(value)) = (entry.get(0).as_string(), entry.get(1).as_string()) else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// What an exception of JavaScript says.
fn text(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => "the browser has no fetch".to_owned(),
    }
}

/// Aborts the request when it is dropped, whether or not a response has arrived.
struct Aborter(AbortController);

impl Drop for Aborter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response. Dropping it closes the connection.
pub(in crate::connect) struct Body(SendWrapper<Reading>);

struct Reading {
    /// `None` if the response can't have a body.
    reader: Option<ReadableStreamDefaultReader>,
    pending: Option<JsFuture>,
    _aborter: Aborter,
}

impl Body {
    /// Polls for the next bytes, never empty; `None` at the end.
    pub(in crate::connect) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        let Reading {
            reader, pending, ..
        } = &mut *self.0;
        let Some(reader) = reader else {
            return Poll::Ready(None);
        };
        loop {
            let read = pending.get_or_insert_with(|| JsFuture::from(reader.read()));
            let result = ready!(Pin::new(read).poll(cx));
            *pending = None;
            let Ok(result) = result else {
                let message = "the connection was lost mid-response";
                let failure = Failure::new(FailureKind::Closed, message);
                return Poll::Ready(Some(Err(Fault::Read(failure.into()))));
            };
            let field = |name: &str| Reflect::get(&result, &name.into()).unwrap_or_default();
            if field("done").is_truthy() {
                return Poll::Ready(None);
            }
            let bytes = Uint8Array::new(&field("value")).to_vec();
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Bytes::from(bytes))));
            }
        }
    }
}
