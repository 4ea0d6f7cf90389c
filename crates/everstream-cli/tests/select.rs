//! Which events are written, and when there are enough.

use everstream_testing::{Reply, Server};

use crate::common::Running;

fn stream() -> Reply {
    Reply::stream()
        .send("event: price\nid: 1\ndata: {\"symbol\": \"A\", \"price\": 7.50}\n\n")
        .send("event: news\nid: 2\ndata: rain\n\n")
        .send("event: price\nid: 3\ndata: {\"symbol\": \"B\", \"price\": 9}\n\n")
        .send("data: rain again\n\n")
}

/// Exit code, the data that was written, and the news, of this stream with these options.
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
    let (code, lines, news) = run(stream().end(), options);
    assert_eq!(code, 4, "{news}");
    lines
}

#[test]
fn types_are_chosen_and_left_out() {
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
fn data_is_searched() {
    assert_eq!(written(&["--grep", "^rain"]), ["rain", "rain again"]);
    assert_eq!(
        written(&["--grep", "(?i)RAIN", "--event", "news"]),
        ["rain"]
    );
    let (code, _, news) = run(stream(), &["--grep", "("]);
    assert_eq!(code, 2);
    assert!(
        news.contains("--grep \"(\" is no regular expression"),
        "{news}"
    );
}

#[cfg(feature = "jq")]
#[test]
fn a_jq_program_takes_data_apart() {
    assert_eq!(
        written(&["--jq", "(.symbol, .price)? // empty"]),
        ["A", "7.50", "B", "9"]
    );
    // No result: not selected.
    assert_eq!(
        written(&["--jq", "select($event == \"price\") | [$id, .price]"]),
        [r#"["1",7.50]"#, r#"["3",9]"#]
    );
    // A text is itself with this form, and JSON with others.
    assert_eq!(written(&["--jq", ".symbol? // empty"]), ["A", "B"]);
    assert_eq!(
        written(&["--jq", ".symbol? // empty", "--format", "json"]),
        ["\"A\"", "\"B\""]
    );
}

#[cfg(feature = "jq")]
#[test]
fn a_jq_program_that_fails_is_told_of_and_goes_on() {
    let options = ["--event", "news", "--jq", ".price", "--count", "1"];
    let (code, lines, news) = run(stream().stall(), &options);
    assert_eq!(code, 9, "{news}");
    assert!(lines.is_empty(), "{lines:?}");
    assert!(
        news.contains("--jq failed for the event with id 2: "),
        "{news}"
    );
    assert!(news.contains("1 of 1 events failed"), "{news}");
    let (code, _, news) = run(stream(), &["--jq", ".a |"]);
    assert_eq!(code, 2);
    assert!(news.contains("hint: its input is the data"), "{news}");
}

#[test]
fn it_ends_after_a_number_of_selected_events() {
    let (code, lines, news) = run(stream().stall(), &["--event", "price", "--count", "2"]);
    assert_eq!((code, lines.len()), (0, 2), "{news}");
    assert!(
        news.contains("stopped by --count after 2 events; the last id is 3"),
        "{news}"
    );
}

#[test]
fn it_ends_after_a_time() {
    let (code, lines, news) = run(stream().stall(), &["--duration", "500ms"]);
    assert_eq!((code, lines.len()), (0, 4), "{news}");
    assert!(
        news.contains("stopped by --duration after 4 events"),
        "{news}"
    );
    // Also while events come without a pause.
    let endless = Reply::stream().send_forever("data: x\n\n");
    let (code, lines, _) = run(endless, &["--duration", "300ms"]);
    assert_eq!(code, 0);
    assert!(lines.len() > 4, "{}", lines.len());
}

/// It was looked at when the search had ended.
#[test]
fn the_time_is_over_in_the_middle_of_a_slow_search_too() {
    // Minutes of work.
    let stream = || Reply::stream().event("x".repeat(12 << 20)).stall();
    let slow = ["--duration", "300ms", "--grep", "x{1,900}y"];
    let (code, lines, _) = run(stream(), &slow);
    assert_eq!((code, lines.len()), (0, 0));
    let (code, _, _) = run(stream(), &[&slow[..], &["--count", "1"]].concat());
    assert_eq!(code, 7);
}

#[test]
fn too_few_events_in_the_time_is_a_time_out() {
    let options = ["--duration", "300ms", "--count", "5"];
    let (code, _, news) = run(stream().stall(), &options);
    assert_eq!(code, 7, "{news}");
    assert!(
        news.contains("--duration has passed after 4 events"),
        "{news}"
    );
    let (code, _, _) = run(stream().stall(), &["--duration", "300ms", "--until", "x"]);
    assert_eq!(code, 7);
}

#[test]
fn it_ends_at_the_last_event_which_is_not_written() {
    let stream = || {
        Reply::stream()
            .event("DONE")
            .event("a [DONE] b")
            .event("[DONE]")
            .stall()
    };
    // As a class of letters it would match all of them.
    let (code, lines, news) = run(stream(), &["--until", "[DONE]"]);
    assert_eq!(code, 0, "{news}");
    assert_eq!(lines, ["DONE", "a [DONE] b"]);
    let (_, lines, news) = run(stream(), &["--until", r".*\[DONE\].*"]);
    assert_eq!(lines, ["DONE"]);
    assert!(news.contains("stopped by --until after 1 event"), "{news}");
}

#[test]
fn a_stream_that_ends_before_its_last_event_is_broken() {
    let options = ["--until", "[DONE]", "--no-reconnect"];
    let (code, _, news) = run(stream().end(), &options);
    assert_eq!(code, 8);
    let error = "error: the stream ended before the event of --until '[DONE]'\n";
    assert!(news.contains(error), "{news}");
    let (code, _, news) = run(stream().end(), &["--count", "9", "--no-reconnect"]);
    assert_eq!(code, 8);
    assert!(news.contains("after 4 of 9 events"), "{news}");
}

#[test]
fn an_event_that_came_before_is_left_out() {
    let server = Server::start();
    // It begins with the last event that the client has seen, as some servers do.
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

/// It was refused as a bad regular expression.
#[test]
fn a_text_that_is_no_regular_expression_is_a_text() {
    for last in [r#"{"type":"message_stop"}"#, "{}", "[", "a)b", "*"] {
        let stream = Reply::stream().event("a").event(last).event("b").stall();
        let (code, lines, news) = run(stream, &["--until", last]);
        assert_eq!((code, lines), (0, vec!["a".to_owned()]), "{last}: {news}");
        assert!(news.contains("stopped by --until after 1 event"), "{news}");
    }
}

#[test]
fn it_ends_at_an_event_of_a_type_which_is_written() {
    let stream = || {
        Reply::stream()
            .event_of_type("delta", "a")
            .event_of_type("end.not", "b")
            .send("event: end\nid: 7\ndata: c\n\n")
            .event("d")
            .stall()
    };
    let (code, lines, news) = run(stream(), &["--until-type", "end"]);
    assert_eq!(
        (code, lines),
        (0, ["a", "b", "c"].map(String::from).to_vec())
    );
    let stopped = "stopped by --until-type after 3 events; the last id is 7";
    assert!(news.contains(stopped), "{news}");
    let (code, lines, _) = run(stream(), &["--until-type", "end", "--until-exclusive"]);
    assert_eq!((code, lines), (0, ["a", "b"].map(String::from).to_vec()));
    // Several types, and whatever comes first.
    let options = ["--until-type", "no", "--until-type", "end", "--until", "b"];
    assert_eq!(run(stream(), &options).1, ["a"]);
    assert_eq!(run(stream(), &options[..4]).1, ["a", "b", "c"]);
    // What isn't selected isn't written.
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
    // Nothing says that there is one to be written.
    let (code, _, news) = run(stream(), &["--until-exclusive"]);
    assert_eq!(code, 2, "{news}");
}

#[test]
fn done_and_a_message_without_data_are_no_result() {
    let stream = || {
        Reply::stream()
            .send("id: 1\ndata:\n\n")
            .event_of_type("ping", "")
            .event("result")
            .stall()
    };
    // An MCP server begins with an id alone.
    let (code, lines, _) = run(stream(), &["--until-type", "message"]);
    assert_eq!(
        (code, lines),
        (0, ["", "", "result"].map(String::from).to_vec())
    );
    // Other types may do without data.
    let (code, lines, _) = run(stream(), &["--until-type", "ping"]);
    assert_eq!((code, lines), (0, ["", ""].map(String::from).to_vec()));
    let stream = Reply::stream()
        .event("a")
        .event_of_type("done", "[DONE]")
        .stall();
    let (code, lines, news) = run(stream, &["--until-type", "done"]);
    assert_eq!((code, lines), (0, vec!["a".to_owned()]), "{news}");
}

#[cfg(feature = "jq")]
#[test]
fn a_program_is_not_run_on_events_without_data() {
    let stream = Reply::stream()
        .send("id: 1\ndata:\n\n")
        .event(r#"{"result": 1}"#)
        .event_of_type("ping", "")
        .event(r#"{"result": 2}"#)
        .stall();
    let (code, lines, news) = run(stream, &["--jq", ".result", "--count", "2"]);
    assert_eq!(
        (code, lines),
        (0, ["1", "2"].map(String::from).to_vec()),
        "{news}"
    );
}
