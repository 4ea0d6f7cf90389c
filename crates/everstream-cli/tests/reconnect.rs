//! When it tries again, and when it gives up.

use everstream_testing::{Reply, Server};

use crate::common::Running;

fn end(server: &Server, options: &[&str]) -> (i32, String) {
    let url = server.url("/");
    Running::follow([&*url].into_iter().chain(options.iter().copied())).end()
}

#[test]
fn one_connection_can_be_all() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x").end());
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 0, "{news}");
    assert!(!news.contains("retrying"), "{news}");
    assert!(
        news.contains("stopped by the end of the stream after 1 event"),
        "{news}"
    );

    server.enqueue(Reply::stream().event("x").reset());
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 8, "{news}");
    assert!(
        news.contains("the server reset the connection mid-response\n"),
        "{news}"
    );

    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--no-reconnect"]).0, 6);
    server.stop();
    let (code, news) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 5);
    assert!(news.contains("hint: nobody listens there"), "{news}");
}

#[test]
fn attempts_without_a_connection_are_counted() {
    let server = Server::start();
    let options = ["--max-attempts", "2", "--retry-delay", "10ms"];
    // A connection that ends is no failed attempt, and the count begins anew after it.
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.otherwise(Reply::status(503));
    let (code, news) = end(&server, &options);
    assert_eq!(code, 6, "{news}");
    assert_eq!(server.request_count(), 6);
}

#[test]
fn time_without_a_connection_is_limited() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    for option in ["--max-outage", "--retry-max-time"] {
        let before = server.request_count();
        let (code, news) = end(&server, &[option, "300ms", "--retry-delay", "50ms"]);
        assert_eq!(code, 6, "{news}");
        assert!(server.request_count() > before + 1);
        assert!(news.contains("gave up because of --max-outage: "), "{news}");
        let hint = "a larger --max-outage tries for longer";
        assert!(news.contains(hint), "{news}");
    }
    // Without end, as in curl.
    let options = ["--max-outage", "0", "--retry-delay", "1ms", "--retry", "3"];
    let before = server.request_count();
    assert_eq!(end(&server, &options).0, 6);
    assert_eq!(server.request_count(), before + 4);
}

#[test]
fn retries_are_counted_as_in_curl() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    assert_eq!(end(&server, &["--retry", "2", "--retry-delay", "1ms"]).0, 6);
    assert_eq!(server.request_count(), 3);
    server.enqueue(Reply::stream().event("x").drop_connection());
    assert_eq!(end(&server, &["--retry", "0"]).0, 8);
    assert_eq!(server.request_count(), 4);
    // Without an option it is only those that may pass.
    server.enqueue(Reply::status(404));
    assert_eq!(end(&server, &[]).0, 6);
    assert_eq!(server.request_count(), 5);
    server
        .enqueue(Reply::status(404))
        .enqueue(Reply::status(501));
    let options = ["--retry-all-errors", "--retry", "5", "--retry-delay", "1ms"];
    server.enqueue(Reply::status(204));
    assert_eq!(end(&server, &options).0, 4);
    assert_eq!(server.request_count(), 8);
}

#[test]
fn statuses_of_proxies_and_of_overload_may_pass() {
    let server = Server::start();
    for status in [520, 521, 522, 523, 524, 529] {
        server.enqueue(Reply::status(status));
    }
    server.otherwise(Reply::status(204));
    assert_eq!(end(&server, &["--retry-delay", "1ms"]).0, 4);
    assert_eq!(server.request_count(), 7);
    server.enqueue(Reply::status(525));
    assert_eq!(end(&server, &["--retry-delay", "1ms"]).0, 6);
}

#[test]
fn a_delay_is_the_same_each_time_or_grows() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let delays = |options: &[&str]| -> Vec<f64> {
        let (code, news) = end(&server, options);
        assert_eq!(code, 6, "{news}");
        let delay = |line: &str| line.split_once("retrying in ").map(|it| it.1.to_owned());
        let delays = news.lines().filter_map(delay);
        let seconds = |text: String| text.trim_end_matches(" s").parse::<f64>().unwrap();
        delays.map(seconds).collect()
    };
    let same = delays(&["--retry-delay", "100ms", "--retry", "5"]);
    assert_eq!(same.len(), 5);
    assert!(
        same.iter().all(|delay| (0.05..=0.1).contains(delay)),
        "{same:?}"
    );
    let grows = delays(&["--initial-retry-delay", "100ms", "--retry", "4"]);
    assert!(grows[3] >= 0.4, "{grows:?}");
    // As in curl, 0 is the default.
    let default = delays(&["--retry-delay", "0", "--retry", "1"]);
    assert!((0.5..=1.0).contains(&default[0]), "{default:?}");
}

#[test]
fn statuses_to_go_on_after_are_chosen() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::status(204));
    let options = ["--retry-status", "404,5xx", "--retry-delay", "10ms"];
    assert_eq!(end(&server, &options).0, 4);
    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--retry-status", ""]).0, 6);
}

#[test]
fn the_delay_has_a_base_and_a_limit() {
    let server = Server::start();
    server.enqueue(Reply::status(503));
    server.otherwise(Reply::status(204));
    let options = ["--retry-delay", "100h", "--retry-max", "20ms"];
    let (code, news) = end(&server, &options);
    assert_eq!(code, 4);
    assert!(news.contains("retrying in 0.0"), "{news}");
}

const POST: [&str; 4] = ["-d", "x", "--retry-delay", "10ms"];

fn post(server: &Server, options: &[&str]) -> (i32, String) {
    end(server, &[&POST, options].concat())
}

#[test]
fn a_server_that_ends_cleanly_is_polled_unless_the_wait_is_limited() {
    let server = Server::start();
    let delay = |options: &[&str]| {
        server.enqueue(Reply::stream().event_with_id("1", "x").end());
        let url = server.url("/");
        let args = [&*url, "--initial-retry-delay", "100ms"];
        let follower = Running::follow(args.into_iter().chain(options.iter().copied()));
        let news = follower.err.wait_for_text("retrying in ").join("\n");
        let (_, delay) = news.split_once("retrying in ").unwrap();
        let (delay, _) = delay.split_once(" s").unwrap();
        delay.parse::<f64>().unwrap()
    };
    let polled = delay(&[]);
    assert!((3.0..=4.5).contains(&polled), "{polled} s");
    let limited = delay(&["--retry-max", "30s"]);
    assert!((0.0..=0.1).contains(&limited), "{limited} s");
}

#[test]
fn a_post_is_repeated_only_if_that_is_said() {
    let server = Server::start();
    // An id doesn't say so.
    server.otherwise(Reply::stream().event_with_id("1", "x").end());
    assert_eq!(post(&server, &[]).0, 11);
    assert_eq!(server.request_count(), 1);
    assert_eq!(post(&server, &["--repeat-unsafe", "--count", "3"]).0, 0);
    assert_eq!(server.request_count(), 4);
    for request in server.requests() {
        assert_eq!((&*request.method, &*request.body), ("POST", &b"x"[..]));
    }
}

/// What the hint says to add is added, and helps.
#[test]
fn a_post_that_ended_is_told_what_would_send_it_again() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "x").end());
    let (code, news) = post(&server, &[]);
    assert_eq!(code, 11, "{news}");
    let error = "error: the server ended the stream after 1 event, and a request that isn't safe, \
                 such as a POST, isn't sent again\n";
    assert!(news.contains(error), "{news}");
    let hint = "hint: --no-reconnect if the stream is complete; --repeat-unsafe sends it again; \
                --resume-get resumes it with a GET, as MCP servers want it";
    assert!(news.contains(hint), "{news}");

    assert_eq!(post(&server, &["--no-reconnect"]).0, 0);
    let before = server.request_count();
    assert_eq!(post(&server, &["--repeat-unsafe", "--count", "2"]).0, 0);
    assert_eq!(post(&server, &["--resume-get", "--count", "2"]).0, 0);
    let methods: Vec<_> = server.requests()[before..]
        .iter()
        .map(|request| request.method.clone())
        .collect();
    assert_eq!(methods, ["POST", "POST", "POST", "GET"]);

    let (code, news) = post(&server, &["--count", "2"]);
    assert_eq!(code, 11, "{news}");
    assert!(news.contains("after 1 of 2 events\n"), "{news}");
    assert!(
        news.contains("hint: --repeat-unsafe sends it again"),
        "{news}"
    );
}

#[test]
fn a_post_that_broke_is_told_what_would_send_it_again() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").reset());
    let (code, news) = post(&server, &[]);
    assert_eq!(code, 11, "{news}");
    let error = "error: gave up, as a request that isn't safe, such as a POST, isn't sent again: \
                 the server reset the connection mid-response\n";
    assert!(news.contains(error), "{news}");
    // Without an id there is nothing that a GET could resume.
    assert!(
        news.ends_with("hint: --repeat-unsafe sends it again"),
        "{news}"
    );
    assert_eq!(server.request_count(), 1);

    // No id, and so there is only one way.
    let (code, news) = post(&server, &["--resume-get"]);
    assert_eq!(code, 11, "{news}");
    let hint = "hint: the server sent no id from which --resume-get could resume; \
                --repeat-unsafe sends the request again";
    assert!(news.contains(hint), "{news}");
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_stream_of_a_post_is_resumed_with_a_get() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "x").drop_connection());
    server.enqueue(Reply::stream().event_with_id("2", "y").event("bye").end());
    let (code, news) = post(&server, &["--resume-get", "--until", "bye"]);
    assert_eq!(code, 0, "{news}");
    let get = &server.requests()[1];
    assert_eq!((&*get.method, &*get.body), ("GET", &b""[..]));
    assert_eq!(get.header("last-event-id"), Some("1"));
    assert_eq!(get.header("content-type"), None);
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_server_that_can_not_resume_is_told_of() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "x").drop_connection());
    server.enqueue(Reply::status(405));
    let (code, news) = post(&server, &["--resume-get"]);
    assert_eq!(code, 6, "{news}");
    let hint = "hint: the server can't resume this stream; without --resume-get";
    assert!(news.contains(hint), "{news}");
    // It isn't the answer to the POST, which has the usual hint.
    server.enqueue(Reply::status(405));
    let (code, news) = post(&server, &["--resume-get"]);
    assert_eq!(code, 6, "{news}");
    assert!(
        news.contains("hint: the stream may want another method"),
        "{news}"
    );
}

/// `--retry-status` alone changes nothing for a POST.
#[test]
fn a_status_that_may_pass_has_a_hint_that_helps() {
    let server = Server::start();
    for status in [429, 503] {
        let answer = || {
            server.enqueue(Reply::status(status));
            server.otherwise(Reply::stream().event("x").stall());
        };
        answer();
        let (code, news) = post(&server, &[]);
        assert_eq!(code, 11, "{news}");
        assert!(!news.contains("--retry-status"), "{news}");
        assert!(news.contains("--repeat-unsafe"), "{news}");
        answer();
        assert_eq!(post(&server, &["--repeat-unsafe", "--count", "1"]).0, 0);

        answer();
        let (code, news) = post(&server, &["--retry-status", ""]);
        assert_eq!(code, 6, "{news}");
        let hint = "--retry-status 429,5xx with --repeat-unsafe sends the request again";
        assert!(news.contains(hint), "{news}");
        answer();
        let options = [
            "--retry-status",
            "429,5xx",
            "--repeat-unsafe",
            "--count",
            "1",
        ];
        assert_eq!(post(&server, &options).0, 0);

        answer();
        let (_, news) = post(&server, &["--no-reconnect"]);
        let hint = "--repeat-unsafe instead of --no-reconnect sends the request again";
        assert!(news.contains(hint), "{news}");

        // Of a GET.
        answer();
        let (_, news) = end(&server, &["--retry-status", ""]);
        assert!(
            news.contains("--retry-status 429,5xx tries again"),
            "{news}"
        );
        answer();
        let options = [
            "--retry-status",
            "429,5xx",
            "--count",
            "1",
            "--retry-delay",
            "10ms",
        ];
        assert_eq!(end(&server, &options).0, 0);
        answer();
        let (_, news) = end(&server, &["--no-reconnect"]);
        assert!(
            news.contains("without --no-reconnect it is tried again"),
            "{news}"
        );
        answer();
        let (_, news) = end(&server, &["--max-attempts", "1"]);
        let hint = "hint: the server may recover: a larger --max-attempts tries for longer";
        assert!(news.contains(hint), "{news}");
        answer();
        let options = [
            "--max-attempts",
            "2",
            "--count",
            "1",
            "--retry-delay",
            "10ms",
        ];
        assert_eq!(end(&server, &options).0, 0);
    }
}
