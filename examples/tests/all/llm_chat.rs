//! Tests of `llm-chat`.

use std::process::Command;

use everstream_testing::{Gate, Reply, Server};
use serde_json::{Value, json};

use crate::program::{LIMIT, Program, command};

fn chunk(text: &str) -> String {
    json!({"choices": [{"delta": {"content": text}, "finish_reason": null}]}).to_string()
}

fn content(content: &Value) -> String {
    json!({"choices": [{"delta": {"content": content}, "finish_reason": null}]}).to_string()
}

fn chat(url: &str) -> Command {
    let args = [url, "a-model", "Say hello."];
    command(env!("CARGO_BIN_EXE_llm-chat"), args)
}

#[test]
fn the_answer_is_printed_up_to_done() {
    let server = Server::start();
    let first = json!({"choices": [{"delta": {"role": "assistant", "content": null}}]});
    let last = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"total_tokens": 7}});
    server.enqueue(
        Reply::stream()
            .comment("waiting for a machine")
            .event(first.to_string())
            .event(chunk("Hello"))
            .event(chunk(", world."))
            .event(last.to_string())
            .event(usage.to_string())
            .event("[DONE]")
            .stall(),
    );
    let mut chat = chat(&server.url("/v1/chat/completions"));
    chat.env("LLM_TOKEN", "secret");
    let ended = Program::start(chat).end();

    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout, "Hello, world.\n");
    let request = &server.requests()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path(), "/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let messages = json!([{"role": "user", "content": "Say hello."}]);
    assert_eq!(
        body,
        json!({"model": "a-model", "stream": true, "messages": messages})
    );
}

/// Even if the events have ids.
#[test]
fn a_truncated_answer_is_an_error_and_the_prompt_is_sent_once() {
    for (reply, problem) in [
        (
            Reply::stream().drop_connection(),
            "the server closed the connection mid-response",
        ),
        (
            Reply::stream().end(),
            "the stream ended before its end marker (until)",
        ),
    ] {
        let server = Server::start();
        server.otherwise(
            reply
                .retry(1)
                .event_with_id("1", chunk("Hello"))
                .event_with_id("2", chunk(", wo")),
        );
        let ended = Program::start(chat(&server.url("/"))).end();

        assert_eq!(ended.status.code(), Some(1));
        assert_eq!(ended.stdout, "Hello, wo");
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
        assert_eq!(server.request_count(), 1);
    }
}

#[test]
fn a_refusal_includes_the_servers_message() {
    let server = Server::start();
    server.otherwise(Reply::status(429).send("{\"error\": \"no credit\"}"));
    let ended = Program::start(chat(&server.url("/"))).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 429"), "{}", ended.stderr);
    assert!(ended.stderr.contains("no credit"), "{}", ended.stderr);
    assert_eq!(server.request_count(), 1);
}

#[test]
fn complete_answers_of_all_shapes_are_printed() {
    let parts = json!([{"type": "text", "text": "Hel"}, {"type": "reference", "ids": [1]}]);
    let finished = json!({"choices": [{"delta": {"content": null}, "finish_reason": "stop"}]});
    for reply in [
        Reply::stream()
            .event(content(&json!(null)))
            .event(chunk("Hel")),
        Reply::stream()
            .event(r#"{"choices": [{"delta": null}]}"#)
            .event(chunk("Hel")),
        Reply::stream().event(content(&parts)),
        Reply::stream()
            .event(chunk("Hel"))
            .event(r#"{"choices": null, "error": null}"#),
    ] {
        assert_eq!(
            answer(reply.event("[DONE]").stall()),
            Ok("Hel\n".to_owned())
        );
    }
    let without_done = Reply::stream()
        .event(chunk("Hel"))
        .event(finished.to_string());
    assert_eq!(answer(without_done.end()), Ok("Hel\n".to_owned()));
}

#[test]
fn mid_stream_errors_of_all_shapes_are_reported() {
    let object = r#"{"error": {"message": "overloaded", "code": 529}}"#;
    for reply in [
        Reply::stream().event(object),
        Reply::stream().event(object).event("[DONE]"),
        Reply::stream().event(r#"{"error": "overloaded"}"#),
        Reply::stream().event_of_type("error", object),
        Reply::stream().event_of_type("error", r#"{"message": "overloaded"}"#),
        Reply::stream().event_of_type("error", "overloaded"),
        // The error is the whole response, without an event.
        Reply::stream().send(object),
        Reply::status(200)
            .header("Content-Type", "application/json")
            .send(object),
    ] {
        let problem = answer(reply).unwrap_err();
        assert!(problem.contains("overloaded"), "{problem}");
    }
}

#[test]
fn an_incomplete_answer_is_an_error() {
    let finished = json!({"choices": [{"delta": {}, "finish_reason": "length"}]});
    for reply in [
        Reply::stream().event(chunk("Hel")).end(),
        Reply::stream()
            .event(chunk("Hel"))
            .send("data: {\"choi")
            .end(),
        Reply::stream()
            .event(chunk("Hel"))
            .event(finished.to_string())
            .end(),
    ] {
        assert!(answer(reply).is_err());
    }
}

/// Returns what the program prints, or its error.
fn answer(reply: Reply) -> Result<String, String> {
    let server = Server::start();
    server.otherwise(reply);
    let ended = Program::start(chat(&server.url("/"))).end();
    assert_eq!(server.request_count(), 1);
    match ended.status.code() {
        Some(0) => Ok(ended.stdout),
        _ => Err(ended.stderr),
    }
}

#[test]
fn ctrl_c_cancels_the_answer() {
    let server = Server::start();
    server.otherwise(Reply::stream().event(chunk("Hello\n")).stall());
    let program = Program::start(chat(&server.url("/")));
    assert_eq!(program.line(), "Hello\n");
    program.interrupt();
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(ended.stderr, "\ncancelled\n");
    assert!(server.wait_for_open_connections(0, LIMIT));
}

#[test]
fn an_answer_that_takes_too_long_is_cancelled() {
    let (server, never) = (Server::start(), Gate::new());
    server.otherwise(Reply::stream().event(chunk("Hello")).wait_for(&never));
    let mut chat = chat(&server.url("/"));
    chat.env("LLM_TIME_LIMIT", "0.5");
    let ended = Program::start(chat).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("within 500ms"), "{}", ended.stderr);
    assert!(server.request_count() <= 1);
}
