//! Secrets aren't sent to another origin after a redirect, and are never printed.

use everstream::{Error, Fault, HeaderScope, Http, SseClient};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    secrets_are_not_sent_to_another_origin,
    secrets_are_sent_within_the_origin,
    secrets_are_not_sent_after_a_detour,
    the_next_attempt_sends_secrets_again,
    secrets_from_a_hook_are_not_sent_to_another_origin,
    user_info_becomes_a_secret_header,
    basic_auth_is_a_secret_header,
    secrets_are_not_sent_even_if_the_redirect_keeps_the_body,
    other_headers_follow_a_redirect_only_if_asked_for,
    secrets_are_not_printed,
);

const SECRETS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-key-2",
];

fn with_secrets(url: String) -> Http {
    Http::new(url)
        .bearer_token("hidden")
        .header("Cookie", "session=hidden")
        .header("Proxy-Authorization", "Basic hidden")
        .sensitive_header("X-Api-Key", "hidden")
        .sensitive_header("x-key-2", "hidden")
        .header("X-Team", "a")
        .header("Accept-Language", "en")
}

/// A header that isn't marked as a secret stays with its origin, too: it may be an unmarked secret.
#[track_caller]
fn assert_secrets(request: &Request, expected: bool) {
    for name in SECRETS.iter().chain(&["x-team"]) {
        assert_eq!(request.header(name).is_some(), expected, "{name}");
    }
    assert_eq!(request.header("accept-language"), Some("en"));
}

fn secrets_are_not_sent_to_another_origin<C: Client>() {
    for status in [301, 302, 303, 307, 308] {
        // Another port is another origin.
        let (home, other) = (Server::start(), Server::start());
        home.otherwise(Reply::redirect(status, other.url("/")));
        other.otherwise(Reply::stream().event("a").stall());
        C::quick(with_secrets(home.url("/"))).event_data();
        assert_secrets(&home.requests()[0], true);
        assert_secrets(&other.requests()[0], false);
    }
    // Another name for the same address is another origin too.
    let home = Server::start();
    let same = home.url("/there").replace("127.0.0.1", "localhost");
    home.enqueue(Reply::redirect(307, same));
    home.enqueue(Reply::stream().event("a").stall());
    C::quick(with_secrets(home.url("/"))).event_data();
    assert_secrets(&home.requests()[1], false);
}

fn secrets_are_sent_within_the_origin<C: Client>() {
    let home = Server::start();
    home.enqueue(Reply::redirect(302, "/next"));
    home.enqueue(Reply::redirect(307, home.url("/last")));
    home.enqueue(Reply::stream().event("a").stall());
    C::quick(with_secrets(home.url("/"))).event_data();
    for request in home.requests() {
        assert_secrets(&request, true);
    }
}

fn secrets_are_not_sent_after_a_detour<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.enqueue(Reply::redirect(307, other.url("/")));
    other.enqueue(Reply::redirect(307, home.url("/back")));
    home.enqueue(Reply::stream().event("a").stall());
    C::quick(with_secrets(home.url("/"))).event_data();
    assert_secrets(&other.requests()[0], false);
    assert_eq!(home.requests()[1].target, "/back");
    assert_secrets(&home.requests()[1], false);
}

fn the_next_attempt_sends_secrets_again<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(307, other.url("/")));
    other.otherwise(Reply::stream().event("a").end());
    let mut client = C::quick(with_secrets(home.url("/")));
    client.event_data();
    client.event_data();
    assert_secrets(&home.requests()[1], true);
    assert_secrets(&other.requests()[1], false);
}

fn secrets_from_a_hook_are_not_sent_to_another_origin<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(307, other.url("/")));
    other.otherwise(Reply::stream().event("a").stall());
    let http = Http::new(home.url("/")).before_attempt(|attempt| async {
        let attempt = attempt.bearer_token("hidden").header("Cookie", "hidden");
        let attempt = attempt
            .header("Proxy-Authorization", "hidden")
            .header("Accept-Language", "en")
            .header("X-Team", "a");
        let attempt = attempt.set_sensitive_header("X-Api-Key", "hidden");
        Ok::<_, std::io::Error>(attempt.set_sensitive_header("X-Key-2", "hidden"))
    });
    C::quick(http).event_data();
    assert_secrets(&home.requests()[0], true);
    assert_secrets(&other.requests()[0], false);
}

fn user_info_becomes_a_secret_header<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.enqueue(Reply::redirect(307, "/next"));
    home.enqueue(Reply::redirect(307, other.url("/")));
    other.otherwise(Reply::stream().event("a").stall());
    let url = home.url("/").replace("http://", "http://user:p%40ss@");
    let mut client = C::quick(url);

    let start = client.expect_start();
    assert_eq!(start.url, Some(other.url("/")));
    for request in home.requests() {
        // user:p@ss
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwQHNz"));
    }
    assert_eq!(other.requests()[0].header("authorization"), None);
}

fn basic_auth_is_a_secret_header<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.enqueue(Reply::redirect(307, other.url("/")));
    other.otherwise(Reply::stream().event("a").stall());
    // `basic_auth` replaces the URL's user info.
    let url = home.url("/").replace("http://", "http://x:y@");
    let http = Http::new(url).basic_auth("üser", "p@s%s:w");
    assert!(!format!("{http:?}").contains("p@s"), "{http:?}");
    C::quick(http).event_data();
    // üser:p@s%s:w
    assert_eq!(
        home.requests()[0].header("authorization"),
        Some("Basic w7xzZXI6cEBzJXM6dw==")
    );
    assert_eq!(other.requests()[0].header("authorization"), None);

    // It doesn't belong to the URL: it is sent even if a hook sets another URL.
    let mirror = other.url("/");
    let http = Http::new(home.url("/"))
        .basic_auth("a", "")
        .before_attempt(move |attempt| {
            let attempt = attempt.set_url(&mirror);
            async move { Ok::<_, Fault>(attempt) }
        });
    C::quick(http).event_data();
    assert_eq!(
        other.requests()[1].header("authorization"),
        Some("Basic YTo=")
    );

    let colon = Http::new(home.url("/")).basic_auth("a:b", "c");
    let problem = C::build(SseClient::builder(colon)).map(|_| ());
    assert!(matches!(
        problem,
        Err(Error::Config {
            setting: "basic_auth",
            ..
        })
    ));
}

fn secrets_are_not_sent_even_if_the_redirect_keeps_the_body<C: Client>() {
    let (home, other) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(308, other.url("/")));
    other.otherwise(Reply::stream().event("a").stall());
    let http = with_secrets(home.url("/")).method("POST").body("prompt");
    C::quick(http).event_data();
    assert_eq!(other.requests()[0].body, b"prompt");
    assert_secrets(&other.requests()[0], false);
}

fn other_headers_follow_a_redirect_only_if_asked_for<C: Client>() {
    for (scope, expected) in [
        (None, None),
        (Some(HeaderScope::All), None),
        (Some(HeaderScope::Sensitive), Some("a")),
    ] {
        let (home, other) = (Server::start(), Server::start());
        home.otherwise(Reply::redirect(307, other.url("/")));
        other.otherwise(Reply::stream().event("a").stall());
        let mut http = with_secrets(home.url("/"));
        if let Some(scope) = scope {
            http = http.header_scope(scope);
        }
        C::quick(http).event_data();
        let request = &other.requests()[0];
        assert_eq!(request.header("x-team"), expected, "{scope:?}");
        for name in SECRETS {
            assert_eq!(request.header(name), None, "{scope:?} {name}");
        }
    }
}

fn secrets_are_not_printed<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().header("Set-Cookie", "hidden").stall());
    let url = server
        .url("/feed?token=hidden")
        .replace("http://", "http://user:hidden@");
    let http = with_secrets(url).before_attempt(|attempt| async move {
        let shown = format!("{attempt:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        Ok::<_, std::io::Error>(attempt)
    });
    let shown = format!("{http:?} {:?}", SseClient::builder(http.clone()));
    assert!(!shown.contains("hidden"), "{shown}");

    let mut client = C::quick(http);
    let start = client.expect_start();
    let shown = format!("{start:?}");
    assert!(!shown.contains("hidden"), "{shown}");

    // An invalid value is a secret, too.
    let evil = Http::new(server.url("/")).sensitive_header("x-key", "hidden\n");
    let error = C::build(SseClient::builder(evil)).err().unwrap();
    assert!(!format!("{error} {error:?}").contains("hidden"));
}
