//! The first program of the guide "In the browser".

use everstream::SseClient;

fn main() {
    wasm_bindgen_futures::spawn_local(async {
        if let Err(error) = follow("/feed").await {
            web_sys::console::error_1(&error.to_string().into());
        }
    });
}

async fn follow(url: &str) -> Result<(), everstream::Error> {
    let mut client = SseClient::new(url)?;
    while let Some(event) = client.next_event().await {
        web_sys::console::log_1(&event?.data().into());
    }
    Ok(())
}
