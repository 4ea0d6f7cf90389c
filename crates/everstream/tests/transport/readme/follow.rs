use everstream::SseClient;

#[tokio::main]
async fn main() -> Result<(), everstream::Error> {
    let mut client = SseClient::new("https://example.com/feed")?;
    while let Some(event) = client.next_event().await {
        let event = event?;
        println!("{}: {}", event.event(), event.data());
    }
    Ok(())
}
