//! Requests to other origins.

use everstream::{Action, ConnectRequest, Credentials, Fault, Http, SseClient};

use crate::{js, reading};

pub(crate) async fn the_fault_names_the_header(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")));
    assert_eq!(reading::data(&mut client).await, "one");
    let fault = reading::fault(&mut client).await;
    assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
    for (seen, next) in [
        ("method-not-allowed", "allow-method"),
        ("header-not-allowed", "allow-header"),
    ] {
        let fault = reading::fault(&mut client).await;
        assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
        let message = fault.to_string();
        let advice = "must have Access-Control-Allow-Headers: last-event-id)";
        assert!(message.ends_with(advice), "{message}");
        js::signal(seen).await;
        js::wait(next).await;
    }
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) async fn the_fault_names_all_headers_and_the_method(server: &str) {
    let http = || Http::new(format!("{server}/feed")).header("accept-language", "en");
    let team = || http().header("X-Team", "a").bearer_token("secret");
    for (http, advice) in [
        (
            http().method("POST").header("content-type", "text/plain"),
            None,
        ),
        (team(), Some("Headers: x-team, authorization)")),
        (
            http().method("PUT"),
            Some("must have Access-Control-Allow-Methods: PUT)"),
        ),
        (
            team()
                .method("PATCH")
                .header("content-type", "application/json"),
            Some("x-team, authorization, content-type and Access-Control-Allow-Methods: PATCH)"),
        ),
    ] {
        let fault = http.send(ConnectRequest::default()).await.unwrap_err();
        let message = fault.to_string();
        match advice {
            Some(advice) => assert!(message.ends_with(advice), "{message}"),
            None => assert!(!message.contains("preflight"), "{message}"),
        }
    }
}

pub(crate) async fn a_redirect_is_followed_by_each_attempt(server: &str) {
    let http = Http::new(format!("{server}/feed")).bearer_token("secret");
    let mut client = reading::client(http);
    for _ in 0..2 {
        let start = loop {
            match reading::action(&mut client).await {
                Action::Start(start) => break start,
                Action::Fault(Fault::Read(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        let event = client.next_event().await.unwrap().unwrap();
        assert_eq!(start.url.as_deref(), Some(event.data()));
        assert!(!event.data().starts_with(server));
        js::signal("one").await;
    }
}

pub(crate) async fn cookies_are_sent_as_the_program_says(server: &str) {
    let origin = js::location("origin");
    let follow = |server: &str, path: &str, credentials: Option<Credentials>| {
        let http = Http::new(format!("{server}/{path}?cookies"));
        let http = match credentials {
            Some(credentials) => http.credentials(credentials),
            None => http,
        };
        async { SseClient::new(http).unwrap().start().await.unwrap() }
    };
    follow(server, "login", Some(Credentials::Include)).await;
    for server in [server, &origin] {
        follow(server, "include", Some(Credentials::Include)).await;
        follow(server, "omit", Some(Credentials::Omit)).await;
        follow(server, "default", None).await;
    }
}
