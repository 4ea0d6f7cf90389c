//! Tests of `token-refresh`.

use std::sync::atomic::{AtomicUsize, Ordering};

use everstream_testing::{Reply, Request, Server};
use serde_json::json;

use crate::program::{Program, command};

/// Starts a token server that issues numbered tokens.
fn tokens(expires_in: u64) -> Server {
    let issued = AtomicUsize::new(0);
    Server::with_handler(move |_: &Request| {
        let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
        let token = json!({
            "access_token": format!("token-{number}"),
            "token_type": "Bearer",
            "expires_in": expires_in,
        });
        Reply::status(200).send(token.to_string())
    })
}

fn follow(server: &Server, tokens: &Server) -> Program {
    let args = [server.url("/"), tokens.url("/token")];
    let mut command = command(env!("CARGO_BIN_EXE_token-refresh"), args);
    command
        .env("CLIENT_ID", "me")
        .env("CLIENT_SECRET", "secret");
    Program::start(command)
}

fn sent(server: &Server) -> Vec<String> {
    let requests = server.requests();
    let header = |request: &Request| request.header("authorization").unwrap().to_owned();
    requests.iter().map(header).collect()
}

fn event(text: &str) -> Reply {
    Reply::stream().retry(1).event(text).end()
}

#[test]
fn a_401_requests_a_new_token_and_a_second_consecutive_one_is_final() {
    let (server, tokens) = (Server::start(), tokens(3600));
    server
        .enqueue(event("one"))
        .enqueue(Reply::status(401))
        .enqueue(event("two"))
        // Not consecutive, because there was a connection in between.
        .enqueue(Reply::status(401))
        .otherwise(Reply::status(401));
    let ended = follow(&server, &tokens).end();

    assert_eq!(ended.stdout, "one\ntwo\n", "{}", ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("token-refresh: "), "{last}");
    assert!(last.contains("status 401"), "{last}");
    // A token that wasn't refused is reused.
    let tokens_sent = [1, 1, 2, 2, 3].map(|number| format!("Bearer token-{number}"));
    assert_eq!(sent(&server), tokens_sent);
    let request = &tokens.requests()[0];
    // me:secret
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(request.body, b"grant_type=client_credentials");
}

#[test]
fn a_token_that_expires_soon_is_not_reused() {
    let (server, tokens) = (Server::start(), tokens(29));
    server
        .enqueue(event("one"))
        .enqueue(event("two"))
        .otherwise(Reply::status(403));
    let ended = follow(&server, &tokens).end();
    assert_eq!(ended.stdout, "one\ntwo\n");
    assert!(ended.stderr.contains("status 403"), "{}", ended.stderr);
    let tokens_sent = [1, 2, 3].map(|number| format!("Bearer token-{number}"));
    assert_eq!(sent(&server), tokens_sent);
}

#[test]
fn token_errors_give_the_reason_but_no_secret() {
    let (server, tokens) = (Server::start(), Server::start());
    tokens.otherwise(Reply::status(400).send("{\"error\": \"invalid_client\"}"));
    let ended = follow(&server, &tokens).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("400 Bad Request"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    assert_eq!(server.request_count(), 0);
}
