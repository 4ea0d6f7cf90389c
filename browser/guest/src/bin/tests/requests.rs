//! Requests with a method, a body or credentials.

use std::io;

use everstream::{Error, Fault, Http, SseClient, error_strategy};
use send_wrapper::SendWrapper;

use crate::{js, reading};

fn question(server: &str) -> Http {
    Http::new(format!("{server}/chat"))
        .method("POST")
        .bearer_token("secret")
        .header("content-type", "application/json")
        .body(r#"{"question":"warum?"}"#)
}

pub(crate) async fn a_post_is_sent_once(server: &str) {
    let mut client = reading::client(question(server));
    assert_eq!(reading::data(&mut client).await, "one");
    // The connection breaks, and the question isn't sent again.
    let error = reading::error(&mut client).await;
    let is_expected = matches!(error, Error::NotRepeated(Fault::Read(_)));
    assert!(is_expected, "{error:?}");
}

/// `fetch` sends it as GET.
pub(crate) async fn a_get_in_lower_case_is_repeated(server: &str) {
    let mut client = reading::client(Http::new(format!("{server}/feed")).method("get"));
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) async fn a_post_is_repeated_if_the_program_says_so(server: &str) {
    let builder = reading::eager(SseClient::builder(question(server)));
    let mut client = builder.repeat_unsafe(true).build().unwrap();
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) async fn a_post_is_resumed_by_get(server: &str) {
    let builder = reading::eager(SseClient::builder(question(server)));
    let mut client = builder.resume_with_get(true).build().unwrap();
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(reading::data(&mut client).await, "two");
}

pub(crate) async fn a_user_and_a_password_are_sent(server: &str) {
    let http = Http::new(format!("{server}/feed"));
    let mut client = reading::client(http.basic_auth("Aladdin", "open sesame"));
    assert_eq!(reading::data(&mut client).await, "hello");
}

/// The hook requests each token with a promise of JavaScript, which isn't `Send`.
pub(crate) async fn each_attempt_has_a_fresh_token(server: &str) {
    let http = Http::new(format!("{server}/feed")).before_attempt(|attempt| {
        SendWrapper::new(async move {
            let number = attempt.number().to_string();
            let token = js::text_of("/token").await;
            Ok::<_, io::Error>(attempt.bearer_token(token).query("attempt", number))
        })
    });
    let mut client = reading::eager(SseClient::builder(http))
        .error_strategy(error_strategy::reconnect().or_on_status([503]))
        .build()
        .unwrap();
    assert_eq!(reading::data(&mut client).await, "one");
    assert_eq!(reading::data(&mut client).await, "two");
}
