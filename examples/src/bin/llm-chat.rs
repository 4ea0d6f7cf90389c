//! Sends a prompt to a language model (an API like OpenAI's chat completions) and prints the answer as
//! it arrives.
//!
//! `LLM_TOKEN=... llm-chat URL MODEL "Why is the sky blue?"`
//!
//! The answer is complete if `[DONE]` or a `finish_reason` has arrived, because some servers don't send
//! `[DONE]`. Any other end is an error. Prompts cost money, so the prompt is never resent. Ctrl-C and
//! `LLM_TIME_LIMIT` (seconds, default 120) cancel the answer by closing the connection, so that the server
//! can stop.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use everstream::error_strategy::{self, Verdict};
use everstream::{Action, Fault, Http, SseClient};
use serde::Deserialize;
use serde_json::Value;

/// One event. Has only the fields that this program needs; any of them may be null.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    /// Some servers discover an error only after they have sent status 200.
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// Some servers split the content. Not all parts are text.
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

impl Choice {
    fn text(&self) -> String {
        match self.delta.as_ref().and_then(|delta| delta.content.as_ref()) {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.clone()).collect()
            }
            None => String::new(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = chat() => outcome,
        // Dropping the future drops the client, which closes its connection.
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\ncancelled");
            return ExitCode::from(130);
        }
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprint!("\nllm-chat: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn chat() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(model), Some(prompt)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: llm-chat URL MODEL PROMPT".into());
    };
    let limit = match std::env::var("LLM_TIME_LIMIT") {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.parse()?)?,
        Err(_) => Duration::from_secs(120),
    };
    let body = serde_json::json!({
        "model": model,
        "stream": true,
        "messages": [{"role": "user", "content": prompt}],
    });
    let mut http = Http::new(url).json(&body);
    if let Ok(token) = std::env::var("LLM_TOKEN") {
        http = http.bearer_token(token);
    }

    let mut client = SseClient::builder(http)
        .until("[DONE]")
        // Retry only if there was no connection, because then the prompt wasn't sent.
        .error_strategy(error_strategy::from_fn(|fault| match fault {
            Some(fault) if fault.is_connect() => Verdict::Continue,
            _ => Verdict::Fail,
        }))
        .build()?;
    match tokio::time::timeout(limit, answer(&mut client)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("the answer wasn't complete within {limit:?}").into()),
    }
}

async fn answer(client: &mut SseClient) -> Result<(), Box<dyn Error>> {
    let (mut out, mut finish_reason) = (io::stdout(), None);
    while let Some(action) = client.next_action().await {
        let event = match action {
            Ok(Action::Event(event)) => event,
            Ok(Action::End(end)) => {
                let Some(text) = end.ignored_text else {
                    continue;
                };
                return Err(format!("the response isn't an answer: {text}").into());
            }
            Ok(_) => continue,
            Err(error)
                if finish_reason.is_some() && matches!(error.fault(), Some(Fault::Incomplete)) =>
            {
                break;
            }
            // The body says why the server refused the prompt.
            Err(error) => {
                return match error.fault().and_then(Fault::response) {
                    Some(refusal) if !refusal.body.is_empty() => {
                        let reason = String::from_utf8_lossy(&refusal.body);
                        Err(format!("{error}: {reason}").into())
                    }
                    _ => Err(error.into()),
                };
            }
        };
        if event.event() == "error" {
            return Err(describe(event.json().unwrap_or_else(|_| event.data().into())).into());
        }
        let chunk: Chunk = event.json()?;
        if let Some(error) = chunk.error {
            return Err(describe(error).into());
        }
        for choice in chunk.choices.unwrap_or_default() {
            write!(out, "{}", choice.text())?;
            finish_reason = choice.finish_reason.or(finish_reason);
        }
        out.flush()?;
    }
    if finish_reason.as_deref() == Some("length") {
        return Err("the answer was cut off at the maximum length".into());
    }
    writeln!(out)?;
    Ok(())
}

/// Describes an error that the server sent mid-stream: text, or an object with a message.
fn describe(error: Value) -> String {
    let inner = error.get("error").unwrap_or(&error);
    let message = inner.get("message").unwrap_or(inner);
    let text = message
        .as_str()
        .map_or_else(|| message.to_string(), str::to_owned);
    format!("the server reports an error: {text}")
}
