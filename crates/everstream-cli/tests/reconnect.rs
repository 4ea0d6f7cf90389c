//! When it retries, and when it gives up.

use everstream_testing::{Reply, Server};

use crate::common::{Running, in_time};

fn end(server: &Server, options: &[&str]) -> (i32, String) {
    let url = server.url("/");
    Running::follow([&*url].into_iter().chain(options.iter().copied())).end()
}

#[test]
fn no_reconnect_stops_after_one_connection() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x").end());
    let (code, stderr) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("retrying"), "{stderr}");
    assert!(
        stderr.contains("stopped by the end of the stream after 1 event"),
        "{stderr}"
    );

    server.enqueue(Reply::stream().event("x").reset());
    let (code, stderr) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 8, "{stderr}");
    assert!(
        stderr.contains("the server reset the connection mid-response\n"),
        "{stderr}"
    );

    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--no-reconnect"]).0, 6);
    server.stop();
    let (code, stderr) = end(&server, &["--no-reconnect"]);
    assert_eq!(code, 5);
    assert!(stderr.contains("hint: nothing listens there"), "{stderr}");
}

#[test]
fn max_attempts_counts_failures_in_a_row() {
    let server = Server::start();
    let options = ["--max-attempts", "2", "--retry-delay", "10ms"];
    // The end of a connection isn't a failed attempt, and the count restarts after it.
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event("x").end());
    server.otherwise(Reply::status(503));
    let (code, stderr) = end(&server, &options);
    assert_eq!(code, 6, "{stderr}");
    assert_eq!(server.request_count(), 6);
}

#[test]
fn max_outage_limits_the_time_without_a_connection() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    for option in ["--max-outage", "--retry-max-time"] {
        let (code, stderr, requests) = in_time(
            |limit| {
                let before = server.request_count();
                let (code, stderr) = end(&server, &[option, limit, "--retry-delay", "50ms"]);
                (code, stderr, server.request_count() - before)
            },
            |(_, _, requests)| *requests > 1,
        );
        assert_eq!(code, 6, "{stderr}");
        assert!(requests > 1, "{requests}");
        assert!(
            stderr.contains("gave up because of --max-outage: "),
            "{stderr}"
        );
        let hint = "to retry for longer, raise --max-outage";
        assert!(stderr.contains(hint), "{stderr}");
    }
    // No limit, as in curl.
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
    // By default, only transient statuses are retried.
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
fn proxy_and_overload_statuses_are_retried() {
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
fn retry_delay_is_constant_and_the_default_grows() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let delays = |options: &[&str]| -> Vec<f64> {
        let (code, stderr) = end(&server, options);
        assert_eq!(code, 6, "{stderr}");
        let delay = |line: &str| line.split_once("retrying in ").map(|it| it.1.to_owned());
        let delays = stderr.lines().filter_map(delay);
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
fn retry_status_selects_retried_statuses() {
    let server = Server::start();
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::status(204));
    let options = ["--retry-status", "404,5xx", "--retry-delay", "10ms"];
    assert_eq!(end(&server, &options).0, 4);
    server.enqueue(Reply::status(503));
    assert_eq!(end(&server, &["--retry-status", ""]).0, 6);
}

#[test]
fn initial_retry_delay_and_retry_max_bound_the_delay() {
    let server = Server::start();
    server.enqueue(Reply::status(503));
    server.otherwise(Reply::status(204));
    let options = ["--retry-delay", "100h", "--retry-max", "20ms"];
    let (code, stderr) = end(&server, &options);
    assert_eq!(code, 4);
    assert!(stderr.contains("retrying in 0.0"), "{stderr}");
}

const POST: [&str; 4] = ["-d", "x", "--retry-delay", "10ms"];

fn post(server: &Server, options: &[&str]) -> (i32, String) {
    end(server, &[&POST, options].concat())
}

#[test]
fn clean_ends_are_polled_unless_retry_max_is_set() {
    let server = Server::start();
    let delay = |options: &[&str]| {
        server.enqueue(Reply::stream().event_with_id("1", "x").end());
        let url = server.url("/");
        let args = [&*url, "--initial-retry-delay", "100ms"];
        let follower = Running::follow(args.into_iter().chain(options.iter().copied()));
        let stderr = follower.err.wait_for_text("retrying in ").join("\n");
        let (_, delay) = stderr.split_once("retrying in ").unwrap();
        let (delay, _) = delay.split_once(" s").unwrap();
        delay.parse::<f64>().unwrap()
    };
    let polled = delay(&[]);
    assert!((3.0..=4.5).contains(&polled), "{polled} s");
    let limited = delay(&["--retry-max", "30s"]);
    assert!((0.0..=0.1).contains(&limited), "{limited} s");
}

#[test]
fn a_post_is_resent_only_with_repeat_unsafe() {
    let server = Server::start();
    // An id alone doesn't cause it.
    server.otherwise(Reply::stream().event_with_id("1", "x").end());
    assert_eq!(post(&server, &[]).0, 11);
    assert_eq!(server.request_count(), 1);
    assert_eq!(post(&server, &["--repeat-unsafe", "--count", "3"]).0, 0);
    assert_eq!(server.request_count(), 4);
    for request in server.requests() {
        assert_eq!((&*request.method, &*request.body), ("POST", &b"x"[..]));
    }
}

/// The option from the hint is added, and helps.
#[test]
fn the_end_of_a_post_has_a_hint_that_resends_it() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "x").end());
    let (code, stderr) = post(&server, &[]);
    assert_eq!(code, 11, "{stderr}");
    let error = "error: the server ended the stream after 1 event; unsafe requests (such as POST) \
                 aren't resent\n";
    assert!(stderr.contains(error), "{stderr}");
    let hint = "hint: if the stream is complete, use --no-reconnect; --repeat-unsafe sends it again; \
                --resume-get resumes it with a GET, as MCP servers require";
    assert!(stderr.contains(hint), "{stderr}");

    assert_eq!(post(&server, &["--no-reconnect"]).0, 0);
    let before = server.request_count();
    assert_eq!(post(&server, &["--repeat-unsafe", "--count", "2"]).0, 0);
    assert_eq!(post(&server, &["--resume-get", "--count", "2"]).0, 0);
    let methods: Vec<_> = server.requests()[before..]
        .iter()
        .map(|request| request.method.clone())
        .collect();
    assert_eq!(methods, ["POST", "POST", "POST", "GET"]);

    let (code, stderr) = post(&server, &["--count", "2"]);
    assert_eq!(code, 11, "{stderr}");
    assert!(stderr.contains("after 1 of 2 events\n"), "{stderr}");
    assert!(
        stderr.contains("hint: --repeat-unsafe sends it again"),
        "{stderr}"
    );
}

#[test]
fn a_broken_post_has_a_hint_that_resends_it() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").reset());
    let (code, stderr) = post(&server, &[]);
    assert_eq!(code, 11, "{stderr}");
    let error = "error: gave up, because unsafe requests (such as POST) aren't resent: \
                 the server reset the connection mid-response\n";
    assert!(stderr.contains(error), "{stderr}");
    // Without an id there is nothing that a GET could resume.
    assert!(
        stderr.ends_with("hint: --repeat-unsafe sends it again"),
        "{stderr}"
    );
    assert_eq!(server.request_count(), 1);

    // Without an id there is only one way.
    let (code, stderr) = post(&server, &["--resume-get"]);
    assert_eq!(code, 11, "{stderr}");
    let hint = "hint: the server sent no event id, so --resume-get can't resume; \
                --repeat-unsafe sends the request again";
    assert!(stderr.contains(hint), "{stderr}");
    assert_eq!(server.request_count(), 2);
}

#[test]
fn resume_get_resumes_the_stream_of_a_post() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "x").drop_connection());
    server.enqueue(Reply::stream().event_with_id("2", "y").event("bye").end());
    let (code, stderr) = post(&server, &["--resume-get", "--until", "bye"]);
    assert_eq!(code, 0, "{stderr}");
    let get = &server.requests()[1];
    assert_eq!((&*get.method, &*get.body), ("GET", &b""[..]));
    assert_eq!(get.header("last-event-id"), Some("1"));
    assert_eq!(get.header("content-type"), None);
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_server_without_resume_get_support_has_a_hint() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "x").drop_connection());
    server.enqueue(Reply::status(405));
    let (code, stderr) = post(&server, &["--resume-get"]);
    assert_eq!(code, 6, "{stderr}");
    let hint = "hint: this server can't resume the stream: drop --resume-get";
    assert!(stderr.contains(hint), "{stderr}");
    // This time it is the response to the POST, which has the usual hint.
    server.enqueue(Reply::status(405));
    let (code, stderr) = post(&server, &["--resume-get"]);
    assert_eq!(code, 6, "{stderr}");
    assert!(
        stderr.contains("hint: the stream may need another method"),
        "{stderr}"
    );
}

/// `--retry-status` alone changes nothing for a POST.
#[test]
fn a_transient_status_has_a_hint_that_helps() {
    let server = Server::start();
    for status in [429, 503] {
        let answer = || {
            server.enqueue(Reply::status(status));
            server.otherwise(Reply::stream().event("x").stall());
        };
        answer();
        let (code, stderr) = post(&server, &[]);
        assert_eq!(code, 11, "{stderr}");
        assert!(!stderr.contains("--retry-status"), "{stderr}");
        assert!(stderr.contains("--repeat-unsafe"), "{stderr}");
        assert_eq!(post(&server, &["--count", "1"]).0, 0);
        answer();
        assert_eq!(post(&server, &["--repeat-unsafe", "--count", "1"]).0, 0);

        answer();
        let (code, stderr) = post(&server, &["--retry-status", ""]);
        assert_eq!(code, 6, "{stderr}");
        let hint =
            "run the command again, or use --retry-status 429,5xx with --repeat-unsafe (which";
        assert!(stderr.contains(hint), "{stderr}");
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
        let (code, stderr) = post(&server, &["--no-reconnect"]);
        assert_eq!(code, 6, "{stderr}");
        let hint = "run the command again, or use --repeat-unsafe instead of --no-reconnect (which";
        assert!(stderr.contains(hint), "{stderr}");

        // With a GET.
        answer();
        let (_, stderr) = end(&server, &["--retry-status", ""]);
        assert!(
            stderr.contains("--retry-status 429,5xx retries it"),
            "{stderr}"
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
        let (_, stderr) = end(&server, &["--no-reconnect"]);
        assert!(
            stderr.contains("without --no-reconnect the request is retried"),
            "{stderr}"
        );
        answer();
        let (_, stderr) = end(&server, &["--max-attempts", "1"]);
        let hint = "hint: the server may recover: to retry for longer, raise --max-attempts";
        assert!(stderr.contains(hint), "{stderr}");
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
