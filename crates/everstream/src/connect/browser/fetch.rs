//! One request with `fetch`, and the body of its response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use everstream_core::{Failure, FailureKind, Fault, Headers, Start};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader};

use super::Credentials;
use crate::connect::attempt::Attempt;
use crate::error::message;

/// Sends the request. Dropping the result aborts it.
pub(super) fn send(attempt: &Attempt, credentials: Credentials) -> Result<Sent, Fault> {
    match call_fetch(attempt, credentials) {
        Ok(sent) => Ok(Sent(SendWrapper::new(sent))),
        Err(error) => {
            let problem = get(&error, "message").as_string();
            let problem = problem.as_deref().unwrap_or("the browser has no fetch");
            Err(Fault::Setup(message(problem)))
        }
    }
}

fn call_fetch(attempt: &Attempt, credentials: Credentials) -> Result<Sending, JsValue> {
    let aborter = Aborter(AbortController::new()?);
    let init = Object::new();
    let set = |name: &str, value: &JsValue| Reflect::set(&init, &name.into(), value).map(drop);
    set("method", &attempt.method.as_str().into())?;
    let headers = Array::new();
    for (name, value) in attempt.headers.iter() {
        // `fetch` takes each character for one byte.
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        headers.push(&Array::of2(&name.as_str().into(), &value.into()));
    }
    set("headers", &headers)?;
    if let Some(body) = &attempt.body {
        set("body", &Uint8Array::from(&body[..]))?;
    }
    let credentials = match credentials {
        Credentials::Omit => "omit",
        Credentials::SameOrigin => "same-origin",
        Credentials::Include => "include",
    };
    set("credentials", &credentials.into())?;
    set("cache", &"no-store".into())?;
    set("signal", &aborter.0.signal())?;
    let global = js_sys::global();
    let fetch: Function = Reflect::get(&global, &"fetch".into())?.dyn_into()?;
    let response: Promise = fetch
        .call2(&global, &attempt.url.as_str().into(), &init)?
        .unchecked_into();
    Ok(Sending {
        response: JsFuture::from(response),
        aborter: Some(aborter),
    })
}

/// A request that was sent. Dropping it aborts the request, unless a response has arrived.
pub(super) struct Sent(SendWrapper<Sending>);

struct Sending {
    response: JsFuture,
    aborter: Option<Aborter>,
}

impl Sent {
    /// Polls for the response; `None` if there is none. Not to be called again afterwards.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Start, Body)>> {
        let Sending { response, aborter } = &mut *self.0;
        let response = ready!(Pin::new(response).poll(cx)).ok();
        Poll::Ready(response.map(|response| {
            let response: web_sys::Response = response.unchecked_into();
            let mut start = Start::new(response.status());
            start.headers = Some(headers(&response));
            // After redirects.
            start.url = Some(response.url());
            // It fails only if the body is being read already.
            let reader = response
                .body()
                .and_then(|body| ReadableStreamDefaultReader::new(&body).ok());
            let body = Body(SendWrapper::new(Reading {
                reader,
                pending: None,
                _aborter: aborter.take(),
            }));
            (start, body)
        }))
    }
}

fn headers(response: &web_sys::Response) -> Headers {
    let pairs = Array::from(&response.headers());
    let pairs = pairs.iter().map(|pair| {
        let pair: Array = pair.unchecked_into();
        let text = |index| pair.get(index).as_string().unwrap_or_default();
        // The browser makes each byte one character.
        let value = text(1);
        let bytes = value.chars().map(|it| it as u8).collect();
        let value = String::from_utf8(bytes).unwrap_or_else(|_| {
            let shown = |it: char| if it.is_ascii() { it } else { '\u{fffd}' };
            value.chars().map(shown).collect()
        });
        (text(0), value)
    });
    pairs.collect()
}

fn get(object: &JsValue, field: &str) -> JsValue {
    Reflect::get(object, &field.into()).unwrap_or_default()
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
    _aborter: Option<Aborter>,
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
            if get(&result, "done").is_truthy() {
                return Poll::Ready(None);
            }
            let bytes: Uint8Array = get(&result, "value").unchecked_into();
            let bytes = bytes.to_vec();
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Bytes::from(bytes))));
            }
        }
    }
}
