//! What depends on the state of the browser.

use std::time::Duration;

use everstream::{Fault, Http, SseClient, error_strategy, retry_delay};

use crate::{js, reading};

/// The runner minimizes the window after the first event.
pub(crate) async fn a_hidden_page_receives_and_reconnects(server: &str) {
    let http = Http::new(format!("{server}/feed"));
    let limit = Duration::from_secs(2);
    let builder = reading::eager(SseClient::builder(http)).read_timeout(limit);
    let mut client = builder.build().unwrap();
    assert_eq!(reading::data(&mut client).await, "one");
    js::wait("measure").await;
    let begin = js_sys::Date::now();
    for _ in 0..3 {
        js::timeout(10.0).await;
    }
    let elapsed = js_sys::Date::now() - begin;
    // Workers have no document, and aren't throttled.
    let is_throttled = elapsed >= 1000.0;
    assert!(js::is_worker() || is_throttled, "{elapsed} ms");
    js::signal("throttled").await;
    assert_eq!(reading::data(&mut client).await, "two");
    let fault = reading::fault(&mut client).await;
    assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
    assert_eq!(reading::data(&mut client).await, "three");
    let fault = reading::fault(&mut client).await;
    assert!(fault.is_timeout(), "{fault:?}");
    assert_eq!(reading::data(&mut client).await, "four");
}

/// The delays before clients that were refused reconnect. Without a random seed, all clients would come
/// back in the same millisecond.
pub(crate) async fn delays(server: &str) -> String {
    let mut delays = Vec::new();
    for _ in 0..2 {
        let hour = Duration::from_secs(3600);
        let mut client = SseClient::builder(format!("{server}/feed"))
            .initial_retry_delay(hour)
            .error_strategy(error_strategy::always_continue())
            .retry_delay_strategy(retry_delay::backoff().max_delay(hour))
            .build()
            .unwrap();
        let fault = reading::fault(&mut client).await;
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        // There was no id to send, so no header was refused.
        assert!(!fault.to_string().contains("Last-Event-ID"), "{fault}");
        delays.push(client.next_retry_delay().as_nanos().to_string());
    }
    delays.join(" ")
}
