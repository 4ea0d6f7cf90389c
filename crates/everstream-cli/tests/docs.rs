//! What `docs/cli.md` shows is what the command writes.
//!
//! `UPDATE_DOCS=1 cargo test -p everstream-cli --test docs` writes it anew.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Folder, clean};
use everstream_testing::{Reply, Request, Server};
use regex_lite::Regex;

const SHOWN_URL: &str = "http://localhost:8000";

fn answer(request: &Request) -> Reply {
    let resumes = request.header("last-event-id").is_some();
    match request.path() {
        "/prices" => {
            let first = "event: price\nid: 41\ndata: {\"symbol\": \"ACME\", \"price\": 7.50}\n\n";
            let stream = Reply::stream().comment("welcome");
            let stream = if resumes { stream } else { stream.send(first) };
            stream
                .send("event: news\nid: 42\ndata: ACME opens a shop\n\n")
                .send("event: price\nid: 43\ndata: {\"symbol\": \"ACME\", \"price\": 8.25}\n\n")
                .stall()
        }
        "/answer" => Reply::stream()
            .event(r#"{"text": "The sky"}"#)
            .event(r#"{"text": " is blue."}"#)
            .event("[DONE]")
            .end(),
        "/breaks" if resumes => Reply::stream().event_with_id("2", "two").stall(),
        "/breaks" => Reply::stream()
            .retry(100)
            .event_with_id("1", "one")
            .send("data: tw")
            .drop_connection(),
        // A server as it ought to be, but that it doesn't know of `Last-Event-ID`.
        "/feed" => {
            let events = (1..=4).map(|n| format!("id: {n}\ndata: {{\"n\": {n}}}\n\n"));
            let reply = Reply::stream()
                .header("X-Accel-Buffering", "no")
                .header("Access-Control-Allow-Origin", "*")
                .send(format!("retry: 3000\n\n{}", events.collect::<String>()));
            if resumes { reply.end() } else { reply.stall() }
        }
        "/page" => Reply::status(200)
            .header("Content-Type", "text/html")
            .send("<html>"),
        _ => Reply::status(404).send("no such feed\n"),
    }
}

/// What differs from run to run made the same.
fn normal(text: &str, server: &Server) -> String {
    let mut text = text.replace(server.url("").trim_end_matches('/'), SHOWN_URL);
    for (pattern, same) in [
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
            "2026-01-31T12:00:00.000Z",
        ),
        (r"\d\d:\d\d:\d\d\.\d{3}Z", "12:00:00.000Z"),
        (r"retrying in \d\.\d\d s", "retrying in 0.12 s"),
        // What `check` measures; what it is told is whole seconds.
        (r"(after|event|silence|burst in) \d\.\d\d s", "$1 0.01 s"),
        (r"(0\.01 s in) \d\.\d\d s", "$1 0.01 s"),
        (
            r#""(\w+_after|first_event_after_with_gzip|watched|longest_silence)":[0-9.]+"#,
            r#""$1":0.01"#,
        ),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, same)
            .into_owned();
    }
    text
}

/// Standard output and standard error of a line of shell, as they come.
fn output(line: &str, server: &Server, folder: &Path) -> String {
    let command = Path::new(env!("CARGO_BIN_EXE_everstream"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", command.parent().unwrap().display());
    let line = line.replace(SHOWN_URL, server.url("").trim_end_matches('/'));
    let mut shell = Command::new("sh");
    clean(&mut shell);
    let output = shell
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The first column of the table of what `check` examines is what it does examine.
#[test]
fn the_table_of_what_is_examined_is_whole() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = fs::read_to_string(page).unwrap();
    let table = page.split("| id | examined |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let named: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();

    let (server, folder) = (Server::start(), Folder::new("docs-table"));
    let line = format!("everstream check {SHOWN_URL}/missing -o json");
    let report = output(&line, &server, &folder.path(""));
    let json = &report[report.find('{').unwrap()..];
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let examined: Vec<&str> = findings
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(named, examined);
}

#[test]
fn the_page_shows_what_the_command_writes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let shown = fs::read_to_string(&page).unwrap();
    let (server, folder) = (Server::start(), Folder::new("docs"));
    server.otherwise_with(answer);

    let mut written = String::new();
    let mut console = false;
    let mut commands = 0;
    for line in shown.lines() {
        if line.starts_with("```") {
            console = line == "```console";
        }
        let command = line.strip_prefix("$ ").filter(|_| console);
        // Within a block there is only output beside the commands.
        if !console || line.starts_with("```") || command.is_some() {
            written += &format!("{line}\n");
        }
        if let Some(command) = command {
            commands += 1;
            let text = normal(&output(command, &server, &folder.path("")), &server);
            // Ends of lines that nobody sees.
            text.lines()
                .for_each(|line| written += &format!("{}\n", line.trim_end()));
        }
    }
    assert!(commands > 10, "{commands}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &written).unwrap();
    } else if shown != written {
        let pairs = shown.lines().zip(written.lines());
        let difference: Vec<_> = pairs.filter(|(old, new)| old != new).take(5).collect();
        panic!("docs/cli.md isn't what is written; UPDATE_DOCS=1 mends it: {difference:#?}");
    }
}
