//! Runs the core's conformance cases with both clients, over real sockets.

// The core defines the notation of the cases and their expected results.
#[path = "../../everstream-core/tests/spec/cases.rs"]
#[allow(dead_code)]
mod cases;
#[path = "../../everstream-core/tests/support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::time::Duration;

use cases::Case;
use everstream::{Action, Builder, SseClient, blocking, retry_delay};
use everstream_testing::{Reply, Server};
use support::Seen;

/// Serves each stream of a case on its own connection, and then a 204.
fn serve(server: &Server, case: &Case) -> Builder {
    for stream in &case.streams {
        server.enqueue(Reply::stream().send(&stream.bytes[..]).end());
    }
    server.enqueue(Reply::status(204));
    let mut builder = SseClient::builder(server.url("/"))
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::ZERO));
    if let Some(id) = &case.resume {
        builder = builder.last_event_id(id);
    }
    builder
}

/// The actions that a case produces. `retry:` and ids without data change the client but produce no action.
fn expected(case: &Case) -> Vec<Seen> {
    let items = case.streams.iter().flat_map(|stream| &stream.due);
    items
        .map(|due| due.item.clone())
        .filter(|item| matches!(item, Seen::Event { .. } | Seen::Comment(_)))
        .collect()
}

fn seen(action: Action) -> Option<Seen> {
    match action {
        Action::Event(event) => Some(Seen::Event {
            event: event.event().into(),
            data: event.data().into(),
            id: event.id().map(String::from),
            last: event.last_event_id().map(String::from),
        }),
        Action::Comment(text) => Some(Seen::Comment(text)),
        _ => None,
    }
}

fn assert_passed(case: &Case, got: &[Seen], last_event_id: Option<&str>) {
    assert_eq!(got, expected(case), "{}", case.name);
    assert_eq!(last_event_id, case.last.as_deref(), "{}", case.name);
}

fn all_cases() -> Vec<Case> {
    let cases = cases::read(include_str!("../../everstream-core/tests/spec/cases.txt")).unwrap();
    assert_eq!(cases.len(), cases::COUNT);
    cases
}

#[test]
fn the_blocking_client_passes_every_case() {
    for case in all_cases() {
        let server = Server::start();
        let mut client = Builder::<blocking::SseClient>::from(serve(&server, &case))
            .build()
            .unwrap();
        // The iteration ends with an error at the 204.
        let got: Vec<Seen> = client
            .all()
            .map_while(Result::ok)
            .filter_map(seen)
            .collect();
        assert_passed(&case, &got, client.last_event_id());
    }
}

#[tokio::test]
async fn the_async_client_passes_every_case() {
    for case in all_cases() {
        let server = Server::start();
        let mut client = serve(&server, &case).build().unwrap();
        let mut got = Vec::new();
        while let Some(Ok(action)) = client.next_action().await {
            got.extend(seen(action));
        }
        assert_passed(&case, &got, client.last_event_id());
    }
}
