//! The minimal client of `guest`, with reqwest-eventsource. It retries by itself, as that one does.

use browser_bench::print;
use futures_util::StreamExt;
use reqwest_eventsource::{Event, EventSource};

fn main() {
    wasm_bindgen_futures::spawn_local(async {
        // reqwest takes no relative URL.
        let mut client = EventSource::get("https://example.com/feed");
        while let Some(event) = client.next().await {
            if let Ok(Event::Message(message)) = event {
                print(&message.data);
            }
        }
    });
}
