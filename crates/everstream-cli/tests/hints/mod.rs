//! Each test causes an error, follows the hint, and succeeds.
//!
//! `connecting.rs` has the hints about connections, `reconnect.rs` those about resending requests,
//! and `tls.rs` those about certificates.

mod connecting;

use std::process::Command;

use everstream_testing::{Reply, Request, Server};

use crate::common::{Folder, Running, clean, everstream};

/// A server that streams if the request is right, and otherwise responds with `wrong`.
fn answers(is_right: impl Fn(&Request) -> bool + Send + Sync + 'static, wrong: Reply) -> Server {
    let server = Server::start();
    server.otherwise_with(move |request| match is_right(request) {
        true => Reply::stream().event("x").event("[DONE]").end(),
        false => wrong.clone(),
    });
    server
}

fn end(url: &str, options: &[&str]) -> (i32, String) {
    Running::follow([url].into_iter().chain(options.iter().copied())).end()
}

/// Asserts that the command fails with this code and hint.
#[track_caller]
fn fails(url: &str, options: &[&str], code: i32, hint: &str) -> String {
    let (exit, stderr) = end(url, options);
    assert_eq!(exit, code, "{stderr}");
    let hint = format!("everstream: hint: {hint}");
    assert!(
        stderr.lines().any(|line| line == hint),
        "{hint:?} isn't in:\n{stderr}"
    );
    assert!(!stderr.contains("error: gave up: gave up"), "{stderr}");
    stderr
}

/// Asserts that the command works with these options.
#[track_caller]
fn works(url: &str, options: &[&str]) {
    let options = [options, &["--count", "1"]].concat();
    let (code, stderr) = end(url, &options);
    assert_eq!(code, 0, "{stderr}");
}

fn has(request: &Request, name: &str, value: &str) -> bool {
    request.header(name) == Some(value)
}

const EITHER: &str = "send credentials: -u USER:PASSWORD, --bearer-env VARIABLE or \
                      -H 'Authorization: Bearer TOKEN'";

#[test]
fn missing_credentials_have_a_hint_for_the_servers_scheme() {
    let is_me = |request: &Request| has(request, "authorization", "Basic bWU6cHc=");
    let wrong = |scheme: &str| Reply::status(401).header("WWW-Authenticate", scheme);
    let server = answers(is_me, wrong("Basic realm=\"a\""));
    fails(
        &server.url("/"),
        &[],
        6,
        "send credentials: -u USER:PASSWORD",
    );
    works(&server.url("/"), &["-u", "me:pw"]);

    let is_token = |request: &Request| has(request, "authorization", "Bearer t0ken");
    let server = answers(is_token, wrong("Bearer"));
    let hint = "send a token: --bearer-env VARIABLE, or -H 'Authorization: Bearer TOKEN'";
    fails(&server.url("/"), &[], 6, hint);
    works(&server.url("/"), &["-H", "Authorization: Bearer t0ken"]);
    for status in [401, 403] {
        let server = answers(is_token, Reply::status(status));
        fails(&server.url("/"), &[], 6, EITHER);
        works(&server.url("/"), &["-H", "Authorization: Bearer t0ken"]);
    }
}

#[test]
fn rejected_credentials_are_named_by_their_option() {
    let is_right = |request: &Request| {
        let sent = request.header("authorization");
        [Some("Bearer right"), Some("Basic bWU6cHc=")].contains(&sent)
    };
    let server = answers(is_right, Reply::status(401));
    let url = server.url("/");
    let with_token = |token: &str| {
        let mut command = everstream([&*url, "--bearer-env", "TOKEN", "--count", "1"]);
        command.env("TOKEN", token);
        Running::start(command).end()
    };
    let rejected = |option: &str| {
        format!(
            "the server rejected the credentials of {option}: check that they are complete, current \
             and for this server"
        )
    };
    let (code, stderr) = with_token("wrong");
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains(&rejected("--bearer-env")), "{stderr}");
    assert_eq!(with_token("right").0, 0);
    fails(&url, &["-H", "authorization: Bearer x"], 6, &rejected("-H"));
    works(&url, &["-H", "authorization: Bearer right"]);
    let oauth = "--oauth2-bearer";
    fails(&url, &[oauth, "x"], 6, &rejected(oauth));
    works(&url, &[oauth, "right"]);
    let command = "--bearer-command";
    fails(&url, &[command, "echo", "x", ";"], 6, &rejected(command));
    works(&url, &[command, "echo", "right", ";"]);
    fails(&url, &["-u", "me:x"], 6, &rejected("-u"));
    works(&url, &["-u", "me:pw"]);
    fails(&url.replace("//", "//me:x@"), &[], 6, &rejected("the URL"));
    works(&url.replace("//", "//me:pw@"), &[]);

    let server = answers(is_right, Reply::status(403));
    let hint = "the credentials of -u don't give access to this stream";
    fails(&server.url("/"), &["-u", "you:pw"], 6, hint);
    works(&server.url("/"), &["-u", "me:pw"]);
}

#[test]
fn credentials_withheld_after_a_redirect_have_a_hint() {
    let server = answers(
        |request| has(request, "authorization", "Basic bWU6cHc="),
        Reply::status(401),
    );
    let gate = Server::start();
    gate.otherwise(Reply::redirect(307, server.url("/there")));
    let hint = "the credentials were not sent to the server that the stream was redirected to: if they \
                should be, use its URL directly";
    let stderr = fails(&gate.url("/"), &["-u", "me:pw"], 6, hint);
    assert!(stderr.contains(&server.url("/there")), "{stderr}");
    works(&server.url("/there"), &["-u", "me:pw"]);
}

#[test]
fn hints_about_path_method_and_body_type_help() {
    let server = answers(|request| request.path() == "/feed", Reply::status(404));
    let hint = "there is no stream at this URL: check its path";
    fails(&server.url("/fed"), &[], 6, hint);
    works(&server.url("/feed"), &[]);

    let is_post = |request: &Request| request.method == "POST";
    let server = answers(is_post, Reply::status(405).header("Allow", "POST, OPTIONS"));
    let hint =
        "the server allows POST, OPTIONS only: a body (--json or -d) makes the request a POST";
    fails(&server.url("/"), &[], 6, hint);
    works(&server.url("/"), &["--json", "{}"]);
    let server = answers(is_post, Reply::status(405));
    let hint = "the stream may need another method: -X POST, or a body with --json or -d";
    fails(&server.url("/"), &[], 6, hint);
    works(&server.url("/"), &["-X", "POST"]);
    let server = answers(|request| request.method == "GET", Reply::status(405));
    let hint = "the stream may need another method: -X GET, or no body";
    fails(&server.url("/"), &["-d", "x"], 6, hint);
    works(&server.url("/"), &[]);

    for status in [400, 405, 501] {
        let server = answers(|request| request.method == "GET", Reply::status(status));
        let hint = "methods are case-sensitive: -X GET";
        fails(&server.url("/"), &["-X", "get"], 6, hint);
        works(&server.url("/"), &["-X", "GET"]);
    }

    let is_json = |request: &Request| has(request, "content-type", "application/json");
    let server = answers(is_json, Reply::status(415));
    let hint = "the server may expect another body type: try --json, or -H 'Content-Type: ...'";
    fails(&server.url("/"), &["-d", "{}"], 6, hint);
    works(&server.url("/"), &["--json", "{}"]);
    works(
        &server.url("/"),
        &["-d", "{}", "-H", "Content-Type: application/json"],
    );
}

#[test]
fn hints_about_the_accept_header_help() {
    const BOTH: &str = "application/json, text/event-stream";
    let mcp = answers(|request| has(request, "accept", BOTH), Reply::status(406));
    let hint = "the server requires another Accept header; MCP servers need \
                -H 'Accept: application/json, text/event-stream'";
    fails(&mcp.url("/"), &["--json", "{}"], 6, hint);
    works(
        &mcp.url("/"),
        &["--json", "{}", "-H", &format!("Accept: {BOTH}")],
    );
    let is_stream = |request: &Request| has(request, "accept", "text/event-stream");
    let server = answers(is_stream, Reply::status(406));
    let hint = "the server rejected your Accept header; the default is text/event-stream, and MCP \
                servers need -H 'Accept: application/json, text/event-stream'";
    fails(
        &server.url("/"),
        &["-H", "Accept: application/json"],
        6,
        hint,
    );
    works(&server.url("/"), &[]);
    // Both types are already accepted.
    let both = format!("Accept: {BOTH}");
    let hint = "the server offers none of the types in your Accept header";
    fails(&server.url("/"), &["-H", &both], 6, hint);
}

#[test]
fn an_expired_mcp_session_has_a_hint() {
    let is_new = |request: &Request| has(request, "mcp-session-id", "new");
    let server = answers(is_new, Reply::status(404));
    let hint = "the MCP session has ended: start a new one and send its id with \
                -H 'Mcp-Session-Id: ID'";
    let options = ["--json", "{}", "-H", "Mcp-Session-Id: old"];
    fails(&server.url("/"), &options, 6, hint);
    works(
        &server.url("/"),
        &["--json", "{}", "-H", "Mcp-Session-Id: new"],
    );
}

#[test]
fn a_forgotten_event_id_has_a_hint() {
    let begins = |request: &Request| request.header("last-event-id").is_none();
    let server = answers(begins, Reply::status(410));
    let url = server.url("/");
    let folder = Folder::new("gone");
    let cursor = folder.file("cursor", "41\n");
    let name = cursor.to_str().unwrap();
    let why = "the server may no longer have the events after the last id";
    let hint = format!("{why}: delete {name} to start without an id");
    fails(&url, &["--cursor", name], 6, &hint);
    std::fs::remove_file(&cursor).unwrap();
    works(&url, &["--cursor", name]);

    let hint = format!("{why}: start without --last-event-id");
    fails(&url, &["--last-event-id", "41"], 6, &hint);
    works(&url, &[]);

    // The id is from this run.
    server.enqueue(Reply::stream().retry(1).event_with_id("1", "a").end());
    let hint = format!("{why}: run the command again to start without an id");
    fails(&url, &[], 6, &hint);
    works(&url, &[]);
    // Without an id, the URL is the problem.
    let gone = answers(|_| false, Reply::status(410));
    let hint = "there is no stream at this URL: check its path";
    fails(&gone.url("/"), &[], 6, hint);
}

/// A prompt costs money: it is never resent automatically.
#[test]
fn a_truncated_answer_has_a_hint_to_request_it_again() {
    let server = Server::start();
    let whole = || Reply::stream().event("a").event("[DONE]").end();
    let options = ["--json", "{}", "--until", "[DONE]"];
    let again = "the response is incomplete: run the command again for a new one";
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.otherwise(whole());
    let stderr = fails(&server.url("/"), &options, 11, again);
    let error = "error: the response was cut off before --until '[DONE]' matched: the server closed the \
                 connection mid-response\n";
    assert!(stderr.contains(error), "{stderr}");
    assert_eq!(server.request_count(), 1);
    assert_eq!(end(&server.url("/"), &options).0, 0);

    // With ids it may be resumed.
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    let hint = "the response is incomplete: --resume-get resumes it if the server supports that (MCP); \
                run the command again for a new one";
    fails(&server.url("/"), &options, 11, hint);
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    assert_eq!(
        end(
            &server.url("/"),
            &[&options[..], &["--resume-get"]].concat()
        )
        .0,
        0
    );
}

#[test]
fn hints_about_a_missing_until_event_help() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let url = server.url("/");
    let such = "if this server ends its streams without such an event";
    let error = "error: the stream ended before --until '[DONE]' matched\n";
    let hint = format!(
        "{such}, use --no-reconnect instead of --until; otherwise the response is incomplete: run the \
         command again for a new one"
    );
    let stderr = fails(&url, &["--json", "{}", "--until", "[DONE]"], 11, &hint);
    assert!(stderr.contains(error), "{stderr}");
    assert_eq!(end(&url, &["--json", "{}", "--no-reconnect"]).0, 0);

    let hint = format!("{such}, drop --until-type; otherwise drop --no-reconnect to reconnect");
    let options = ["--no-reconnect", "--until-type", "end"];
    let stderr = fails(&url, &options, 8, &hint);
    assert!(
        stderr.contains("before --until-type 'end' matched\n"),
        "{stderr}"
    );
    assert_eq!(end(&url, &options[..1]).0, 0);
    server.enqueue(Reply::stream().retry(1).event("a").end());
    server.enqueue(Reply::stream().event_of_type("end", "b").end());
    assert_eq!(end(&url, &options[1..]).0, 0);
}

#[test]
fn a_json_response_has_a_hint_to_request_a_stream() {
    let streams = |request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        body.contains(r#""stream": true"#)
    };
    let json = Reply::status(200)
        .header("Content-Type", "application/json")
        .send("{\n  \"answer\": \"42\"\n}\n");
    let server = answers(streams, json.clone());
    let url = server.url("/");
    let hint = "this is JSON, the whole answer at once: most APIs stream it if the body contains \
                \"stream\": true";
    let stderr = fails(&url, &["--json", "{}"], 3, hint);
    let said = "everstream: the server said:\n  {\n    \"answer\": \"42\"\n  }\n";
    assert!(stderr.contains(said), "{stderr}");
    works(&url, &["--json", r#"{"stream": true}"#]);
    // The body already requests a stream, or can't.
    let never = answers(|_| false, json);
    let hint = "this is JSON, not an event stream, although the body requests one: see what \
                the server said, or fetch it with curl";
    fails(&never.url("/"), &["-d", r#"{"stream": true}"#], 3, hint);
    let body = r#"{"jsonrpc": "2.0"}"#;
    let hint = "this JSON is the whole answer, which a JSON-RPC server may send instead of a \
                stream: fetch it with curl";
    fails(&never.url("/"), &["--json", body], 3, hint);
    assert!(curl(&["-d", body, &never.url("/")]).contains("42"));
    let hint = "this is a JSON document, not an event stream: check the path of the URL, or \
                fetch it with curl";
    fails(&never.url("/"), &[], 3, hint);
    assert!(curl(&[&never.url("/")]).contains("42"));
}

fn curl(args: &[&str]) -> String {
    let mut curl = Command::new("curl");
    clean(&mut curl);
    let output = curl
        .arg("-s")
        .args(args)
        .output()
        .expect("this test needs curl");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn ndjson_and_html_are_named() {
    let lines = "{\"n\": 1}\n{\"n\": 2}\n";
    for kind in ["application/x-ndjson", "application/json"] {
        let server = answers(
            |_| false,
            Reply::status(200).header("Content-Type", kind).send(lines),
        );
        let hint =
            "this is NDJSON (one JSON value per line), not an event stream: read it with curl -N";
        let stderr = fails(&server.url("/"), &[], 3, hint);
        assert!(
            stderr.contains("the server said:\n  {\"n\": 1}\n  {\"n\": 2}\n"),
            "{stderr}"
        );
        assert_eq!(curl(&["-N", &server.url("/")]), lines);
    }
    let page = "<!DOCTYPE html>\n<title>Log in</title>\n";
    let server = answers(
        |request| request.path() == "/feed",
        Reply::status(200)
            .header("Content-Type", "text/html; charset=utf-8")
            .send(page),
    );
    let hint = "this is a web page (HTML), not an event stream: check the path of the URL";
    let stderr = fails(&server.url("/"), &[], 3, hint);
    assert!(stderr.contains("  <title>Log in</title>\n"), "{stderr}");
    works(&server.url("/feed"), &[]);
    let server = answers(
        |request| request.path() == "/feed",
        Reply::status(200)
            .header("Content-Type", "text/plain")
            .send("hello"),
    );
    let hint = "this isn't an event stream: look at it with curl -i, and check the path of the URL";
    let stderr = fails(&server.url("/"), &[], 3, hint);
    assert!(
        stderr.contains("everstream: the server said: hello\n"),
        "{stderr}"
    );
    works(&server.url("/feed"), &[]);
}

#[test]
fn a_long_response_is_cut_without_verbose() {
    let server = Server::start();
    let long = format!("{}END", "x".repeat(100_000));
    server.otherwise(Reply::status(422).send(long));
    let (code, stderr) = end(&server.url("/"), &[]);
    assert_eq!(code, 6);
    let shown = format!("the server said: {}... (-v shows all)", "x".repeat(1024));
    assert!(stderr.contains(&shown), "{stderr}");
    assert!(!stderr.contains(&"x".repeat(1025)), "{stderr}");
    let (_, stderr) = end(&server.url("/"), &["-v"]);
    assert!(stderr.contains(&format!("{}END", "x".repeat(100_000))));
    assert!(!stderr.contains("-v)"));
    let (_, stderr) = Running::follow(["record", &*server.url("/"), "-", "-v"]).end();
    assert!(stderr.contains("xEND"));
}

#[test]
fn retry_after_is_shown_and_honored() {
    let server = Server::start();
    let refusal = || Reply::status(429).header("Retry-After", "1");
    server.enqueue(refusal());
    server.otherwise(Reply::stream().event("x").stall());
    let hint = "the server may recover, and asks for a wait of 1.00 s: run the command again, or use \
                --repeat-unsafe (which also sends the request again after an answer)";
    fails(&server.url("/"), &["-d", "x"], 11, hint);
    works(&server.url("/"), &["-d", "x"]);
    server.enqueue(refusal());
    let begin = std::time::Instant::now();
    works(&server.url("/"), &["-d", "x", "--repeat-unsafe"]);
    assert!(begin.elapsed().as_secs() >= 1);
}
