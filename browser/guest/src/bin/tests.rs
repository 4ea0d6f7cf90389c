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
        (http().method("TRACE"), "method"),
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
