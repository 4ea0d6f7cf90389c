//! Asks a language model and prints its answer as it comes: a POST with a JSON body, chunks of
//! JSON, and `[DONE]` at the end. The prompt isn't sent a second time if the connection drops,
//! unless the server gave ids to resume from.
//!
//! `TOKEN=... cargo run -p everstream --example llm --features json -- URL`; without a URL a small server of its
//! own answers.

use std::error::Error;
use std::io::Write;

use everstream::{Http, JsonExt, SseClient};
use everstream_testing::{Reply, Server};
use serde::Deserialize;

#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let demo = demo_server();
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| demo.url("/v1/chat"));

    let prompt = serde_json::json!({
        "stream": true,
        "messages": [{"role": "user", "content": "Say hello."}],
    });
    let mut http = Http::new(url).json(&prompt);
    if let Ok(token) = std::env::var("TOKEN") {
        http = http.bearer_token(token);
    }

    // Without [DONE] the answer isn't whole, and the iteration ends with an error.
    let mut client = SseClient::builder(http).until("[DONE]").build()?;
    while let Some(event) = client.next_event().await {
        let chunk: Chunk = event?.json()?;
        for choice in chunk.choices {
            print!("{}", choice.delta.content);
        }
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}

fn demo_server() -> Server {
    let words = ["Hello", ", ", "world", "."];
    let reply = words.iter().fold(Reply::stream(), |reply, word| {
        let chunk = serde_json::json!({"choices": [{"delta": {"content": word}}]});
        reply.event(chunk.to_string())
    });
    let server = Server::start();
    server.otherwise(reply.event("[DONE]"));
    server
}
