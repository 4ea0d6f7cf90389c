//! Secrets are sent, and never printed.

use std::fmt::Debug;

use everstream::{Action, Attempt, Error, Http, SseClient};
use everstream_testing::{Reply, Server};

use super::client::{Client, Kind, both, chain};
use super::proxy_server::{Manner, Proxy};

/// Part of every secret below.
const SECRET: &str = "hunter2";

/// Secrets in every place that takes one.
fn secretive(url: &str) -> Http {
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
            assert_quiet(&attempt);
            Ok::<_, Error>(attempt)
        })
}

fn assert_quiet(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn assert_error_quiet(error: &(impl std::error::Error + 'static)) {
    assert_quiet(error);
    let text = chain(error);
    assert!(!text.contains(SECRET), "{text}");
    let mut source = error.source();
    while let Some(error) = source {
        assert_quiet(&error);
        source = error.source();
    }
}

fn builder(http: Http) -> everstream::Builder {
    SseClient::builder(http)
        .repeat_unsafe(true)
        .initial_retry_delay(std::time::Duration::ZERO)
}

fn assert_client_quiet(client: &Client) {
    match client {
        Client::Async(client, _) => {
            assert_quiet(client);
            assert_quiet(&client.handle());
        }
        Client::Blocking(client) => {
            assert_quiet(client);
            assert_quiet(&client.handle());
        }
    }
}

#[test]
fn the_secrets_of_these_tests_are_sent() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    both(|kind| {
        kind.build(builder(secretive(&server.url("/feed")))).event();
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
        let http = secretive(&server.url("/feed"));
        assert_quiet(&http);
        let builder = builder(http);
        assert_quiet(&builder);
        let mut client = kind.build(builder);
        assert_client_quiet(&client);
        let start = client.started();
        assert!(
            start.url.as_ref().unwrap().contains(SECRET),
            "the value has it"
        );
        assert_quiet(&start);
        assert_quiet(&Action::Start(start.into()));
        assert_client_quiet(&client);
    });
}

#[test]
fn faults_of_every_kind_do_not_print_secrets() {
    let stopped = Server::start();
    stopped.stop();
    let refuses = Proxy::start(Manner::Answer(
        "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n",
    ));
    let replies = [
        Reply::status(500).header("Set-Cookie", SECRET),
        Reply::status(200).header("Content-Type", "text/plain"),
        Reply::stream().header("Content-Encoding", "sdch"),
        Reply::redirect(302, "ftp://localhost/"),
        Reply::redirect(302, "http://["),
        Reply::on_accept().drop_connection(),
        Reply::raw("nonsense\r\n\r\n").drop_connection(),
        Reply::stream().content_length(1000).drop_connection(),
        Reply::stream()
            .header("Content-Encoding", "gzip")
            .send("nonsense"),
    ];
    both(|kind| {
        let check = |http: Http| {
            let mut client = kind.build(builder(http));
            loop {
                match client.next() {
                    Some(Ok(Action::Start(_))) => {}
                    Some(Ok(Action::Fault(fault))) => break assert_error_quiet(&fault),
                    Some(Err(error)) => break assert_error_quiet(&error),
                    other => panic!("{other:?}"),
                }
            }
        };
        for reply in &replies {
            let server = Server::start();
            server.otherwise(reply.clone());
            check(secretive(&server.url("/feed")));
        }
        check(secretive(&stopped.url("/feed")));
        check(secretive("http://feed.invalid/").no_proxy());
        check(secretive("http://feed.test/").proxy(refuses.url_with_password()));
        check(
            Http::new("https://user:hunter2@feed.test/?hunter2").proxy(refuses.url_with_password()),
        );
    });
}

#[test]
fn settings_that_can_not_be_used_do_not_print_secrets() {
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
            assert_quiet(http);
            let error = kind
                .try_build(builder(http.clone()))
                .map(|_| ())
                .unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            assert_error_quiet(&error);
        }
    });
}

#[test]
fn attempts_that_can_not_be_made_do_not_print_secrets() {
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
                assert_quiet(&attempt);
                Ok::<_, Error>(attempt)
            });
            assert_error_quiet(&kind.build(builder(http)).any_fault());
        }
    }
}
