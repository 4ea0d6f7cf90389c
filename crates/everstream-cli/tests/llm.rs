//! The commands in `docs/cli.md` for LLM answers, each with an answer of its format.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use everstream_testing::{Reply, Server};

use crate::common::{Folder, clean};

/// The commands of the page by their titles, which are the comments above them. Each begins with the
/// function that all of them use.
fn commands() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## LLM answers\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let block = block.replace("\\\n", "");
    let (function, commands) = block.split_once("\n\n").unwrap();
    let parts = commands.split("\n\n").map(|part| {
        let (title, command) = part.trim().split_once('\n').unwrap();
        let title = title.strip_prefix("# ").unwrap();
        (title.to_owned(), format!("{function}\n{command}"))
    });
    parts.collect()
}

/// A complete answer, and one that reports an error in an event.
struct Shape {
    title: &'static str,
    answer: String,
    text: &'static str,
    failed: String,
}

/// The server's error message.
const REASON: &str = "the model is overloaded";

fn events(all: &[&str]) -> String {
    all.iter().map(|data| format!("data: {data}\n\n")).collect()
}

fn typed(all: &[(&str, &str)]) -> String {
    let event = |(kind, data): &(&str, &str)| format!("event: {kind}\ndata: {data}\n\n");
    all.iter().map(event).collect()
}

fn chat(end: &[&str]) -> String {
    let deltas = [
        // Azure begins with filters.
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
        r#"{"choices":[{"delta":{"content":"Be"}}]}"#,
        // Mistral may send lists.
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"cause"},{"type":"text","text":"."}]}}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"total_tokens":9}}"#,
    ];
    // Comments of OpenRouter, and an event without data.
    format!(
        ": OPENROUTER PROCESSING\n\ndata:\n\n{}",
        events(&[&deltas[..], end].concat())
    )
}

fn responses(end: &[&str], named: bool) -> String {
    let deltas = [
        r#"{"type":"response.created","response":{"error":null}}"#,
        r#"{"type":"response.output_text.delta","delta":"Be"}"#,
        r#"{"type":"response.output_text.delta","delta":"cause."}"#,
        r#"{"type":"response.output_text.done","text":"Because."}"#,
    ];
    let all = [&deltas[..], end].concat();
    if !named {
        return events(&all);
    }
    let kind = |data: &str| data.split('"').nth(3).unwrap().to_owned();
    all.iter()
        .map(|data| format!("event: {}\ndata: {data}\n\n", kind(data)))
        .collect()
}

fn anthropic(end: &[(&str, &str)]) -> String {
    let all = [
        ("message_start", r#"{"type":"message_start","message":{}}"#),
        ("ping", r#"{"type": "ping"}"#),
        (
            "content_block_delta",
            r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
        ),
        (
            "content_block_delta",
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Because."}}"#,
        ),
        (
            "message_delta",
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
        ),
    ];
    typed(&[&all[..], end].concat())
}

/// All formats. The truncated answer lacks the last event.
fn shapes() -> Vec<Shape> {
    let error = format!(r#"{{"error":{{"message":"{REASON}"}}}}"#);
    let anthropic_stop = ("message_stop", "{\"type\":\"message_stop\"   }");
    let anthropic_error = format!(r#"{{"type":"error","error":{{"message":"{REASON}"}}}}"#);
    let anthropic_error = ("error", &*anthropic_error);
    let response_failed =
        format!(r#"{{"type":"response.failed","response":{{"error":{{"message":"{REASON}"}}}}}}"#);
    let response_error = format!(r#"{{"type":"error","message":"{REASON}"}}"#);
    let completed = r#"{"type":"response.completed","response":{}}"#;
    let reasoning = |key: &str, end: &[&str]| {
        let delta = format!(r#"{{"choices":[{{"delta":{{"{key}":"Hm.","content":null}}}}]}}"#);
        events(
            &[
                &[&*delta, r#"{"choices":[{"delta":{"content":"x"}}]}"#][..],
                end,
            ]
            .concat(),
        )
    };
    let gemini = |end: &[&str]| {
        let all = [
            r#"{"candidates":[{"content":{"parts":[{"text":"Hm.","thought":true}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"Be"},{"text":"cause."}]}}]}"#,
            r#"{"candidates":[{"content":{},"finishReason":"STOP"}],"usageMetadata":{}}"#,
        ];
        events(&[&all[..], end].concat()).replace('\n', "\r\n")
    };
    let cohere = |end: &[&str]| {
        let all = [
            r#"{"type":"message-start","delta":{"message":{"role":"assistant"}}}"#,
            r#"{"type":"content-delta","delta":{"message":{"content":{"text":"Because."}}}}"#,
        ];
        events(&[&all[..], end].concat())
    };
    let completions = |end: &[&str]| {
        let all = [
            r#"{"choices":[{"text":"Because."}]}"#,
            r#"{"choices":[{"text":""}]}"#,
        ];
        events(&[&all[..], end].concat())
    };
    let assistants = |end: &[(&str, &str)]| {
        let all = [
            ("thread.run.created", r#"{"id":"r","delta":null}"#),
            (
                "thread.message.delta",
                r#"{"delta":{"content":[{"text":{"value":"Because."}}]}}"#,
            ),
        ];
        typed(&[&all[..], end].concat())
    };
    let mcp = |end: &[&str]| {
        let all = [r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#];
        format!(
            "id: 1\ndata:\n\n{}",
            typed_message(&[&all[..], end].concat())
        )
    };
    let shape = |title, answer, text, failed| Shape {
        title,
        answer,
        text,
        failed,
    };
    vec![
        shape(
            "OpenAI chat completions, and compatible APIs",
            chat(&["[DONE]"]),
            "Because.",
            chat(&[&error, "[DONE]"]),
        ),
        // Groq, which then closes the connection.
        shape(
            "OpenAI chat completions, and compatible APIs",
            chat(&["[DONE]"]),
            "Because.",
            format!("{}event: error\ndata: {error}\n\n", chat(&[])),
        ),
        shape(
            "The same without [DONE] at the end: Perplexity, Writer, GPUStack",
            chat(&[]),
            "Because.",
            chat(&[&error]),
        ),
        shape(
            "Reasoning of DeepSeek, OpenRouter",
            reasoning("reasoning_content", &["[DONE]"]),
            "Hm.",
            reasoning("reasoning", &[&error]),
        ),
        shape(
            "OpenAI responses, also without event types (Bedrock, OpenRouter)",
            responses(&[completed], true),
            "Because.",
            responses(&[&response_failed], true),
        ),
        shape(
            "OpenAI responses, also without event types (Bedrock, OpenRouter)",
            responses(&[r#"{"type":"response.incomplete"}"#], true),
            "Because.",
            responses(&[&response_error], true),
        ),
        shape(
            "OpenAI responses, also without event types (Bedrock, OpenRouter)",
            responses(&[completed], false),
            "Because.",
            responses(&[&response_failed], false),
        ),
        shape(
            "Anthropic messages",
            anthropic(&[anthropic_stop]),
            "Because.",
            anthropic(&[anthropic_error]),
        ),
        shape(
            "Thinking of Anthropic messages",
            anthropic(&[anthropic_stop]),
            "Hm.",
            anthropic(&[anthropic_error]),
        ),
        shape(
            "Gemini, Vertex with alt=sse",
            gemini(&[]),
            "Because.",
            gemini(&[&error]),
        ),
        shape(
            "Cohere v2",
            cohere(&[
                r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#,
                "[DONE]",
            ]),
            "Because.",
            cohere(&[
                &format!(r#"{{"type":"message-end","delta":{{"error":"{REASON}"}}}}"#),
                "[DONE]",
            ]),
        ),
        shape(
            "Completions",
            completions(&["[DONE]"]),
            "Because.",
            completions(&[&error]),
        ),
        shape(
            "Assistants",
            assistants(&[("done", "[DONE]")]),
            "Because.",
            assistants(&[("error", &error)]),
        ),
        shape(
            "Assistants",
            assistants(&[("done", "[DONE]")]),
            "Because.",
            assistants(&[
                (
                    "thread.run.failed",
                    &format!(r#"{{"last_error":{{"message":"{REASON}"}}}}"#),
                ),
                ("done", "[DONE]"),
            ]),
        ),
        shape(
            "A tool of an MCP server",
            mcp(&[
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Because."}]}}"#,
            ]),
            "Because.",
            mcp(&[&format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"{REASON}"}}}}"#
            )]),
        ),
    ]
}

fn typed_message(all: &[&str]) -> String {
    let all: Vec<_> = all.iter().map(|data| ("message", *data)).collect();
    typed(&all)
}

/// Exit code, text and messages of this command for that body.
fn run(command: &str, body: String) -> (i32, String, String) {
    let server = Server::start();
    // A second request would cost money.
    server.enqueue(Reply::stream().send(body).end());
    server.otherwise(Reply::status(500));
    let folder = Folder::new(&format!("llm-{}", server.addr().port()));
    folder.file("p.json", r#"{"stream": true}"#);
    let path = Path::new(env!("CARGO_BIN_EXE_everstream"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    clean(&mut shell);
    let output = shell
        .args(["-c", &command.replace("URL", &server.url("/"))])
        .env("PATH", path)
        .current_dir(folder.path(""))
        .output()
        .unwrap();
    assert_eq!(server.request_count(), 1, "{command}");
    assert_eq!(server.requests()[0].method, "POST", "{command}");
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn every_command_prints_the_complete_answer() {
    let (commands, shapes) = (commands(), shapes());
    for title in commands.keys() {
        assert!(
            shapes.iter().any(|shape| shape.title == title),
            "{title} isn't tested"
        );
    }
    for shape in shapes {
        let title = shape.title;
        let command = commands
            .get(title)
            .unwrap_or_else(|| panic!("no command for {title}"));
        let (code, text, stderr) = run(command, shape.answer);
        assert_eq!((code, &*text), (0, shape.text), "{title}: {stderr}");
        let (code, _, stderr) = run(command, shape.failed);
        assert_eq!(code, 9, "{title}: {stderr}");
        assert!(stderr.contains(REASON), "{title}: {stderr}");
    }
}

/// Only `--until` can detect it; the exit code shows it.
#[test]
fn a_truncated_answer_exits_with_11() {
    let commands = commands();
    for shape in shapes() {
        let command = &commands[shape.title];
        if command.contains("--until") {
            let (_, _, stderr) = run(command, shape.answer.clone());
            assert!(
                stderr.contains("stopped by --until"),
                "{}: {stderr}",
                shape.title
            );
            let end = shape.answer.trim_end().rfind("\n\n").unwrap();
            let cut = shape.answer[..end + 2].to_owned();
            let (code, _, stderr) = run(command, cut);
            assert_eq!(code, 11, "{}: {stderr}", shape.title);
            assert!(stderr.contains("ended before --until"), "{stderr}");
        }
    }
}
