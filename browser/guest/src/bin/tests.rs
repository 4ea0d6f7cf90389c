//! The tests, as seen by a program in the browser. The query of its location names the test and the server
//! that the runner has prepared for it; the result is sent to `/report`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use everstream::{
    Action, ConnectRequest, Error, Fault, Http, SseClient, error_strategy, retry_delay,
};
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

fn main() {
    std::panic::set_hook(Box::new(|info| send_report(&info.to_string())));
    let query = location("search");
    let mut parameters = query.trim_start_matches('?').split('&');
    let test = parameters.next().unwrap_or_default().to_owned();
    let server = parameters.next().unwrap_or_default().to_owned();
    spawn_local(async move {
        match test.as_str() {
            "connect" => connects_and_receives_events().await,
            "drop" => resumes_after_a_drop_within_an_event(&server).await,
            "post" => posts_once(&server).await,
            "close" => close_aborts_the_request(&server).await,
            "timeout" => read_timeout_restarts_with_each_event(&server).await,
            "status" => error_statuses_have_headers_and_body(&server).await,
            "delays" => clients_choose_different_delays(&server).await,
            "document" => send_returns_any_response(&server).await,
            "errors" => error_responses_are_read_as_elsewhere(&server).await,
            "settings" => settings_that_the_browser_refuses_fail_at_build(),
            other => panic!("no test {other}"),
        }
        send_report("ok");
    });
}

/// A URL without an origin is relative to the page or the worker's script.
async fn connects_and_receives_events() {
    let mut client = SseClient::new("/feed").unwrap();
    let Some(Ok(Action::Start(start))) = client.next_action().await else {
        panic!("no start");
    };
    assert_eq!(start.status, Some(200));
    assert_eq!(start.header("content-type"), Some("text/event-stream"));
    assert_eq!(start.url, Some(format!("{}/feed", location("origin"))));
    for expected in ["hello", "wörld"] {
        let event = client.next_event().await.unwrap().unwrap();
        assert_eq!(event.data(), expected);
    }
}

async fn resumes_after_a_drop_within_an_event(server: &str) {
    let mut client = SseClient::builder(format!("{server}/feed"))
        .initial_retry_delay(Duration::from_millis(100))
        .build()
        .unwrap();
    let mut faults = 0;
    let mut data = Vec::new();
    while data.len() < 3 {
        match client.next_action().await.unwrap().unwrap() {
            Action::Event(event) => {
                data.push(event.data().to_owned());
                signal().await;
            }
            Action::Fault(Fault::Read(_)) => faults += 1,
            Action::Start(_) | Action::Comment(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        (data, faults),
        (["one", "two", "three"].map(String::from).to_vec(), 1)
    );
    assert_eq!(client.last_event_id(), Some("3"));
}

async fn posts_once(server: &str) {
    let http = Http::new(format!("{server}/chat"))
        .method("POST")
        .bearer_token("secret")
        .header("content-type", "application/json")
        .body("{}");
    let mut client = SseClient::builder(http).build().unwrap();
    let event = client.next_event().await.unwrap().unwrap();
    assert_eq!(event.data(), "answer");
    signal().await;
    // The connection drops, and the prompt isn't sent again.
    let error = client.next_event().await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::NotRepeated(Fault::Read(_))),
        "{error:?}"
    );
}

async fn close_aborts_the_request(server: &str) {
    let mut client = SseClient::new(format!("{server}/feed")).unwrap();
    client.next_event().await.unwrap().unwrap();
    let handle = client.handle();
    let mut read = pin!(client.next_event());
    // The read is pending when the handle closes the client.
    poll_fn(|cx| Poll::Ready(assert!(read.as_mut().poll(cx).is_pending()))).await;
    handle.close();
    assert!(read.await.is_none());
}

/// Each event replaces the timer. If that woke the task, it would poll in an endless loop of microtasks,
/// and no event would ever arrive.
async fn read_timeout_restarts_with_each_event(server: &str) {
    let limit = Duration::from_millis(1500);
    let mut client = SseClient::builder(format!("{server}/slow"))
        .read_timeout(limit)
        .error_strategy(error_strategy::always_fail())
        .build()
        .unwrap();
    let begin = js_sys::Date::now();
    for expected in ["1", "2", "3", "4"] {
        let event = client.next_event().await.unwrap().unwrap();
        assert_eq!(event.data(), expected);
    }
    let error = client.next_event().await.unwrap().unwrap_err();
    assert!(
        matches!(error.fault(), Some(Fault::ReadTimeout(it)) if *it == limit),
        "{error:?}"
    );
    // Four events within 2.4 s, then silence.
    let elapsed = js_sys::Date::now() - begin;
    assert!(elapsed >= 3000.0, "{elapsed}");
}

async fn error_statuses_have_headers_and_body(server: &str) {
    let mut client = SseClient::new(format!("{server}/feed")).unwrap();
    let error = client.start().await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    let Some(Fault::Status(response)) = error.fault() else {
        panic!("{error:?}");
    };
    assert_eq!(response.body, b"maintenance");
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
}

async fn send_returns_any_response(server: &str) {
    let http = Http::new(format!("{server}/mcp"))
        .method("POST")
        .basic_auth("mé", "secret")
        .body("{}");
    let response = http.send(ConnectRequest::default()).await.unwrap();
    assert_eq!(response.start().status, Some(200));
    assert!(!response.is_event_stream());
    let mut document = Vec::new();
    let mut body = response.into_body().unwrap();
    while let Some(chunk) = body.next_chunk().await {
        document.extend_from_slice(chunk.unwrap().as_ref());
    }
    assert_eq!(document, b"{\"result\":7}");

    let own = http.header("Authorization", "Bearer own");
    let response = own.send(ConnectRequest::new(Some("41".into()))).await;
    let response = response.unwrap();
    assert!(response.is_event_stream());
    let mut stream = response.into_connection().await.unwrap();
    let chunk = stream.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.as_ref(), b"data: hello\n\n");
}

async fn error_responses_are_read_as_elsewhere(server: &str) {
    let http = Http::new(format!("{server}/feed"))
        .error_body_limit(9)
        .query("a", "1");
    for (retry_after, text) in [
        // One hour from now, in each of the three formats of dates.
        (Some(3600), Some("naïve")),
        (Some(3600), Some("caf\u{fffd}")),
        (Some(3600), None),
        (Some(0), None),
        (None, None),
        (None, None),
        (None, None),
    ] {
        let response = http.send(ConnectRequest::default()).await.unwrap();
        let fault = response.into_connection().await.unwrap_err();
        let Fault::Status(response) = &fault else {
            panic!("{fault:?}");
        };
        assert_eq!(response.body, b"0123456789"[..9]);
        assert_eq!(response.headers.get("x-text"), text);
        let waits = response.retry_after.map(|it| it.as_secs_f64());
        let expected = match (waits, retry_after) {
            (Some(waits), Some(seconds)) => (waits - f64::from(seconds)).abs() < 60.0,
            (waits, seconds) => waits.is_none() && seconds.is_none(),
        };
        assert!(expected, "{waits:?} instead of {retry_after:?}");
    }
}

/// A server that is gone: all clients would come back in the same millisecond without a random seed.
async fn clients_choose_different_delays(server: &str) {
    let mut delays = Vec::new();
    for _ in 0..4 {
        let mut client = SseClient::builder(format!("{server}/feed"))
            .initial_retry_delay(Duration::from_secs(3600))
            .error_strategy(error_strategy::always_continue())
            .retry_delay_strategy(retry_delay::backoff().max_delay(Duration::from_secs(3600)))
            .build()
            .unwrap();
        let fault = client.next_action().await;
        assert!(
            matches!(fault, Some(Ok(Action::Fault(Fault::Request(_))))),
            "{fault:?}"
        );
        delays.push(client.next_retry_delay());
    }
    delays.sort();
    delays.dedup();
    assert_eq!(delays.len(), 4, "{delays:?}");
}

fn settings_that_the_browser_refuses_fail_at_build() {
    let http = || Http::new("/feed");
    for (http, setting) in [
        (http().header("cookie", "a=1"), "header"),
        (http().header("Sec-Fetch-Mode", "cors"), "header"),
        (http().header("x team", "a"), "header"),
        (http().header("x-team", "a\nb"), "header"),
        (http().method("TRACE"), "method"),
        (http().method("a b"), "method"),
        (http().basic_auth("m:e", "secret"), "basic_auth"),
        (http().body("q=1"), "body"),
        (Http::new("https://me:secret@example.com/"), "url"),
        (Http::new("ftp://example.com/"), "url"),
        (Http::new("http://[/"), "url"),
    ] {
        let error = SseClient::new(http).err();
        let is_expected =
            matches!(&error, Some(Error::Config { setting: it, .. }) if *it == setting);
        assert!(is_expected, "{setting}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    // A later setting replaces an invalid one.
    let http = http().method("a b").method("POST").body("q=1");
    let http = http.bearer_token("a\nb").bearer_token("b");
    let http = http.basic_auth("m:e", "secret").basic_auth("me", "secret");
    SseClient::new(http).unwrap();
    let request = ConnectRequest::new(None);
    assert!(!request.resume_with_get);
}

fn location(field: &str) -> String {
    let location = get(&js_sys::global(), "location");
    get(&location, field).as_string().unwrap()
}

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

/// Lets the server continue. A browser drops the events that it hasn't delivered yet when a connection
/// breaks, so the server waits before it breaks one.
async fn signal() {
    if let Some(sent) = post("/received", "") {
        JsFuture::from(sent).await.unwrap();
    }
}

fn send_report(text: &str) {
    if let Some(sent) = post("/report", text) {
        spawn_local(async { drop(JsFuture::from(sent).await) });
    }
}

fn post(path: &str, text: &str) -> Option<Promise> {
    let init = Object::new();
    Reflect::set(&init, &"method".into(), &"POST".into()).ok();
    Reflect::set(&init, &"body".into(), &text.into()).ok();
    let global = js_sys::global();
    let fetch: Function = get(&global, "fetch").unchecked_into();
    fetch
        .call2(&global, &path.into(), &init)
        .ok()?
        .dyn_into()
        .ok()
}
