//! Which events are written, and when it stops.

use everstream_testing::{Reply, Server};

use crate::common::{Running, in_time};

fn stream() -> Reply {
    Reply::stream()
        .send("event: price\nid: 1\ndata: {\"symbol\": \"A\", \"price\": 7.50}\n\n")
        .send("event: news\nid: 2\ndata: rain\n\n")
        .send("event: price\nid: 3\ndata: {\"symbol\": \"B\", \"price\": 9}\n\n")
        .send("data: rain again\n\n")
}

/// The exit code, the data, and standard error for this stream with these options.
fn run(reply: Reply, options: &[&str]) -> (i32, Vec<String>, String) {
    let server = Server::start();
    server.enqueue(reply);
    server.otherwise(Reply::status(204));
    let url = server.url("/");
    let args = [&*url, "--format", "data", "--retry-delay", "1ms"];
    let mut follower = Running::follow(args.into_iter().chain(options.iter().copied()));
    let code = follower.wait().code().unwrap();
    (code, follower.out.all(), follower.err.all().join("\n"))
}

fn written(options: &[&str]) -> Vec<String> {
    let (code, lines, stderr) = run(stream().end(), options);
    assert_eq!(code, 4, "{stderr}");
    lines
}

#[test]
fn event_selects_and_excludes_types() {
    assert_eq!(written(&["--event", "news"]), ["rain"]);
    assert_eq!(
        written(&["--event", "news", "--event", "message"]),
        ["rain", "rain again"]
    );
    assert_eq!(
        written(&["--event", "!price", "--event", "!news"]),
        ["rain again"]
    );
}

#[test]
fn grep_searches_the_data() {
    assert_eq!(written(&["--grep", "^rain"]), ["rain", "rain again"]);
    assert_eq!(
        written(&["--grep", "(?i)RAIN", "--event", "news"]),
        ["rain"]
    );
    let (code, _, stderr) = run(stream(), &["--grep", "("]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("--grep \"(\" isn't a valid regular expression"),
        "{stderr}"
    );
}

#[cfg(feature = "jq")]
#[test]
fn jq_transforms_the_data() {
    assert_eq!(
        written(&["--jq", "(.symbol, .price)? // empty"]),
        ["A", "7.50", "B", "9"]
    );
    // No result: the event isn't selected.
    assert_eq!(
        written(&["--jq", "select($event == \"price\") | [$id, .price]"]),
        [r#"["1",7.50]"#, r#"["3",9]"#]
    );
    // A string is written without quotes with --format data, and as JSON otherwise.
    assert_eq!(written(&["--jq", ".symbol? // empty"]), ["A", "B"]);
    assert_eq!(
        written(&["--jq", ".symbol? // empty", "--format", "json"]),
        ["\"A\"", "\"B\""]
    );
}

#[cfg(feature = "jq")]
#[test]
fn a_jq_error_is_reported_and_processing_continues() {
    let options = ["--event", "news", "--jq", ".price", "--count", "1"];
    let (code, lines, stderr) = run(stream().stall(), &options);
    assert_eq!(code, 9, "{stderr}");
    assert!(lines.is_empty(), "{lines:?}");
    assert!(
        stderr.contains("--jq failed for the event with id 2: "),
        "{stderr}"
    );
    assert!(stderr.contains("1 of 1 events failed"), "{stderr}");
    let (code, _, stderr) = run(stream(), &["--jq", ".a |"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("hint: its input is the data"), "{stderr}");
}

#[test]
fn count_stops_after_n_selected_events() {
    let (code, lines, stderr) = run(stream().stall(), &["--event", "price", "--count", "2"]);
    assert_eq!((code, lines.len()), (0, 2), "{stderr}");
    assert!(
        stderr.contains("stopped by --count after 2 events; the last id is 3"),
        "{stderr}"
    );
}

#[test]
fn duration_stops_the_run() {
    let (code, lines, stderr) = in_time(
        |limit| run(stream().stall(), &["--duration", limit]),
        |(_, lines, _)| lines.len() >= 4,
    );
    assert_eq!((code, lines.len()), (0, 4), "{stderr}");
    assert!(
        stderr.contains("stopped by --duration after 4 events"),
        "{stderr}"
    );
    // Also while events arrive without a pause.
    let endless = || Reply::stream().send_forever("data: x\n\n");
    let (code, lines, _) = in_time(
        |limit| run(endless(), &["--duration", limit]),
        |(_, lines, _)| lines.len() > 4,
    );
    assert_eq!(code, 0);
    assert!(lines.len() > 4, "{}", lines.len());
}

/// The time was checked only after the search.
#[test]
fn duration_ends_a_slow_search() {
    // Minutes of work.
    let stream = || Reply::stream().event("x".repeat(12 << 20)).stall();
    let slow = ["--duration", "300ms", "--grep", "x{1,900}y"];
    let (code, lines, _) = run(stream(), &slow);
    assert_eq!((code, lines.len()), (0, 0));
    let (code, _, _) = run(stream(), &[&slow[..], &["--count", "1"]].concat());
    assert_eq!(code, 7);
}

#[test]
fn too_few_events_before_duration_exits_with_7() {
    let (code, _, stderr) = in_time(
        |limit| run(stream().stall(), &["--duration", limit, "--count", "5"]),
        |(_, lines, _)| lines.len() >= 4,
    );
    assert_eq!(code, 7, "{stderr}");
    assert!(
        stderr.contains("--duration expired after 4 events"),
        "{stderr}"
    );
    let (code, _, _) = run(stream().stall(), &["--duration", "300ms", "--until", "x"]);
    assert_eq!(code, 7);
}

#[test]
fn until_stops_at_an_event_without_writing_it() {
    let stream = || {
        Reply::stream()
            .event("DONE")
            .event("a [DONE] b")
            .event("[DONE]")
            .stall()
    };
    // As a character class it would match all of them.
    let (code, lines, stderr) = run(stream(), &["--until", "[DONE]"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(lines, ["DONE", "a [DONE] b"]);
    let (_, lines, stderr) = run(stream(), &["--until", r".*\[DONE\].*"]);
    assert_eq!(lines, ["DONE"]);
    assert!(
        stderr.contains("stopped by --until after 1 event"),
        "{stderr}"
    );
}

#[test]
fn a_stream_that_ends_before_until_exits_with_8() {
    let options = ["--until", "[DONE]", "--no-reconnect"];
    let (code, _, stderr) = run(stream().end(), &options);
    assert_eq!(code, 8);
    let error = "error: the stream ended before --until '[DONE]' matched\n";
    assert!(stderr.contains(error), "{stderr}");
    let (code, _, stderr) = run(stream().end(), &["--count", "9", "--no-reconnect"]);
    assert_eq!(code, 8);
    assert!(stderr.contains("after 4 of 9 events"), "{stderr}");
}

#[test]
fn skip_duplicates_skips_repeated_ids() {
    let server = Server::start();
    // The stream begins with the last event that the client has seen, as on some servers.
    server.enqueue(
        Reply::stream()
            .event_with_id("1", "a")
            .event_with_id("2", "b")
            .event("no id")
            .end(),
    );
    server.otherwise(
        Reply::stream()
            .event_with_id("2", "b")
            .event("no id")
            .event_with_id("3", "c")
            .stall(),
    );
    let options = ["--format", "data", "--skip-duplicates", "--count", "4"];
    let url = server.url("/");
    let args = [&*url, "--last-event-id", "1", "--retry-delay", "1ms"];
    let mut follower = Running::follow(args.into_iter().chain(options));
    assert_eq!(follower.wait().code(), Some(0));
    assert_eq!(follower.out.all(), ["b", "no id", "no id", "c"]);
}

/// It was refused as an invalid regular expression.
#[test]
fn until_accepts_a_text_that_is_not_a_regular_expression() {
    for last in [r#"{"type":"message_stop"}"#, "{}", "[", "a)b", "*"] {
        let stream = Reply::stream().event("a").event(last).event("b").stall();
        let (code, lines, stderr) = run(stream, &["--until", last]);
        assert_eq!((code, lines), (0, vec!["a".to_owned()]), "{last}: {stderr}");
        assert!(
            stderr.contains("stopped by --until after 1 event"),
            "{stderr}"
        );
    }
}

#[test]
fn until_type_stops_at_an_event_and_writes_it() {
    let stream = || {
        Reply::stream()
            .event_of_type("delta", "a")
            .event_of_type("end.not", "b")
            .send("event: end\nid: 7\ndata: c\n\n")
            .event("d")
            .stall()
    };
    let (code, lines, stderr) = run(stream(), &["--until-type", "end"]);
    assert_eq!(
        (code, lines),
        (0, ["a", "b", "c"].map(String::from).to_vec())
    );
    let stopped = "stopped by --until-type after 3 events; the last id is 7";
    assert!(stderr.contains(stopped), "{stderr}");
    let (code, lines, _) = run(stream(), &["--until-type", "end", "--until-exclusive"]);
    assert_eq!((code, lines), (0, ["a", "b"].map(String::from).to_vec()));
    // Several types: the first one counts.
    let options = ["--until-type", "no", "--until-type", "end", "--until", "b"];
    assert_eq!(run(stream(), &options).1, ["a"]);
    assert_eq!(run(stream(), &options[..4]).1, ["a", "b", "c"]);
    // An event that isn't selected isn't written.
    let options = ["--until-type", "end", "--event", "delta"];
    assert_eq!(run(stream(), &options).1, ["a"]);
    if cfg!(feature = "jq") {
        let (code, lines, _) = run(stream(), &["--until-type", "end", "--jq", "ascii_upcase"]);
        assert_eq!(
            (code, lines),
            (0, ["A", "B", "C"].map(String::from).to_vec())
        );
    }
    let (_, lines, _) = run(
        stream(),
        &["--until-type", "end", "--exec", "sed", "s/^/=/"],
    );
    assert_eq!(lines, ["=a=b=c"]);
    // Without --until-type there is no event to exclude.
    let (code, _, stderr) = run(stream(), &["--until-exclusive"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn until_type_ignores_messages_without_data_and_does_not_write_done() {
    let stream = || {
        Reply::stream()
            .send("id: 1\ndata:\n\n")
            .event_of_type("ping", "")
            .event("result")
            .stall()
    };
    // An MCP server starts with an id only.
    let (code, lines, _) = run(stream(), &["--until-type", "message"]);
    assert_eq!(
        (code, lines),
        (0, ["", "", "result"].map(String::from).to_vec())
    );
    // Other types may have no data.
    let (code, lines, _) = run(stream(), &["--until-type", "ping"]);
    assert_eq!((code, lines), (0, ["", ""].map(String::from).to_vec()));
    let stream = Reply::stream()
        .event("a")
        .event_of_type("done", "[DONE]")
        .stall();
    let (code, lines, stderr) = run(stream, &["--until-type", "done"]);
    assert_eq!((code, lines), (0, vec!["a".to_owned()]), "{stderr}");
}

#[cfg(feature = "jq")]
#[test]
fn jq_does_not_run_on_events_without_data() {
    let stream = Reply::stream()
        .send("id: 1\ndata:\n\n")
        .event(r#"{"result": 1}"#)
        .event_of_type("ping", "")
        .event(r#"{"result": 2}"#)
        .stall();
    let (code, lines, stderr) = run(stream, &["--jq", ".result", "--count", "2"]);
    assert_eq!(
        (code, lines),
        (0, ["1", "2"].map(String::from).to_vec()),
        "{stderr}"
    );
}
