//! Calls functions of the page: see `page.js`.

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// A parameter of the page's location.
pub fn parameter(name: &str) -> JsValue {
    call("parameter", &[&name.into()])
}

/// Starts the clock.
pub fn start() {
    call("start", &[]);
}

/// Stops the clock.
pub fn finish(events: u64, bytes: u64) {
    call("finish", &[&(events as f64).into(), &(bytes as f64).into()]);
}

/// Calls a function of the page.
pub fn call(name: &str, arguments: &[&JsValue]) -> JsValue {
    let global = js_sys::global();
    let function = Reflect::get(&global, &name.into()).unwrap_or_default();
    let function: Function = function.unchecked_into();
    let arguments: js_sys::Array = arguments.iter().collect();
    function.apply(&global, &arguments).unwrap_or_default()
}

/// Prints a line on the console.
pub fn print(line: &str) {
    let console = Reflect::get(&js_sys::global(), &"console".into()).unwrap_or_default();
    let log = Reflect::get(&console, &"log".into()).unwrap_or_default();
    if let Some(log) = log.dyn_ref::<Function>() {
        log.call1(&console, &line.into()).ok();
    }
}
