//! Responses that aren't streams.

use std::time::Duration;

use everstream::{ConnectRequest, Fault, Http, SseClient, error_strategy};

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
    let reason = response.headers.get("x-reason");
    assert_eq!(reason, Some("gesperrt für heute"));
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

pub(crate) async fn the_limit_of_a_body_can_be_set(server: &str) {
    for limit in [2000, 5000] {
        let http = Http::new(format!("{server}/feed")).error_body_limit(limit);
        let error = SseClient::new(http).unwrap().start().await.unwrap_err();
        let response = error.fault().and_then(Fault::response).unwrap();
        assert_eq!(response.body.len(), limit.min(3000));
    }
}

pub(crate) async fn send_returns_any_response(server: &str) {
    let http = Http::new(format!("{server}/mcp"));
    let request = ConnectRequest::new(Some("7".to_owned()));
    let response = http.send(request).await.unwrap();
    assert!(!response.is_event_stream());
    let kind = response.start().header("content-type");
    assert_eq!(kind, Some("application/json"));
    let mut body = Vec::new();
    let mut connection = response.into_body().unwrap();
    while let Some(chunk) = connection.next_chunk().await {
        body.extend_from_slice(chunk.unwrap().as_ref());
    }
    assert_eq!(body, br#"{"answer":42}"#);

    let response = http.send(ConnectRequest::new(None)).await.unwrap();
    let fault = response.into_connection().await.err();
    let response = fault.as_ref().and_then(Fault::response).unwrap();
    assert_eq!(
        (response.status, &response.body[..]),
        (403, &b"no access"[..])
    );

    let response = http.send(ConnectRequest::new(None)).await.unwrap();
    assert!(response.is_event_stream());
    let mut connection = response.into_connection().await.unwrap();
    let chunk = connection.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.as_ref(), b"data: hello\n\n");
    drop(connection);
    js::signal("dropped").await;
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

pub(crate) async fn a_retry_after_can_be_a_date(server: &str) {
    let delay = async || {
        let mut client = patient(server);
        reading::fault(&mut client).await.retry_after()
    };
    let instant = js_sys::Date::parse("2100-12-31T23:00:00Z");
    for format in ["today's", "the oldest"] {
        let left = Duration::from_secs_f64((instant - js_sys::Date::now()) / 1000.0);
        let delay = delay().await.unwrap();
        let difference = delay.abs_diff(left);
        assert!(difference < Duration::from_secs(60), "{format}: {delay:?}");
    }
    assert_eq!(delay().await, Some(Duration::ZERO), "a date in the past");
    assert_eq!(delay().await, None, "neither seconds nor a date");
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
