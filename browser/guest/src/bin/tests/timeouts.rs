//! The read timeout.

use std::time::Duration;

use everstream::{Action, Attempt, Fault, Http, SseClient, error_strategy, retry_delay};
use wasm_bindgen_futures::spawn_local;

use crate::{js, reading};

/// Longer than a busy machine delays a response.
const LIMIT: Duration = Duration::from_millis(2500);

pub(crate) async fn events_restart_the_read_timeout(server: &str) {
    let mut client = SseClient::builder(format!("{server}/slow"))
        .read_timeout(LIMIT)
        .error_strategy(error_strategy::always_fail())
        .build()
        .unwrap();
    let begin = js_sys::Date::now();
    for expected in 1..=8 {
        assert_eq!(reading::data(&mut client).await, expected.to_string());
    }
    let error = reading::error(&mut client).await;
    let is_expected = matches!(error.fault(), Some(Fault::ReadTimeout(LIMIT)));
    assert!(is_expected, "{error:?}");
    // The eighth event was sent after 2.8 s, and then nothing.
    let elapsed = js_sys::Date::now() - begin;
    assert!(elapsed >= 5000.0, "{elapsed} ms");
}

/// The first connection is silent, `after_head` or before. The second one isn't.
pub(crate) async fn a_read_timeout_reconnects(server: &str, after_head: bool) {
    let http = Http::new(format!("{server}/feed"));
    let builder = reading::eager(SseClient::builder(http));
    let mut client = builder.read_timeout(LIMIT).build().unwrap();
    let begin = js_sys::Date::now();
    if after_head {
        let action = reading::action(&mut client).await;
        assert!(matches!(action, Action::Start(_)), "{action:?}");
    }
    let action = reading::action(&mut client).await;
    let is_expected = match &action {
        Action::Fault(Fault::ReadTimeout(LIMIT)) => after_head,
        Action::Fault(Fault::ResponseTimeout(LIMIT)) => !after_head,
        _ => false,
    };
    assert!(is_expected, "{action:?}");
    let elapsed = js_sys::Date::now() - begin;
    assert!(elapsed >= 2400.0, "{elapsed} ms");
    assert_eq!(reading::data(&mut client).await, "hello");
    js::wait("checked").await;
}

/// Every attempt fails at once, and there is no delay.
pub(crate) async fn endless_retries_do_not_freeze_the_page(server: &str) {
    let http = Http::new(format!("{server}/feed"));
    let http = http.before_attempt(|_| async { Err::<Attempt, _>("no token") });
    let mut client = SseClient::builder(http)
        .error_strategy(error_strategy::always_continue())
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::ZERO))
        .build()
        .unwrap();
    let handle = client.handle();
    spawn_local(async move { while client.next_action().await.is_some() {} });
    js::timeout(10.0).await;
    handle.close();
}
