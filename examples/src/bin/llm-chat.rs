//! Asks a language model (an API in the manner of OpenAI's chat completions) and prints its answer
//! as it comes.
//!
//! `LLM_TOKEN=... llm-chat URL MODEL "Why is the sky blue?"`
//!
//! The answer is complete if `[DONE]` or a `finish_reason` has arrived: some servers send no
//! `[DONE]`. Everything else that ends it is an error. The prompt is paid for, so it is never sent twice. Ctrl-C cancels the answer, and so does
//! `LLM_TIME_LIMIT` (seconds, 120 by default): the connection is closed, and the server can stop.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use everstream::error_strategy::{self, Verdict};
use everstream::{Action, Fault, Http, SseClient};
use serde::Deserialize;
use serde_json::Value;

/// One event. Fields that nobody reads here are left out, and every other one may be null.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    /// Some servers have sent the status 200 when they find out that they can't answer.
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
    /// Some servers split it. Not all parts are text.
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
            Some(Content::Parts(parts)) => parts.iter().filter_map(|it| it.text.clone()).collect(),
            None => String::new(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = chat() => outcome,
        // To drop the future is to drop the client, and that closes its connection.
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
        // By default a POST is repeated with Last-Event-ID where the server sent ids, and few
        // models' servers can resume. As long as there was no connection, nothing was sent.
        .error_strategy(error_strategy::from_fn(|fault| match fault {
            Some(fault) if fault.is_connect() => Verdict::Continue,
            _ => Verdict::Fail,
        }))
        .build()?;
    match tokio::time::timeout(limit, answer(&mut client)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("the answer wasn't whole within {limit:?}").into()),
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
            // What the server says of a refused prompt is in the body.
            Err(error) => {
                return match error.fault().and_then(Fault::response) {
                    Some(refusal) if !refusal.body.is_empty() => {
                        let said = String::from_utf8_lossy(&refusal.body);
                        Err(format!("{error}: {said}").into())
                    }
                    _ => Err(error.into()),
                };
            }
        };
        if event.event() == "error" {
            return Err(reported(event.json().unwrap_or_else(|_| event.data().into())).into());
        }
        let chunk: Chunk = event.json()?;
        if let Some(error) = chunk.error {
            return Err(reported(error).into());
        }
        for choice in chunk.choices.unwrap_or_default() {
            write!(out, "{}", choice.text())?;
            finish_reason = choice.finish_reason.or(finish_reason);
        }
        out.flush()?;
    }
    if finish_reason.as_deref() == Some("length") {
        return Err("the answer is cut off: it reached the longest length".into());
    }
    writeln!(out)?;
    Ok(())
}

/// What the server says of an error in the midst of a stream: text, or an object with a message.
fn reported(error: Value) -> String {
    let inner = error.get("error").unwrap_or(&error);
    let message = inner.get("message").unwrap_or(inner);
    let text = message
        .as_str()
        .map_or_else(|| message.to_string(), str::to_owned);
    format!("the server reports an error: {text}")
}
