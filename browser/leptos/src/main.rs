//! A Leptos component that shows the events of a stream and the state of its connection.
//!
//! The stream ends when the component is unmounted. The next one, also after a reload, continues after the
//! last event that was shown.

use everstream::{Action, Event, SseClient};
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::Storage;

/// The most events on the page.
const MAX_SHOWN: usize = 100;

/// An event's data, and its number.
type Shown = (u64, String);

fn main() {
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let (is_shown, set_is_shown) = signal(true);
    // `<body data-feed="URL">`; the URL may be relative to the page.
    let url = document().body().and_then(|it| it.dataset().get("feed"));
    let url = StoredValue::new(url.unwrap_or_else(|| "/feed".to_owned()));
    view! {
        <button on:click=move |_| set_is_shown.update(|it| *it = !*it)>
            {move || if is_shown.get() { "Stop" } else { "Start" }}
        </button>
        <Show when=move || is_shown.get()>
            <Feed url=url.get_value()/>
        </Show>
    }
}

#[component]
fn Feed(url: String) -> impl IntoView {
    let (state, set_state) = signal("connecting".to_owned());
    let (events, set_events) = signal(Vec::<Shown>::new());
    match SseClient::builder(url.clone())
        .last_event_id(saved_id(&url))
        .build()
    {
        Ok(client) => {
            let handle = client.handle();
            on_cleanup(move || handle.close());
            spawn_local(follow(client, url, set_state, set_events));
        }
        Err(error) => set_state.set(error.to_string()),
    }
    view! {
        <p>{state}</p>
        <ol>
            <For
                each=move || events.get()
                key=|(number, _)| *number
                children=|(_, data)| view! { <li>{data}</li> }
            />
        </ol>
    }
}

/// Returns once the component is unmounted, or after an error that retrying can't fix.
async fn follow(
    mut client: SseClient,
    url: String,
    state: WriteSignal<String>,
    events: WriteSignal<Vec<Shown>>,
) {
    let mut number = 0;
    while let Some(action) = client.next_action().await {
        match action {
            Ok(Action::Start(_)) => state.set("connected".to_owned()),
            Ok(Action::Event(event)) => {
                number += 1;
                events.update(|it| {
                    it.push((number, event.data().to_owned()));
                    it.drain(..it.len().saturating_sub(MAX_SHOWN));
                });
                save_id(&url, &event);
            }
            Ok(Action::Fault(fault)) => {
                let delay = client.next_retry_delay().as_secs_f64();
                state.set(format!("{fault}; retrying in {delay:.1} s"));
            }
            Ok(Action::End(_)) => state.set("reconnecting".to_owned()),
            Ok(_) => {}
            Err(error) => state.set(error.to_string()),
        }
    }
}

fn saved_id(url: &str) -> String {
    let saved = storage().and_then(|it| it.get_item(url).ok()?);
    saved.unwrap_or_default()
}

/// Called once the event is shown, so that a reload shows what follows it.
fn save_id(url: &str, event: &Event) {
    if let (Some(storage), Some(id)) = (storage(), event.last_event_id()) {
        storage.set_item(url, id).ok();
    }
}

/// Survives a reload, and belongs to one tab.
fn storage() -> Option<Storage> {
    window().session_storage().ok()?
}
