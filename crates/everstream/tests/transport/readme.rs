//! The Rust programs of the README do what it says: they are run as they stand there.
//!
//! They follow `https://example.com`. Here a proxy that the environment names leads them to a server
//! of the test, whose certificate is of an authority that the environment names too.

use std::fs;

use everstream_testing::{Reply, Request, Server};

use super::certs::{Authority, Validity};
use super::client::in_child;
use super::proxy_server::{Manner, Proxy};
use super::tls_server::TlsServer;

macro_rules! programs {
    ($($name:ident $file:literal)*) => {
        /// The blocks of Rust in the README, in their order.
        const PROGRAMS: &[&str] = &[$(include_str!($file)),*];

        $(mod $name {
            include!($file);

            /// What its `main` returns, as text if it is an error.
            pub(super) fn run() -> Result<(), String> {
                main().map_err(|error| error.to_string())
            }
        })*
    };
}

programs! {
    follow "readme/follow.rs"
    follow_blocking "readme/follow_blocking.rs"
    ask "readme/ask.rs"
}

#[test]
fn the_programs_that_are_run_are_those_of_the_readme() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("\n```rust").skip(1);
    let blocks = blocks.map(|it| it.split_once('\n').unwrap().1.split("```").next().unwrap());
    assert_eq!(blocks.collect::<Vec<_>>(), PROGRAMS);
}

/// What this program prints, from a server that answers like this.
fn printed(child: &str, answer: fn(&Request) -> Reply) -> (String, Vec<Request>) {
    let server = Server::with_handler(answer);
    let authority = Authority::new();
    let leaf = authority.server(&["example.com"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let proxy = Proxy::start(Manner::To(tls.addr()));
    let roots = std::env::temp_dir().join(format!("everstream-{child}-{}.pem", std::process::id()));
    fs::write(&roots, authority.pem()).unwrap();
    let variables = [
        ("HTTPS_PROXY", &*proxy.url()),
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
    ];
    let printed = in_child(&format!("readme::{child}"), &variables);
    fs::remove_file(roots).unwrap();
    (printed, server.requests())
}

/// It breaks once, and then ends for good.
fn feed(request: &Request) -> Reply {
    match request.header("last-event-id") {
        None => Reply::stream()
            .retry(100)
            .event_with_id("1", "one")
            .send("data: tw")
            .reset(),
        Some("1") => Reply::stream().event_with_id("2", "two").end(),
        Some(_) => Reply::status(204),
    }
}

fn assert_over(outcome: Result<(), String>) {
    let error = outcome.unwrap_err();
    assert!(error.ends_with("answered with status 204"), "{error}");
}

#[test]
fn the_async_program_goes_on_over_a_break_until_the_server_ends_the_stream() {
    let (printed, requests) = printed("child_follows", feed);
    assert!(
        printed.contains("message: one\nmessage: two\n"),
        "{printed}"
    );
    assert_eq!(requests[0].path(), "/feed");
}

#[test]
#[ignore = "for a child process"]
fn child_follows() {
    assert_over(follow::run());
}

#[test]
fn the_blocking_program_goes_on_over_a_break_until_the_server_ends_the_stream() {
    let (printed, requests) = printed("child_follows_blocking", feed);
    assert!(printed.contains("one\ntwo\n"), "{printed}");
    assert_eq!(requests[0].path(), "/feed");
}

#[test]
#[ignore = "for a child process"]
fn child_follows_blocking() {
    assert_over(follow_blocking::run());
}

#[test]
fn the_program_for_an_llm_prints_the_answer_as_it_comes_and_asks_once() {
    let (printed, requests) = printed("child_asks", |_| {
        let reply = Reply::stream().event(r#"{"text": "It "}"#);
        reply
            .event(r#"{"text": "scatters."}"#)
            .event("[DONE]")
            .end()
    });
    assert!(printed.contains("It scatters.\n"), "{printed}");
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (&*requests[0].method, requests[0].path()),
        ("POST", "/v1/chat")
    );
    // The README's token, `…`, is sent as UTF-8.
    let token = requests[0].header_bytes("authorization");
    assert_eq!(token, Some("Bearer …".as_bytes()));
}

#[test]
#[ignore = "for a child process"]
fn child_asks() {
    ask::run().unwrap();
}
