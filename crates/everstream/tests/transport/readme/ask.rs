use std::io::Write;

use everstream::{Http, JsonExt, blocking::SseClient};

#[derive(serde::Deserialize)]
struct Chunk {
    text: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let prompt = serde_json::json!({"stream": true, "prompt": "Why is the sky blue?"});
    let request = Http::new("https://example.com/v1/chat").bearer_token("…").json(&prompt);
    let mut client = SseClient::builder(request).until("[DONE]").build_blocking()?;
    for event in client.events() {
        print!("{}", event?.json::<Chunk>()?.text);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
