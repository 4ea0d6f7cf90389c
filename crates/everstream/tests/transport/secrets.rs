//! Secrets are sent, but never printed.

use std::fmt::Debug;

use everstream::{Action, Attempt, Error, Http, SseClient};
use everstream_testing::{Reply, Server};

use super::client::{Client, Kind, both, chain};
use super::proxy_server::{Behavior, Proxy};

/// A part of every secret below.
const SECRET: &str = "hunter2";

/// Settings with secrets in every place.
fn with_secrets(url: &str) -> Http {
    let url = url.replace("http://", "http://user:hunter2-password@");
    Http::new(url + "?token=hunter2-in-url#hunter2-fragment")
        .query("key", "hunter2-query")
        .bearer_token("hunter2-token")
        .header("Cookie", "hunter2-cookie")
        .sensitive_header("X-Api-Key", "hunter2-header")
        .method("POST")
        .body("hunter2-body")
        .before_attempt(|attempt: Attempt| async {
            let attempt = attempt
                .query("fresh", "hunter2-fresh")
                .set_sensitive_header("X-Fresh", "hunter2-fresh");
            assert_no_secrets(&attempt);
            Ok::<_, Error>(attempt)
        })
}

fn assert_no_secrets(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn assert_no_secrets_in_error(error: &(impl std::error::Error + 'static)) {
    assert_no_secrets(error);
    let text = chain(error);
    assert!(!text.contains(SECRET), "{text}");
    let mut source = error.source();
    while let Some(error) = source {
        assert_no_secrets(&error);
        source = error.source();
    }
}

fn builder(http: Http) -> everstream::Builder {
    SseClient::builder(http)
        .repeat_unsafe(true)
        .initial_retry_delay(std::time::Duration::ZERO)
}

fn assert_no_secrets_in_client(client: &Client) {
    match client {
        Client::Async(client, _) => {
            assert_no_secrets(client);
            assert_no_secrets(&client.handle());
        }
        Client::Blocking(client) => {
            assert_no_secrets(client);
            assert_no_secrets(&client.handle());
        }
    }
}

#[test]
fn the_secrets_of_these_tests_are_sent() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    both(|kind| {
        kind.build(builder(with_secrets(&server.url("/feed"))))
            .event();
        let request = server.requests().pop().unwrap();
        for name in ["Cookie", "X-Api-Key", "X-Fresh", "Authorization"] {
            assert!(request.header(name).unwrap().contains(SECRET), "{name}");
        }
        let query = request.query().unwrap();
        for part in [
            "token=hunter2-in-url",
            "key=hunter2-query",
            "fresh=hunter2-fresh",
        ] {
            assert!(query.contains(part), "{query}");
        }
    });
}

#[test]
fn starts_and_settings_do_not_print_secrets() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .header("Set-Cookie", SECRET)
            .event("x")
            .stall(),
    );
    both(|kind| {
        let http = with_secrets(&server.url("/feed"));
        assert_no_secrets(&http);
        let builder = builder(http);
        assert_no_secrets(&builder);
        let mut client = kind.build(builder);
        assert_no_secrets_in_client(&client);
        let start = client.started();
        assert!(
            start.url.as_ref().unwrap().contains(SECRET),
            "the field has the full URL"
        );
        assert_no_secrets(&start);
        assert_no_secrets(&Action::Start(start.into()));
        assert_no_secrets_in_client(&client);
    });
}

#[test]
fn faults_of_every_kind_do_not_print_secrets() {
    let stopped = Server::start();
    stopped.stop();
    let refuses = Proxy::start(Behavior::Answer(
        "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n",
    ));
    let replies = [
        Reply::status(500).header("Set-Cookie", SECRET),
        Reply::status(200).header("Content-Type", "text/plain"),
        Reply::stream().header("Content-Encoding", "sdch"),
        Reply::redirect(302, "ftp://localhost/"),
        Reply::redirect(302, "http://["),
        Reply::on_accept().drop_connection(),
        Reply::raw("not HTTP\r\n\r\n").drop_connection(),
        Reply::stream().content_length(1000).drop_connection(),
        Reply::stream()
            .header("Content-Encoding", "gzip")
            .send("not gzip"),
    ];
    both(|kind| {
        let check = |http: Http| {
            let mut client = kind.build(builder(http));
            loop {
                match client.next() {
                    Some(Ok(Action::Start(_))) => {}
                    Some(Ok(Action::Fault(fault))) => break assert_no_secrets_in_error(&fault),
                    Some(Err(error)) => break assert_no_secrets_in_error(&error),
                    other => panic!("{other:?}"),
                }
            }
        };
        for reply in &replies {
            let server = Server::start();
            server.otherwise(reply.clone());
            check(with_secrets(&server.url("/feed")));
        }
        check(with_secrets(&stopped.url("/feed")));
        check(with_secrets("http://feed.invalid/").no_proxy());
        check(with_secrets("http://feed.test/").proxy(refuses.url_with_password()));
        check(
            Http::new("https://user:hunter2@feed.test/?hunter2").proxy(refuses.url_with_password()),
        );
    });
}

#[test]
fn invalid_settings_do_not_print_secrets() {
    let broken = [
        Http::new("https://user:hunter2@/"),
        Http::new("https://user:hunter2@example.com:99999/?hunter2"),
        Http::new("htp://user:hunter2@example.com/?hunter2#hunter2"),
        Http::new("/relative?hunter2"),
        Http::new("http://localhost/").header("X-Api-Key", "hunter2\n"),
        Http::new("http://localhost/").bearer_token("hunter2\r\nX: y"),
    ];
    both(|kind| {
        for http in &broken {
            assert_no_secrets(http);
            let error = kind
                .try_build(builder(http.clone()))
                .map(|_| ())
                .unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            assert_no_secrets_in_error(&error);
        }
    });
}

#[test]
fn invalid_attempts_do_not_print_secrets() {
    type Change = fn(Attempt) -> Attempt;
    let changes: [Change; 3] = [
        |attempt| attempt.set_url("https://user:hunter2@/?hunter2"),
        |attempt| attempt.bearer_token("hunter2\n"),
        |attempt| attempt.set_sensitive_header("X-Api-Key", "hunter2\n"),
    ];
    for kind in [Kind::Async, Kind::Blocking] {
        for change in changes {
            let http = Http::new("http://localhost/").before_attempt(move |attempt| async move {
                let attempt = change(attempt);
                assert_no_secrets(&attempt);
                Ok::<_, Error>(attempt)
            });
            assert_no_secrets_in_error(&kind.build(builder(http)).any_fault());
        }
    }
}
