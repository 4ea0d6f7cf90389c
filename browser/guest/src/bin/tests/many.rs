//! Several clients in one program.

use everstream::{Http, SseClient};
use wasm_bindgen_futures::spawn_local;

use crate::{js, reading};

/// Each name is the path that a client follows. The runner receives its events as signals, and decides when
/// the client `closed` is closed.
pub(crate) async fn follow(server: &str, names: &str, closed: char) {
    for name in names.chars() {
        let client = reading::client(Http::new(format!("{server}/{name}")));
        let handle = client.handle();
        spawn_local(read(client, name));
        if name == closed {
            spawn_local(async move {
                js::wait("close").await;
                handle.close();
            });
        }
    }
    js::wait("end").await;
}

async fn read(mut client: SseClient, name: char) {
    while let Some(event) = client.next_event().await {
        let data = event.unwrap().data().to_owned();
        js::signal(&format!("{name}-{data}")).await;
    }
}
