//! Tests of `mcp-client`.

use everstream_testing::{Reply, Request, Server};
use serde_json::{Value, json};

use crate::program::{Program, command};

const TOOL: [&str; 2] = ["add", r#"{"a": 1, "b": 2}"#];

fn run(server: &Server, args: &[&str]) -> Program {
    let url = server.url("/mcp");
    let args = [url.as_str()].into_iter().chain(args.iter().copied());
    let mut command = command(env!("CARGO_BIN_EXE_mcp-client"), args);
    command.env("MCP_TOKEN", "secret");
    Program::start(command)
}

fn json_reply(message: &Value) -> Reply {
    Reply::status(200)
        .header("Content-Type", "application/json; charset=utf-8")
        .send(message.to_string())
}

fn hello(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result": {
        "protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "test", "version": "1"},
    }})
}

/// Starts a server that answers the messages before the one under test.
fn server() -> Server {
    let server = Server::start();
    server
        .enqueue(json_reply(&hello("2025-11-25")).header("Mcp-Session-Id", "session-1"))
        .enqueue(Reply::status(202));
    server
}

fn result() -> Value {
    json!({"jsonrpc": "2.0", "id": 2, "result": {"content": [{"type": "text", "text": "3"}]}})
}

fn progress(done: u32) -> String {
    let params = json!({"progressToken": 1, "progress": done});
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Returns how often the tool was called.
fn calls(server: &Server) -> usize {
    let requests = server.requests();
    let is_call =
        |request: &&Request| request.method == "POST" && body(request)["method"] == "tools/call";
    requests.iter().filter(is_call).count()
}

#[test]
fn tools_are_listed_from_a_json_response() {
    let server = server();
    let tools = json!({"tools": [{"name": "add", "inputSchema": {"type": "object"}}]});
    server
        .enqueue(json_reply(
            &json!({"jsonrpc": "2.0", "id": 2, "result": tools}),
        ))
        .otherwise(Reply::status(204));
    let ended = run(&server, &[]).end();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap(), tools);

    let requests = server.requests();
    let methods: Vec<_> = requests
        .iter()
        .map(|request| request.method.as_str())
        .collect();
    assert_eq!(methods, ["POST", "POST", "POST", "DELETE"]);
    for request in &requests {
        assert_eq!(request.path(), "/mcp");
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
    }
    for request in &requests[..3] {
        let accept = request.header("accept");
        assert_eq!(accept, Some("application/json, text/event-stream"));
    }
    assert_eq!(requests[0].header("mcp-session-id"), None);
    assert_eq!(requests[0].header("mcp-protocol-version"), None);
    for request in &requests[1..] {
        assert_eq!(request.header("mcp-session-id"), Some("session-1"));
        assert_eq!(request.header("mcp-protocol-version"), Some("2025-11-25"));
    }
    assert_eq!(body(&requests[1])["method"], "notifications/initialized");
    assert_eq!(body(&requests[1]).get("id"), None);
    assert_eq!(body(&requests[2])["method"], "tools/list");
}

#[test]
fn a_broken_stream_is_resumed_by_get_and_the_tool_is_called_once() {
    let server = server();
    server
        .enqueue(
            Reply::stream()
                .retry(1)
                .event_with_id("a1", progress(1))
                .send("id: a2\ndata: {\"half")
                .drop_connection(),
        )
        .enqueue(Reply::on_accept().reset())
        .enqueue(Reply::stream().event_with_id("a2", progress(2)).end())
        .enqueue(
            Reply::stream()
                .event_with_id("a3", result().to_string())
                .stall(),
        )
        .otherwise(Reply::status(405));
    let ended = run(&server, &TOOL).end();
    assert!(ended.status.success(), "{}", ended.stderr);
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(shown, result()["result"]);
    assert_eq!(ended.stderr, format!("{}\n{}\n", progress(1), progress(2)));

    assert_eq!(calls(&server), 1);
    let requests = server.requests();
    let params = json!({
        "name": "add",
        "arguments": {"a": 1, "b": 2},
        "_meta": {"progressToken": 1},
    });
    assert_eq!(body(&requests[2])["params"], params);
    let resumed: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "GET")
        .collect();
    let ids: Vec<_> = resumed
        .iter()
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(ids, [Some("a1"), Some("a2")]);
    for request in resumed {
        assert_eq!(request.header("accept"), Some("text/event-stream"));
        assert_eq!(request.header("mcp-session-id"), Some("session-1"));
        assert_eq!(request.header("mcp-protocol-version"), Some("2025-11-25"));
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
    }
}

#[test]
fn a_broken_stream_without_ids_is_an_error_and_the_tool_is_called_once() {
    let server = server();
    server
        .enqueue(
            Reply::stream()
                .retry(1)
                .event(progress(1))
                .drop_connection(),
        )
        .otherwise(Reply::status(204));
    let ended = run(&server, &TOOL).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("no ids to resume"),
        "{}",
        ended.stderr
    );
    assert_eq!(calls(&server), 1);
}

#[test]
fn a_server_that_cannot_resume_ends_the_call() {
    let server = server();
    server
        .enqueue(
            Reply::stream()
                .retry(1)
                .event_with_id("a1", progress(1))
                .end(),
        )
        .otherwise(Reply::status(405));
    let ended = run(&server, &TOOL).end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("status 405"), "{}", ended.stderr);
    assert_eq!(calls(&server), 1);
}

#[test]
fn requests_from_the_server_are_answered() {
    let server = server();
    let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
    let roots = json!({"jsonrpc": "2.0", "id": "r", "method": "roots/list"});
    server
        .enqueue(
            Reply::stream()
                .send("id: a0\ndata:\n\n")
                .event(ping.to_string())
                .event(roots.to_string())
                .event(result().to_string())
                .stall(),
        )
        .otherwise(Reply::status(202));
    let ended = run(&server, &TOOL).end();
    assert!(ended.status.success(), "{}", ended.stderr);
    let requests = server.requests();
    let pong = json!({"jsonrpc": "2.0", "id": "p", "result": {}});
    assert_eq!(body(&requests[3]), pong);
    assert_eq!(body(&requests[4])["error"]["code"], -32601);
}

#[test]
fn errors_include_the_servers_message() {
    let problem = json!({"code": -32602, "message": "b is missing"});
    for (reply, message) in [
        (
            json_reply(&json!({"jsonrpc": "2.0", "id": 2, "error": problem})),
            "b is missing",
        ),
        (Reply::status(404), "the session has expired"),
        (Reply::status(500).send("out of order"), "out of order"),
        (
            Reply::status(200).header("Content-Type", "text/html"),
            "text/html",
        ),
    ] {
        let server = server();
        server.enqueue(reply).otherwise(Reply::status(204));
        let ended = run(&server, &TOOL).end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
        // The session is closed even after an error.
        assert_eq!(server.requests().last().unwrap().method, "DELETE");
    }
    let server = Server::start();
    server.otherwise(json_reply(&hello("1999-01-01")));
    let ended = run(&server, &[]).end();
    assert!(ended.stderr.contains("1999-01-01"), "{}", ended.stderr);
}
