//! The printed events, and the requests.

use everstream_testing::{Reply, Server};
use serde_json::{Value, json};

use crate::common::{PATIENCE, Running, everstream};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// Without the time, which isn't known in advance.
fn parse_timeless(line: &str) -> Value {
    let mut value = parse(line);
    let time = value.as_object_mut().unwrap().remove("time").unwrap();
    let time = time.as_str().unwrap();
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    assert!(time > "2024", "{time}");
    value
}

#[test]
fn each_event_is_a_json_object_on_one_line() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .event("one\n\n\"three\" \\ é 🌊")
            .send("event: price\nid: 41\ndata: 7\n\n")
            .event_of_type("price", "8")
            .send("id:\ndata: cleared\n\n")
            .comment("not an event")
            .stall(),
    );
    let follower = Running::follow([&*server.url("/")]);
    let lines = follower.out.wait_for(4);
    assert_eq!(
        parse_timeless(&lines[0]),
        json!({"event": "message", "data": "one\n\n\"three\" \\ é 🌊", "id": null, "last_event_id": null})
    );
    assert_eq!(
        parse_timeless(&lines[1]),
        json!({"event": "price", "data": "7", "id": "41", "last_event_id": "41"})
    );
    assert_eq!(
        parse_timeless(&lines[2]),
        json!({"event": "price", "data": "8", "id": null, "last_event_id": "41"})
    );
    assert_eq!(
        parse_timeless(&lines[3]),
        json!({"event": "message", "data": "cleared", "id": "", "last_event_id": null})
    );
}

#[test]
fn follow_is_the_same_as_no_subcommand() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "x").stall());
    let lines = ["follow", ""].map(|subcommand| {
        let url = server.url("/");
        let args = [subcommand, &url].into_iter().filter(|arg| !arg.is_empty());
        let lines = Running::follow(args).out.wait_for(1);
        parse_timeless(&lines[0])
    });
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn headers_and_the_last_event_id_reach_the_server() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let follower = Running::follow([
        &*server.url("/feed?x=1"),
        "-H",
        "X-Team: a: b",
        "--header",
        "accept:text/event-stream;v=2",
        "--last-event-id",
        "ü 41",
    ]);
    assert_eq!(follower.end().0, 4);
    let request = &server.requests()[0];
    assert_eq!(request.target, "/feed?x=1");
    assert_eq!(request.header("x-team"), Some("a: b"));
    let accept: Vec<_> = request.header_values("accept").collect();
    assert_eq!(accept, [b"text/event-stream;v=2"]);
    assert_eq!(request.header("last-event-id"), Some("ü 41"));
}

#[test]
fn headers_are_not_sent_to_another_origin() {
    let (home, elsewhere) = (Server::start(), Server::start());
    home.enqueue(Reply::redirect(307, "/b"));
    home.enqueue(Reply::redirect(307, elsewhere.url("/c")));
    elsewhere.enqueue(Reply::status(204));
    let follower = Running::follow([&*home.url("/a"), "-H", "X-Key: secret"]);
    let (code, stderr) = follower.end();
    assert_eq!(code, 4);
    let warning = format!(
        "everstream: warning: X-Key was not sent to {}: it was set for another origin",
        elsewhere.url("/c")
    );
    assert!(stderr.contains(&warning), "{stderr}");
    let keys: Vec<_> = home
        .requests()
        .iter()
        .map(|request| request.header("x-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, [Some("secret".to_owned()), Some("secret".to_owned())]);
    assert_eq!(elsewhere.requests()[0].header("x-key"), None);
}

#[test]
fn it_resumes_and_reports_that_on_standard_error() {
    let server = Server::start();
    server
        .enqueue(
            Reply::stream()
                .retry(100)
                .event_with_id("1", "a")
                .send("id: 2\ndata: hal")
                .drop_connection(),
        )
        .enqueue(Reply::status(503))
        .enqueue(Reply::stream().event_with_id("2", "half").end())
        .enqueue(Reply::status(204));
    let mut follower = Running::follow([&*server.url("/feed?token=secret")]);
    assert_eq!(follower.wait().code(), Some(4));

    let data: Vec<_> = follower
        .out
        .all()
        .iter()
        .map(|line| parse(line)["data"].clone())
        .collect();
    assert_eq!(data, ["a", "half"]);
    let ids: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("last-event-id").map(str::to_owned))
        .collect();
    let [one, two] = ["1", "2"].map(|id| Some(id.to_owned()));
    assert_eq!(ids, [None, one.clone(), one, two]);

    let stderr = follower.err.all().join("\n");
    for text in [
        "everstream: connected to http://127.0.0.1:",
        "everstream: the server closed the connection mid-response; retrying in 0.",
        "answered with status 503; retrying in ",
        "reconnected to ",
        "at attempt 2, resuming after id 1",
        "the server ended the connection; retrying in ",
        "the server ended the stream permanently (status 204)",
    ] {
        assert!(stderr.contains(text), "no {text:?} in {stderr}");
    }
    assert!(!stderr.contains("secret"), "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr}");
}

#[test]
fn it_waits_for_a_server_to_start() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("here").stall());
    server.stop();
    let follower = Running::follow([&*server.url("/")]);
    let stderr = follower.err.wait_for_text("retrying in").join("\n");
    let refused = format!("connection refused by {}; retrying in", server.addr());
    assert!(stderr.contains(&refused), "{stderr}");
    server.restart().unwrap();
    assert!(follower.out.wait_for(1)[0].contains("here"));
}

#[test]
fn an_event_is_printed_before_the_next_one_arrives() {
    let (server, printed) = (Server::start(), everstream_testing::Gate::new());
    server.enqueue(
        Reply::stream()
            .event("a")
            .wait_for(&printed)
            .event("b")
            .stall(),
    );
    let follower = Running::follow([&*server.url("/")]);
    follower.out.wait_for(1);
    printed.open();
    follower.out.wait_for(2);
    drop(follower);
    assert!(server.wait_for_open_connections(0, PATIENCE));
}

/// A server could fill the screen or the log with an id as large as an event.
#[test]
fn a_long_id_is_cut_in_messages() {
    let server = Server::start();
    let id = "i".repeat(1 << 20);
    let stream = Reply::stream().retry(100).event_with_id(&id, "a");
    server.enqueue(stream.end());
    server.otherwise(Reply::stream().event("b").stall());
    let url = server.url("/");
    let (code, stderr) = Running::follow([&*url, "--count", "2"]).end();
    assert_eq!(code, 0);
    let shown = format!("{}... (1048576 bytes)", "i".repeat(100));
    assert!(
        stderr.contains(&format!("the last id is {shown}")),
        "{stderr:.2000}"
    );
    assert!(!stderr.contains(&"i".repeat(101)), "{stderr:.2000}");
}

#[test]
fn dispatch_unfinished_delivers_an_unfinished_event() {
    let server = Server::start();
    server.otherwise(Reply::stream().send("data: a\n\ndata: b\n").end());
    let url = server.url("/");
    let written = |option: &[&str]| {
        let args = [&*url, "--no-reconnect", "--format", "data"];
        let output = everstream(args.into_iter().chain(option.iter().copied())).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(written(&[]), "a\n");
    assert_eq!(written(&["--dispatch-unfinished"]), "a\nb\n");
}

#[test]
fn an_event_beyond_max_event_size_ends_it() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x".repeat(2000)).stall());
    let url = server.url("/");
    let (code, stderr) = Running::follow([&*url, "--max-event-size", "1k"]).end();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("limit of 1024 bytes"), "{stderr}");
    assert!(stderr.contains("bytes (--max-event-size)\n"), "{stderr}");
    let hint = "hint: check that the URL serves an event stream; to accept larger events, raise --max-event-size";
    assert!(stderr.contains(hint), "{stderr}");
    let args = [&*url, "--max-event-size", "1M", "--count", "1"];
    assert_eq!(Running::follow(args).end().0, 0);
    let (code, stderr) = Running::follow([&*url, "--max-event-size", "1T"]).end();
    assert_eq!(code, 2);
    assert!(
        stderr.contains("isn't one of the units k, M, G"),
        "{stderr}"
    );
}

#[test]
fn verbose_says_what_a_slow_attempt_waits_for() {
    let server = Server::start();
    server.otherwise_with(|request| match request.path() {
        "/silent" => Reply::raw("").stall(),
        _ => Reply::stream().stall(),
    });
    // It accepts connections, and never answers the handshake.
    let no_tls = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let no_tls = format!("https://{}/", no_tls.local_addr().unwrap());
    let cases = [
        (no_tls, "everstream: still connecting after "),
        (
            server.url("/silent"),
            "everstream: connected, but no response after ",
        ),
        (
            server.url("/empty"),
            "everstream: the response has no data after ",
        ),
    ];
    let verbose = cases.map(|(url, text)| (Running::follow([&*url, "-v"]), text));
    let silent = server.url("/silent");
    let quiet = Running::follow([&*silent, "--silent"]);
    let empty = Running::follow([&*server.url("/empty")]);
    let usual = Running::follow([&*silent]);
    for (running, text) in &verbose {
        let lines = running.err.wait_for_text(text);
        let told = lines.iter().filter(|line| line.starts_with(text)).count();
        assert_eq!(told, 1, "{lines:#?}");
    }
    // Without --verbose, only that there is no response.
    usual
        .err
        .wait_for_text("everstream: connected, but no response after ");
    for running in [empty, quiet] {
        running.signal("TERM");
        let (_, stderr) = running.end();
        assert!(!stderr.contains("no data after"), "{stderr}");
        assert!(!stderr.contains("no response"), "{stderr}");
    }
}
