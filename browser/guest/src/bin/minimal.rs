//! A minimal client: follows a stream and prints the data of its events on the console.

use js_sys::{Function, Reflect};
use wasm_bindgen::JsCast;

fn main() {
    wasm_bindgen_futures::spawn_local(async {
        let Ok(mut client) = everstream::SseClient::new("/feed") else {
            return;
        };
        while let Some(Ok(event)) = client.next_event().await {
            print(event.data());
        }
    });
}

fn print(line: &str) {
    let console = Reflect::get(&js_sys::global(), &"console".into()).unwrap_or_default();
    let log = Reflect::get(&console, &"log".into()).unwrap_or_default();
    if let Some(log) = log.dyn_ref::<Function>() {
        log.call1(&console, &line.into()).ok();
    }
}
