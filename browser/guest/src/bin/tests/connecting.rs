//! Connecting, and what is known about a connection.

use everstream::{Action, ConnectRequest, Error, Http, SseClient};

use crate::{js, reading};

/// A URL without an origin is relative to the page or the worker's script.
pub(crate) async fn connects_to_the_server_of_the_page() {
    let mut client = SseClient::new("/feed").unwrap();
    let Action::Start(start) = reading::action(&mut client).await else {
        panic!("no start");
    };
    assert_eq!(start.status, Some(200));
    assert_eq!(start.header("content-type"), Some("text/event-stream"));
    assert_eq!(start.url, Some(format!("{}/feed", js::location("origin"))));
    for expected in ["hello", "wörld"] {
        let event = client.next_event().await.unwrap().unwrap();
        assert_eq!(event.data(), expected);
    }
}

/// A page can change its own URL; a worker can't.
pub(crate) async fn a_relative_url_does_not_follow_the_page() {
    let mut client = reading::client(Http::new("feed"));
    if !js::is_worker() {
        js::change_location("/another/page.html");
    }
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) fn settings_that_the_browser_refuses_fail_at_build() {
    let http = || Http::new("/feed");
    for (http, setting) in [
        (http().header("cookie", "a=1"), "header"),
        (http().header("Sec-Fetch-Mode", "cors"), "header"),
        (http().header("x team", "a"), "header"),
        (http().header("x-team", "a\nb"), "header"),
        (http().method("TRACE"), "method"),
        (http().method("a b"), "method"),
        (http().basic_auth("m:e", "secret"), "basic_auth"),
        (http().body("q=1"), "body"),
        (Http::new("https://me:secret@example.com/"), "url"),
        (Http::new("ftp://example.com/"), "url"),
        (Http::new("http://[/"), "url"),
    ] {
        let error = SseClient::new(http).err();
        let is_expected =
            matches!(&error, Some(Error::Config { setting: it, .. }) if *it == setting);
        assert!(is_expected, "{setting}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    // A later setting replaces an invalid one.
    let http = http().method("a b").method("POST").body("q=1");
    let http = http.bearer_token("a\nb").bearer_token("b");
    let http = http.basic_auth("m:e", "secret").basic_auth("me", "secret");
    SseClient::new(http).unwrap();
    let request = ConnectRequest::new(None);
    assert!(!request.resume_with_get);
}
