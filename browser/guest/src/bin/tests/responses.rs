//! Responses that aren't streams.

use std::time::Duration;

use everstream::{Fault, Http, SseClient, error_strategy};

use crate::{js, reading};

pub(crate) async fn a_204_ends_the_stream(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    let error = reading::error(&mut client).await;
    let Some(Fault::Status(response)) = error.fault() else {
        panic!("{error:?}");
    };
    assert_eq!((response.status, response.body.len()), (204, 0));
}

pub(crate) async fn an_error_status_has_headers_and_a_body(server: &str) {
    let mut client = SseClient::new(format!("{server}/feed?token=secret")).unwrap();
    let error = client.start().await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    let Some(Fault::Status(response)) = error.fault() else {
        panic!("{error:?}");
    };
    assert_eq!(response.body, br#"{"error":"no access"}"#);
    assert_eq!(response.url, format!("{server}/feed?token=secret"));
    let kind = response.headers.get("content-type");
    assert_eq!(kind, Some("application/json"));
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

pub(crate) async fn the_beginning_of_a_body_is_kept(server: &str) {
    let mut client = SseClient::new(format!("{server}/feed")).unwrap();
    let error = client.start().await.unwrap_err();
    let Some(Fault::Status(response)) = error.fault() else {
        panic!("{error:?}");
    };
    assert_eq!(response.body, "x".repeat(1024).as_bytes());
    js::signal("failed").await;
    // The client still exists when the server sees that the connection is closed.
    js::wait("checked").await;
}

fn patient(server: &str) -> SseClient {
    SseClient::builder(format!("{server}/feed"))
        .initial_retry_delay(Duration::from_millis(10))
        .error_strategy(error_strategy::reconnect().or_on_status([503]))
        .build()
        .unwrap()
}

pub(crate) async fn an_exposed_retry_after_is_obeyed(server: &str) {
    let mut client = patient(server);
    let fault = reading::fault(&mut client).await;
    assert_eq!(fault.retry_after(), Some(Duration::from_secs(2)));
    assert!(client.next_retry_delay() >= Duration::from_secs(2));
    assert_eq!(reading::data(&mut client).await, "hello");
}

pub(crate) async fn a_hidden_retry_after_is_unknown(server: &str) {
    let mut client = patient(server);
    let fault = reading::fault(&mut client).await;
    assert_eq!(fault.status(), Some(503));
    assert_eq!(fault.retry_after(), None);
    assert_eq!(fault.headers().unwrap().get("retry-after"), None);
    assert!(client.next_retry_delay() <= Duration::from_millis(10));
    assert_eq!(reading::data(&mut client).await, "hello");
}
