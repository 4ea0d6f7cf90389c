//! Follows a stream without async, and stops it from another thread.
//!
//! `cargo run -p everstream --example follow_blocking -- URL`; press Enter to stop. Without a URL it follows a
//! small demo server, for five events.

use everstream::blocking::SseClient;
use everstream_testing::{Reply, Server};

fn main() -> Result<(), everstream::Error> {
    let demo = Server::start();
    demo.otherwise(Reply::stream().event("tick").event("tock").end());
    let url = std::env::args().nth(1);
    let limit = if url.is_some() { usize::MAX } else { 5 };

    let mut client = SseClient::builder(url.unwrap_or_else(|| demo.url("/")))
        .initial_retry_delay(std::time::Duration::from_millis(100))
        .build()?;

    let handle = client.handle();
    std::thread::spawn(move || {
        // Ignores the end of the input: then nobody can press Enter.
        if std::io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|length| length > 0)
        {
            handle.close();
        }
    });

    // Reconnects happen inside the iterator.
    for event in client.events().take(limit) {
        let event = event?;
        println!("{}: {}", event.event(), event.data());
    }
    println!("closed");
    Ok(())
}
