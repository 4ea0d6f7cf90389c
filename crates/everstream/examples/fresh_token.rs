//! Sends a fresh token with every attempt, and starts again when the server says that the one it
//! knows has expired.
//!
//! `cargo run -p everstream --example fresh_token -- URL`; without a URL it follows a small server of its own.

use std::io;

use everstream::{Action, Attempt, Http, SseClient, error_strategy};
use everstream_testing::{Reply, Request, Server};

/// Stands for a call to whoever gives out tokens.
async fn fetch_token(attempt: u64) -> Result<String, io::Error> {
    Ok(format!("token-{attempt}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), everstream::Error> {
    let demo = demo_server();
    let url = std::env::args().nth(1).unwrap_or_else(|| demo.url("/"));

    // An error of this function counts as a failed attempt, and the error strategy decides.
    let http = Http::new(url).before_attempt(|attempt: Attempt| async move {
        let token = fetch_token(attempt.number()).await?;
        Ok::<_, io::Error>(attempt.bearer_token(token))
    });
    let mut client = SseClient::builder(http)
        // By default a 401 is final. Here it means that it is time for another token.
        .error_strategy(error_strategy::reconnect().or_on_status([401]))
        .initial_retry_delay(std::time::Duration::from_millis(100))
        .until("goodbye")
        .build()?;

    while let Some(action) = client.next_action().await {
        match action? {
            Action::Event(event) => println!("{}", event.data()),
            Action::Fault(Some(fault)) => println!("again, because {fault}"),
            _ => {}
        }
    }
    Ok(())
}

/// Accepts no first token.
fn demo_server() -> Server {
    Server::with_handler(|request: &Request| match request.header("Authorization") {
        Some("Bearer token-1") | None => Reply::status(401),
        Some(other) => Reply::stream()
            .event(format!("welcome, {other}"))
            .event("goodbye"),
    })
}
