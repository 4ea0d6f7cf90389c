//! The functions of JavaScript that the tests use.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// A field of the page's location, or of that of the worker's script.
pub(crate) fn location(field: &str) -> String {
    let location = get(&js_sys::global(), "location");
    get(&location, field).as_string().unwrap()
}

pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

/// Whether the program runs in a worker.
pub(crate) fn is_worker() -> bool {
    get(&js_sys::global(), "document").is_undefined()
}

/// Changes the URL of the page without loading another one.
pub(crate) fn change_location(path: &str) {
    let history = get(&js_sys::global(), "history");
    let push: Function = get(&history, "pushState").unchecked_into();
    let nothing = JsValue::NULL;
    push.call3(&history, &nothing, &"".into(), &path.into())
        .unwrap();
}

/// Signals the runner.
pub(crate) async fn signal(name: &str) {
    if let Some(sent) = fetch("POST", &format!("/signal/{name}"), "") {
        JsFuture::from(sent).await.unwrap();
    }
}

/// Waits for a signal of the runner.
pub(crate) async fn wait(name: &str) {
    text_of(&format!("/wait/{name}")).await;
}

/// The body of a response of the page's own server.
pub(crate) async fn text_of(path: &str) -> String {
    let response = JsFuture::from(fetch("GET", path, "").unwrap());
    let response = response.await.unwrap();
    let text: Function = get(&response, "text").unchecked_into();
    let text: Promise = text.call0(&response).unwrap().unchecked_into();
    JsFuture::from(text).await.unwrap().as_string().unwrap()
}

/// Ends the test, successfully if the text begins with `ok`.
pub(crate) fn report(text: &str) {
    if let Some(sent) = fetch("POST", "/report", text) {
        spawn_local(async { drop(JsFuture::from(sent).await) });
    }
}

/// Waits for a timeout of the browser, which is longer on a hidden page.
pub(crate) async fn timeout(milliseconds: f64) {
    let global = js_sys::global();
    let set_timeout: Function = get(&global, "setTimeout").unchecked_into();
    let promise = Promise::new(&mut |resolve, _| {
        let delay = JsValue::from_f64(milliseconds);
        set_timeout.call2(&global, &resolve, &delay).unwrap();
    });
    JsFuture::from(promise).await.unwrap();
}

fn fetch(method: &str, path: &str, body: &str) -> Option<Promise> {
    let init = Object::new();
    let set = |name: &str, value: &str| drop(Reflect::set(&init, &name.into(), &value.into()));
    set("method", method);
    if method == "POST" {
        set("body", body);
    }
    let global = js_sys::global();
    let fetch: Function = get(&global, "fetch").unchecked_into();
    fetch
        .call2(&global, &path.into(), &init)
        .ok()?
        .dyn_into()
        .ok()
}
