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
    let http = Http::new(format!("{server}/mcp"))
        .method("POST")
        .basic_auth("mé", "secret")
        .body("{}");
    let response = http.send(ConnectRequest::default()).await.unwrap();
    assert_eq!(response.start().status, Some(200));
    let kind = response.start().header("content-type");
    assert_eq!(kind, Some("application/json"));
    assert!(!response.is_event_stream());
    let mut document = Vec::new();
    let mut body = response.into_body().unwrap();
    while let Some(chunk) = body.next_chunk().await {
        document.extend_from_slice(chunk.unwrap().as_ref());
    }
    assert_eq!(document, br#"{"answer":42}"#);

    let response = http.send(ConnectRequest::default()).await.unwrap();
    let fault = response.into_connection().await.unwrap_err();
    let response = fault.response().unwrap();
    assert_eq!(response.status, 403);
    assert_eq!(response.body, b"no access");

    // A header of the program replaces the one for the user and password.
    let own = http.header("Authorization", "Bearer own");
    let request = ConnectRequest::new(Some("41".into()));
    let response = own.send(request).await.unwrap();
    assert!(response.is_event_stream());
    let mut stream = response.into_connection().await.unwrap();
    let chunk = stream.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.as_ref(), b"data: hello\n\n");
    drop(stream);
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

pub(crate) async fn error_responses_are_read_as_elsewhere(server: &str) {
    let http = Http::new(format!("{server}/feed"))
        .error_body_limit(9)
        .query("a", "1");
    for (retry_after, text) in [
        // One hour from now, in each of the three formats of dates.
        (Some(3600), Some("naïve")),
        (Some(3600), Some("caf\u{fffd}")),
        (Some(3600), None),
        (Some(0), None),
        (None, None),
        (None, None),
        (None, None),
    ] {
        let response = http.send(ConnectRequest::default()).await.unwrap();
        let fault = response.into_connection().await.unwrap_err();
        let Fault::Status(response) = &fault else {
            panic!("{fault:?}");
        };
        assert_eq!(response.body, b"0123456789"[..9]);
        assert_eq!(response.headers.get("x-text"), text);
        let waits = response.retry_after.map(|it| it.as_secs_f64());
        let is_expected = match (waits, retry_after) {
            (Some(waits), Some(seconds)) => (waits - f64::from(seconds)).abs() < 60.0,
            (waits, seconds) => waits.is_none() && seconds.is_none(),
        };
        assert!(is_expected, "{waits:?} instead of {retry_after:?}");
    }
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
