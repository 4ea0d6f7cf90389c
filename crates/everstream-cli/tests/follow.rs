//! What is printed of a stream, and what the server is asked.

use everstream_testing::{Reply, Server};
use serde_json::{Value, json};

use crate::common::{PATIENCE, Running, everstream};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// Without the time, which nobody knows before.
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
fn each_event_is_a_json_object_on_a_line_of_its_own() {
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
fn headers_stay_with_the_origin_that_they_were_given_for() {
    let (home, elsewhere) = (Server::start(), Server::start());
    home.enqueue(Reply::redirect(307, "/b"));
    home.enqueue(Reply::redirect(307, elsewhere.url("/c")));
    elsewhere.enqueue(Reply::status(204));
    let follower = Running::follow([&*home.url("/a"), "-H", "X-Key: secret"]);
    let (code, news) = follower.end();
    assert_eq!(code, 4);
    let warning = format!(
        "everstream: warning: X-Key was not sent to {}: it was set for another origin",
        elsewhere.url("/c")
    );
    assert!(news.contains(&warning), "{news}");
    let keys: Vec<_> = home
        .requests()
        .iter()
        .map(|request| request.header("x-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, [Some("secret".to_owned()), Some("secret".to_owned())]);
    assert_eq!(elsewhere.requests()[0].header("x-key"), None);
}

#[test]
fn it_resumes_and_says_so_on_standard_error_only() {
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

    let news = follower.err.all().join("\n");
    for text in [
        "everstream: connected to http://127.0.0.1:",
        "everstream: the server closed the connection mid-response; retrying in 0.",
        "answered with status 503; retrying in ",
        "connected again to ",
        "at attempt 2, resuming after id 1",
        "the server ended the connection; retrying in ",
        "the server ended the stream for good (status 204)",
    ] {
        assert!(news.contains(text), "no {text:?} in {news}");
    }
    assert!(!news.contains("secret"), "{news}");
    assert!(!news.contains('\x1b'), "{news}");
}

#[test]
fn it_waits_for_a_server_that_is_not_there_yet() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("here").stall());
    server.stop();
    let follower = Running::follow([&*server.url("/")]);
    let news = follower.err.wait_for_text("retrying in").join("\n");
    let refused = format!("connection refused by {}; retrying in", server.addr());
    assert!(news.contains(&refused), "{news}");
    server.restart().unwrap();
    assert!(follower.out.wait_for(1)[0].contains("here"));
}

#[test]
fn an_event_is_printed_before_the_next_one_comes() {
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

/// A server could fill the screen, or the log, with an id of as many bytes as an event may have.
#[test]
fn a_long_id_is_cut_in_the_news() {
    let server = Server::start();
    let id = "i".repeat(1 << 20);
    let stream = Reply::stream().retry(100).event_with_id(&id, "a");
    server.enqueue(stream.end());
    server.otherwise(Reply::stream().event("b").stall());
    let url = server.url("/");
    let (code, news) = Running::follow([&*url, "--count", "2"]).end();
    assert_eq!(code, 0);
    let shown = format!("{}... (1048576 bytes)", "i".repeat(100));
    assert!(
        news.contains(&format!("the last id is {shown}")),
        "{news:.2000}"
    );
    assert!(!news.contains(&"i".repeat(101)), "{news:.2000}");
}

#[test]
fn an_unfinished_event_is_delivered_if_that_is_said() {
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
fn an_event_that_is_larger_than_accepted_ends_it() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x".repeat(2000)).stall());
    let url = server.url("/");
    let (code, news) = Running::follow([&*url, "--max-event-size", "1k"]).end();
    assert_eq!(code, 1, "{news}");
    assert!(news.contains("limit of 1024 bytes"), "{news}");
    let hint =
        "hint: check that the URL is that of an event stream; --max-event-size accepts larger";
    assert!(news.contains(hint), "{news}");
    let args = [&*url, "--max-event-size", "1M", "--count", "1"];
    assert_eq!(Running::follow(args).end().0, 0);
    let (code, news) = Running::follow([&*url, "--max-event-size", "1T"]).end();
    assert_eq!(code, 2);
    assert!(news.contains("isn't one of the units k, M, G"), "{news}");
}
