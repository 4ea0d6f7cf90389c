//! What requests contain, and how a hook can change each attempt.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use everstream::{Attempt, Error, Fault, Http, SseClient, error_strategy};
use everstream_testing::{Reply, Server};
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_plain_url_sends_the_headers_of_an_event_source,
    method_and_body_are_sent,
    the_body_is_resent_if_the_request_is_repeated,
    headers_replace_defaults_and_accumulate,
    a_non_ascii_token_is_sent_as_utf8,
    query_parameters_are_added_in_order,
    a_hook_can_set_a_token_for_each_attempt,
    a_hook_sees_the_number_and_the_id,
    hooks_run_in_the_order_in_which_they_were_added,
    a_hook_can_change_url_and_query,
    a_hook_adds_and_sets_headers_and_parameters,
    a_hook_can_change_method_and_body,
    types_of_the_crates_http_and_url_are_accepted,
    a_request_is_made_from_any_kind_of_text,
    a_boolean_option_can_be_turned_off_again,
    a_method_in_lower_case_is_sent_as_it_is_and_not_repeated,
    a_token_replaces_an_earlier_one,
    a_hook_can_be_slow,
    a_hook_error_fails_the_attempt,
    a_fault_from_a_hook_is_passed_on,
    invalid_changes_by_a_hook_are_named,
    invalid_requests_are_refused_when_the_client_is_built,
);

fn serve() -> Server {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "a").drop_connection());
    server
}

fn a_plain_url_sends_the_headers_of_an_event_source<C: Client>() {
    let server = serve();
    C::quick(server.url("/feed?a=1&a=2#part")).event_data();
    let request = &server.requests()[0];
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/feed?a=1&a=2");
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("cache-control"), Some("no-cache"));
    assert!(
        request
            .header("user-agent")
            .unwrap()
            .starts_with("everstream/")
    );
    assert!(request.body.is_empty());
}

fn method_and_body_are_sent<C: Client>() {
    let server = serve();
    let body: Vec<u8> = (0..=255).collect();
    C::quick(
        Http::new(server.url("/"))
            .method("REPORT")
            .body(body.clone()),
    )
    .event_data();
    let request = &server.requests()[0];
    assert_eq!(request.method, "REPORT");
    assert_eq!(request.body, body);
    assert_eq!(request.header("content-length"), Some("256"));
}

#[cfg(feature = "json")]
mod json {
    use super::*;

    for_both_clients!(
        a_json_body_is_sent_by_post,
        a_header_replaces_the_type_of_a_json_body,
        a_value_that_can_not_be_serialized_is_refused
    );

    fn a_header_replaces_the_type_of_a_json_body<C: Client>() {
        let http = |server: &Server| Http::new(server.url("/"));
        let (name, mine) = ("content-type", "application/x+json");
        let server = serve();
        C::quick(http(&server).header(name, mine).json(&1)).event_data();
        C::quick(http(&server).json(&1).header(name, mine)).event_data();
        for request in server.requests() {
            let types: Vec<_> = request.header_values(name).collect();
            assert_eq!(types, [mine.as_bytes()]);
        }
    }

    fn a_json_body_is_sent_by_post<C: Client>() {
        let server = serve();
        let prompt = serde_json::json!({"stream": true, "text": "é"});
        C::quick(Http::new(server.url("/")).json(&prompt)).event_data();
        let request = &server.requests()[0];
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(sent, prompt);
    }

    fn a_value_that_can_not_be_serialized_is_refused<C: Client>() {
        let no_json = std::collections::HashMap::from([((1, 2), 3)]);
        let error = C::build(quick(Http::new("http://127.0.0.1/").json(&no_json))).err();
        assert!(matches!(
            error,
            Some(Error::Config {
                setting: "body",
                ..
            })
        ));
    }
}

fn the_body_is_resent_if_the_request_is_repeated<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/")).method("POST").body("prompt");
    let mut client = C::with(quick(http).repeat_unsafe(true));
    client.event_data();
    client.event_data();
    for request in &server.requests()[..2] {
        assert_eq!(request.body, b"prompt");
    }
    assert_eq!(server.requests()[1].header("last-event-id"), Some("1"));
}

fn headers_replace_defaults_and_accumulate<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/"))
        .header("ACCEPT", "text/event-stream, application/json")
        .header("User-Agent", "mine")
        .header("x-many", "a")
        .header("X-Many", "b")
        .header("x-bytes", &b"caf\xe9"[..]);
    C::quick(http).event_data();
    let request = &server.requests()[0];
    let values = |name| request.header_values(name).collect::<Vec<_>>();
    assert_eq!(values("accept"), [b"text/event-stream, application/json"]);
    assert_eq!(values("user-agent"), [b"mine"]);
    assert_eq!(values("x-many"), [b"a", b"b"]);
    assert_eq!(values("x-bytes"), [b"caf\xe9"]);
}

fn a_non_ascii_token_is_sent_as_utf8<C: Client>() {
    let server = serve();
    C::quick(Http::new(server.url("/")).bearer_token("…")).event_data();
    let token = server.requests()[0]
        .header_bytes("authorization")
        .map(<[u8]>::to_vec);
    assert_eq!(token, Some("Bearer …".as_bytes().to_vec()));
}

fn query_parameters_are_added_in_order<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/feed?z=1"))
        .query("topic", "a b")
        .query("topic", "c&d")
        .query("é", "=");
    C::quick(http).event_data();
    assert_eq!(
        server.requests()[0].target,
        "/feed?z=1&topic=a+b&topic=c%26d&%C3%A9=%3D"
    );
}

fn a_hook_can_set_a_token_for_each_attempt<C: Client>() {
    let server = serve();
    let tokens = Arc::new(AtomicU32::new(0));
    let http = Http::new(server.url("/")).before_attempt(move |attempt| {
        let token = tokens.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, io::Error>(attempt.bearer_token(format_args!("t{token}"))) }
    });
    let mut client = C::quick(http);
    for attempt in 0..3 {
        client.event_data();
        let requests = server.requests();
        let tokens: Vec<_> = requests[attempt].header_values("authorization").collect();
        assert_eq!(tokens, [format!("Bearer t{attempt}").as_bytes()]);
    }
}

fn a_hook_sees_the_number_and_the_id<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/")).before_attempt(|attempt: Attempt| async move {
        let seen = format!("{} {:?}", attempt.number(), attempt.last_event_id());
        Ok::<_, io::Error>(attempt.set_header("x-seen", seen))
    });
    let mut client = C::quick(http);
    client.event_data();
    client.event_data();
    assert_eq!(server.requests()[0].header("x-seen"), Some("1 None"));
    assert_eq!(server.requests()[1].header("x-seen"), Some("2 Some(\"1\")"));
}

fn hooks_run_in_the_order_in_which_they_were_added<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/"))
        .before_attempt(|attempt: Attempt| async {
            let attempt = attempt.set_header("x-order", "first");
            Ok::<_, io::Error>(attempt.bearer_token("token"))
        })
        .before_attempt(|attempt: Attempt| async {
            Ok::<_, io::Error>(attempt.header("x-order", "second"))
        });
    C::quick(http).event_data();
    let request = &server.requests()[0];
    let order: Vec<_> = request.header_values("x-order").collect();
    assert_eq!(order, [&b"first"[..], b"second"]);
    assert_eq!(request.header("authorization"), Some("Bearer token"));

    // After an error the next one isn't called.
    let http = Http::new(server.url("/"))
        .before_attempt(|_| async { Err::<Attempt, _>(io::Error::other("no token")) })
        .before_attempt(|_| async { Err::<Attempt, _>(io::Error::other("called")) });
    let fault = C::quick(http).expect_error();
    assert!(matches!(&fault, Fault::Setup(cause) if cause.to_string().contains("no token")));
}

fn a_hook_can_change_url_and_query<C: Client>() {
    let server = serve();
    let other = server.url("/other?a=1&b=2&a=3");
    let http = Http::new(server.url("/")).before_attempt(move |attempt: Attempt| {
        assert!(attempt.url().ends_with('/'));
        let attempt = attempt.set_url(&other).set_query("a", "4");
        async { Ok::<_, io::Error>(attempt) }
    });
    C::quick(http).event_data();
    assert_eq!(server.requests()[0].target, "/other?b=2&a=4");
}

fn a_hook_adds_and_sets_headers_and_parameters<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/?a=1"))
        .header("x-set", "before")
        .header("x-add", "before")
        .before_attempt(|attempt: Attempt| async {
            let attempt = attempt
                .header("accept", "text/plain")
                .set_header("x-set", "after")
                .header("x-add", 2)
                .query("b", "1")
                .query("b", "2")
                .set_query("a", "2");
            Ok::<_, io::Error>(attempt)
        });
    C::quick(http).event_data();
    let request = &server.requests()[0];
    let values = |name| request.header_values(name).collect::<Vec<_>>();
    assert_eq!(values("accept"), [b"text/plain"]);
    assert_eq!(values("x-set"), [b"after"]);
    assert_eq!(values("x-add"), [&b"before"[..], b"2"]);
    assert_eq!(request.target, "/?b=1&b=2&a=2");
}

fn a_hook_can_change_method_and_body<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/")).before_attempt(|attempt: Attempt| async {
        Ok::<_, io::Error>(attempt.set_method(Method::PUT).set_body("x=1"))
    });
    C::quick(http).event_data();
    let request = &server.requests()[0];
    assert_eq!((&*request.method, &*request.body), ("PUT", &b"x=1"[..]));
    assert_eq!(request.header("content-length"), Some("3"));
}

fn types_of_the_crates_http_and_url_are_accepted<C: Client>() {
    let (home, other) = (Server::start(), serve());
    home.otherwise(Reply::redirect(307, other.url("/")));
    let mut secret = HeaderValue::from_static("hidden");
    secret.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("x-key", secret.clone());
    headers.append("x-team", HeaderValue::from_static("a"));
    headers.append("x-team", HeaderValue::from_static("b"));
    let url = Url::parse(&home.url("/")).unwrap();
    let http = Http::from(&url)
        .method(Method::POST)
        .header(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"))
        .header("x-key-2", secret)
        .headers(headers);
    C::quick(http).event_data();
    let (sent, followed) = (&home.requests()[0], &other.requests()[0]);
    assert_eq!(sent.method, "POST");
    let teams: Vec<_> = sent.header_values("x-team").collect();
    assert_eq!(teams, [b"a", b"b"]);
    for request in [sent, followed] {
        assert_eq!(request.header("accept-language"), Some("en"));
    }
    // Values marked as sensitive are treated as secrets.
    for name in ["x-key", "x-key-2"] {
        assert_eq!(sent.header(name), Some("hidden"));
        assert_eq!(followed.header(name), None);
    }

    let url = Url::parse(&other.url("/")).unwrap();
    assert_eq!(C::quick(&url).event_data(), "a");
    assert_eq!(C::quick(url).event_data(), "a");
}

fn a_request_is_made_from_any_kind_of_text<C: Client>() {
    let server = serve();
    let url = server.url("/");
    for http in [Http::from(&*url), Http::from(&url), Http::from(url.clone())] {
        assert_eq!(C::quick(http).event_data(), "a");
    }
    assert_eq!(C::quick(&*url).event_data(), "a");
    assert_eq!(C::quick(&url).event_data(), "a");
    assert_eq!(C::quick(url).event_data(), "a");
}

fn a_boolean_option_can_be_turned_off_again<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .header("Content-Type", "text/plain")
            .event("a"),
    );
    let http = Http::new(server.url("/"))
        .any_content_type(true)
        .any_content_type(false);
    let fault = C::quick(http).expect_error();
    assert!(matches!(fault, Fault::ContentType(_)), "{fault:?}");

    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "a")
            .send("data: unfinished")
            .end(),
    );
    let http = Http::new(server.url("/")).method("POST");
    let builder = quick(http)
        .repeat_unsafe(true)
        .repeat_unsafe(false)
        .resume_with_get(true)
        .resume_with_get(false)
        .dispatch_unfinished(true)
        .dispatch_unfinished(false);
    let mut client = C::with(builder);
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 1);
}

/// RFC 9110, section 9.1: methods are case-sensitive.
fn a_method_in_lower_case_is_sent_as_it_is_and_not_repeated<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let mut client = C::quick(Http::new(server.url("/")).method("get"));
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "get");
}

fn a_token_replaces_an_earlier_one<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/"))
        .header("Authorization", "Basic eDp5")
        .bearer_token("old")
        .bearer_token("new");
    C::quick(http).event_data();
    let requests = server.requests();
    let sent: Vec<_> = requests[0].header_values("authorization").collect();
    assert_eq!(sent, [b"Bearer new"]);
}

fn a_hook_can_be_slow<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/")).before_attempt(|attempt| async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        Ok::<_, io::Error>(attempt)
    });
    assert_eq!(C::quick(http).event_data(), "a");
}

fn a_hook_error_fails_the_attempt<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/"))
        .before_attempt(|_| async { Err(io::Error::other("the token service is away")) });
    let mut client = C::quick(http);
    let fault = client.expect_error();
    assert!(matches!(&fault, Fault::Setup(cause) if cause.to_string().contains("token")));
    assert_eq!(server.accepted_connections(), 0);
}

fn a_fault_from_a_hook_is_passed_on<C: Client>() {
    let server = serve();
    let http = Http::new(server.url("/")).before_attempt(|attempt: Attempt| async move {
        match attempt.number() {
            // The default strategy retries this fault.
            1 => Err(Fault::Connect("the token service is away".into())),
            _ => Ok(attempt),
        }
    });
    let mut client = C::quick(http);
    assert!(client.expect_fault().is_connect());
    assert_eq!(client.event_data(), "a");
}

fn invalid_changes_by_a_hook_are_named<C: Client>() {
    let server = serve();
    type Change = fn(Attempt) -> Attempt;
    let changes: [(&str, Change); 6] = [
        ("x-add", |attempt| attempt.header("x-add", "1\r\nx: y")),
        ("method", |attempt| attempt.set_method("GET /")),
        ("x-evil", |attempt| {
            attempt.set_header("x-evil", "1\r\nx: y")
        }),
        ("bad name", |attempt| attempt.set_header("bad name", "1")),
        ("url", |attempt| attempt.set_url("no-scheme")),
        ("url", |attempt| attempt.set_url("ftp://127.0.0.1/")),
    ];
    for (named, change) in changes {
        let http = Http::new(server.url("/"))
            .before_attempt(move |attempt| async move { Ok::<_, io::Error>(change(attempt)) });
        let strategy = error_strategy::always_fail();
        let mut client = C::with(quick(http).error_strategy(strategy));
        match client.expect_error() {
            Fault::Setup(cause) => assert!(cause.to_string().contains(named), "{cause}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.accepted_connections(), 0);
}

fn invalid_requests_are_refused_when_the_client_is_built<C: Client>() {
    let http = || Http::new("http://127.0.0.1/");
    for (setting, bad) in [
        ("header", http().header("x-evil", "1\r\nX-More: 2")),
        ("header", http().header("x-evil", "1\n2")),
        ("header", http().header("x-evil", "1\0")),
        ("header", http().header("x: y", "1")),
        ("header", http().header("", "1")),
        ("header", http().bearer_token("a\nb")),
        ("header", http().header("Content-Length", "5")),
        ("header", http().header("transfer-encoding", "chunked")),
        ("method", http().method("GET / HTTP/1.1\r\n")),
        ("method", http().method("")),
        ("url", http().set_url("")),
        ("url", http().set_url("/relative")),
        ("url", http().set_url("ftp://127.0.0.1/")),
        ("url", http().set_url("http://")),
        ("proxy", http().proxy("not a url")),
    ] {
        match C::build(SseClient::builder(bad)).err() {
            Some(Error::Config { setting: named, .. }) => assert_eq!(named, setting),
            other => panic!("{setting}: {other:?}"),
        }
    }
}

#[cfg(feature = "reqwest")]
mod custom_client {
    use super::*;
    use crate::support::reqwest_client;

    for_both_clients!(
        a_custom_reqwest_client_is_used,
        everstream_follows_redirects_of_a_custom_client,
    );

    fn client() -> reqwest::Client {
        reqwest_client::builder()
            .user_agent("mine")
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    }

    fn a_custom_reqwest_client_is_used<C: Client>() {
        let server = serve();
        let mut client = C::quick(Http::new(server.url("/")).client(client()));
        client.event_data();
        client.event_data();
        assert_eq!(server.requests()[0].header("user-agent"), Some("mine"));
    }

    fn everstream_follows_redirects_of_a_custom_client<C: Client>() {
        let (home, other) = (Server::start(), serve());
        home.otherwise(Reply::redirect(307, other.url("/")));
        let http = Http::new(home.url("/"))
            .client(client())
            .sensitive_header("x-api-key", "hidden");
        C::quick(http).event_data();
        assert_eq!(other.requests()[0].header("x-api-key"), None);
    }
}
