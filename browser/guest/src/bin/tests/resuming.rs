//! Streams that break, and are resumed.

use everstream::{Action, Fault, Http};

use crate::reading;

pub(crate) async fn a_drop_in_an_event_resumes_after_the_last_one(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    assert_eq!(reading::data(&mut client).await, "one");
    let fault = reading::fault(&mut client).await;
    assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
    assert_eq!(reading::data(&mut client).await, "two");
    assert_eq!(reading::data(&mut client).await, "three");
    assert_eq!(client.last_event_id(), Some("3"));
}

pub(crate) async fn a_non_ascii_id_is_kept(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(client.last_event_id(), Some("ключ-ü-€"));
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) async fn bodies_that_break_are_faults(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    for expected in ["one", "two", "three", "four"] {
        assert_eq!(reading::data(&mut client).await, expected);
        let fault = reading::fault(&mut client).await;
        let is_disconnect = matches!(fault, Fault::Read(_)) && fault.is_disconnect();
        assert!(is_disconnect, "after {expected}: {fault:?}");
    }
    assert_eq!(reading::data(&mut client).await, "five");
}

/// However much of a connection the browser has delivered before it broke.
pub(crate) async fn all_events_are_delivered_once(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    let mut faults = 0;
    for expected in 0..500 {
        let event = loop {
            match reading::action(&mut client).await {
                Action::Event(event) => break event,
                Action::Fault(_) => faults += 1,
                _ => {}
            }
        };
        assert_eq!(event.data(), expected.to_string());
    }
    assert!(faults >= 2, "{faults} faults");
}
