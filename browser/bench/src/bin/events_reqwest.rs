//! Counts events with reqwest-eventsource.

use browser_bench::{finish, parameter, start};
use futures_util::StreamExt;
use reqwest_eventsource::{Event, EventSource};

fn main() {
    let url = parameter("url").as_string().unwrap_or_default();
    let expected = parameter("events").as_f64().unwrap_or_default() as u64;
    wasm_bindgen_futures::spawn_local(async move {
        start();
        let (mut events, mut bytes) = (0, 0);
        let mut client = EventSource::get(url);
        while events < expected {
            let Some(Ok(event)) = client.next().await else {
                break;
            };
            if let Event::Message(message) = event {
                events += 1;
                bytes += message.data.len() as u64;
            }
        }
        finish(events, bytes);
    });
}
