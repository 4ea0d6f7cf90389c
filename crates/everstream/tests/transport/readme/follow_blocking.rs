use everstream::blocking::SseClient;

fn main() -> Result<(), everstream::Error> {
    let mut client = SseClient::new("https://example.com/feed")?;
    for event in client.events() {
        println!("{}", event?.data());
    }
    Ok(())
}
