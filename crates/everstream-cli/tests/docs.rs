//! The output shown in `docs/cli.md` and in the guide from `curl -N` is that of the command.
//!
//! `UPDATE_DOCS=1 cargo test -p everstream-cli --test all -- docs::` updates them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use everstream_testing::{Reply, Request, Server};
use regex_lite::Regex;

use crate::common::{Folder, clean};

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
        // In one chunk, so that it is recorded as one.
        "/quotes" => Reply::stream()
            .send(": welcome\n\nid: 1\ndata: 7.50\n\nid: 2\ndata: 8.25\n\nid: 3\ndata: 8.00\n\n")
            .stall(),
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
        "/secret" => Reply::status(401)
            .header("WWW-Authenticate", "Bearer")
            .send("no token\n"),
        _ => Reply::status(404).send("no such feed\n"),
    }
}

/// Replaces what differs from run to run.
fn normal(text: &str, urls: &Urls) -> String {
    let mut text = text.to_owned();
    for (shown, real) in urls {
        text = text.replace(real, shown);
    }
    for (pattern, same) in [
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
            "2026-01-31T12:00:00.000Z",
        ),
        (r"\d\d:\d\d:\d\d\.\d{3}Z", "12:00:00.000Z"),
        (r"in \d\.\d\d s", "in 0.12 s"),
        // The prefix of a run of `serve`.
        (r"id: [0-9a-f]{8}-", "id: 5f2c81d0-"),
        (r#""time":\d+\.\d{6}"#, r#""time":0.123456"#),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, same)
            .into_owned();
    }
    text
}

/// The URLs of servers as shown on the page, and their real ones.
type Urls = Vec<(String, String)>;

/// Prepares a shell command.
fn shell(line: &str, urls: &Urls, folder: &Path) -> Command {
    let command = Path::new(env!("CARGO_BIN_EXE_everstream"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", command.parent().unwrap().display());
    let mut line = line.to_owned();
    for (shown, real) in urls {
        line = line.replace(shown, real);
    }
    let mut shell = Command::new("sh");
    clean(&mut shell);
    shell
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null());
    shell
}

/// A command that ends with `&`: a server that runs until the end of the page.
struct Background {
    child: Child,
    /// Kept open for later output.
    _output: BufReader<ChildStdout>,
}

impl Background {
    /// Starts it. Returns its output up to and including its URL, and the URL.
    fn start(mut shell: Command) -> (Background, String, String) {
        // A separate process group, so that the whole pipeline can be killed.
        let spawned = shell.process_group(0).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut text, mut line) = (String::new(), String::new());
        while !line.starts_with("http://") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "no URL: {text}");
            text += &line;
        }
        let url = line.trim_end().trim_end_matches('/').to_owned();
        let background = Background {
            child,
            _output: output,
        };
        (background, text, url)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status();
        _ = self.child.wait();
    }
}

#[test]
fn every_finding_of_check_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/check.md");
    let page = fs::read_to_string(page).unwrap();
    let (server, folder) = (Server::start(), Folder::new("docs-table"));
    let line = format!("everstream check {SHOWN_URL}/missing --format json");
    let urls = vec![(
        SHOWN_URL.to_owned(),
        server.url("").trim_end_matches('/').to_owned(),
    )];
    let output = shell(&line, &urls, &folder.path("")).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let json = &report[report.find('{').unwrap()..];
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        let id = finding["id"].as_str().unwrap();
        assert!(
            page.contains(&format!("`{id}`")),
            "docs/check.md lacks {id}"
        );
    }
}

#[test]
fn the_page_matches_the_output_of_the_command() {
    assert_shown("docs/cli.md", "docs", 10);
}

#[test]
fn the_curl_guide_matches_the_output_of_the_command() {
    let guide = "crates/everstream/guides/migrating_curl.md";
    assert_shown(guide, "docs-curl", 4);
}

/// Asserts that the page shows the real output of its commands, of which there are more than
/// `more_than`.
fn assert_shown(name: &str, folder: &str, more_than: usize) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    let shown = fs::read_to_string(&page).unwrap();
    let (server, folder) = (Server::start(), Folder::new(folder));
    server.otherwise_with(answer);
    let real = server.url("").trim_end_matches('/').to_owned();
    let mut urls = vec![(SHOWN_URL.to_owned(), real)];
    let mut background = Vec::new();

    let mut written = String::new();
    let mut console = false;
    let mut commands = 0;
    for line in shown.lines() {
        if line.starts_with("```") {
            console = line == "```console";
        }
        let command = line.strip_prefix("$ ").filter(|_| console);
        // A block contains only commands and their output.
        if !console || line.starts_with("```") || command.is_some() {
            written += &format!("{line}\n");
        }
        if let Some(command) = command {
            commands += 1;
            let shell = |line| shell(line, &urls, &folder.path(""));
            let text = if let Some(line) = command.strip_suffix(" &") {
                let (server, text, url) = Background::start(shell(line));
                background.push(server);
                urls.push((format!("http://127.0.0.1:{}", 9000 + background.len()), url));
                text
            } else {
                String::from_utf8(shell(command).output().unwrap().stdout).unwrap()
            };
            let text = normal(&text, &urls);
            // Trailing spaces, which are invisible.
            text.lines()
                .for_each(|line| written += &format!("{}\n", line.trim_end()));
        }
    }
    assert!(commands > more_than, "{commands}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &written).unwrap();
    } else if shown != written {
        let pairs = shown.lines().zip(written.lines());
        let difference: Vec<_> = pairs.filter(|(old, new)| old != new).take(5).collect();
        panic!(
            "{name} differs from the output of the command; UPDATE_DOCS=1 updates it: {difference:#?}"
        );
    }
}
