//! Counts events with everstream, or passes the data of each to the page.

use browser_bench::{call, finish, parameter, start};
use everstream::SseClient;

fn main() {
    let url = parameter("url").as_string().unwrap_or_default();
    let expected = parameter("events").as_f64().unwrap_or_default() as u64;
    let passes_data = parameter("pass").is_truthy();
    wasm_bindgen_futures::spawn_local(async move {
        start();
        let (mut events, mut bytes) = (0, 0);
        let Ok(mut client) = SseClient::new(url) else {
            return finish(0, 0);
        };
        while events < expected {
            let Some(Ok(event)) = client.next_event().await else {
                break;
            };
            events += 1;
            bytes += event.data().len() as u64;
            if passes_data {
                call("receive", &[&event.data().into()]);
            }
        }
        finish(events, bytes);
    });
}
