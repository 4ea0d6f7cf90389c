//! Follows a stream and prints everything that happens: starts, events, comments, faults and waits.
//! Ctrl-C closes the client through its handle.
//!
//! `cargo run -p everstream --example follow -- URL`; without a URL it follows a small demo server.

use everstream::{Action, SseClient};
use everstream_testing::{Reply, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), everstream::Error> {
    let demo = demo_server();
    let url = std::env::args().nth(1).unwrap_or_else(|| demo.url("/"));

    let mut client = SseClient::new(&url)?;

    // Whatever the client is waiting for, it stops immediately.
    let handle = client.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            handle.close();
        }
    });

    while let Some(action) = client.next_action().await {
        let action = match action {
            Ok(action) => action,
            // Only the fault at which the client gives up is an error.
            Err(error) => {
                println!("the error strategy gave up: {error}");
                break;
            }
        };
        match action {
            Action::Start(start) => println!("connected, status {:?}", start.status),
            Action::Event(event) => println!("{}: {}", event.event(), event.data()),
            Action::Comment(text) => println!("a comment:{text}"),
            Action::Fault(fault) => {
                println!("disconnected: {fault}");
                println!("next attempt in {:?}", client.next_retry_delay());
            }
            Action::End(_) => {
                println!("disconnected: the server ended the response");
                println!("next attempt in {:?}", client.next_retry_delay());
            }
            _ => {}
        }
    }
    println!("the last id was {:?}", client.last_event_id());
    Ok(())
}

/// Starts a server that drops the connection mid-event, then continues where the client stopped.
fn demo_server() -> Server {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .retry(200)
            .comment("hello")
            .event_with_id("1", "one")
            .send("id: 2\ndata: t")
            .drop_connection(),
    );
    server.enqueue(Reply::stream().event_with_id("2", "two").end());
    // 204 No Content means the end of the stream: the client gives up.
    server.otherwise(Reply::status(204));
    server
}
