//! The program of the guide "In the browser" that resumes after a reload.

use everstream::SseClient;

fn main() {
    wasm_bindgen_futures::spawn_local(async {
        if let Err(error) = follow("/feed").await {
            web_sys::console::error_1(&error.to_string().into());
        }
    });
}

async fn follow(url: &str) -> Result<(), everstream::Error> {
    let storage = web_sys::window().and_then(|it| it.session_storage().ok()?);
    let saved = storage.as_ref().and_then(|it| it.get_item(url).ok()?);
    let mut client = SseClient::builder(url)
        .last_event_id(saved.unwrap_or_default())
        .build()?;
    while let Some(event) = client.next_event().await {
        let event = event?;
        web_sys::console::log_1(&event.data().into());
        if let (Some(storage), Some(id)) = (&storage, event.last_event_id()) {
            storage.set_item(url, id).ok();
        }
    }
    Ok(())
}
